//! Encodings of single characters: the text around them is read again with them undone.

use std::ops::Range;

use super::{explorer::Made, map::Map};
use crate::{found::Decoder, text::part};

/// Around a change, so much of the text is read again.
const AROUND: usize = 128;
/// A window is no longer.
const LONGEST: usize = 1 << 20;

/// How one encoding is undone.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) via: Decoder,
    /// Bytes that it starts with.
    pub(super) marks: &'static [u8],
    /// What stands at a mark.
    pub(super) at: fn(&[u8], usize) -> Option<Change>,
    /// So many changes are needed in a window, weak ones aside.
    pub(super) least: usize,
}

/// A character that was written in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Bytes that were read.
    pub(super) read: usize,
    bytes: [u8; 4],
    count: usize,
    /// Whether it alone is no reason to look again.
    pub(super) weak: bool,
}

impl Change {
    /// `read` bytes stand for a character.
    pub(super) fn letter(read: usize, letter: char) -> Self {
        let mut bytes = [0; 4];
        let count = letter.encode_utf8(&mut bytes).len();
        Self { read, bytes, count, weak: false }
    }

    /// `read` bytes stand for one byte.
    pub(super) const fn byte(read: usize, byte: u8) -> Self {
        Self { read, bytes: [byte, 0, 0, 0], count: 1, weak: false }
    }

    /// `read` bytes stand for nothing.
    pub(super) const fn nothing(read: usize) -> Self {
        Self { read, bytes: [0; 4], count: 0, weak: false }
    }

    /// No reason by itself.
    pub(super) const fn weakly(self) -> Self {
        Self { weak: true, ..self }
    }
}

/// Every window of the text around `range` that holds enough changes.
pub(super) fn find(text: &[u8], range: Range<usize>, rules: &Rules, mut found: impl FnMut(Made)) {
    let start = range.start.saturating_sub(2 * AROUND);
    let stop = range.end.saturating_add(2 * AROUND).min(text.len());
    let mut window: Option<(usize, usize, usize)> = None;
    let mut skip = start;
    for mark in marks(rules.marks, part(text, start..stop)) {
        let at = start + mark;
        if at < skip {
            continue;
        }
        let Some(change) = (rules.at)(text, at) else { continue };
        skip = at + change.read.max(1);
        if change.weak {
            continue;
        }
        window = match window {
            Some((from, to, count)) if at < to + AROUND && at - from < LONGEST => {
                Some((from, skip + AROUND, count + 1))
            }
            Some(done) => {
                close(text, done, rules, &mut found);
                Some((at.saturating_sub(AROUND), skip + AROUND, 1))
            }
            None => Some((at.saturating_sub(AROUND), skip + AROUND, 1)),
        };
    }
    if let Some(done) = window {
        close(text, done, rules, &mut found);
    }
}

fn marks<'a>(marks: &'a [u8], text: &'a [u8]) -> Box<dyn Iterator<Item = usize> + 'a> {
    match *marks {
        [only] => Box::new(memchr::memchr_iter(only, text)),
        [first, second] => Box::new(memchr::memchr2_iter(first, second, text)),
        [first, second, third] => Box::new(memchr::memchr3_iter(first, second, third, text)),
        _ => Box::new(std::iter::empty()),
    }
}

fn close(
    text: &[u8],
    (from, to, count): (usize, usize, usize),
    rules: &Rules,
    found: &mut impl FnMut(Made),
) {
    if count < rules.least {
        return;
    }
    let to = to.min(text.len());
    let mut made = Vec::with_capacity(to - from);
    let mut map = Map::new(from, 1, 1);
    let mut changed = Vec::new();
    let mut at = from;
    while at < to {
        let rest = part(text, at..to);
        let next =
            rest.iter().position(|byte| rules.marks.contains(byte)).map_or(to, |mark| at + mark);
        made.extend_from_slice(part(text, at..next));
        if next == to {
            break;
        }
        match (rules.at)(text, next) {
            Some(change) => {
                changed.push((made.len(), rules.via));
                map.piece(made.len(), next);
                made.extend_from_slice(change.bytes.get(..change.count).unwrap_or_default());
                at = next + change.read.max(1);
                map.piece(made.len(), at);
            }
            None => {
                made.extend_from_slice(part(text, next..next + 1));
                at = next + 1;
            }
        }
    }
    map.end(made.len(), to.max(at));
    found(Made { via: rules.via, text: made, map, changed: Some(changed) });
}
