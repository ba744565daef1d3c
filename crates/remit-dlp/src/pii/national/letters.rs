//! Identities with letters in them.

use std::ops::Range;

use super::{
    is_ambiguous,
    world::{china_body, china_check, rut_check},
};
use crate::{
    context::Role,
    found::{Class, Hit},
    pii::{
        checks::is_date,
        cue::{Around, Cue},
        number::Number,
    },
    text::{before, byte, part, run, run_back},
};

/// A kind, its shape (`A` a capital, `9` a digit, `*` either, else itself), its check, and whether
/// it needs a word beside it.
struct Row {
    kind: &'static str,
    shape: &'static [u8],
    check: fn(&[u8]) -> bool,
    alone: bool,
}

const ROWS: [Row; 22] = [
    Row { kind: "gb-nino", shape: b"AA999999A", check: nino, alone: true },
    Row { kind: "es-nie", shape: b"A9999999A", check: nie, alone: true },
    Row { kind: "sg-nric", shape: b"A9999999A", check: nric, alone: true },
    Row { kind: "es-dni", shape: b"99999999A", check: dni, alone: true },
    Row { kind: "it-cf", shape: b"AAAAAA99A99A999A", check: codice_fiscale, alone: true },
    Row { kind: "mx-curp", shape: b"AAAA999999AAAAAA*9", check: curp, alone: true },
    Row { kind: "mx-rfc", shape: b"AAAA999999***", check: |word| ymd_at(word, 4), alone: true },
    Row {
        kind: "in-pan",
        shape: b"AAAAA9999A",
        check: |word| {
            matches!(
                word.get(3),
                Some(b'A' | b'B' | b'C' | b'F' | b'G' | b'H' | b'J' | b'L' | b'P' | b'T')
            )
        },
        alone: true,
    },
    Row { kind: "in-voter", shape: b"AAA9999999", check: |_| true, alone: false },
    Row { kind: "tw-id", shape: b"A999999999", check: taiwan, alone: true },
    Row { kind: "hk-id", shape: b"A999999(*)", check: hong_kong, alone: true },
    Row {
        kind: "de-svnr",
        shape: b"99999999A999",
        check: |word| (1..=12).contains(&two(word, 4)) && two(word, 0) <= 99,
        alone: false,
    },
    Row { kind: "de-id", shape: b"**********", check: german_card, alone: false },
    Row { kind: "ie-pps", shape: b"9999999A", check: pps, alone: false },
    Row { kind: "ie-pps", shape: b"9999999AA", check: pps, alone: false },
    Row { kind: "gb-dvla", shape: b"AAAAA999999*****", check: |_| true, alone: false },
    Row { kind: "cn-id", shape: b"99999999999999999X", check: china, alone: true },
    Row { kind: "us-medicare", shape: b"9AA9AA9AA99", check: |_| true, alone: false },
    Row { kind: "us-medicare", shape: b"9A*9A*9AA99", check: |_| true, alone: false },
    Row { kind: "passport", shape: b"A99999999", check: |_| true, alone: false },
    Row { kind: "passport", shape: b"AA9999999", check: |_| true, alone: false },
    Row { kind: "passport", shape: b"AAA999999", check: |_| true, alone: false },
];

/// The identity in the word around the digit at `at`, before which a capital stands.
pub(crate) fn mixed(around: &Around<'_>, at: usize) -> Option<Hit> {
    let start = run_back(around.text, at, 12, |byte| byte.is_ascii_alphanumeric());
    // Only the first turn of a word is looked at.
    let turned = part(around.text, start..at)
        .windows(2)
        .any(|pair| matches!(pair, [b'A'..=b'Z', b'0'..=b'9']));
    if turned
        || matches!(before(around.text, start), b'_' | b'\\')
        || before(around.text, start) == b'-'
            && before(around.text, start - 1).is_ascii_alphanumeric()
    {
        return None;
    }
    word(around, start)
}

