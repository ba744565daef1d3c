//! Dates of birth: a date beside a word that says so.

use std::ops::Range;

use super::{
    checks::is_date,
    cue::{Around, Cue},
    number::{Number, Part},
};
use crate::{
    context::Role,
    found::{Class, Hit},
    text::{before, byte, is_word, part, run, run_back, says},
};

/// First letters of the months in a dozen languages; the place in a row is the month.
const MONTHS: [&str; 12] = [
    "jan ene gen led sty янв ιαν",
    "feb fév fev febb úno lut февр feb. φεβ",
    "mar mär mars márc bře март μαρ maart",
    "apr avr abr kwi дуб апр απρ",
    "may mai mag maj máj kvě ма μαΐ mei",
    "jun juin giu cze čer июн ιουν júni",
    "jul juil lug lip čvc июл ιουλ júli",
    "aug aoû ago sie srp авг αυγ août",
    "sep set wrz zář сен σεπ",
    "oct okt ott out paź říj окт οκτ",
    "nov lis noy ноя νοε",
    "dec déc dez dic gru pro дек δεκ",
];

/// The date of birth that follows a word which ended at `at`.
pub(crate) fn after(text: &[u8], at: usize) -> Option<Hit> {
    // The date is the first number on the line, not far off.
    let stop = |byte: u8| byte.is_ascii_digit() || byte == b'\n' || byte == b'}';
    let first = run(text, at, 56, |byte| !stop(byte));
    if !byte(text, first).is_ascii_digit() {
        return None;
    }
    let range = date(text, first)?;
    // `born in Paris. Invoice of 12.05.2020`: another sentence.
    let between = part(text, at..range.start);
    let apart = between.windows(2).any(|pair| matches!(pair, b". " | b"; ")) && between.len() > 12;
    (!apart).then(|| Hit::new(range, Class::DateOfBirth, 88, "date"))
}

/// The date of birth that a number in a table's column is.
pub(crate) fn column(around: &Around<'_>, number: &Number) -> Option<Hit> {
    let range = number.whole().range();
    if around.columns.role(around.text, range.start, &[Role::Birth]).is_none()
        || around.cue(range.start, &[Role::Birth]) != Cue::Yes
    {
        return None;
    }
    date(around.text, range.start).map(|range| Hit::new(range, Class::DateOfBirth, 85, "date"))
}

/// The date that starts at or shortly before `at`, where a digit is.
fn date(text: &[u8], at: usize) -> Option<Range<usize>> {
    numeric(text, at).or_else(|| worded(text, at)).or_else(|| ideographic(text, at))
}

fn numeric(text: &[u8], at: usize) -> Option<Range<usize>> {
    let number = Number::at(text, at);
    let whole = number.part(0, 3.min(number.groups()));
    let single = number.part(0, 1);
    if single.digits.len() == 8 {
        let digits = single.digits;
        let read = |from, to| super::number::value(digits.get(from..to).unwrap_or_default());
        let fits = likely(read(0, 4), read(4, 6), read(6, 8))
            || likely(read(4, 8), read(2, 4), read(0, 2));
        return fits.then(|| single.range());
    }
    let spaced = is_spaced_dots(text, at);
    if whole.groups() != 3 {
        return spaced;
    }
    if !matches!(whole.separator(text), Some(b'-' | b'/' | b'.' | b' ')) {
        return spaced;
    }
    is_birth(&whole).then(|| whole.range())
}

/// `12. 5. 1980`, as Czech and Hungarian write.
fn is_spaced_dots(text: &[u8], at: usize) -> Option<Range<usize>> {
    let mut place = at;
    let mut values = [0_u64; 3];
    for (turn, value) in values.iter_mut().enumerate() {
        let end = run(text, place, 4, |byte| byte.is_ascii_digit());
        *value = part(text, place..end)
            .iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        if end == place {
            return None;
        }
        place = end;
        if turn < 2 {
            if part(text, place..place + 2) != b". " {
                return None;
            }
            place += 2;
        }
    }
    let [first, second, third] = values;
    (likely(third, second, first) || likely(first, second, third)).then_some(at..place)
}

