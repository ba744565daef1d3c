//! Long runs of an alphabet: base64, base32, hexadecimal (RFC 4648), also over several lines.

use std::ops::Range;

use super::{
    explorer::{Made, is_container},
    map::Map,
    utf16,
};
use crate::{
    found::Decoder,
    text::{byte, part, run, run_back},
};

/// Shorter runs hold no secret. Every run of this length holds one of the places looked at.
const SHORTEST: usize = 20;
/// So many bytes decide whether a run is worth decoding.
const SAMPLE: usize = 96;
/// No more lines than these make one value.
const LINES: usize = 1 << 16;

/// Every run around `range` that decodes to something worth a look.
pub(super) fn find(text: &[u8], range: Range<usize>, mut found: impl FnMut(Made)) {
    let mut at = range.start.saturating_sub(SHORTEST);
    let stop = range.end.saturating_add(SHORTEST).min(text.len());
    while at < stop {
        if !is_letter(byte(text, at)) {
            at += SHORTEST;
            continue;
        }
        let start = run_back(text, at, 1 << 16, is_letter);
        let end = run(text, at, usize::MAX - at, is_letter);
        if end - start < SHORTEST {
            at = end.max(at) + SHORTEST - (end - at).min(SHORTEST - 1);
            continue;
        }
        let (made, past) = decode(text, start..end);
        if let Some(made) = made {
            found(made);
        }
        at = past.max(end) + 1;
    }
}

/// Whether a decoder's first bytes are a text.
pub(super) fn is_text(sample: &[u8]) -> bool {
    let valid = match std::str::from_utf8(sample) {
        Ok(_) => sample.len(),
        // A character that is cut off at the end.
        Err(error) if error.error_len().is_none() || sample.len() - error.valid_up_to() < 4 => {
            error.valid_up_to()
        }
        Err(_) => return false,
    };
    let text = part(sample, 0..valid);
    let odd =
        text.iter().filter(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()).count();
    text.len() >= 6 && odd * 24 <= text.len() && text.iter().any(u8::is_ascii_alphanumeric)
}

/// What a run decodes to, and where the decoded part ends.
fn decode(text: &[u8], run: Range<usize>) -> (Option<Made>, usize) {
    let whole = part(text, run.clone());
    let hex = whole.iter().all(u8::is_ascii_hexdigit) || whole.starts_with(b"0x");
    if hex {
        let start = run.start + if whole.starts_with(b"0x") { 2 } else { 0 };
        let first = start..run.end;
        if first.len().is_multiple_of(2)
            && let Some(made) = attempt(text, first, 4, Decoder::Hex)
        {
            return made;
        }
    }
    let upper = whole.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    if upper && let Some(made) = attempt(text, run.clone(), 5, Decoder::Base32) {
        return made;
    }
    if let Some(made) = attempt(text, run.clone(), 6, Decoder::Base64) {
        return made;
    }
    // Something else may stand before it: a path, a prefix, a key's name.
    let marks =
        whole.iter().enumerate().filter(|(_, byte)| matches!(byte, b'/' | b'-' | b'_' | b'+'));
    for (mark, _) in marks.take(4) {
        let start = run.start + mark + 1;
        if run.end - start < SHORTEST {
            break;
        }
        if let Some(made) = attempt(text, start..run.end, 6, Decoder::Base64) {
            return made;
        }
    }
    (None, run.end)
}

/// The run, and the lines after it that go on with it.
fn lines(text: &[u8], first: &Range<usize>, hex: bool) -> Vec<Range<usize>> {
    let mut lines = vec![first.clone()];
    let mut end = first.end;
    let width = first.len();
    let belongs = |byte: u8| if hex { byte.is_ascii_hexdigit() } else { is_letter(byte) };
    while lines.len() < LINES {
        let Some(next) = line_end(text, end) else { break };
        let start = run(text, next, 16, |byte| matches!(byte, b' ' | b'\t' | b'>' | b'"' | b'\''));
        let stop = run(text, start, width + 1, belongs);
        let padded = run(text, stop, 2, |byte| byte == b'=');
        let last = stop - start < width || padded > stop;
        let closes = matches!(
            byte(text, padded),
            b'\n' | b'\r' | 0 | b'"' | b'\'' | b'\\' | b',' | b'<' | b' ' | b')'
        );
        if stop == start || stop - start > width || !closes {
            break;
        }
        lines.push(start..stop);
        end = padded;
        if last {
            break;
        }
    }
    lines
}

/// Past a line's end at `at`, also an escaped one or one between literals.
fn line_end(text: &[u8], at: usize) -> Option<usize> {
    let at = run(text, at, 4, |byte| matches!(byte, b'"' | b'\'' | b' ' | b'+' | b','));
    match (byte(text, at), byte(text, at + 1)) {
        (b'\r', b'\n') => Some(at + 2),
        (b'\n', _) => Some(at + 1),
        (b'\\', b'n') => Some(at + 2),
        (b'\\', b'r') if part(text, at..at + 4) == b"\\r\\n" => Some(at + 4),
        (b'\\', b'\n') => Some(at + 2),
        _ => None,
    }
}

