//! Credentials that a vendor marks: one table, looked up by the first two bytes.

use std::{collections::HashMap, ops::Range, sync::LazyLock};

use super::{format::Format, placeholder};
use crate::{
    found::{Class, Hit},
    text::{mentions, part},
};

/// A word beside a value is looked for so far back.
const BESIDE: usize = 100;

/// The table, ready for look-ups.
#[derive(Debug)]
pub(crate) struct Vendors {
    /// For each two bytes, a place in `lists`; 0 is empty.
    places: Box<[u8]>,
    lists: Vec<Vec<Row>>,
}

#[derive(Debug)]
struct Row {
    vendor: &'static str,
    format: Format,
}

impl Vendors {
    /// The table that ships with the crate.
    pub(crate) fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<Vendors> = LazyLock::new(|| {
            let mut by_anchor: HashMap<[u8; 2], Vec<Row>> = HashMap::new();
            for row in rows() {
                if let Some(anchor) = row.format.anchor() {
                    by_anchor.entry(anchor).or_default().push(row);
                }
            }
            let (mut places, mut lists) = (vec![0; 1 << 16].into_boxed_slice(), vec![Vec::new()]);
            for (anchor, rows) in by_anchor {
                let slot = places.get_mut(usize::from(u16::from_be_bytes(anchor)));
                if let (Some(slot), Ok(place)) = (slot, u8::try_from(lists.len())) {
                    *slot = place;
                    lists.push(rows);
                }
            }
            Vendors { places, lists }
        });
        &SHIPPED
    }

    /// What the walk stops at.
    pub(crate) fn firsts(&self) -> impl Iterator<Item = [u8; 3]> {
        self.lists.iter().flatten().flat_map(|row| row.format.firsts())
    }

    /// The credential whose anchor is at `at`.
    pub(crate) fn at(&self, text: &[u8], at: usize) -> Option<Hit> {
        let anchor = [*text.get(at)?, *text.get(at + 1)?];
        let place = self.places.get(usize::from(u16::from_be_bytes(anchor)))?;
        self.lists.get(usize::from(*place))?.iter().find_map(|row| row.at(text, at))
    }
}

impl Row {
    fn at(&self, text: &[u8], at: usize) -> Option<Hit> {
        let range = self.format.at(text, at)?;
        if let Some(word) = self.format.beside {
            let around = part(text, range.start.saturating_sub(BESIDE)..range.start);
            if !mentions(around, word.as_bytes()) {
                return None;
            }
        }
        let value = part(text, range.clone());
        let body = value.get(self.format.fixed()..).unwrap_or_default();
        if placeholder::is_marked(body) || placeholder::is_typed(longest(body)) {
            return None;
        }
        let class = match self.vendor {
            "age" | "nkey" | "minisign" => Class::PrivateKey,
            _ => Class::ApiKey,
        };
        Some(Hit::new(range.clone(), class, self.confidence(value, &range), self.vendor))
    }

    /// A checksum that holds leaves no doubt; one that does not may be of an older kind.
    fn confidence(&self, value: &[u8], range: &Range<usize>) -> u8 {
        if self.vendor == "github" && github_checksum(value) {
            return 99;
        }
        if self.format.beside.is_some() || range.len() < 20 { 80 } else { 93 }
    }
}

/// The longest run of the value: numbers of accounts may look like sequences.
fn longest(value: &[u8]) -> &[u8] {
    let parts = value.split(|byte| matches!(byte, b'-' | b'.' | b':' | b'/' | b'|' | b'_'));
    parts.max_by_key(|part| part.len()).unwrap_or_default()
}

/// The last six characters are the CRC-32 of the thirty before, in base 62 (GitHub, "Behind
/// GitHub's new authentication token formats").
fn github_checksum(value: &[u8]) -> bool {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let Some(body) = value.get(4..).filter(|body| body.len() == 36) else { return false };
    let (random, sum) = body.split_at(30);
    let stated = sum.iter().try_fold(0_u64, |number, byte| {
        let digit = DIGITS.iter().position(|digit| digit == byte)?;
        Some(number * 62 + digit as u64)
    });
    stated == Some(u64::from(crc32fast::hash(random)))
}

fn rows() -> impl Iterator<Item = Row> {
    include_str!("vendors.txt").lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (vendor, format) = line.split_once(' ')?;
        Some(Row { vendor, format: Format::parse(format)? })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::secrets::format::{Piece, belongs};

    /// A value of this format, from a fixed sequence of numbers.
    pub(crate) fn sample(format: &Format, seed: &mut u64) -> String {
        let mut value = String::new();
        for piece in format.pieces() {
            match piece {
                Piece::Literal(literal) => value.push_str(literal),
                Piece::Run { class, least, .. } => {
                    for _ in 0..least {
                        value.push(random(class, seed));
                    }
                }
            }
        }
        value
    }

    fn random(class: char, seed: &mut u64) -> char {
        loop {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let byte = (*seed >> 33) as u8 & 0x7f;
            let plain = byte.is_ascii_alphanumeric();
            if belongs(class, byte) && plain {
                return char::from(byte);
            }
        }
    }

    #[test]
    fn every_row_parses_and_there_are_enough_vendors() {
        let lines = include_str!("vendors.txt").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.count(), rows().count());
        let vendors: BTreeSet<&str> = rows().map(|row| row.vendor).collect();
        assert!(vendors.len() >= 150, "{}", vendors.len());
    }

    #[test]
    fn a_value_of_every_row_is_found_and_a_longer_word_is_not() {
        let vendors = Vendors::shipped();
        let mut seed = 7;
        for row in rows() {
            let value = sample(&row.format, &mut seed);
            let beside = row.format.beside.unwrap_or("key");
            let text = format!("{beside}: \"{value}\"\n");
            let found = (0..text.len()).find_map(|at| vendors.at(text.as_bytes(), at));
            let found = found.unwrap_or_else(|| panic!("{}: {value}", row.vendor));
            assert_eq!(&text[found.range()], value, "{}", row.vendor);
        }
    }

    #[test]
    fn a_github_checksum_that_holds_is_certain() {
        let random = "0123456789abcdefghijABCDEFGHIJ";
        let mut number = u64::from(crc32fast::hash(random.as_bytes()));
        let mut sum = Vec::new();
        for _ in 0..6 {
            let digit = (number % 62) as u8;
            sum.push(match digit {
                0..=9 => b'0' + digit,
                10..=35 => b'A' + digit - 10,
                _ => b'a' + digit - 36,
            });
            number /= 62;
        }
        sum.reverse();
        let token = format!("ghp_{random}{}", String::from_utf8(sum).expect("ASCII"));
        assert!(github_checksum(token.as_bytes()));
        assert!(!github_checksum(format!("{}x", &token[..39]).as_bytes()));
    }
}
