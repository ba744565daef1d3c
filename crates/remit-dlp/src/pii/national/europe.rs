//! Numeric identities of Europe. Rules: the states' own publications, as the OECD's list of tax
//! identification numbers and the national registers describe them.

use super::{
    Alone, Row,
    numeric::{digit, dmy, read, ymd},
};
use crate::pii::checks::{is_date, luhn, mod_11_10, weighted};

/// The table.
pub(super) const ROWS: [Row; 33] = [
    Row {
        kind: "gb-nhs",
        digits: 10,
        layouts: &[&[3, 3, 4]],
        marks: b" -",
        check: nhs,
        alone: Alone::Never,
    },
    Row {
        kind: "de-idnr",
        digits: 11,
        layouts: &[&[2, 3, 3, 3]],
        marks: b" ",
        check: idnr,
        alone: Alone::Grouped,
    },
    Row {
        kind: "fr-nir",
        digits: 15,
        layouts: &[&[1, 2, 2, 2, 3, 3, 2], &[13, 2], &[1, 2, 2, 2, 3, 3, 2]],
        marks: b" ",
        check: nir,
        alone: Alone::Always,
    },
    Row {
        kind: "fr-spi",
        digits: 13,
        layouts: &[&[2, 2, 3, 3, 3]],
        marks: b" ",
        check: spi,
        alone: Alone::Never,
    },
    Row {
        kind: "nl-bsn",
        digits: 9,
        layouts: &[&[4, 2, 3], &[3, 3, 3]],
        marks: b" .-",
        check: bsn,
        alone: Alone::Never,
    },
    Row {
        kind: "be-nn",
        digits: 11,
        layouts: &[&[2, 2, 2, 3, 2]],
        marks: b" .-",
        check: belgium,
        alone: Alone::Grouped,
    },
    Row {
        kind: "ch-ahv",
        digits: 13,
        layouts: &[&[3, 4, 4, 2]],
        marks: b". ",
        check: ahv,
        alone: Alone::Always,
    },
    Row {
        kind: "at-svnr",
        digits: 10,
        layouts: &[&[4, 6]],
        marks: b" -",
        check: svnr,
        alone: Alone::Never,
    },
    Row {
        kind: "pt-nif",
        digits: 9,
        layouts: &[&[3, 3, 3]],
        marks: b" ",
        check: portugal,
        alone: Alone::Never,
    },
    Row {
        kind: "pl-pesel",
        digits: 11,
        layouts: &[],
        marks: b"",
        check: pesel,
        alone: Alone::Never,
    },
    Row {
        kind: "pl-nip",
        digits: 10,
        layouts: &[&[3, 3, 2, 2], &[3, 2, 2, 3]],
        marks: b"- ",
        check: nip,
        alone: Alone::Never,
    },
    Row {
        kind: "se-pnr",
        digits: 10,
        layouts: &[&[6, 4]],
        marks: b"-",
        check: |digits| sweden(digits),
        alone: Alone::Grouped,
    },
    Row {
        kind: "se-pnr",
        digits: 12,
        layouts: &[&[8, 4]],
        marks: b"-",
        check: |digits| {
            matches!(digits, [1, 9, ..] | [2, 0, ..]) && sweden(digits.get(2..).unwrap_or_default())
        },
        alone: Alone::Grouped,
    },
    Row {
        kind: "no-fnr",
        digits: 11,
        layouts: &[&[6, 5]],
        marks: b" ",
        check: norway,
        alone: Alone::Grouped,
    },
    Row {
        kind: "dk-cpr",
        digits: 10,
        layouts: &[&[6, 4]],
        marks: b"-",
        check: dmy,
        alone: Alone::Never,
    },
    Row {
        kind: "cz-rc",
        digits: 10,
        layouts: &[&[6, 4]],
        marks: b"/",
        check: czech,
        alone: Alone::Grouped,
    },
    Row {
        kind: "cz-rc",
        digits: 9,
        layouts: &[&[6, 3]],
        marks: b"/",
        check: czech_old,
        alone: Alone::Grouped,
    },
    Row {
        kind: "hu-taj",
        digits: 9,
        layouts: &[&[3, 3, 3]],
        marks: b" -",
        check: |d| weighted(d, &[3, 7, 3, 7, 3, 7, 3, 7]) % 10 == digit(d, 8),
        alone: Alone::Never,
    },
    Row {
        kind: "ro-cnp",
        digits: 13,
        layouts: &[],
        marks: b"",
        check: romania,
        alone: Alone::Never,
    },
    Row {
        kind: "bg-egn",
        digits: 10,
        layouts: &[],
        marks: b"",
        check: bulgaria,
        alone: Alone::Never,
    },
    Row {
        kind: "hr-oib",
        digits: 11,
        layouts: &[],
        marks: b"",
        check: mod_11_10,
        alone: Alone::Never,
    },
    Row { kind: "jmbg", digits: 13, layouts: &[], marks: b"", check: jmbg, alone: Alone::Never },
    Row { kind: "ee-lt", digits: 11, layouts: &[], marks: b"", check: baltic, alone: Alone::Never },
    Row {
        kind: "lv-pk",
        digits: 11,
        layouts: &[&[6, 5]],
        marks: b"-",
        check: latvia,
        alone: Alone::Never,
    },
    Row {
        kind: "gr-amka",
        digits: 11,
        layouts: &[],
        marks: b"",
        check: |d| dmy(d) && luhn(d),
        alone: Alone::Never,
    },
    Row { kind: "gr-afm", digits: 9, layouts: &[], marks: b"", check: afm, alone: Alone::Never },
    Row { kind: "ru-inn", digits: 12, layouts: &[], marks: b"", check: inn, alone: Alone::Never },
    Row {
        kind: "ru-snils",
        digits: 11,
        layouts: &[&[3, 3, 3, 2]],
        marks: b"- ",
        check: snils,
        alone: Alone::Grouped,
    },
    Row {
        kind: "ua-rnokpp",
        digits: 10,
        layouts: &[],
        marks: b"",
        check: ukraine,
        alone: Alone::Never,
    },
    Row {
        kind: "is-kt",
        digits: 10,
        layouts: &[&[6, 4]],
        marks: b"-",
        check: iceland,
        alone: Alone::Grouped,
    },
    Row {
        kind: "gb-utr",
        digits: 10,
        layouts: &[&[5, 5]],
        marks: b" ",
        check: utr,
        alone: Alone::Never,
    },
    Row {
        kind: "es-ss",
        digits: 12,
        layouts: &[&[2, 8, 2], &[2, 10]],
        marks: b"/ -",
        check: |d| read(d, 0, 10) % 97 == read(d, 10, 12),
        alone: Alone::Never,
    },
    Row {
        kind: "si-tin",
        digits: 8,
        layouts: &[],
        marks: b"",
        check: |d| {
            let sum = 11 - weighted(d, &[8, 7, 6, 5, 4, 3, 2]) % 11;
            sum % 10 == digit(d, 7) && sum != 11
        },
        alone: Alone::Never,
    },
];

