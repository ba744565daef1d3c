//! The text of PDF documents (ISO 32000-1): content streams, with Flate and ASCII85, literal and
//! hexadecimal strings, and fonts' maps to Unicode.

use std::collections::HashMap;

use super::{
    budget::{Budget, UnreadReason},
    explorer::{Member, Opened},
    runs::is_text,
};
use crate::{
    found::Decoder,
    text::{byte, part, run},
};

/// More streams are not looked at.
const STREAMS: usize = 20_000;

type Letters = HashMap<u16, Vec<u8>>;

/// The text, if it is a PDF.
pub(super) fn open(text: &[u8], budget: &mut Budget) -> Option<Opened> {
    if !text.starts_with(b"%PDF-") {
        return None;
    }
    let mut opened = Opened::default();
    if memchr::memmem::find(text, b"/Encrypt ").is_some() {
        opened.unread = Some(UnreadReason::Encrypted);
    }
    let (streams, outside) = streams(text, budget, &mut opened.unread);
    let mut letters = Letters::new();
    for stream in &streams {
        cmap(stream, &mut letters);
    }
    let mut plain = Vec::new();
    for stream in &streams {
        let content = memchr::memmem::find(stream, b"BT").is_some()
            && (memchr::memmem::find(stream, b"Tj").is_some()
                || memchr::memmem::find(stream, b"TJ").is_some());
        if content {
            shown(stream, &letters, &mut plain);
        } else if is_text(part(stream, 0..256))
            && memchr::memmem::find(stream, b"begincmap").is_none()
        {
            plain.extend_from_slice(stream);
        }
        plain.push(b'\n');
    }
    for text in [plain, outside] {
        if budget.take(text.len()) {
            opened.members.push(Member { via: Decoder::Pdf, range: 0..0, text, stored: false });
        } else {
            opened.unread = Some(UnreadReason::TooLarge);
        }
    }
    for member in &mut opened.members {
        member.range = 0..text.len();
    }
    Some(opened)
}

/// The streams' content, and the text outside of them.
fn streams(
    text: &[u8],
    budget: &mut Budget,
    unread: &mut Option<UnreadReason>,
) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut streams, mut outside, mut at) = (Vec::new(), Vec::new(), 0);
    while streams.len() < STREAMS {
        let rest = text.get(at..).unwrap_or_default();
        let Some(mark) = memchr::memmem::find(rest, b"stream") else { break };
        let mark = at + mark;
        outside.extend_from_slice(part(text, at..mark));
        let start = run(text, mark + 6, 2, |byte| matches!(byte, b'\r' | b'\n'));
        if start == mark + 6 {
            at = start;
            continue;
        }
        let Some(length) =
            memchr::memmem::find(text.get(start..).unwrap_or_default(), b"endstream")
        else {
            *unread = unread.or(Some(UnreadReason::Damaged));
            at = start;
            break;
        };
        let data = part(text, start..start + length);
        at = start + length + 9;
        let head = part(text, mark.saturating_sub(600)..mark);
        let head =
            head.get(memchr::memmem::rfind(head, b" obj").unwrap_or(0)..).unwrap_or_default();
        let has = |word: &[u8]| memchr::memmem::find(head, word).is_some();
        if has(b"/DCTDecode")
            || has(b"/JPXDecode")
            || has(b"/CCITTFaxDecode")
            || has(b"/Image")
            || has(b"/FontFile")
            || has(b"/Length1")
        {
            continue;
        }
        let unfolded =
            if has(b"/ASCII85Decode") || has(b"/A85") { ascii85(data) } else { data.to_vec() };
        if has(b"/FlateDecode") || has(b"/Fl ") {
            let (made, why) = budget.drain(flate2::bufread::ZlibDecoder::new(unfolded.as_slice()));
            // A line end before `endstream` is no damage.
            *unread =
                unread.or(why.filter(|why| *why == UnreadReason::TooLarge || made.is_empty()));
            streams.push(made);
        } else if has(b"/LZWDecode") || has(b"/RunLengthDecode") {
            *unread = unread.or(Some(UnreadReason::Unsupported));
        } else {
            streams.push(unfolded);
        }
    }
    outside.extend_from_slice(text.get(at..).unwrap_or_default());
    (streams, outside)
}

