//! Backslash escapes of JSON strings (RFC 8259 section 7), both ways, with positions.

use std::{borrow::Cow, ops::Range};

/// What an escaped text says. An escape that is none stays as it stands, and half a surrogate pair
/// becomes U+FFFD: a server may read more than the standard allows, so nothing is left unread.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    unescape_into(raw, &mut text, |_| {});
    Cow::Owned(text)
}

/// The same, with where the characters stand that escapes said.
pub(crate) fn unescape_and_tell(raw: &str) -> (String, Vec<Range<usize>>) {
    let mut text = String::with_capacity(raw.len());
    let mut said = Vec::new();
    unescape_into(raw, &mut text, |range| said.push(range));
    (text, said)
}

fn unescape_into(raw: &str, text: &mut String, mut said: impl FnMut(Range<usize>)) {
    for piece in Pieces::of(raw) {
        let start = text.len();
        match piece.says {
            Some(character) => {
                text.push(character);
                said(start..text.len());
            }
            None => text.push_str(raw.get(piece.range).unwrap_or_default()),
        }
    }
}

/// Turns ranges of [`unescape`]'s text, sorted and apart, into ranges of `raw`, in place. A range
/// that cuts a character or an escape is widened to the whole of it.
pub(crate) fn map_to_raw<'r>(raw: &str, ranges: impl Iterator<Item = &'r mut Range<usize>>) {
    let mut pieces = Pieces::of(raw);
    let mut piece = pieces.next();
    // Where the current piece begins in the unescaped text.
    let mut said = 0_usize;
    // Moves on to the piece that holds the byte `at`, and gives that piece's place.
    let mut locate = |at: usize| -> Option<(Piece, usize)> {
        loop {
            let current = piece.clone()?;
            let length = current.says.map_or(current.range.len(), char::len_utf8);
            let behind = said.saturating_add(length);
            if at < behind {
                return Some((current, said));
            }
            said = behind;
            piece = pieces.next();
        }
    };
    for range in ranges {
        let Some(last) = range.end.checked_sub(1).filter(|last| *last >= range.start) else {
            continue;
        };
        let start = locate(range.start).map_or(raw.len(), |(piece, said)| match piece.says {
            Some(_) => piece.range.start,
            None => piece.range.start.saturating_add(range.start.saturating_sub(said)),
        });
        let end = locate(last).map_or(raw.len(), |(piece, said)| match piece.says {
            Some(_) => piece.range.end,
            None => piece.range.start.saturating_add(range.end.saturating_sub(said)),
        });
        *range = start..end;
    }
}

/// Writes `text` as the inside of a JSON string, `times` times over: a string in a string needs
/// it twice.
pub(crate) fn escape_into(text: &str, times: u8, out: &mut String) {
    match times {
        0 => out.push_str(text),
        1 => escape_once(text, out),
        _ => {
            let mut inner = String::with_capacity(text.len());
            escape_once(text, &mut inner);
            escape_into(&inner, times.saturating_sub(1), out);
        }
    }
}

fn escape_once(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => out.push(character),
        }
    }
}

/// A run of plain text, or one escape and the character that it says.
#[derive(Clone)]
struct Piece {
    range: Range<usize>,
    says: Option<char>,
}

struct Pieces<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Pieces<'a> {
    fn of(raw: &'a str) -> Self {
        Self { bytes: raw.as_bytes(), at: 0 }
    }

    /// The escape at a backslash: its length and what it says.
    fn escape(&self, at: usize) -> Option<(usize, char)> {
        let character = match self.bytes.get(at.checked_add(1)?)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(at),
            _ => return None,
        };
        Some((2, character))
    }

    fn unicode(&self, at: usize) -> Option<(usize, char)> {
        let first = self.unit(at)?;
        if let Some(character) = char::from_u32(first) {
            return Some((6, character));
        }
        let pair = self.unit(at.checked_add(6)?).filter(|low| (0xdc00..0xe000).contains(low));
        let (Some(low), 0xd800..0xdc00) = (pair, first) else {
            return Some((6, char::REPLACEMENT_CHARACTER));
        };
        let both = 0x1_0000 + ((first & 0x3ff) << 10) + (low & 0x3ff);
        Some((12, char::from_u32(both).unwrap_or(char::REPLACEMENT_CHARACTER)))
    }

    /// The four digits of `\uXXXX` at `at`.
    fn unit(&self, at: usize) -> Option<u32> {
        let [b'\\', b'u', digits @ ..] = self.bytes.get(at..at.checked_add(6)?)? else {
            return None;
        };
        digits.iter().try_fold(0, |sum, digit| Some((sum << 4) | char::from(*digit).to_digit(16)?))
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let start = self.at;
        let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty())?;
        if rest.first() == Some(&b'\\') {
            let escape = self.escape(start);
            self.at = start.saturating_add(escape.map_or(1, |(length, _)| length));
            return Some(Piece { range: start..self.at, says: escape.map(|(_, says)| says) });
        }
        let length = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        self.at = start.saturating_add(length);
        Some(Piece { range: start..self.at, says: None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_read_and_found_again() {
        let raw = r#"a\u00e9\ud83d\ude00\/\"z\ud800!\q"#;
        let text = unescape(raw);
        assert_eq!(text, "aé😀/\"z\u{fffd}!\\q");
        let mut ranges = [0..1, 1..3, 3..7, 7..9, 9..10, 10..13];
        map_to_raw(raw, ranges.iter_mut());
        let words: Vec<_> = ranges.into_iter().map(|range| &raw[range]).collect();
        assert_eq!(words, ["a", "\\u00e9", "\\ud83d\\ude00", "\\/\\\"", "z", "\\ud800"]);
    }

    #[test]
    fn half_a_character_is_widened_to_the_whole() {
        let raw = r"x\u00e9y";
        let mut range = 2..3;
        map_to_raw(raw, [&mut range].into_iter());
        assert_eq!(&raw[range], r"\u00e9");
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_read_back(text in any::<String>(), times in 0_u8..4) {
            let mut raw = String::new();
            escape_into(&text, times, &mut raw);
            for _ in 0..times {
                raw = unescape(&raw).into_owned();
            }
            prop_assert_eq!(raw, text);
        }

        #[test]
        fn serde_reads_the_same(text in any::<String>()) {
            let raw = serde_json::to_string(&text).expect("json");
            prop_assert_eq!(unescape(&raw[1..raw.len() - 1]), text.as_str());
            let mut own = String::new();
            escape_into(&text, 1, &mut own);
            let read: String = serde_json::from_str(&format!("\"{own}\"")).expect("json");
            prop_assert_eq!(read, text);
        }

        #[test]
        fn ranges_say_what_they_said(
            raw in r#"([a-z]|\\u00e9|\\ud83d\\ude00|\\n|é|\\q){0,12}"#,
            cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let text = unescape(&raw).into_owned();
            let bounds: Vec<_> =
                text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let (a, b) = (cut.0.get(&bounds), cut.1.get(&bounds));
            let mut range = *a.min(b)..*a.max(b);
            let wanted = text[range.clone()].to_owned();
            if !wanted.is_empty() {
                map_to_raw(&raw, [&mut range].into_iter());
                prop_assert_eq!(unescape(&raw[range]), wanted);
            }
        }
    }
}
