//! Telephone numbers: with a country code by its numbering plan, else by a country's layout or a
//! word beside them.

use std::{ops::Range, sync::LazyLock};

use super::cue::{Around, Cue};
use crate::{
    context::Role,
    found::{Class, Hit},
    text::{before, byte, part},
};

/// Digits with what stands between them in a telephone number.
#[derive(Debug)]
struct Dial {
    range: Range<usize>,
    digits: Vec<u8>,
    /// Lengths of the groups.
    groups: Vec<usize>,
    plus: bool,
    bracket: bool,
    marks: u8,
}

/// The telephone number around the digits at `at`.
pub(crate) fn find(around: &Around<'_>, at: usize) -> Option<Hit> {
    let text = around.text;
    let dial = dial(text, at)?;
    let start = dial.range.start;
    let hit = |percent, kind| Some(Hit::new(dial.range.clone(), Class::Phone, percent, kind));
    let next = byte(text, dial.range.end);
    if next.is_ascii_alphabetic() && !matches!(next, b'x' | b'e')
        || next == b'_'
        || next == b'%'
        || next == b'$'
        || next == b':' && byte(text, dial.range.end + 1).is_ascii_digit()
    {
        return None;
    }
    let count = dial.digits.len();
    if dial.plus {
        let cue = around.cue(start, &[Role::Phone]);
        return match (plan(&dial.digits), cue) {
            (true, Cue::Yes) => hit(97, "e164"),
            (true, _) if !is_sum(text, start) => hit(92, "e164"),
            (false, Cue::Yes) if (8..=15).contains(&count) => hit(70, "e164"),
            _ => None,
        };
    }
    let embedded = matches!(
        before(text, start),
        b'-' | b'_' | b'.' | b'/' | b'$' | b'#' | b'\\' | b'@' | b','
    ) && before(text, start - 1).is_ascii_alphanumeric();
    if embedded && before(text, start) != b','
        || dial.digits.iter().all(|digit| Some(digit) == dial.digits.first())
    {
        return None;
    }
    // An address, a version.
    if dial.marks == b'.' && dial.groups.len() == 4 && dial.groups.iter().all(|group| *group <= 3) {
        return None;
    }
    let cue = around.cue(start, &[Role::Phone]);
    let laid_out = layout(&dial);
    match cue {
        Cue::Yes if (7..=13).contains(&count) && !is_date(&dial) && dial.marks != b'x' => {
            hit(if laid_out.is_some() { 92 } else { 75 }, "national")
        }
        Cue::Yes if count == 14 || count == 15 => {
            (dial.digits.starts_with(b"00")).then(|| hit(80, "e164"))?
        }
        Cue::Silent => laid_out.and_then(|kind| hit(72, kind)),
        // A label that names something unknown, but a layout that nothing else has.
        Cue::No if dial.bracket => laid_out.and_then(|kind| hit(65, kind)),
        _ => None,
    }
}

/// Reads the number from its first digit on, and the `+` or `(` before it.
fn dial(text: &[u8], at: usize) -> Option<Dial> {
    let mut start = at;
    let bracket_first = before(text, start) == b'(';
    start -= usize::from(bracket_first);
    let plus = before(text, start) == b'+' || before(text, at) == b'+';
    start -= usize::from(before(text, start) == b'+');
    // `++1`, `a+1`, `3+4`: arithmetic.
    if plus && (before(text, start).is_ascii_alphanumeric() || before(text, start) == b'+') {
        return None;
    }
    let (mut digits, mut groups, mut place, mut end) = (Vec::new(), Vec::new(), at, at);
    let (mut open, mut bracket, mut marks) = (bracket_first, bracket_first, 0_u8);
    let mut length = 0;
    let mut gap = 0;
    // A mark counts once digits follow it: a sentence's end does not.
    let mut mark = 0_u8;
    loop {
        let here = byte(text, place);
        match here {
            b'0'..=b'9' => {
                if mark != 0 {
                    marks = if marks == 0 || marks == mark { mark } else { b'x' };
                    mark = 0;
                }
                digits.push(here);
                length += 1;
                gap = 0;
                end = place + 1;
                if digits.len() > 16 {
                    return None;
                }
            }
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' | 0xc2 | 0xa0
                if gap < 3 && groups.len() < 9 =>
            {
                if length > 0 {
                    groups.push(length);
                    length = 0;
                }
                if here == b'(' {
                    if open {
                        break;
                    }
                    (open, bracket) = (true, true);
                } else if here == b')' {
                    if !open {
                        break;
                    }
                    open = false;
                } else if here != b' ' {
                    mark = here;
                }
                gap += 1;
            }
            _ => break,
        }
        place += 1;
    }
    if length > 0 {
        groups.push(length);
    }
    // A `(` that opened after the number belongs to the sentence.
    let brackets_close = !open || byte(text, end) != b')';
    (digits.len() >= 7 && brackets_close).then_some(Dial {
        range: start..end,
        digits,
        groups,
        plus,
        bracket,
        marks,
    })
}