/// The identity that starts with the digits of `number` and goes on with letters.
pub(crate) fn trailing(around: &Around<'_>, number: &Number) -> Option<Hit> {
    let range = number.whole().range();
    let text = around.text;
    let next = byte(text, range.end);
    if !number.embedded
        && let Some(hit) = spaced_nino(around, number, &range)
            .or_else(|| chile(around, number))
            .or_else(|| finland(around, number))
    {
        return Some(hit);
    }
    if number.embedded
        || number.groups() != 1
        || !(next.is_ascii_uppercase()
            || next == b'-' && byte(text, range.end + 1).is_ascii_uppercase())
    {
        return None;
    }
    word(around, range.start)
}

fn word(around: &Around<'_>, start: usize) -> Option<Hit> {
    let text = around.text;
    let mut end = run(text, start, 24, |byte| byte.is_ascii_alphanumeric());
    if byte(text, end) == b'(' && byte(text, end + 2) == b')' {
        end += 3;
    }
    // `X-1234567-L`, `12345678-Z`.
    let dashed = run(text, start, 24, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let joined: Vec<u8> =
        part(text, start..dashed).iter().copied().filter(|byte| *byte != b'-').collect();
    let dashes = dashed - start - joined.len();
    let (value, end) = if (1..=2).contains(&dashes) && joined.len() <= 9 {
        (joined, dashed)
    } else {
        (part(text, start..end).to_vec(), end)
    };
    if value.len() < 8 || value.len() > 18 || matches!(byte(text, end), b'_') {
        return None;
    }
    let rows = ROWS.iter().filter(|row| fits(&value, row.shape) && (row.check)(&value));
    let cue = around.cue(start, &[Role::National]);
    for row in rows {
        if cue == Cue::Yes || row.alone && cue == Cue::Silent || row.alone && value.len() >= 16 {
            return Some(Hit::new(
                start..end,
                Class::NationalId,
                if cue == Cue::Yes { 95 } else { 80 },
                row.kind,
            ));
        }
    }
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let stated = cue == Cue::Yes
        && digits >= 5
        && value.iter().all(u8::is_ascii_alphanumeric)
        && value.len() <= 14
        && !is_ambiguous(around);
    stated.then(|| Hit::new(start..end, Class::NationalId, 60, "stated"))
}

fn fits(word: &[u8], shape: &[u8]) -> bool {
    word.len() == shape.len()
        && word.iter().zip(shape).all(|(byte, shape)| match shape {
            b'A' => byte.is_ascii_uppercase(),
            b'9' => byte.is_ascii_digit(),
            b'*' => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            other => byte == other,
        })
}

/// `AB 12 34 56 C`: His Majesty's Revenue's way of writing.
fn spaced_nino(around: &Around<'_>, number: &Number, range: &Range<usize>) -> Option<Hit> {
    let text = around.text;
    let spaced = number.whole().is(&[2, 2, 2]) && number.whole().separator(text) == Some(b' ');
    let letters = part(text, range.start.checked_sub(3)?..range.start);
    let [first, second, b' '] = letters else { return None };
    let last = byte(text, range.end + 1);
    let word = [
        &[*first, *second][..],
        &number.whole().digits.iter().map(|digit| digit + b'0').collect::<Vec<u8>>(),
        &[last],
    ]
    .concat();
    let holds = spaced && byte(text, range.end) == b' ' && fits(&word, b"AA999999A") && nino(&word);
    let alone = !crate::text::is_word(byte(text, range.end + 2))
        && !crate::text::is_word(before(text, range.start - 3));
    (holds && alone)
        .then(|| Hit::new(range.start - 3..range.end + 2, Class::NationalId, 92, "gb-nino"))
}

/// `12.345.678-K`.
fn chile(around: &Around<'_>, number: &Number) -> Option<Hit> {
    let whole = number.whole();
    let end = whole.range().end;
    let grouped = whole.is(&[2, 3, 3]) || whole.is(&[1, 3, 3]) || whole.is(&[8]) || whole.is(&[7]);
    let last = part(around.text, end..end + 2);
    let holds = grouped
        && last.eq_ignore_ascii_case(b"-k")
        && !byte(around.text, end + 2).is_ascii_alphanumeric()
        && rut_check(whole.digits) == 10;
    holds.then(|| Hit::new(whole.range().start..end + 2, Class::NationalId, 90, "cl-rut"))
}

/// `131052-308T`, `010203A123B`.
fn finland(around: &Around<'_>, number: &Number) -> Option<Hit> {
    const CHECK: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let start = number.whole().range().start;
    let word = part(around.text, start..start + 11);
    let shape = word.len() == 11
        && word.iter().take(6).all(u8::is_ascii_digit)
        && matches!(word.get(6), Some(b'-' | b'+' | b'A'..=b'F' | b'U'..=b'Y'))
        && word.get(7..10)?.iter().all(u8::is_ascii_digit);
    if !shape
        || byte(around.text, start + 11).is_ascii_alphanumeric()
        || !is_date(1900, two(word, 2), two(word, 0))
    {
        return None;
    }
    let number = word
        .get(..6)?
        .iter()
        .chain(word.get(7..10)?)
        .fold(0_usize, |number, digit| number * 10 + usize::from(digit - b'0'));
    (CHECK.get(number % 31) == word.get(10))
        .then(|| Hit::new(start..start + 11, Class::NationalId, 92, "fi-hetu"))
}

fn two(word: &[u8], at: usize) -> u64 {
    part(word, at..at + 2)
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit.saturating_sub(b'0')))
}

