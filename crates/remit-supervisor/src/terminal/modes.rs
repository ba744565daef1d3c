//! What the agent's output makes the person's terminal send by itself: reports of the mouse, of the
//! focus, of pasting. It is switched off for a question and on again afterwards.

/// Private modes (xterm's ctlseqs, "DEC Private Mode Set") under which a terminal sends what nobody
/// typed, or sends keys in another form: mouse, focus, bracketed paste, colours, sizes.
const MODES: [u16; 15] =
    [9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 2004, 2031, 2048, 5522];

/// Parameters of one sequence that are looked at.
const MOST_PARAMETERS: usize = 16;

/// Follows the agent's output: which of [`MODES`] are on.
#[derive(Debug, Default)]
pub(super) struct Modes {
    on: [bool; MODES.len()],
    state: State,
    parameters: Vec<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    /// After `ESC [`, before what tells private modes from others.
    Sequence,
    Private,
}

impl Modes {
    pub(super) fn follow(&mut self, output: &[u8]) {
        for byte in output {
            self.state = match (self.state, byte) {
                (_, 0x1b) => State::Escape,
                (State::Escape, b'[') => State::Sequence,
                (State::Escape, b'c') => {
                    // Full reset.
                    self.on = Default::default();
                    State::Text
                }
                (State::Sequence, b'?') => {
                    self.parameters.clear();
                    self.parameters.push(0);
                    State::Private
                }
                (State::Private, digit @ b'0'..=b'9') => {
                    if let Some(last) = self.parameters.last_mut() {
                        let digit = u16::from(digit.wrapping_sub(b'0'));
                        *last = last.saturating_mul(10).saturating_add(digit);
                    }
                    State::Private
                }
                (State::Private, b';') if self.parameters.len() < MOST_PARAMETERS => {
                    self.parameters.push(0);
                    State::Private
                }
                (State::Private, b'h' | b'l') => {
                    self.set(*byte == b'h');
                    State::Text
                }
                _ => State::Text,
            };
        }
    }

    /// Switches all of them off, whatever was seen.
    pub(super) fn off() -> String {
        MODES.iter().map(|mode| format!("\x1b[?{mode}l")).collect()
    }

    /// Switches on again what the agent had on.
    pub(super) fn again(&self) -> String {
        let on = MODES.iter().zip(&self.on).filter(|(_, on)| **on);
        on.map(|(mode, _)| format!("\x1b[?{mode}h")).collect()
    }

    fn set(&mut self, to: bool) {
        for (mode, on) in MODES.iter().zip(&mut self.on) {
            if self.parameters.contains(mode) {
                *on = to;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_followed_over_the_edges_of_reads() {
        let mut modes = Modes::default();
        for part in [&b"text \x1b["[..], b"?10", b"00;1006h\x1b[?25l", b"\x1b[?2004h\x1b[1000l"] {
            modes.follow(part);
        }
        assert_eq!(modes.again(), "\x1b[?1000h\x1b[?1006h\x1b[?2004h");
        modes.follow(b"\x1b[?1000l\x1b[?99999999h\x1b[?1x004h");
        assert_eq!(modes.again(), "\x1b[?1006h\x1b[?2004h");
        modes.follow(b"\x1bc");
        assert_eq!(modes.again(), "");
    }

    #[test]
    fn endless_parameters_take_no_memory() {
        let mut modes = Modes::default();
        modes.follow(b"\x1b[?");
        modes.follow(&b"1;".repeat(100_000));
        assert!(modes.parameters.len() <= MOST_PARAMETERS);
    }
}