/// Whether a number with a country code fits the country's plan.
fn plan(digits: &[u8]) -> bool {
    static PLANS: LazyLock<Vec<(&str, usize, usize)>> = LazyLock::new(|| {
        let rows = include_str!("plans.txt").lines().filter(|line| !line.starts_with('#'));
        rows.filter_map(|row| {
            let mut parts = row.split(' ');
            Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
        .collect()
    });
    PLANS.iter().any(|(code, least, most)| {
        let Some(rest) = digits.strip_prefix(code.as_bytes()) else { return false };
        // `+44 (0)20 …` holds the trunk prefix.
        let rest = if *code == "39" { rest } else { rest.strip_prefix(b"0").unwrap_or(rest) };
        let american = *code != "1" || matches!(rest.first(), Some(b'2'..=b'9'));
        (*least..=*most).contains(&rest.len()) && american
    })
}

/// Layouts that are a telephone number's without a word beside them.
fn layout(dial: &Dial) -> Option<&'static str> {
    let digits = dial.digits.as_slice();
    let starts = |prefix: &[u8]| digits.starts_with(prefix);
    let groups = dial.groups.as_slice();
    let american = |digits: &[u8]| {
        matches!((digits.first(), digits.get(3)), (Some(b'2'..=b'9'), Some(b'2'..=b'9')))
    };
    match groups {
        [3, 3, 4]
            if american(digits) && dial.marks != b'x' && (dial.bracket || dial.marks != 0) =>
        {
            Some("us")
        }
        [3, 3, 4] if starts(b"010") || starts(b"011") => Some("kr"),
        [1, 3, 3, 4] if starts(b"1") && american(digits.get(1..)?) => Some("us"),
        [2, 2, 2, 2, 2]
            if starts(b"0") && matches!(digits.get(1), Some(b'1'..=b'9')) && dial.marks != b'x' =>
        {
            Some("fr")
        }
        [3, 4, 4]
            if starts(b"0")
                && matches!(digits.get(1), Some(b'1' | b'5'..=b'9'))
                && dial.marks != b'.' =>
        {
            Some("jp-kr")
        }
        [2, 4, 4] if (starts(b"03") || starts(b"06") || starts(b"02")) && dial.marks == b'-' => {
            Some("jp")
        }
        [2, 4, 4] | [2, 5, 4] if dial.bracket => Some("br-au"),
        [4, 3, 3] if starts(b"04") || starts(b"09") || starts(b"06") => Some("au"),
        [5, 6] if starts(b"07") || starts(b"01") => Some("gb"),
        [5, 3, 3] if starts(b"07") || starts(b"01") => Some("gb"),
        [3, 4, 4] if starts(b"02") => Some("gb"),
        [3, 3, 2, 2] if starts(b"0") || starts(b"8") || dial.bracket => Some("ch-ru"),
        [1, 3, 3, 2, 2] if starts(b"8") || starts(b"7") => Some("ru"),
        [4, 6..=8] | [4, 3, 4] | [4, 7, 1..=4]
            if (starts(b"015") || starts(b"016") || starts(b"017")) && dial.marks != b'.' =>
        {
            Some("de")
        }
        [2..=5, 5..=8] if starts(b"0") && dial.marks == b'/' && digits.len() >= 9 => Some("de"),
        [3, 2, 2, 2] | [3, 3, 3]
            if dial.marks == 0
                && matches!(digits.first(), Some(b'6' | b'7'))
                && groups.len() == 4 =>
        {
            Some("es")
        }
        _ => None,
    }
}

/// A date's groups: not a number to dial.
fn is_date(dial: &Dial) -> bool {
    matches!(dial.groups.as_slice(), [4, 2, 2] | [2, 2, 4] | [4, 2, 2, ..])
        && matches!(dial.marks, b'-' | b'/' | b'.')
        && !dial.bracket
}

/// `x = +12345678901`: an amount or an offset, not beside words.
fn is_sum(text: &[u8], start: usize) -> bool {
    let near = part(text, start.saturating_sub(3)..start);
    near.ends_with(b"= ") || near.ends_with(b"e") || near.ends_with(b"E")
}
