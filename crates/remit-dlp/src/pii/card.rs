//! Payment cards: ISO/IEC 7812 numbers of the schemes' ranges.

use super::{
    checks::luhn,
    cue::{Around, Cue},
    number::{Number, Part, value},
};
use crate::{
    context::Role,
    found::{Class, Hit},
};

/// Ranges of first six digits, and lengths.
const SCHEMES: [(&str, u64, u64, &[usize]); 17] = [
    ("visa", 400_000, 499_999, &[13, 16, 19]),
    ("mastercard", 510_000, 559_999, &[16]),
    ("mastercard", 222_100, 272_099, &[16]),
    ("amex", 340_000, 349_999, &[15]),
    ("amex", 370_000, 379_999, &[15]),
    ("diners", 300_000, 305_999, &[14]),
    ("diners", 360_000, 369_999, &[14]),
    ("diners", 380_000, 399_999, &[14]),
    ("jcb", 352_800, 358_999, &[16]),
    ("discover", 601_100, 601_199, &[16]),
    ("discover", 644_000, 659_999, &[16]),
    ("unionpay", 620_000, 629_999, &[16, 17, 18, 19]),
    ("mir", 220_000, 220_499, &[16]),
    ("troy", 979_200, 979_299, &[16]),
    ("maestro", 500_000, 509_999, &[12, 13, 14, 15, 16, 18, 19]),
    ("maestro", 560_000, 589_999, &[12, 13, 14, 15, 16, 18, 19]),
    ("maestro", 600_000, 699_999, &[12, 13, 14, 15, 16, 18, 19]),
];

/// Numbers that payment services publish for tests.
const TESTS: [u64; 40] = [
    4_111_111_111_111_111,
    4_242_424_242_424_242,
    5_555_555_555_554_444,
    378_282_246_310_005,
    371_449_635_398_431,
    6_011_111_111_111_117,
    30_569_309_025_904,
    3_530_111_333_300_000,
    5_105_105_105_105_100,
    4_012_888_888_881_881,
    4_000_056_655_665_556,
    5_200_828_282_828_210,
    2_223_003_122_003_222,
    6_011_000_990_139_424,
    38_520_000_023_237,
    5_454_545_454_545_454,
    4_444_333_322_221_111,
    6_759_649_826_438_453,
    5_019_717_010_103_742,
    4_222_222_222_222,
    3_566_002_020_360_505,
    378_734_493_671_000,
    5_610_591_081_018_250,
    4_917_610_000_000_000,
    4_462_030_000_000_000,
    5_425_233_430_109_903,
    2_222_420_000_001_113,
    4_263_982_640_269_299,
    374_245_455_400_126,
    4_007_000_000_027,
    4_012_000_033_330_026,
    6_011_000_400_000_000,
    36_227_206_271_667,
    3_056_930_009_020_004,
    4_000_002_500_003_155,
    5_506_900_490_000_436,
    4_005_519_200_000_004,
    4_000_002_760_003_184,
    6_205_500_000_000_000_004,
    6_011_000_000_000_004,
];

/// The card number among the groups of a number.
pub(crate) fn find(around: &Around<'_>, number: &Number) -> Option<Hit> {
    if number.count() < 12 {
        return None;
    }
    for from in 0..number.groups() {
        for to in (from + 1..=number.groups()).rev() {
            let part = number.part(from, to);
            if let Some(hit) = judge(around, number, part, from) {
                return Some(hit);
            }
        }
    }
    None
}

fn judge(around: &Around<'_>, number: &Number, part: Part<'_>, from: usize) -> Option<Hit> {
    let digits = part.digits;
    if !(12..=19).contains(&digits.len()) || !luhn(digits) || is_test(digits) {
        return None;
    }
    let (scheme, ..) = SCHEMES.iter().find(|(_, low, high, lengths)| {
        let first = value(digits.get(..6).unwrap_or_default());
        (*low..=*high).contains(&first) && lengths.contains(&digits.len())
    })?;
    let single = part.groups() == 1;
    let spaced = matches!(part.separator(around.text), Some(b' ' | b'-' | 0xc2))
        && [&[4, 4, 4, 4][..], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3], &[4, 4, 4, 1]]
            .iter()
            .any(|layout| part.is(layout));
    if !single && !spaced {
        return None;
    }
    let range = part.range();
    let loose = *scheme == "maestro" || digits.len() < 14 || digits.len() > 16;
    let percent = match around.cue(range.start, &[Role::Card]) {
        Cue::Yes => 97,
        // Part of a longer number, or a number of something else.
        _ if number.embedded
            || loose
            || single
                && number.groups() > 1
                && (from > 0 || around.text.get(range.end) == Some(&b'.')) =>
        {
            return None;
        }
        Cue::No if single => return None,
        Cue::No | Cue::Silent if spaced => 85,
        // Long numbers are everywhere; in a sentence they are something.
        _ if !around.worded(range.start) || digits.first() == Some(&2) => return None,
        _ => 65,
    };
    let next = around.text.get(range.end).copied().unwrap_or(0);
    (!next.is_ascii_alphanumeric() && next != b'_')
        .then(|| Hit::new(range, Class::CreditCard, percent, scheme))
}

/// Published test numbers, and numbers with hardly any different digits.
fn is_test(digits: &[u8]) -> bool {
    let mut seen = [false; 10];
    for digit in digits {
        if let Some(slot) = seen.get_mut(usize::from(*digit)) {
            *slot = true;
        }
    }
    let zeros = digits.windows(8).any(|run| run.iter().all(|digit| *digit == 0));
    zeros || seen.iter().filter(|seen| **seen).count() < 4 || TESTS.contains(&value(digits))
}
