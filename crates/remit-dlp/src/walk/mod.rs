//! One pass over the text, which says where something may stand. Deciding is for others.

mod tables;

pub(crate) use self::tables::{Tables, gram};

use tables::{DIGIT, MARK, MASK, UPPER, WORD};

/// What the walk stops for.
pub(crate) trait Sink {
    /// Three bytes that some context word starts with, the first at `at`.
    fn gram(&mut self, at: usize, gram: u16);
    /// A word starts, with two bytes that some token's prefix starts with.
    fn prefix(&mut self, at: usize);
    /// A number starts.
    fn number(&mut self, at: usize);
    /// A digit comes after a capital letter, inside a word.
    fn mixed(&mut self, at: usize);
    /// `@`.
    fn at_sign(&mut self, at: usize);
    /// A colon that another colon or `//` follows.
    fn colon(&mut self, at: usize);
    /// `-----`, as armour starts with; the first one.
    fn dashes(&mut self, at: usize);
}

/// Walks over `text[from..to]`; what came before `from` counts as context.
#[expect(clippy::indexing_slicing, reason = "a byte indexes a table of 256")]
pub(crate) fn walk(tables: &Tables, text: &[u8], from: usize, to: usize, sink: &mut impl Sink) {
    let lead = from.saturating_sub(2);
    let Some(part) = text.get(lead..to.min(text.len())) else { return };
    let (mut last, mut gram) = (0_u16, 0_u16);
    if let Some(before) = lead.checked_sub(1).and_then(|at| text.get(at)) {
        last = tables.kind[*before as usize];
    }
    for (offset, &byte) in part.iter().enumerate() {
        let kind = tables.kind[byte as usize];
        gram = ((gram << 5) | (kind & MASK)) & 0x7fff;
        let hot = tables.grams.has(gram) as u16;
        // A word starts, a digit follows a capital, or a mark stands here.
        let start = kind & !last & WORD;
        let turn = (kind & DIGIT) & ((last & UPPER) >> 1);
        if hot | start | turn | (kind & MARK) != 0 {
            let at = lead + offset;
            if at >= from {
                if hot != 0 {
                    sink.gram(at.saturating_sub(2), gram);
                }
                if start != 0 {
                    if kind & DIGIT != 0 {
                        sink.number(at);
                    }
                    if let Some(&next) = text.get(at + 1)
                        && tables.pairs.has(u16::from_be_bytes([byte, next]))
                    {
                        sink.prefix(at);
                    }
                }
                if turn != 0 {
                    sink.mixed(at);
                }
                if kind & MARK != 0 {
                    mark(tables, text, at, byte, sink);
                }
            }
        }
        last = kind;
    }
}

/// The marks are rare; each says which of its kind matters.
#[cold]
fn mark(tables: &Tables, text: &[u8], at: usize, byte: u8, sink: &mut impl Sink) {
    match (byte, text.get(at + 1).copied(), text.get(at + 2).copied()) {
        (b'@', _, _) => sink.at_sign(at),
        (b':', Some(b'/'), Some(b'/')) | (b':', Some(b':'), _) => sink.colon(at),
        (b'-', Some(b'-'), Some(b'-')) => {
            let armour = text.get(at..at + 6).is_some_and(|part| part.starts_with(b"-----"));
            let first = at.checked_sub(1).and_then(|at| text.get(at)) != Some(&b'-');
            if armour && first {
                sink.dashes(at);
            }
        }
        // `\n`, `\t`: what follows starts a word although a letter stands before it.
        (b'\\', Some(b'n' | b'r' | b't'), Some(first)) if first.is_ascii_alphanumeric() => {
            if let Some(&second) = text.get(at + 3)
                && tables.pairs.has(u16::from_be_bytes([first, second]))
            {
                sink.prefix(at + 2);
            }
            if first.is_ascii_digit() {
                sink.number(at + 2);
            }
        }
        _ => {}
    }
}