/// Decodes a run of `bits` a letter and the lines that go on with it, if what comes out is worth a
/// look; and says where they end.
fn attempt(
    text: &[u8],
    first: Range<usize>,
    bits: u32,
    via: Decoder,
) -> Option<(Option<Made>, usize)> {
    // Names of programs are out after a few letters.
    if bits == 6 && !glance(part(text, first.start..first.start + 8)) {
        return None;
    }
    let (sample, _) = unpack(text, std::slice::from_ref(&first), bits, SAMPLE)?;
    let worth = is_text(&sample)
        || is_container(&sample)
        || utf16::decode(&sample).is_some() && sample.len() > 16;
    if !worth {
        return None;
    }
    let lines = lines(text, &first, bits == 4);
    let past = lines.last().map_or(first.end, |line| line.end);
    let (made, map) = unpack(text, &lines, bits, usize::MAX)?;
    Some((Some(Made { via, text: made, map, changed: None }), past))
}

/// Whether the first six bytes may be a text's, or something packed.
fn glance(letters: &[u8]) -> bool {
    let mut store = 0_u64;
    for &letter in letters {
        let Some(value) = value(letter, 6) else { return false };
        store = store << 6 | u64::from(value);
    }
    let [_, _, bytes @ ..] = store.to_be_bytes();
    let printable = bytes
        .iter()
        .all(|byte| *byte >= 0x80 || !byte.is_ascii_control() || byte.is_ascii_whitespace());
    let starts = matches!(bytes, [0..0x80 | 0xc2..=0xf4 | 0xff | 0xfe, ..]);
    printable && starts
        || is_container(&bytes)
        || bytes.iter().filter(|byte| **byte == 0).count() >= 2
        || matches!(bytes, [0x1f, 0x8b, ..] | [0x78, ..])
}

/// The bytes that letters of `bits` each make, at most so many.
fn unpack(text: &[u8], lines: &[Range<usize>], bits: u32, most: usize) -> Option<(Vec<u8>, Map)> {
    let (read, ratio) = match bits {
        4 => (2, 1),
        5 => (8, 5),
        _ => (4, 3),
    };
    let first = lines.first()?;
    let mut map = Map::new(first.start, read, ratio);
    let mut made = Vec::new();
    let (mut store, mut held) = (0_u32, 0_u32);
    let mut end = first.start;
    for line in lines {
        if line.start != first.start {
            map.piece(made.len(), line.start);
        }
        for &letter in part(text, line.clone()) {
            store = store << bits | u32::from(value(letter, bits)?);
            held += bits;
            if held >= 8 {
                held -= 8;
                made.push((store >> held & 0xff) as u8);
                store &= (1 << held) - 1;
            }
            if made.len() >= most {
                return Some((made, map));
            }
        }
        end = line.end;
    }
    map.end(made.len(), end);
    Some((made, map))
}

const fn value(letter: u8, bits: u32) -> Option<u8> {
    match (bits, letter) {
        (4, b'0'..=b'9') => Some(letter - b'0'),
        (4, b'a'..=b'f') => Some(letter - b'a' + 10),
        (4, b'A'..=b'F') => Some(letter - b'A' + 10),
        (5 | 6, b'A'..=b'Z') => Some(letter - b'A'),
        (5, b'2'..=b'7') => Some(letter - b'2' + 26),
        (6, b'a'..=b'z') => Some(letter - b'a' + 26),
        (6, b'0'..=b'9') => Some(letter - b'0' + 52),
        (6, b'+' | b'-') => Some(62),
        (6, b'/' | b'_') => Some(63),
        _ => None,
    }
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Vec<(Decoder, String)> {
        let mut all = Vec::new();
        find(text.as_bytes(), 0..text.len(), |made| {
            all.push((made.via, String::from_utf8_lossy(&made.text).into_owned()))
        });
        all
    }

    #[test]
    fn runs_of_every_alphabet() {
        assert_eq!(
            decoded("x=c2VjcmV0IG1lc3NhZ2UgaGVyZQ==;"),
            [(Decoder::Base64, "secret message here".into())]
        );
        assert_eq!(
            decoded("734563726574206d657373616765206865726521"),
            [(Decoder::Hex, "sEcret message here!".into())]
        );
        assert_eq!(
            decoded("ONSWG4TFOQQG2ZLTONQWOZJANBSXEZI="),
            [(Decoder::Base32, "secret message here".into())]
        );
        assert_eq!(
            decoded("c2VjcmV0IG1lc3NhZ2Ug\naGVyZQ==\n"),
            [(Decoder::Base64, "secret message here".into())]
        );
    }

    #[test]
    fn names_and_hashes_are_no_texts() {
        assert!(decoded("getElementsByTagNameFromDocument someOtherLongIdentifierName").is_empty());
        assert!(
            decoded("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08").is_empty()
        );
    }

    #[test]
    fn a_place_behind_base64_is_found_again() {
        let text = "c2VjcmV0IG1lc3NhZ2UgaGVyZQ==";
        let mut all = Vec::new();
        find(text.as_bytes(), 0..text.len(), |made| all.push(made));
        let made = all.first().expect("one");
        assert_eq!(made.map.source(0..6), 0..8);
    }
}
