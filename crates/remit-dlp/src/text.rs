//! Reading bytes at positions that may lie outside: outside is NUL, or nothing.

use std::ops::Range;

/// Lines are looked at so far from a value, no farther.
const LINE: usize = 512;

/// The byte at `at`; NUL outside.
pub(crate) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The byte before `at`; NUL outside.
pub(crate) fn before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(0, |at| byte(text, at))
}

/// The bytes of a range, as far as they exist.
pub(crate) fn part(text: &[u8], range: Range<usize>) -> &[u8] {
    let end = range.end.min(text.len());
    text.get(range.start.min(end)..end).unwrap_or_default()
}

/// Where the run of bytes that satisfy `test` from `at` on ends; at most `most` bytes later.
pub(crate) fn run(text: &[u8], at: usize, most: usize, test: impl Fn(u8) -> bool) -> usize {
    let rest = part(text, at..at.saturating_add(most));
    at + rest.iter().position(|&byte| !test(byte)).unwrap_or(rest.len())
}

/// Where the run of bytes that satisfy `test` and end before `at` starts.
pub(crate) fn run_back(text: &[u8], at: usize, most: usize, test: impl Fn(u8) -> bool) -> usize {
    let front = part(text, at.saturating_sub(most)..at);
    let at = at.min(text.len());
    at - front.iter().rev().position(|&byte| !test(byte)).unwrap_or(front.len())
}

/// The line around `at`, without its end; bounded on both sides.
pub(crate) fn line(text: &[u8], at: usize) -> Range<usize> {
    let front = part(text, at.saturating_sub(LINE)..at);
    let start = at.min(text.len()) - front.len();
    let start = memchr::memrchr(b'\n', front).map_or(start, |found| start + found + 1);
    let back = part(text, at..at.saturating_add(LINE));
    let end = memchr::memchr(b'\n', back).map_or(at + back.len(), |found| at + found);
    start..end
}

/// Whether the byte is an ASCII letter, a digit or part of a character beyond ASCII.
pub(crate) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// Whether `word` stands at `at`, whatever its ASCII letters' case.
pub(crate) fn says(text: &[u8], at: usize, word: &[u8]) -> bool {
    part(text, at..at.saturating_add(word.len())).eq_ignore_ascii_case(word)
}

/// Whether `word` (lower case) stands anywhere in `text`, whatever its ASCII letters' case.
pub(crate) fn mentions(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len().max(1)).any(|window| window.eq_ignore_ascii_case(word))
}
