//! The encodings of single characters, one after another.

use super::rewrite::{Change, Rules};
use crate::{
    found::Decoder,
    text::{byte, part, run},
};

/// All of them.
pub(super) const ALL: &[Rules] = &[
    Rules { via: Decoder::Percent, marks: b"%", at: percent, least: 1 },
    Rules { via: Decoder::Escape, marks: b"\\", at: escape, least: 1 },
    Rules { via: Decoder::HtmlEntity, marks: b"&", at: entity, least: 1 },
    Rules { via: Decoder::QuotedPrintable, marks: b"=", at: quoted, least: 2 },
    Rules { via: Decoder::Joined, marks: b"\"'`", at: joined, least: 1 },
];

/// `%41` (RFC 3986), `%u0041`.
fn percent(text: &[u8], at: usize) -> Option<Change> {
    if matches!(byte(text, at + 1), b'u' | b'U')
        && let Some(code) = number(text, at + 2, 4, 16)
    {
        return char::from_u32(code).map(|letter| Change::letter(6, letter));
    }
    let code = number(text, at + 1, 2, 16)?;
    u8::try_from(code).ok().map(|byte| Change::byte(3, byte))
}

/// RFC 8259, section 7; and what C, JavaScript, Python and Rust have besides.
fn escape(text: &[u8], at: usize) -> Option<Change> {
    // One that is escaped itself, as in JSON inside JSON.
    let slashes = run(text, at, 8, |byte| byte == b'\\') - at;
    let mark = at + slashes;
    let change = |length: usize, code: u32| {
        char::from_u32(code).map(|letter| Change::letter(slashes + length, letter))
    };
    match byte(text, mark) {
        b'u' if byte(text, mark + 1) == b'{' => {
            let end = run(text, mark + 2, 6, |byte| byte.is_ascii_hexdigit());
            let code = number(text, mark + 2, end - mark - 2, 16)?;
            (byte(text, end) == b'}').then(|| change(end + 1 - mark, code))?
        }
        b'u' => {
            let code = number(text, mark + 1, 4, 16)?;
            if !(0xd800..0xdc00).contains(&code) {
                return change(5, code);
            }
            // A pair of surrogates.
            let low = mark + 5 + slashes;
            let second = if part(text, mark + 5..low).iter().all(|byte| *byte == b'\\')
                && byte(text, low) == b'u'
            {
                number(text, low + 1, 4, 16)?
            } else {
                return None;
            };
            let code = 0x10000 + ((code - 0xd800) << 10) + second.checked_sub(0xdc00)?;
            change(low + 5 - mark, code)
        }
        b'U' => change(9, number(text, mark + 1, 8, 16)?),
        b'x' => change(3, number(text, mark + 1, 2, 16)?),
        b'0'..=b'3' if slashes == 1 => change(3, number(text, mark, 3, 8)?),
        b'\n' => Some(Change::nothing(
            slashes + 1 + run(text, mark + 1, 32, |byte| matches!(byte, b' ' | b'\t')) - mark - 1,
        )),
        b'\r' if byte(text, mark + 1) == b'\n' => Some(Change::nothing(slashes + 2)),
        b'n' => Some(Change::byte(slashes + 1, b'\n').weakly()),
        b't' => Some(Change::byte(slashes + 1, b'\t').weakly()),
        quote @ (b'"' | b'\'' | b'/') => Some(Change::byte(slashes + 1, quote).weakly()),
        _ => None,
    }
}