fn ymd_at(word: &[u8], at: usize) -> bool {
    is_date(1900, two(word, at + 2), two(word, at + 4))
}

fn number_of(word: &[u8]) -> Vec<u32> {
    word.iter()
        .map(|byte| {
            if byte.is_ascii_digit() {
                u32::from(byte - b'0')
            } else {
                u32::from(byte.saturating_sub(b'A')) + 10
            }
        })
        .collect()
}

fn nino(word: &[u8]) -> bool {
    let first = word.first().copied().unwrap_or(0);
    let pair = word.get(..2).unwrap_or_default();
    let barred = matches!(first, b'D' | b'F' | b'I' | b'Q' | b'U' | b'V')
        || matches!(word.get(1), Some(b'D' | b'F' | b'I' | b'O' | b'Q' | b'U' | b'V'))
        || matches!(pair, b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ");
    !barred && matches!(word.get(8), Some(b'A'..=b'D'))
}

fn spanish(number: usize, letter: Option<&u8>) -> bool {
    b"TRWAGMYFPDXBNJZSQVHLCKE".get(number % 23) == letter
}

fn dni(word: &[u8]) -> bool {
    let number =
        word.iter().take(8).fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    spanish(number, word.get(8))
}

fn nie(word: &[u8]) -> bool {
    let first = match word.first() {
        Some(b'X') => 0,
        Some(b'Y') => 1,
        Some(b'Z') => 2,
        _ => return false,
    };
    let number = word
        .iter()
        .skip(1)
        .take(7)
        .fold(first, |number, digit| number * 10 + usize::from(digit - b'0'));
    spanish(number, word.get(8))
}

fn nric(word: &[u8]) -> bool {
    let weights = [2, 7, 6, 5, 4, 3, 2];
    let sum: u32 = word
        .iter()
        .skip(1)
        .take(7)
        .zip(weights)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    let (table, add): (&[u8], u32) = match word.first() {
        Some(b'S') => (b"JZIHGFEDCBA", 0),
        Some(b'T') => (b"JZIHGFEDCBA", 4),
        Some(b'F') => (b"XWUTRQPNMLK", 0),
        Some(b'G') => (b"XWUTRQPNMLK", 4),
        Some(b'M') => (b"KLJNPQRTUWX", 3),
        _ => return false,
    };
    table.get(((sum + add) % 11) as usize) == word.get(8)
}

/// Agenzia delle Entrate: odd and even places have values of their own.
fn codice_fiscale(word: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let sum: u32 = word
        .iter()
        .take(15)
        .enumerate()
        .map(|(place, byte)| {
            let value = if byte.is_ascii_digit() { byte - b'0' } else { byte.saturating_sub(b'A') };
            if place % 2 == 0 {
                ODD.get(usize::from(value)).copied().unwrap_or(0)
            } else {
                u32::from(value)
            }
        })
        .sum();
    word.get(15).is_some_and(|last| u32::from(last.saturating_sub(b'A')) == sum % 26)
}

fn curp(word: &[u8]) -> bool {
    // The order of its alphabet has Ñ after N.
    let value = |byte: &u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        _ => u32::from(byte.saturating_sub(b'A')) + 11,
    };
    let sum: u32 = word
        .iter()
        .take(17)
        .zip((2..=18).rev())
        .map(|(byte, weight): (&u8, u32)| value(byte) * weight)
        .sum();
    let sex = matches!(word.get(10), Some(b'H' | b'M' | b'X'));
    sex && ymd_at(word, 4)
        && word.get(17).is_some_and(|last| u32::from(last - b'0') == (10 - sum % 10) % 10)
}

