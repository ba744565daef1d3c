//! Numeric identities of the Americas, Asia, Africa and Oceania.

use super::{
    Alone, Row,
    numeric::{digit, read, ymd},
};
use crate::pii::checks::{is_date, luhn, verhoeff, weighted};

/// The table.
pub(super) const ROWS: [Row; 27] = [
    Row {
        kind: "us-ssn",
        digits: 9,
        layouts: &[&[3, 2, 4]],
        marks: b"-",
        check: ssn,
        alone: Alone::Grouped,
    },
    Row {
        kind: "us-ssn",
        digits: 9,
        layouts: &[&[3, 2, 4]],
        marks: b" .",
        check: ssn,
        alone: Alone::Never,
    },
    Row {
        kind: "us-itin",
        digits: 9,
        layouts: &[&[3, 2, 4]],
        marks: b"-",
        check: itin,
        alone: Alone::Grouped,
    },
    Row {
        kind: "ca-sin",
        digits: 9,
        layouts: &[&[3, 3, 3]],
        marks: b" -",
        check: |d| luhn(d) && digit(d, 0) != 0,
        alone: Alone::Never,
    },
    Row {
        kind: "br-cpf",
        digits: 11,
        layouts: &[&[3, 3, 3, 2]],
        marks: b".-",
        check: cpf,
        alone: Alone::Grouped,
    },
    Row {
        kind: "br-cnpj",
        digits: 14,
        layouts: &[&[2, 3, 3, 4, 2]],
        marks: b"./-",
        check: cnpj,
        alone: Alone::Grouped,
    },
    Row {
        kind: "ar-cuit",
        digits: 11,
        layouts: &[&[2, 8, 1]],
        marks: b"-",
        check: cuit,
        alone: Alone::Grouped,
    },
    Row {
        kind: "ar-dni",
        digits: 8,
        layouts: &[&[2, 3, 3]],
        marks: b".",
        check: |d| digit(d, 0) != 0,
        alone: Alone::Never,
    },
    Row {
        kind: "cl-rut",
        digits: 9,
        layouts: &[&[2, 3, 3, 1], &[8, 1]],
        marks: b".-",
        check: rut,
        alone: Alone::Grouped,
    },
    Row {
        kind: "cl-rut",
        digits: 8,
        layouts: &[&[1, 3, 3, 1], &[7, 1]],
        marks: b".-",
        check: rut,
        alone: Alone::Grouped,
    },
    Row {
        kind: "co-cc",
        digits: 10,
        layouts: &[&[1, 3, 3, 3]],
        marks: b".",
        check: |d| digit(d, 0) == 1,
        alone: Alone::Never,
    },
    Row {
        kind: "ec-ci",
        digits: 10,
        layouts: &[&[9, 1]],
        marks: b"-",
        check: |d| read(d, 0, 2) <= 30 && digit(d, 2) < 6 && ecuador(d),
        alone: Alone::Never,
    },
    Row {
        kind: "in-aadhaar",
        digits: 12,
        layouts: &[&[4, 4, 4]],
        marks: b" -",
        check: |d| digit(d, 0) > 1 && verhoeff(d),
        alone: Alone::Grouped,
    },
    Row { kind: "cn-id", digits: 18, layouts: &[], marks: b"", check: china, alone: Alone::Always },
    Row {
        kind: "kr-rrn",
        digits: 13,
        layouts: &[&[6, 7]],
        marks: b"-",
        check: korea,
        alone: Alone::Grouped,
    },
    Row {
        kind: "jp-my",
        digits: 12,
        layouts: &[&[4, 4, 4]],
        marks: b" -",
        check: japan,
        alone: Alone::Never,
    },
    Row {
        kind: "th-id",
        digits: 13,
        layouts: &[&[1, 4, 5, 2, 1]],
        marks: b"- ",
        check: thailand,
        alone: Alone::Grouped,
    },
    Row {
        kind: "my-ic",
        digits: 12,
        layouts: &[&[6, 2, 4]],
        marks: b"-",
        check: ymd,
        alone: Alone::Grouped,
    },
    Row {
        kind: "id-nik",
        digits: 16,
        layouts: &[],
        marks: b"",
        check: indonesia,
        alone: Alone::Never,
    },
    Row {
        kind: "tr-tckn",
        digits: 11,
        layouts: &[],
        marks: b"",
        check: turkey,
        alone: Alone::Never,
    },
    Row {
        kind: "il-tz",
        digits: 9,
        layouts: &[&[8, 1]],
        marks: b"-",
        check: israel,
        alone: Alone::Never,
    },
    Row {
        kind: "za-id",
        digits: 13,
        layouts: &[&[6, 4, 3], &[6, 4, 2, 1]],
        marks: b" ",
        check: |d| ymd(d) && digit(d, 10) < 3 && luhn(d),
        alone: Alone::Grouped,
    },
    Row {
        kind: "ae-id",
        digits: 15,
        layouts: &[&[3, 4, 7, 1]],
        marks: b"-",
        check: |d| d.starts_with(&[7, 8, 4]),
        alone: Alone::Grouped,
    },
    Row {
        kind: "au-tfn",
        digits: 9,
        layouts: &[&[3, 3, 3]],
        marks: b" ",
        check: |d| weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11),
        alone: Alone::Never,
    },
    Row {
        kind: "au-medicare",
        digits: 10,
        layouts: &[&[4, 5, 1]],
        marks: b" ",
        check: |d| weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == digit(d, 8),
        alone: Alone::Never,
    },
    Row { kind: "kz-iin", digits: 12, layouts: &[], marks: b"", check: ymd, alone: Alone::Never },
    Row {
        kind: "vn-cccd",
        digits: 12,
        layouts: &[],
        marks: b"",
        check: |d| digit(d, 0) == 0 && read(d, 0, 3) <= 96,
        alone: Alone::Never,
    },
];