fn nhs(digits: &[u8]) -> bool {
    let check = 11 - weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check % 11 == digit(digits, 9) && check != 10
}

fn utr(digits: &[u8]) -> bool {
    let rest = weighted(digits.get(1..).unwrap_or_default(), &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
    [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1].get(rest as usize).copied() == Some(digit(digits, 0))
}

/// Ten digits of which one comes twice or thrice, and a check digit.
fn idnr(digits: &[u8]) -> bool {
    let mut counts = [0_u8; 10];
    for place in digits.iter().take(10) {
        if let Some(count) = counts.get_mut(usize::from(*place)) {
            *count += 1;
        }
    }
    let repeated = counts.iter().filter(|count| **count > 1).count();
    digit(digits, 0) != 0
        && mod_11_10(digits)
        && repeated <= 2
        && counts.iter().all(|count| *count <= 3)
}

/// Sex, year, month, department, commune, order, and 97 less the rest.
fn nir(digits: &[u8]) -> bool {
    let month = read(digits, 3, 5);
    let month = (1..=12).contains(&month) || (20..=42).contains(&month) || month >= 50;
    matches!(digit(digits, 0), 1..=4 | 7 | 8)
        && month
        && 97 - read(digits, 0, 13) % 97 == read(digits, 13, 15)
}

fn spi(digits: &[u8]) -> bool {
    digit(digits, 0) <= 3 && read(digits, 0, 10) % 511 == read(digits, 10, 13)
}

fn bsn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum > 0 && sum % 11 == digit(digits, 8)
}

fn belgium(digits: &[u8]) -> bool {
    let (body, check) = (read(digits, 0, 9), read(digits, 9, 11));
    let month = read(digits, 2, 4);
    month <= 12 && (97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check)
}

/// An EAN-13 that starts with Switzerland's 756.
fn ahv(digits: &[u8]) -> bool {
    digits.starts_with(&[7, 5, 6])
        && (10 - weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10) % 10
            == digit(digits, 12)
}