fn taiwan(word: &[u8]) -> bool {
    const CODES: [u32; 26] = [
        10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25, 26, 27, 28, 29, 32,
        30, 31, 33,
    ];
    let Some(code) =
        word.first().and_then(|first| CODES.get(usize::from(first.saturating_sub(b'A'))))
    else {
        return false;
    };
    let weights = [8, 7, 6, 5, 4, 3, 2, 1, 1];
    let sum: u32 = word
        .iter()
        .skip(1)
        .zip(weights)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    matches!(word.get(1), Some(b'1' | b'2' | b'8' | b'9'))
        && (code / 10 + code % 10 * 9 + sum).is_multiple_of(10)
}

fn hong_kong(word: &[u8]) -> bool {
    let first = u32::from(word.first().copied().unwrap_or(b'A') - b'A') + 10;
    let sum: u32 = 36 * 9
        + first * 8
        + word
            .iter()
            .skip(1)
            .take(6)
            .zip((2..=7).rev())
            .map(|(digit, weight): (&u8, u32)| u32::from(digit - b'0') * weight)
            .sum::<u32>();
    let check = match word.get(8) {
        Some(b'A') => 10,
        Some(digit) if digit.is_ascii_digit() => u32::from(digit - b'0'),
        _ => return false,
    };
    (sum + check).is_multiple_of(11)
}

/// ICAO 9303's check digit over the first nine characters.
fn german_card(word: &[u8]) -> bool {
    let letters = b"CFGHJKLMNPRTVWXYZ";
    let body = word.get(..9).unwrap_or_default();
    let allowed = body.iter().all(|byte| byte.is_ascii_digit() || letters.contains(byte))
        && body.first().is_some_and(u8::is_ascii_uppercase);
    let sum: u32 = number_of(body)
        .iter()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(value, weight)| value * weight)
        .sum();
    allowed
        && word
            .get(9)
            .is_some_and(|last| last.is_ascii_digit() && u32::from(last - b'0') == sum % 10)
}

fn pps(word: &[u8]) -> bool {
    let extra = word
        .get(8)
        .map_or(0, |letter| if *letter == b'W' { 0 } else { u32::from(letter - b'A') + 1 });
    let sum: u32 = word
        .iter()
        .take(7)
        .zip((2..=8).rev())
        .map(|(digit, weight): (&u8, u32)| u32::from(digit - b'0') * weight)
        .sum::<u32>()
        + extra * 9;
    b"WABCDEFGHIJKLMNOPQRSTUV".get((sum % 23) as usize) == word.get(7)
}

fn china(word: &[u8]) -> bool {
    let digits: Vec<u8> = word.iter().take(17).map(|digit| digit - b'0').collect();
    china_body(&digits) && china_check(&digits) == 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_letters_of_published_examples() {
        assert!(dni(b"12345678Z"));
        assert!(nie(b"X1234567L"));
        assert!(nric(b"S1234567D"));
        assert!(codice_fiscale(b"RSSMRA85T10A562S"));
        assert!(curp(b"HEGG560427MVZRRL04"));
        assert!(taiwan(b"A123456789"));
        assert!(hong_kong(b"A123456(3)"));
        assert!(german_card(b"T220001293"));
        assert!(pps(b"1234567T"));
        assert!(nino(b"AB123456C"));
        assert!(!dni(b"12345678A"));
        assert!(!codice_fiscale(b"RSSMRA85T10A562T"));
        assert!(!nric(b"S1234567E"));
    }
}
