//! One pass over the text, which says where something may stand. Deciding is for others.

mod tables;

pub(crate) use self::tables::{Tables, gram};

use tables::{DIGITS, EVENTS, HUMP, MARK, MASK, PART, TURN, WORD, has, hash};

/// What the walk stops for.
pub(crate) trait Sink {
    /// Three bytes that some context word starts with, the first at `at`.
    fn gram(&mut self, at: usize, gram: u16);
    /// A word starts, with three bytes that some token's prefix may start with.
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
    let before = lead.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or(0);
    let mut ruled_out = tables.kind[before as usize] >> 8;
    let mut gram = 0_u32;
    for (offset, &byte) in part.iter().enumerate() {
        let kind = tables.kind[byte as usize];
        gram = ((gram << 5) | (kind & MASK)) & 0x7fff;
        let events = kind & !ruled_out & EVENTS;
        ruled_out = kind >> 8;
        let inner = has(&tables.inner, gram as u16);
        if inner || events != 0 {
            let at = lead + offset;
            if at < from {
                continue;
            }
            if inner {
                sink.gram(at.saturating_sub(2), gram as u16);
            }
            if events != 0 {
                event(tables, text, at, events, sink);
            }
        }
    }
}

/// Something may start at `at`.
fn event(tables: &Tables, text: &[u8], at: usize, events: u32, sink: &mut impl Sink) {
    if events & (WORD | PART | HUMP) != 0 {
        start(tables, text, at, sink);
    }
    if events & DIGITS != 0 {
        sink.number(at);
    }
    if events & TURN != 0 {
        sink.mixed(at);
    }
    if events & MARK != 0 {
        mark(tables, text, at, sink);
    }
}

/// A word, or a part of one, starts at `at`.
#[expect(clippy::indexing_slicing, reason = "a byte indexes a table of 256")]
fn start(tables: &Tables, text: &[u8], at: usize, sink: &mut impl Sink) {
    let Some(&[first, second, third]) = text.get(at..at + 3) else { return };
    let code = |byte: u8| tables.kind[byte as usize] & MASK;
    let gram = (code(first) << 10 | code(second) << 5 | code(third)) as u16;
    if has(&tables.grams, gram) {
        sink.gram(at, gram);
    }
    if has(&tables.firsts, hash([first, second, third])) {
        sink.prefix(at);
    }
}

/// The marks are rare; each says which of its kind matters.
#[cold]
fn mark(tables: &Tables, text: &[u8], at: usize, sink: &mut impl Sink) {
    match (text.get(at).copied().unwrap_or(0), text.get(at + 1).copied(), text.get(at + 2).copied())
    {
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
            start(tables, text, at + 2, sink);
            if first.is_ascii_digit() {
                sink.number(at + 2);
            }
        }
        _ => {}
    }
}
