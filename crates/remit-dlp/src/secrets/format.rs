//! The formats of `vendors.txt`: literals and runs of bytes of a class, matched without going back.

use std::ops::Range;

use crate::text::{before, byte, part, run, run_back};

/// A format.
#[derive(Debug)]
pub(crate) struct Format {
    /// What stands before the anchor, in order.
    front: Vec<Piece>,
    /// The anchor and what follows.
    rest: Vec<Piece>,
    /// A word that must stand nearby.
    pub(crate) beside: Option<&'static str>,
}

/// A part of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(&'static str),
    Run { class: char, least: usize, most: usize },
}

impl Format {
    /// Reads a row's format; nothing when it is none.
    pub(crate) fn parse(text: &'static str) -> Option<Self> {
        let (text, beside) = match text.split_once(" @") {
            Some((text, word)) => (text, Some(word)),
            None => (text, None),
        };
        let (front, rest) = text.split_once('^').unwrap_or(("", text));
        let format = Self { front: pieces(front)?, rest: pieces(rest)?, beside };
        format.anchor()?;
        Some(format)
    }

    /// The two bytes that the walk looks for.
    pub(crate) fn anchor(&self) -> Option<[u8; 2]> {
        let Some(Piece::Literal(literal)) = self.rest.first() else { return None };
        Some([*literal.as_bytes().first()?, *literal.as_bytes().get(1)?])
    }

    /// Every three bytes that a value may have from its anchor on.
    pub(crate) fn firsts(&self) -> Vec<[u8; 3]> {
        let Some([first, second]) = self.anchor() else { return Vec::new() };
        let third = match (self.rest.first(), self.rest.get(1)) {
            (Some(Piece::Literal(literal)), _) if literal.len() > 2 => {
                literal.as_bytes().get(2).copied()
            }
            _ => None,
        };
        let class = match self.rest.get(1) {
            Some(Piece::Run { class, .. }) => *class,
            _ => 'b',
        };
        let fits = |byte: &u8| third.map_or_else(|| belongs(class, *byte), |third| third == *byte);
        (0..=u8::MAX).filter(fits).map(|third| [first, second, third]).collect()
    }

    /// How many bytes of every value are the same.
    pub(crate) fn fixed(&self) -> usize {
        match self.rest.first() {
            Some(Piece::Literal(literal)) if self.front.is_empty() => literal.len(),
            _ => 0,
        }
    }

    /// The range that has this format, with its anchor at `at`.
    pub(crate) fn at(&self, text: &[u8], at: usize) -> Option<Range<usize>> {
        let mut end = at;
        for piece in &self.rest {
            end = piece.after(text, end)?;
        }
        let mut start = at;
        for piece in self.front.iter().rev() {
            start = piece.ahead(text, start)?;
        }
        if let Some(Piece::Run { class: 't' | 'p', .. }) = self.rest.last() {
            end -= part(text, start..end).iter().rev().take_while(|byte| **byte == b'.').count();
        }
        // A value of a fixed length that goes on is another thing.
        if let Some(Piece::Run { class: class @ ('u' | 't'), least, most }) = self.rest.last()
            && least == most
            && belongs(*class, byte(text, end))
            && byte(text, end) != b'.'
        {
            return None;
        }
        let open = start < at && (before(text, start).is_ascii_alphanumeric());
        (!open && !byte(text, end).is_ascii_alphanumeric()).then_some(start..end)
    }

    /// Every part, in order: for tests, which make up values.
    #[cfg(test)]
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.front.iter().chain(&self.rest).copied()
    }
}

impl Piece {
    fn after(self, text: &[u8], at: usize) -> Option<usize> {
        match self {
            Self::Literal(literal) => {
                let end = at + literal.len();
                (part(text, at..end) == literal.as_bytes()).then_some(end)
            }
            Self::Run { class, least, most } => {
                let end = run(text, at, most, |byte| belongs(class, byte));
                (end - at >= least).then_some(end)
            }
        }
    }

    fn ahead(self, text: &[u8], at: usize) -> Option<usize> {
        match self {
            Self::Literal(literal) => {
                let start = at.checked_sub(literal.len())?;
                (part(text, start..at) == literal.as_bytes()).then_some(start)
            }
            Self::Run { class, least, most } => {
                let start = run_back(text, at, most, |byte| belongs(class, byte));
                (at - start >= least).then_some(start)
            }
        }
    }
}

/// Whether a byte belongs to a class of the list.
pub(crate) fn belongs(class: char, byte: u8) -> bool {
    match class {
        'd' => byte.is_ascii_digit(),
        'h' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        'H' => byte.is_ascii_hexdigit(),
        'a' => byte.is_ascii_lowercase(),
        'l' => byte.is_ascii_lowercase() || byte.is_ascii_digit(),
        'U' => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        'B' => matches!(byte, b'A'..=b'Z' | b'2'..=b'7'),
        'w' => byte.is_ascii_alphanumeric(),
        'u' => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
        'b' => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/' | b'='),
        't' => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~'),
        'p' => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'%'),
        _ => false,
    }
}

fn pieces(mut text: &'static str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let Some((literal, rest)) = text.split_once('{') else {
            pieces.push(Piece::Literal(text));
            break;
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let (run, rest) = rest.split_once('}')?;
        let class = run.chars().next()?;
        let count = run.get(1..)?;
        let (least, most) = count.split_once('-').unwrap_or((count, count));
        let least = least.parse().ok()?;
        // Nothing that is longer than this is a credential.
        let most = if most == "x" { 4096 } else { most.parse().ok()? };
        pieces.push(Piece::Run { class, least, most });
        text = rest;
    }
    Some(pieces)
}