/// HTML 5, section 13.5: numbers, and the names that writers of plain text need.
fn entity(text: &[u8], at: usize) -> Option<Change> {
    if byte(text, at + 1) == b'#' {
        let hex = matches!(byte(text, at + 2), b'x' | b'X');
        let start = at + 2 + usize::from(hex);
        let end = run(text, start, 7, |byte| byte.is_ascii_hexdigit());
        let code = number(text, start, end - start, if hex { 16 } else { 10 })?;
        let semicolon = usize::from(byte(text, end) == b';');
        return char::from_u32(code).map(|letter| Change::letter(end + semicolon - at, letter));
    }
    const NAMES: [(&[u8], u8, bool); 18] = [
        (b"amp;", b'&', false),
        (b"lt;", b'<', false),
        (b"gt;", b'>', false),
        (b"quot;", b'"', false),
        (b"apos;", b'\'', false),
        (b"nbsp;", b' ', false),
        (b"commat;", b'@', true),
        (b"period;", b'.', true),
        (b"colon;", b':', true),
        (b"equals;", b'=', true),
        (b"lowbar;", b'_', true),
        (b"hyphen;", b'-', true),
        (b"sol;", b'/', true),
        (b"num;", b'#', true),
        (b"plus;", b'+', true),
        (b"Tab;", b'\t', false),
        (b"NewLine;", b'\n', false),
        (b"dash;", b'-', true),
    ];
    NAMES.iter().find(|(name, ..)| part(text, at + 1..at + 1 + name.len()) == *name).map(
        |(name, letter, strong)| {
            let change = Change::byte(name.len() + 1, *letter);
            if *strong { change } else { change.weakly() }
        },
    )
}

/// RFC 2045, section 6.7.
fn quoted(text: &[u8], at: usize) -> Option<Change> {
    match (byte(text, at + 1), byte(text, at + 2)) {
        (b'\r', b'\n') => Some(Change::nothing(3)),
        (b'\n', _) => Some(Change::nothing(2)),
        _ => {
            let code = number(text, at + 1, 2, 16)?;
            u8::try_from(code).ok().map(|byte| Change::byte(3, byte))
        }
    }
}

/// `"ab" + "cd"`, `"ab" "cd"`, `'ab' . 'cd'`, `"ab" \` and a new line: one literal.
fn joined(text: &[u8], at: usize) -> Option<Change> {
    let quote = byte(text, at);
    let blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let gap = run(text, at + 1, 48, blank);
    let (mut place, mut marked) = (gap, gap > at + 1);
    let operator = match (byte(text, gap), byte(text, gap + 1)) {
        (b'.', b'.') | (b'|', b'|') | (b'<', b'<') => 2,
        (b'+' | b'.' | b'&' | b'\\' | b'~', _) => 1,
        _ => 0,
    };
    if operator > 0 {
        place = run(text, gap + operator, 64, blank);
        marked = true;
    }
    // Prefixes of literals: `f"…"`, `b'…'`.
    let prefix = usize::from(matches!(byte(text, place), b'f' | b'b' | b'r' | b'u' | b'L'))
        * usize::from(operator > 0 || place > at + 1);
    let close = place + prefix;
    (marked
        && byte(text, close) == quote
        && close > at + 1
        && byte(text, at.wrapping_sub(1)) != b'\\')
        .then(|| Change::nothing(close + 1 - at))
}

/// The number of exactly so many digits.
fn number(text: &[u8], at: usize, digits: usize, radix: u32) -> Option<u32> {
    let digits = part(text, at..at + digits);
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use crate::decode::rewrite;

    use super::*;

    fn decoded(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        for rules in ALL {
            rewrite::find(text.as_bytes(), 0..text.len(), rules, |made| {
                all.push(String::from_utf8_lossy(&made.text).into_owned())
            });
        }
        all
    }

    #[test]
    fn characters_written_in_other_ways() {
        assert_eq!(decoded("a%40b.c"), ["a@b.c"]);
        assert_eq!(decoded("\\u0041\\x42\\103"), ["ABC"]);
        assert_eq!(decoded("\\ud83d\\ude00"), ["😀"]);
        assert_eq!(decoded("&#65;&#x42;C"), ["ABC"]);
        assert_eq!(decoded("AK=49=41 x"), ["AKIA x"]);
        assert_eq!(decoded("x=\r\ny=3Dz"), ["xy=z"]);
        assert_eq!(decoded("\"ab\" + \"cd\""), ["\"abcd\""]);
        assert_eq!(decoded("('ab'\n  'cd')"), ["('abcd')"]);
        assert!(decoded("[\"ab\", \"cd\"] {\"a\": \"b\"} f(\"\")").is_empty());
    }
}
