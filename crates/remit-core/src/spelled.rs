//! Short texts on the stack: what every record holds is not worth an allocation.

/// Up to 64 ASCII bytes.
#[derive(Clone, Copy)]
pub(crate) struct Spelled {
    bytes: [u8; 64],
    length: usize,
}

impl Default for Spelled {
    fn default() -> Self {
        Self { bytes: [0; 64], length: 0 }
    }
}

impl Spelled {
    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        // Only whole texts and ASCII were pushed.
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// `None`: no room.
    pub(crate) fn text(&mut self, text: &str) -> Option<&mut Self> {
        let end = self.length.checked_add(text.len())?;
        self.bytes.get_mut(self.length..end)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Some(self)
    }

    /// An ASCII byte. `None`: no room, or it is none.
    pub(crate) fn push(&mut self, byte: u8) -> Option<&mut Self> {
        *self.bytes.get_mut(self.length).filter(|_| byte.is_ascii())? = byte;
        self.length = self.length.checked_add(1)?;
        Some(self)
    }

    /// A number in decimal, with zeros in front up to `width` digits.
    pub(crate) fn number(&mut self, number: impl Into<u64>, width: usize) -> Option<&mut Self> {
        // 2^64 has 20 digits.
        let mut digits = [b'0'; 20];
        let mut rest = number.into();
        let mut used = 0_usize;
        for digit in digits.iter_mut().rev() {
            if rest == 0 {
                break;
            }
            *digit = b'0'.wrapping_add((rest % 10) as u8);
            rest /= 10;
            used = used.saturating_add(1);
        }
        let shown = used.max(width).clamp(1, digits.len());
        let from = digits.len().saturating_sub(shown);
        self.text(std::str::from_utf8(digits.get(from..)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_the_library_spells_them() {
        for number in [0, 1, 9, 10, 12_345, u64::MAX] {
            let mut text = Spelled::default();
            assert!(text.number(number, 1).is_some());
            assert_eq!(text.as_str(), number.to_string());
            let mut text = Spelled::default();
            assert!(text.number(number, 6).is_some());
            assert_eq!(text.as_str(), format!("{number:06}"));
        }
    }

    #[test]
    fn what_has_no_room_is_refused_whole() {
        let mut text = Spelled::default();
        assert!(text.text(&"x".repeat(60)).is_some());
        assert!(text.text("yyyyy").is_none());
        assert!(text.push(0xff).is_none());
        assert_eq!(text.as_str(), "x".repeat(60));
    }
}