fn is_birth(part: &Part<'_>) -> bool {
    let mut values = part.values();
    let (Some(first), Some(second), Some(third)) = (values.next(), values.next(), values.next())
    else {
        return false;
    };
    likely(first, second, third)
        || likely(third, second, first)
        || likely(third, first, second)
        || part.is(&[2, 2, 2])
            && (likely(1900 + third, second, first)
                || likely(1900 + third, first, second)
                || likely(1900 + first, second, third))
}

/// A day on which somebody now alive was born.
fn likely(year: u64, month: u64, day: u64) -> bool {
    (1900..=2030).contains(&year) && is_date(year, month, day)
}

/// `12 May 1980`, `May 12th, 1980`, `12 de mayo de 1980`, `12. März 1980`.
fn worded(text: &[u8], at: usize) -> Option<Range<usize>> {
    let day_end = run(text, at, 2, |byte| byte.is_ascii_digit());
    let suffix = run(text, day_end, 3, |byte| {
        matches!(byte, b's' | b't' | b'n' | b'd' | b'r' | b'h' | b'.' | b'e')
    });
    // The month after the day…
    let gap = run(text, suffix, 4, |byte| matches!(byte, b' ' | b'-' | b'/' | b','));
    let gap = if says(text, gap, b"of ") || says(text, gap, b"de ") || says(text, gap, b"di ") {
        gap + 3
    } else {
        gap
    };
    if let Some(end) = month(text, gap) {
        let next = run(text, end, 5, |byte| matches!(byte, b' ' | b'-' | b'/' | b',' | b'.'));
        let next =
            if says(text, next, b"de ") || says(text, next, b"of ") || says(text, next, b"del ") {
                run(text, next, 4, |byte| byte.is_ascii_alphabetic() || byte == b' ')
            } else {
                next
            };
        return year(text, next).map(|end| at..end);
    }
    // … or before it.
    let back = run_back(text, at, 3, |byte| matches!(byte, b' ' | b'.'));
    let start = run_back(text, back, 12, |byte| byte.is_ascii_alphabetic() || byte >= 0x80);
    month(text, start).filter(|end| *end <= back + 1)?;
    let next = run(text, suffix, 3, |byte| matches!(byte, b' ' | b','));
    year(text, next).map(|end| start..end)
}

/// Where the month's name at `at` ends.
fn month(text: &[u8], at: usize) -> Option<usize> {
    let end = run(text, at, 24, is_word);
    let name = String::from_utf8_lossy(part(text, at..end)).to_lowercase();
    let fits = name.chars().count() >= 3
        && MONTHS.iter().any(|names| names.split(' ').any(|start| name.starts_with(start)));
    fits.then_some(end)
}

/// Where the year at `at` ends.
fn year(text: &[u8], at: usize) -> Option<usize> {
    let end = run(text, at, 5, |byte| byte.is_ascii_digit());
    let value =
        part(text, at..end).iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    ((1900..=2030).contains(&value) || end - at == 2).then_some(end)
}

/// `1980年5月12日`, `1980년 5월 12일`.
fn ideographic(text: &[u8], at: usize) -> Option<Range<usize>> {
    let mut place = at;
    let mut values = [0_u64; 3];
    for (value, marks) in values.iter_mut().zip([["年", "년"], ["月", "월"], ["日", "일"]]) {
        let end = run(text, place, 4, |byte| byte.is_ascii_digit());
        *value = part(text, place..end)
            .iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        let mark =
            marks.iter().find(|mark| part(text, end..end + mark.len()) == mark.as_bytes())?;
        place = end + mark.len();
        place = run(text, place, 1, |byte| byte == b' ');
    }
    let [first, second, third] = values;
    let place = if before(text, place) == b' ' { place - 1 } else { place };
    likely(first, second, third).then_some(at..place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_many_notations() {
        for text in [
            " 1980-05-12",
            ": 12.05.1980",
            "\": \"05/12/1980\"",
            " 12 May 1980",
            " May 12, 1980",
            " am 12. März 1980",
            " el 12 de mayo de 1980",
            "：1980年5月12日",
            ": 19800512",
            " 12. 5. 1980",
            " 12 мая 1980",
        ] {
            assert!(after(text.as_bytes(), 0).is_some(), "{text}");
        }
        for text in [
            " 1.2.3",
            " 1234-56-78",
            ": 99/99/1999",
            " in Berlin. Invoice of 12.05.2020",
            "\n1980-05-12",
        ] {
            assert_eq!(after(text.as_bytes(), 0), None, "{text}");
        }
    }
}