/// The Social Security Administration's rules; numbers that were advertised are nobody's.
fn ssn(digits: &[u8]) -> bool {
    let area = read(digits, 0, 3);
    let whole = read(digits, 0, 9);
    !matches!(area, 0 | 666 | 900..)
        && read(digits, 3, 5) != 0
        && read(digits, 5, 9) != 0
        && !matches!(whole, 78_051_120 | 219_099_999 | 457_555_462)
        && digits.iter().any(|digit| Some(digit) != digits.first())
}

fn itin(digits: &[u8]) -> bool {
    digit(digits, 0) == 9 && matches!(read(digits, 3, 5), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

fn cpf(digits: &[u8]) -> bool {
    let check = |weights: &[u32]| weighted(digits, weights) * 10 % 11 % 10;
    digits.iter().any(|digit| Some(digit) != digits.first())
        && check(&[10, 9, 8, 7, 6, 5, 4, 3, 2]) == digit(digits, 9)
        && check(&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) == digit(digits, 10)
}

fn cnpj(digits: &[u8]) -> bool {
    let check = |weights: &[u32]| {
        let rest = weighted(digits, weights) % 11;
        if rest < 2 { 0 } else { 11 - rest }
    };
    digits.iter().any(|digit| Some(digit) != digits.first())
        && check(&[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == digit(digits, 12)
        && check(&[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == digit(digits, 13)
}

fn cuit(digits: &[u8]) -> bool {
    let check = (11 - weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    matches!(read(digits, 0, 2), 20 | 23 | 24 | 27 | 30 | 33 | 34) && check == digit(digits, 10)
}

/// Weights from the right: 2 to 7, again and again.
pub(super) fn rut_check(body: &[u8]) -> u32 {
    let sum: u32 = body
        .iter()
        .rev()
        .zip((2..=7).cycle())
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum();
    (11 - sum % 11) % 11
}

fn rut(digits: &[u8]) -> bool {
    digits.split_last().is_some_and(|(last, body)| rut_check(body) == u32::from(*last))
}

fn ecuador(digits: &[u8]) -> bool {
    luhn(digits)
}

/// GB 11643: ISO 7064, MOD 11-2.
pub(super) fn china_check(body: &[u8]) -> u32 {
    let sum = weighted(body, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    (12 - sum % 11) % 11
}

/// Whether the first 17 digits are a district, a day and an order.
pub(super) fn china_body(digits: &[u8]) -> bool {
    (1900..=2030).contains(&read(digits, 6, 10))
        && is_date(read(digits, 6, 10), read(digits, 10, 12), read(digits, 12, 14))
        && matches!(read(digits, 0, 2), 11..=82)
}

fn china(digits: &[u8]) -> bool {
    china_body(digits) && china_check(digits) == digit(digits, 17)
}

/// Since 2020 the last digits are random.
fn korea(digits: &[u8]) -> bool {
    ymd(digits) && (1..=8).contains(&digit(digits, 6))
}

fn japan(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    (if rest < 2 { 0 } else { 11 - rest }) == digit(digits, 11)
}

fn thailand(digits: &[u8]) -> bool {
    (11 - weighted(digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 10
        == digit(digits, 12)
        && digit(digits, 0) != 0
}

/// Women's days have 40 more.
fn indonesia(digits: &[u8]) -> bool {
    let day = read(digits, 6, 8);
    is_date(1900, read(digits, 8, 10), if day > 40 { day - 40 } else { day })
        && read(digits, 0, 2) >= 11
}

fn turkey(digits: &[u8]) -> bool {
    let odd: u32 = [0, 2, 4, 6, 8].iter().map(|place| digit(digits, *place)).sum();
    let even: u32 = [1, 3, 5, 7].iter().map(|place| digit(digits, *place)).sum();
    let all: u32 = digits.iter().take(10).map(|digit| u32::from(*digit)).sum();
    digit(digits, 0) != 0
        && (odd * 7 + 100 - even) % 10 == digit(digits, 9)
        && all % 10 == digit(digits, 10)
}

/// Luhn's scheme from the left.
fn israel(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .zip([1, 2].into_iter().cycle())
        .map(|(digit, weight)| {
            let product = u32::from(*digit) * weight;
            product / 10 + product % 10
        })
        .sum();
    sum.is_multiple_of(10) && read(digits, 0, 9) > 0
}
