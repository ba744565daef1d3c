//! What numeric identities have in common.

use crate::pii::{
    checks::is_date,
    number::{Part, value},
};

/// Whether only these marks stand between the groups.
pub(super) fn marks(text: &[u8], part: &Part<'_>, marks: &[u8]) -> bool {
    (0..part.groups().saturating_sub(1)).all(|group| marks.contains(&part.after(text, group)))
}

/// Whether the groups are a date's.
pub(super) fn is_dated(part: &Part<'_>) -> bool {
    part.is(&[4, 2, 2]) || part.is(&[2, 2, 4]) || part.groups() > 3 && part.digits.len() == 14
}

/// Digits from one place to before another, as a number.
pub(super) fn read(digits: &[u8], from: usize, to: usize) -> u64 {
    value(digits.get(from..to).unwrap_or_default())
}

/// The digit at a place.
pub(super) fn digit(digits: &[u8], place: usize) -> u32 {
    digits.get(place).copied().map_or(99, u32::from)
}

/// Whether the first six digits are a day as year, month, day.
pub(super) fn ymd(digits: &[u8]) -> bool {
    is_date(1900 + read(digits, 0, 2), read(digits, 2, 4), read(digits, 4, 6))
}

/// Whether the first six digits are a day as day, month, year.
pub(super) fn dmy(digits: &[u8]) -> bool {
    is_date(1900 + read(digits, 4, 6), read(digits, 2, 4), read(digits, 0, 2))
}
