//! Pay: an amount of money beside a word for what somebody earns.

use crate::{
    found::{Class, Hit},
    text::{byte, is_word, part, run, run_back, says},
};

const CURRENCIES: [&str; 30] = [
    "USD", "EUR", "GBP", "CHF", "JPY", "CAD", "AUD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF",
    "INR", "BRL", "MXN", "CNY", "KRW", "RUB", "TRY", "ZAR", "SGD", "Rs.", "Rs", "kr", "zł", "руб",
    "R$", "CA$", "US$",
];

/// The amount that follows a word which ended at `at`.
pub(crate) fn after(text: &[u8], at: usize) -> Option<Hit> {
    let first = run(text, at, 48, |byte| !byte.is_ascii_digit() && byte != b'\n' && byte != b'}');
    let end = run(text, first, 20, |byte| {
        byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'\'' | b' ' | 0xc2 | 0xa0)
    });
    let end = run_back(text, end, 3, |byte| matches!(byte, b'.' | b',' | b' ' | b'\'')).max(first);
    let digits = part(text, first..end).iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == 0
        || digits > 12
        || byte(text, first.saturating_sub(1)).is_ascii_alphanumeric()
            && !before_is_currency(text, first)
    {
        return None;
    }
    let between = part(text, at..first);
    // Another sentence, or a list of other fields.
    if between.windows(2).any(|pair| matches!(pair, b". " | b"; "))
        || between.iter().filter(|byte| matches!(**byte, b'"')).count() > 4
    {
        return None;
    }
    let start = run_back(text, first, 4, |byte| matches!(byte, b'$' | b' ') || byte >= 0x80);
    let symbol = part(text, start..first).iter().any(|byte| *byte == b'$' || *byte >= 0x80)
        || before_is_currency(text, first);
    let thousands = matches!(byte(text, end), b'k' | b'K') && !is_word(byte(text, end + 1));
    let place =
        run(text, end + usize::from(thousands), 3, |byte| matches!(byte, b' ' | 0xc2 | 0xa0));
    let unit = CURRENCIES.iter().any(|unit| says(text, place, unit.as_bytes()))
        || [
            "€",
            "£",
            "¥",
            "₹",
            "元",
            "円",
            "万",
            "원",
            "만원",
            "zł",
            "₽",
            "lakh",
            "LPA",
            "/year",
            "/yr",
            "per year",
            "a year",
            "p.a.",
            "pro Jahr",
            "per annum",
            "/month",
            "per month",
            "/hr",
            "per hour",
        ]
        .iter()
        .any(|unit| says(text, place, unit.as_bytes()));
    let field =
        between.len() <= 6 && between.iter().any(|byte| matches!(byte, b':' | b'=' | b'>' | b','));
    let worth = symbol || unit || thousands || field && digits >= 4;
    let is_year =
        digits == 4 && !symbol && !unit && matches!(part(text, first..first + 2), b"19" | b"20");
    (worth && !is_year)
        .then(|| Hit::new(first..end + usize::from(thousands), Class::Salary, 75, "amount"))
}

/// The cell of a salary's column: `text[at..]` starts with its digits.
pub(crate) fn cell(text: &[u8], at: usize) -> Option<Hit> {
    let end = run(text, at, 16, |byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'\''));
    let digits = part(text, at..end).iter().filter(|byte| byte.is_ascii_digit()).count();
    ((4..=10).contains(&digits)).then(|| Hit::new(at..end, Class::Salary, 75, "column"))
}

fn before_is_currency(text: &[u8], at: usize) -> bool {
    let end = run_back(text, at, 1, |byte| byte == b' ');
    CURRENCIES.iter().any(|unit| {
        end.checked_sub(unit.len()).is_some_and(|start| {
            says(text, start, unit.as_bytes()) && !is_word(byte(text, start.wrapping_sub(1)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pay_in_sentences_and_fields() {
        for text in [
            ": $85,000",
            " is 85.000 € a year",
            "\": 85000",
            " of EUR 72 000",
            ": 120k",
            ": ¥8,500,000",
            " of £54,200.50",
        ] {
            assert!(after(text.as_bytes(), 0).is_some(), "{text}");
        }
        for text in [" review 2024", " range was discussed. 85 people", " 3", " grows by 3 %"] {
            assert_eq!(after(text.as_bytes(), 0), None, "{text}");
        }
    }
}