/// The strings that a content stream shows.
fn shown(stream: &[u8], letters: &Letters, plain: &mut Vec<u8>) {
    let mut at = 0;
    let mut numbers = 0_i64;
    while at < stream.len() {
        match byte(stream, at) {
            b'(' => {
                let (string, end) = literal(stream, at + 1);
                spell(&string, letters, plain);
                at = end;
            }
            b'<' if byte(stream, at + 1) != b'<' => {
                let end = run(stream, at + 1, 65_536, |byte| byte != b'>');
                let digits: Vec<u8> = part(stream, at + 1..end)
                    .iter()
                    .filter_map(|byte| {
                        (*byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
                    })
                    .collect();
                let string: Vec<u8> = digits
                    .chunks(2)
                    .map(|pair| {
                        pair.first().map_or(0, |high| high << 4) | pair.get(1).copied().unwrap_or(0)
                    })
                    .collect();
                spell(&string, letters, plain);
                at = end + 1;
            }
            // Inside TJ: a wide gap is a blank.
            b'-' => {
                let end = run(stream, at + 1, 12, |byte| byte.is_ascii_digit() || byte == b'.');
                numbers = part(stream, at + 1..end)
                    .iter()
                    .take_while(|byte| byte.is_ascii_digit())
                    .fold(0, |number: i64, digit| {
                        number.saturating_mul(10) + i64::from(digit - b'0')
                    });
                if numbers > 200
                    && matches!(byte(stream, end), b'(' | b'<' | b' ' | b']')
                    && !plain.ends_with(b" ")
                    && !plain.ends_with(b"\n")
                    && in_array(stream, at)
                {
                    plain.push(b' ');
                }
                at = end.max(at + 1);
            }
            b'T' if matches!(byte(stream, at + 1), b'd' | b'D' | b'*' | b'm') => {
                if !plain.ends_with(b"\n") {
                    plain.push(b'\n');
                }
                at += 2;
            }
            b'E' if byte(stream, at + 1) == b'T' => {
                plain.push(b'\n');
                at += 2;
            }
            b'\'' | b'"' => {
                plain.push(b'\n');
                at += 1;
            }
            _ => at += 1,
        }
    }
    let _ = numbers;
}

/// Whether an array is open: its bracket is nearer than its end.
fn in_array(stream: &[u8], at: usize) -> bool {
    let front = part(stream, at.saturating_sub(4096)..at);
    memchr::memrchr(b'[', front) > memchr::memrchr(b']', front)
}

/// A literal string, and where it ends.
fn literal(stream: &[u8], start: usize) -> (Vec<u8>, usize) {
    let (mut string, mut at, mut depth) = (Vec::new(), start, 1);
    while at < stream.len() {
        match byte(stream, at) {
            b'\\' => {
                let (letter, length) = match byte(stream, at + 1) {
                    b'n' => (Some(b'\n'), 2),
                    b'r' => (Some(b'\r'), 2),
                    b't' => (Some(b'\t'), 2),
                    b'0'..=b'7' => {
                        let end = run(stream, at + 1, 3, |byte| matches!(byte, b'0'..=b'7'));
                        let code = part(stream, at + 1..end)
                            .iter()
                            .fold(0_u32, |code, digit| code * 8 + u32::from(digit - b'0'));
                        (u8::try_from(code & 0xff).ok(), end - at)
                    }
                    b'\n' => (None, 2),
                    other => (Some(other), 2),
                };
                string.extend(letter);
                at += length;
                continue;
            }
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return (string, at + 1);
                }
            }
            _ => {}
        }
        string.push(byte(stream, at));
        at += 1;
    }
    (string, at)
}

