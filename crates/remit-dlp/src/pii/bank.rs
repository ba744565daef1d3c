//! Accounts of national systems: only beside a word that names one.

use super::{
    checks::weighted,
    cue::{Around, Cue},
    number::Number,
};
use crate::{
    context::Role,
    found::{Class, Hit},
    text::{byte, part, run},
};

/// The account number that a number is.
pub(crate) fn find(around: &Around<'_>, number: &Number) -> Option<Hit> {
    let whole = number.whole();
    let (digits, range) = (whole.digits, whole.range());
    if digits.len() < 6 || digits.len() > 26 || number.embedded {
        return None;
    }
    let hit = |percent, kind| Some(Hit::new(range.clone(), Class::BankAccount, percent, kind));
    if byte(around.text, range.end).is_ascii_alphabetic()
        || matches!(whole.separator(around.text), Some(b'/'))
    {
        return None;
    }
    let separator = whole.separator(around.text);
    if around.cue(range.start, &[Role::Routing]) == Cue::Yes {
        let aba = digits.len() == 9 && aba(digits);
        let sort = digits.len() == 6 && (whole.groups() == 1 || whole.is(&[2, 2, 2]));
        let bank =
            digits.len() == 8 && (whole.groups() == 1 || whole.is(&[3, 3, 2]) || whole.is(&[3, 5]));
        return if aba {
            hit(90, "aba")
        } else if sort || bank {
            hit(75, "sort-code")
        } else {
            None
        };
    }
    if around.cue(range.start, &[Role::Account]) != Cue::Yes || separator == Some(b'.') {
        return None;
    }
    // An account of a cloud or a shop is not one of a bank.
    let cloud = [
        &b"aws"[..],
        b"account_id",
        b"accountid",
        b"account id",
        b"azure",
        b"arn:",
        b"twitter",
        b"github",
        b"user account",
        b"subscription",
    ]
    .iter()
    .any(|word| around.said(range.start, word));
    let dated = whole.groups() == 3 && whole.is(&[4, 2, 2]);
    if cloud || dated || digits.iter().all(|digit| *digit == 0) {
        return None;
    }
    if digits.len() == 18 && clabe(digits) {
        return hit(95, "clabe");
    }
    (digits.len() >= 6 && digits.len() <= 26).then(|| hit(70, "account"))?
}

/// `HDFC0001234`: the branch code of an Indian bank, beside its word; `at` is its start.
pub(crate) fn ifsc(around: &Around<'_>, at: usize) -> Option<Hit> {
    let end = run(around.text, at, 12, |byte| byte.is_ascii_alphanumeric());
    let word = part(around.text, at..end);
    let shape = word.len() == 11
        && word.iter().take(4).all(u8::is_ascii_uppercase)
        && word.get(4) == Some(&b'0');
    (shape && around.cue(at, &[Role::Routing]) == Cue::Yes)
        .then(|| Hit::new(at..end, Class::BankAccount, 80, "ifsc"))
}

/// The American Bankers Association's routing number.
fn aba(digits: &[u8]) -> bool {
    let first = digits.first().copied().unwrap_or(9) * 10 + digits.get(1).copied().unwrap_or(9);
    let district = matches!(first, 0..=12 | 21..=32 | 61..=72 | 80);
    district && weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// Mexico's standardised account number.
fn clabe(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .take(17)
        .zip([3, 7, 1].into_iter().cycle())
        .map(|(digit, weight)| u32::from(*digit) * weight % 10)
        .sum();
    digits.last().is_some_and(|last| u32::from(*last) == (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    #[test]
    fn check_digits() {
        assert!(aba(&digits("021000021")));
        assert!(!aba(&digits("021000022")));
        assert!(clabe(&digits("032180000118359719")));
        assert!(!clabe(&digits("032180000118359718")));
    }
}
