//! Numbers that states give to persons, by layout, check digits and the words beside them.

mod europe;
mod letters;
mod numeric;
mod world;

use super::{
    cue::{Around, Cue},
    number::Number,
};
use crate::{
    context::Role,
    found::{Class, Hit},
    text::part,
};

pub(crate) use self::letters::{mixed, trailing};

/// A numeric identity.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) kind: &'static str,
    pub(super) digits: usize,
    /// How the groups may be written; one group always may.
    pub(super) layouts: &'static [&'static [usize]],
    /// What may stand between groups.
    pub(super) marks: &'static [u8],
    pub(super) check: fn(&[u8]) -> bool,
    pub(super) alone: Alone,
}

/// What counts without a word beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    Never,
    /// Written in groups.
    Grouped,
    /// Also as one group.
    Always,
}

/// Words that mean an identity in one language and something else in another: the number must
/// then hold by itself.
const AMBIGUOUS: [&[u8]; 24] = [
    b"run",
    b"sin",
    b"nie",
    b"rg",
    b"cf",
    b"nit",
    b"fin number",
    b"tin",
    b"rut",
    b"nip",
    b"nik",
    b"pps",
    b"spi",
    b"nss",
    b"nir",
    b"cif",
    b"nif",
    b"rfc",
    b"pan",
    b"egn",
    b"sa id",
    b"documento",
    b"identifikationsnummer",
    b"reg",
];

/// The identity that a number is.
pub(crate) fn find(around: &Around<'_>, number: &Number) -> Option<Hit> {
    let whole = number.whole();
    if number.count() < 6 || number.count() > 20 || number.embedded {
        return None;
    }
    let range = whole.range();
    let next = around.text.get(range.end).copied().unwrap_or(0);
    if next.is_ascii_alphanumeric() || next == b'_' {
        return None;
    }
    let cue = around.cue(range.start, &[Role::National]);
    let rows =
        europe::ROWS.iter().chain(&world::ROWS).filter(|row| row.digits == whole.digits.len());
    for row in rows {
        let grouped = row.layouts.iter().any(|layout| whole.is(layout))
            && numeric::marks(around.text, &whole, row.marks);
        let single = whole.groups() == 1;
        let alone = match row.alone {
            Alone::Never => false,
            Alone::Grouped => grouped,
            Alone::Always => grouped || single,
        };
        let asked = cue == Cue::Yes && (grouped || single)
            || cue != Cue::No && alone
            || cue == Cue::No && alone && grouped;
        let weak = matches!(row.kind, "ar-dni" | "co-cc" | "kz-iin" | "vn-cccd");
        let bare = cue != Cue::Yes && single && !around.worded(range.start);
        if asked && (row.check)(whole.digits) && !(weak && is_ambiguous(around)) && !bare {
            let percent = if cue == Cue::Yes { 95 } else { 85 };
            return Some(Hit::new(range, Class::NationalId, percent, row.kind));
        }
    }
    let plain = (7..=14).contains(&whole.digits.len())
        && whole.groups() <= 4
        && !numeric::is_dated(&whole)
        && !matches!(whole.separator(around.text), Some(b'.'))
        || whole.is(&[3, 2, 4]);
    let fallback = cue == Cue::Yes
        && plain
        && !whole.digits.iter().all(|digit| *digit == 0)
        && !is_ambiguous(around);
    fallback.then(|| Hit::new(range, Class::NationalId, 60, "stated"))
}

/// Whether the last word that names an identity has other meanings.
pub(super) fn is_ambiguous(around: &Around<'_>) -> bool {
    let Some((start, end)) = around.memory.last(Role::National) else { return true };
    let word = part(around.text, start..end).to_ascii_lowercase();
    AMBIGUOUS.contains(&word.as_slice())
}