/// A string in the font's letters: two bytes each where the map knows them all.
fn spell(string: &[u8], letters: &Letters, plain: &mut Vec<u8>) {
    let codes = string.chunks_exact(2).map(|pair| match pair {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    });
    let wide = !letters.is_empty()
        && string.len().is_multiple_of(2)
        && !string.is_empty()
        && codes.clone().all(|code| letters.contains_key(&code));
    if wide {
        codes
            .filter_map(|code| letters.get(&code))
            .for_each(|letter| plain.extend_from_slice(letter));
    } else if let [0xfe, 0xff, rest @ ..] = string {
        let units = rest.chunks_exact(2).map(|pair| match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        });
        char::decode_utf16(units)
            .flatten()
            .for_each(|letter| plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()));
    } else {
        let single = string.iter().all(|byte| letters.contains_key(&u16::from(*byte)))
            && !is_text(string)
            && !letters.is_empty();
        if single {
            string
                .iter()
                .filter_map(|byte| letters.get(&u16::from(*byte)))
                .for_each(|letter| plain.extend_from_slice(letter));
        } else {
            plain.extend_from_slice(string);
        }
    }
}

/// A map to Unicode: `<0041> <0041>` after `beginbfchar`, `<20> <7e> <0020>` after `beginbfrange`.
fn cmap(stream: &[u8], letters: &mut Letters) {
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(stream.get(at..).unwrap_or_default(), b"beginbf") {
        let start = at + found;
        let range = part(stream, start..start + 12) == b"beginbfrange";
        let end = memchr::memmem::find(stream.get(start..).unwrap_or_default(), b"endbf")
            .map_or(stream.len(), |end| start + end);
        let body = part(stream, start..end);
        let mut words = body.split(|byte| *byte == b'<').skip(1).map(|word| {
            let digits = word.split(|byte| *byte == b'>').next().unwrap_or_default();
            std::str::from_utf8(digits)
                .ok()
                .map(|digits| digits.replace([' ', '\n', '\r'], ""))
                .unwrap_or_default()
        });
        while letters.len() < 70_000 {
            let Some(low) = words.next().and_then(|word| u16::from_str_radix(&word, 16).ok())
            else {
                break;
            };
            let high = if range {
                words.next().and_then(|word| u16::from_str_radix(&word, 16).ok()).unwrap_or(low)
            } else {
                low
            };
            let Some(target) = words.next() else { break };
            let first =
                u32::from_str_radix(target.get(..target.len().min(4)).unwrap_or_default(), 16)
                    .unwrap_or(0xfffd);
            for (step, code) in (low..=high.min(low.saturating_add(1024))).enumerate() {
                let letter = u32::try_from(step)
                    .ok()
                    .and_then(|step| char::from_u32(first + step))
                    .unwrap_or('\u{fffd}');
                letters.insert(code, letter.to_string().into_bytes());
            }
        }
        at = end + 1;
        if at >= stream.len() {
            break;
        }
    }
}

fn ascii85(data: &[u8]) -> Vec<u8> {
    let (mut made, mut group, mut count) = (Vec::new(), 0_u32, 0_usize);
    for &letter in data {
        match letter {
            b'z' if count == 0 => made.extend([0; 4]),
            b'!'..=b'u' => {
                group = group.wrapping_mul(85).wrapping_add(u32::from(letter - b'!'));
                count += 1;
                if count == 5 {
                    made.extend(group.to_be_bytes());
                    (group, count) = (0, 0);
                }
            }
            b'~' => break,
            _ => {}
        }
    }
    if count > 1 {
        for _ in count..5 {
            group = group.wrapping_mul(85).wrapping_add(84);
        }
        made.extend(group.to_be_bytes().iter().take(count - 1));
    }
    made
}
