//! Digits with single separators between: what cards, accounts, dates and telephones look like.

use std::ops::Range;

use crate::text::{before, byte};

/// More groups are a list of numbers.
const GROUPS: usize = 12;
/// No number that is looked for has more digits.
const DIGITS: usize = 40;

/// Groups of digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    digits: [u8; DIGITS],
    count: usize,
    groups: [(usize, usize); GROUPS],
    length: usize,
    /// Whether it is the end of a longer word: a version, a part of a UUID.
    pub(crate) embedded: bool,
}

impl Number {
    /// The groups that start at `at`.
    pub(crate) fn at(text: &[u8], at: usize) -> Self {
        let mut number = Self {
            digits: [0; DIGITS],
            count: 0,
            groups: [(0, 0); GROUPS],
            length: 0,
            embedded: false,
        };
        let mut place = at;
        while number.length < GROUPS {
            let start = place;
            while byte(text, place).is_ascii_digit() {
                let Some(slot) = number.digits.get_mut(number.count) else { break };
                *slot = byte(text, place) - b'0';
                number.count += 1;
                place += 1;
            }
            if let Some(slot) = number.groups.get_mut(number.length) {
                *slot = (start, place);
                number.length += 1;
            }
            let gap = match byte(text, place) {
                b' ' | b'-' | b'.' | b'/' => 1,
                // A blank that does not break.
                0xc2 if byte(text, place + 1) == 0xa0 => 2,
                _ => break,
            };
            if !byte(text, place + gap).is_ascii_digit() {
                break;
            }
            place += gap;
        }
        let last = before(text, at);
        let earlier = before(text, at.saturating_sub(1));
        number.embedded = matches!(last, b'-' | b'_' | b'.') && earlier.is_ascii_alphanumeric()
            || number.count >= DIGITS
            || matches!(last, b'\\' | b'#') && !byte(text, at).is_ascii_digit();
        number
    }

    /// All of it, or a part of its groups.
    pub(crate) fn whole(&self) -> Part<'_> {
        self.part(0, self.length)
    }

    /// The groups from one to before another.
    pub(crate) fn part(&self, from: usize, to: usize) -> Part<'_> {
        let groups = self.groups.get(from..to.min(self.length)).unwrap_or_default();
        let skipped: usize = self.groups.iter().take(from).map(|(start, end)| end - start).sum();
        let count: usize = groups.iter().map(|(start, end)| end - start).sum();
        let digits = self.digits.get(skipped..skipped + count).unwrap_or_default();
        Part { digits, groups }
    }

    /// How many groups.
    pub(crate) const fn groups(&self) -> usize {
        self.length
    }

    /// How many digits.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }
}

/// Some groups of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) digits: &'a [u8],
    groups: &'a [(usize, usize)],
}

impl Part<'_> {
    /// Where it stands.
    pub(crate) fn range(&self) -> Range<usize> {
        let start = self.groups.first().map_or(0, |group| group.0);
        start..self.groups.last().map_or(start, |group| group.1)
    }

    /// Whether the groups have these lengths.
    pub(crate) fn is(&self, layout: &[usize]) -> bool {
        self.groups.len() == layout.len()
            && self.groups.iter().zip(layout).all(|((start, end), wanted)| end - start == *wanted)
    }

    /// The separator that stands between all groups; nothing for one group or several kinds.
    pub(crate) fn separator(&self, text: &[u8]) -> Option<u8> {
        let mut kinds =
            self.groups.windows(2).map(|pair| pair.first().map_or(0, |group| byte(text, group.1)));
        let first = kinds.next()?;
        kinds.all(|kind| kind == first).then_some(first)
    }

    /// How many groups.
    pub(crate) const fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The numbers that the groups are; saturating.
    pub(crate) fn values(&self) -> impl Iterator<Item = u64> {
        let mut rest = self.digits;
        self.groups.iter().map(move |(start, end)| {
            let (group, after) = rest.split_at_checked(end - start).unwrap_or((rest, &[]));
            rest = after;
            value(group)
        })
    }

    /// The separator after a group.
    pub(crate) fn after(&self, text: &[u8], group: usize) -> u8 {
        self.groups.get(group).map_or(0, |(_, end)| byte(text, *end))
    }
}

/// The number that digits are; saturating.
pub(crate) fn value(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(*digit)))
}
