//! International bank account numbers (ISO 13616; lengths from the SWIFT registry).

use super::checks::mod_97;
use crate::{
    found::{Class, Hit},
    text::{before, byte},
};

/// Countries and the lengths of their numbers.
const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 \
FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 \
LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 \
SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// What the walk stops at: every country's letters and a digit.
pub(crate) fn firsts() -> impl Iterator<Item = [u8; 3]> {
    LENGTHS.split_whitespace().flat_map(|row| {
        (b'0'..=b'9').filter_map(move |digit| match row.as_bytes() {
            [first, second, ..] => Some([*first, *second, digit]),
            _ => None,
        })
    })
}

/// The number that starts at `at`.
pub(crate) fn at(text: &[u8], at: usize) -> Option<Hit> {
    let country = text.get(at..at + 2)?;
    if !byte(text, at + 2).is_ascii_digit() || !byte(text, at + 3).is_ascii_digit() {
        return None;
    }
    let row = LENGTHS.split_whitespace().find(|row| row.as_bytes().starts_with(country))?;
    let length: usize = row.get(2..)?.parse().ok()?;
    let mut letters = Vec::with_capacity(34);
    let mut place = at;
    while letters.len() < length {
        match byte(text, place) {
            here @ (b'0'..=b'9' | b'A'..=b'Z') => letters.push(here),
            b' ' | b'-' if letters.len() >= 4 && before(text, place).is_ascii_alphanumeric() => {}
            0xc2 | 0xa0 if letters.len() >= 4 => {}
            _ => return None,
        }
        place += 1;
    }
    let (head, body) = letters.split_at_checked(4)?;
    let rearranged = body.iter().chain(head).flat_map(|letter| {
        let number = if letter.is_ascii_digit() { letter - b'0' } else { letter - b'A' + 10 };
        let tens = (number > 9).then_some(number / 10);
        tens.into_iter().chain([number % 10])
    });
    let holds = mod_97(rearranged) == 1 && !byte(text, place).is_ascii_alphanumeric();
    let zeros = body.iter().all(|letter| *letter == b'0');
    (holds && !zeros).then(|| Hit::new(at..place, Class::Iban, 97, "iban"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_registry() {
        for iban in [
            "GB29 NWBK 6016 1331 9268 19",
            "DE89370400440532013000",
            "FR1420041010050500013M02606",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "CH93 0076 2011 6238 5295 7",
            "BR1800360305000010009795493C1",
        ] {
            assert_eq!(at(iban.as_bytes(), 0).map(|hit| hit.end), Some(iban.len()), "{iban}");
        }
        assert_eq!(at(b"DE89370400440532013001", 0), None);
        assert_eq!(at(b"DE893704004405320130001", 0), None);
    }
}
