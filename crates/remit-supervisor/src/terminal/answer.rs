//! What counts as a person's answer. Terminals type too: they answer queries that stand in the
//! agent's output, and report the mouse. And a person may still be typing to the agent. So an
//! answer begins after silence, holds a code that nobody knew before, and no control characters.

use std::time::{Duration, Instant};

/// How long nothing must have been typed before an answer may begin.
pub(super) const QUIET: Duration = Duration::from_millis(600);
/// Wrong answers after which the question is answered with no.
const MOST_WRONG: u8 = 5;
/// Longest answer.
const LONGEST: usize = 16;

const LETTERS: &[u8; 16] = b"abcefghjkmpqrtuw";
const ESCAPE: u8 = 0x1b;
const INTERRUPT: u8 = 3;

/// What a person may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Once,
    Session,
    Deny,
}

/// What is to be shown next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Nothing new.
    Nothing,
    /// The line with this code.
    Code(String),
    /// The answer so far, in place of what stood there.
    Typed(String),
    /// The answer so far does not count.
    Dropped,
    /// The answer.
    Said(Said),
}

/// Reads one answer.
pub(super) struct Answering {
    /// Drawn when an answer may begin.
    code: Option<String>,
    typed: String,
    last: Instant,
    wrong: u8,
    draw: fn() -> Option<[u8; 4]>,
}

impl Answering {
    pub(super) fn new(now: Instant) -> Self {
        Self { code: None, typed: String::new(), last: now, wrong: 0, draw }
    }

    /// Time went by without a byte.
    pub(super) fn wait(&mut self, now: Instant) -> Show {
        if self.code.is_some() || now.saturating_duration_since(self.last) < QUIET {
            return Show::Nothing;
        }
        // Without chance there is no answer here; `remit approval` still has one.
        let Some(random) = (self.draw)() else { return Show::Nothing };
        let letter = |byte: u8| LETTERS.get(usize::from(byte & 15)).copied().unwrap_or(b'a');
        let code: String = random.into_iter().map(|byte| char::from(letter(byte))).collect();
        self.code = Some(code.clone());
        Show::Code(code)
    }

    /// Bytes that came together.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant) -> Show {
        self.last = now;
        let Some(code) = self.code.clone() else { return Show::Nothing };
        // The key itself, not a part of something longer.
        if bytes == [INTERRUPT] {
            return Show::Said(Said::Deny);
        }
        // Looked at first, so that what a report begins with cannot complete an answer.
        let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | 8 | 0x7f);
        if bytes.contains(&ESCAPE) || !bytes.iter().all(plain) {
            return self.drop_it();
        }
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => match self.line(&code) {
                    Some(said) => return Show::Said(said),
                    None => {
                        self.wrong = self.wrong.saturating_add(1);
                        let over = self.wrong >= MOST_WRONG;
                        return if over { Show::Said(Said::Deny) } else { self.drop_it() };
                    }
                },
                8 | 0x7f => drop(self.typed.pop()),
                _ if self.typed.len() >= LONGEST => return self.drop_it(),
                graphic => self.typed.push(char::from(*graphic)),
            }
        }
        Show::Typed(self.typed.clone())
    }

    /// Silence again before the next try, and another code.
    fn drop_it(&mut self) -> Show {
        self.code = None;
        self.typed.clear();
        Show::Dropped
    }

    fn line(&self, code: &str) -> Option<Said> {
        let letters = self.typed.chars().filter(|c| *c != ' ');
        let line: String = letters.map(|c| c.to_ascii_lowercase()).collect();
        if line == "d" {
            return Some(Said::Deny);
        }
        match line.strip_prefix(code)? {
            "o" => Some(Said::Once),
            "s" => Some(Said::Session),
            "d" => Some(Said::Deny),
            _ => None,
        }
    }
}

fn draw() -> Option<[u8; 4]> {
    let mut bytes = [0u8; 4];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    /// One that is quiet and shows a code, and the time.
    fn ready() -> (Answering, String, Instant) {
        let start = Instant::now();
        let mut answering = Answering::new(start);
        assert_eq!(answering.wait(start), Show::Nothing);
        let now = start + QUIET;
        let Show::Code(code) = answering.wait(now) else { panic!("no code") };
        (answering, code, now)
    }

    #[test]
    fn code_letter_and_enter_are_an_answer() {
        for (letter, said) in [("o", Said::Once), (" S", Said::Session), ("d", Said::Deny)] {
            let (mut answering, code, now) = ready();
            let line = format!("x\x7f{code}{letter}");
            for byte in line.bytes() {
                assert!(matches!(answering.take(&[byte], now), Show::Typed(_)));
            }
            assert_eq!(answering.take(b"\r", now), Show::Said(said));
        }
        let (mut answering, code, now) = ready();
        assert_eq!(answering.take(format!("{code}o\r").as_bytes(), now), Show::Said(Said::Once));
    }

    #[test]
    fn no_needs_no_code() {
        for no in [&b"d\r"[..], b"\x03"] {
            let (mut answering, _, now) = ready();
            assert_eq!(answering.take(no, now), Show::Said(Said::Deny));
        }
    }

    #[test]
    fn bypass_terminal_reports_are_no_answers() {
        for report in ["\x1bP>|xterm.js(6.1)\x1b\\", "\x1b[M s!", "\x1b[?1;2c", "\u{9b}s", "s\x05"]
        {
            let (mut answering, code, now) = ready();
            assert_eq!(answering.take(report.as_bytes(), now), Show::Dropped);
            // Not even with the code around it, and not before there was silence again.
            assert_eq!(answering.take(format!("{code}s\r").as_bytes(), now), Show::Nothing);
            assert_eq!(answering.wait(now), Show::Nothing);
            assert!(matches!(answering.wait(now + QUIET), Show::Code(_)));
            let mixed = format!("{code}s\r{report}");
            assert_eq!(answering.take(mixed.as_bytes(), now), Show::Dropped);
        }
    }

    #[test]
    fn bypass_keys_before_the_silence_are_no_answers() {
        let start = Instant::now();
        let mut answering = Answering::new(start);
        for step in 0..100 {
            let now = start + QUIET / 2 * step;
            assert_eq!(answering.wait(now), Show::Nothing);
            assert_eq!(answering.take(b"s\r", now), Show::Nothing);
        }
    }

    #[test]
    fn bypass_guessing_ends_the_question() {
        let (mut answering, _, mut now) = ready();
        for _ in 1..MOST_WRONG {
            assert_eq!(answering.take(b"s\r", now), Show::Dropped);
            now += QUIET;
            assert!(matches!(answering.wait(now), Show::Code(_)));
        }
        assert_eq!(answering.take(b"s\r", now), Show::Said(Said::Deny));
    }

    #[test]
    fn without_chance_there_is_no_answer() {
        let start = Instant::now();
        let mut answering = Answering { draw: || None, ..Answering::new(start) };
        assert_eq!(answering.wait(start + QUIET), Show::Nothing);
        assert_eq!(answering.take(b"aaaas\r", start), Show::Nothing);
    }
}