fn svnr(digits: &[u8]) -> bool {
    let body: Vec<u8> = [0, 1, 2, 4, 5, 6, 7, 8, 9]
        .iter()
        .filter_map(|place| digits.get(*place).copied())
        .collect();
    digit(digits, 0) != 0
        && weighted(&body, &[3, 7, 9, 5, 8, 4, 2, 1, 6]) % 11 == digit(digits, 3)
        && dmy(digits.get(4..).unwrap_or_default())
}

fn portugal(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { 0 } else { 11 - rest };
    matches!(digit(digits, 0), 1 | 2 | 3 | 5 | 6 | 8 | 9) && check == digit(digits, 8)
}

/// The century is in the month.
fn pesel(digits: &[u8]) -> bool {
    let month = read(digits, 2, 4) % 20;
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    is_date(1900, month, read(digits, 4, 6)) && (10 - sum % 10) % 10 == digit(digits, 10)
}

fn nip(digits: &[u8]) -> bool {
    weighted(digits, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == digit(digits, 9)
}

/// Coordination numbers add 60 to the day.
fn sweden(digits: &[u8]) -> bool {
    let day = read(digits, 4, 6);
    is_date(1900 + read(digits, 0, 2), read(digits, 2, 4), if day > 60 { day - 60 } else { day })
        && luhn(digits)
}

fn norway(digits: &[u8]) -> bool {
    let check = |weights: &[u32]| (11 - weighted(digits, weights) % 11) % 11;
    let day = read(digits, 0, 2);
    is_date(1900, read(digits, 2, 4) % 40, if day > 40 { day - 40 } else { day })
        && check(&[3, 7, 6, 1, 8, 9, 4, 5, 2]) == digit(digits, 9)
        && check(&[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) == digit(digits, 10)
}

fn czech(digits: &[u8]) -> bool {
    let whole = read(digits, 0, 10);
    czech_date(digits)
        && (whole.is_multiple_of(11) || read(digits, 0, 9) % 11 == 10 && digit(digits, 9) == 0)
}

/// Until 1953 there was no check digit.
fn czech_old(digits: &[u8]) -> bool {
    czech_date(digits) && read(digits, 0, 2) < 54
}

/// Women's months have 50 more, or 70; men's 20 more when a day's numbers ran out.
fn czech_date(digits: &[u8]) -> bool {
    let month = read(digits, 2, 4);
    let month = match month {
        71..=82 => month - 70,
        51..=62 => month - 50,
        21..=32 => month - 20,
        _ => month,
    };
    is_date(1900, month, read(digits, 4, 6))
}

fn romania(digits: &[u8]) -> bool {
    let check = weighted(digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    digit(digits, 0) != 0
        && ymd(digits.get(1..).unwrap_or_default())
        && (if check == 10 { 1 } else { check }) == digit(digits, 12)
}

/// The century is in the month.
fn bulgaria(digits: &[u8]) -> bool {
    let check = weighted(digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    is_date(1900, read(digits, 2, 4) % 20, read(digits, 4, 6)) && check == digit(digits, 9)
}

fn jmbg(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest == 0 { 0 } else { 11 - rest };
    is_date(1900, read(digits, 2, 4), read(digits, 0, 2)) && check == digit(digits, 12)
}

fn baltic(digits: &[u8]) -> bool {
    let first = weighted(digits, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighted(digits, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11;
    let check = if first < 10 { first } else { second % 10 };
    (1..=6).contains(&digit(digits, 0))
        && ymd(digits.get(1..).unwrap_or_default())
        && check == digit(digits, 10)
}

fn latvia(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    dmy(digits) && (1101 - sum) % 11 % 10 == digit(digits, 10) || digits.starts_with(&[3, 2])
}

fn afm(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[256, 128, 64, 32, 16, 8, 4, 2]);
    sum > 0 && sum % 11 % 10 == digit(digits, 8)
}

fn inn(digits: &[u8]) -> bool {
    weighted(digits, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == digit(digits, 10)
        && weighted(digits, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == digit(digits, 11)
}

fn snils(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100;
    u64::from(sum) == read(digits, 9, 11) && read(digits, 0, 9) > 1_001_998
}

/// Days since the end of 1899, sex, and a check digit.
fn ukraine(digits: &[u8]) -> bool {
    const WEIGHTS: [i32; 9] = [-1, 5, 7, 9, 4, 6, 10, 5, 7];
    let sum: i32 =
        digits.iter().zip(WEIGHTS).map(|(digit, weight)| i32::from(*digit) * weight).sum();
    sum.rem_euclid(11) % 10 == i32::try_from(digit(digits, 9)).unwrap_or(-1)
}

fn iceland(digits: &[u8]) -> bool {
    let check = (11 - weighted(digits, &[3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    dmy(digits) && check == digit(digits, 8) && matches!(digit(digits, 9), 0 | 8 | 9)
}
