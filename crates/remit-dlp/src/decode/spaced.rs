//! Something between all characters: `s e c r e t`, `73 65 63`, `73:65:63`.

use std::ops::Range;

use super::{explorer::Made, map::Map, runs::is_text};
use crate::{found::Decoder, text::byte};

/// So many characters make it worth a look; every such row holds one of the places looked at.
const SHORTEST: usize = 10;
const STRIDE: usize = 2 * (SHORTEST - 4);
/// No row is longer.
const LONGEST: usize = 64 * 1024;

/// Every spaced row around `range`.
pub(super) fn find(text: &[u8], range: Range<usize>, mut found: impl FnMut(Made)) {
    let mut at = range.start.saturating_sub(STRIDE);
    let stop = range.end.saturating_add(STRIDE).min(text.len());
    // Rows are read once, however long they are.
    let mut floor = 0;
    while at < stop {
        let row = glance(text, at, floor);
        let Some((made, end)) = row else {
            at += STRIDE;
            continue;
        };
        found(made);
        floor = end;
        at = end.max(at + STRIDE);
    }
}

/// The row at `at`, if every second or third byte there is the same kind of mark.
fn glance(text: &[u8], at: usize, floor: usize) -> Option<(Made, usize)> {
    let Some(&[first, second, third, fourth, fifth, sixth, seventh, eighth]) = text.get(at..at + 8)
    else {
        return letters(text, at, floor)
            .or_else(|| letters(text, at + 1, floor))
            .or_else(|| (at..at + 3).find_map(|at| pairs(text, at, floor)));
    };
    let step = |byte: u8| matches!(byte, b' ' | b':' | b'-' | b',' | b'\n');
    if second == fourth && fourth == sixth && !second.is_ascii_alphanumeric() {
        return letters(text, at, floor);
    }
    if third == fifth && fifth == seventh && !third.is_ascii_alphanumeric() {
        return letters(text, at + 1, floor);
    }
    let pair = step(third) && step(sixth)
        || step(fourth) && step(seventh)
        || step(fifth) && step(eighth)
        || step(first) && step(fourth);
    if pair { (at..at + 3).find_map(|at| pairs(text, at, floor)) } else { None }
}

/// The row of single characters that has one at `at`.
fn letters(text: &[u8], at: usize, floor: usize) -> Option<(Made, usize)> {
    let gap = byte(text, at + 1);
    if !matches!(gap, b' ' | b'.' | b'-' | b'_' | b'\t') {
        return None;
    }
    let fits = |at: usize| is_single(byte(text, at), gap) && byte(text, at + 1) == gap;
    if !(fits(at) && fits(at + 2) && fits(at + 4)) {
        return None;
    }
    let mut start = at;
    while start >= floor + 2 && fits(start - 2) && at - start < LONGEST {
        start -= 2;
    }
    // A word that only ends here is no single character.
    if start > 0 && byte(text, start - 1).is_ascii_alphanumeric() {
        start += 2;
    }
    let mut map = Map::new(start, 1, 1);
    let mut made = Vec::new();
    let mut place = start;
    while is_single(byte(text, place), gap) && place - start < LONGEST {
        // The last one of the row has another word behind it, or none.
        if byte(text, place + 1) != gap && byte(text, place + 1).is_ascii_alphanumeric() {
            break;
        }
        map.piece(made.len(), place);
        made.push(byte(text, place));
        place += 1;
        let mut gaps = 0;
        while byte(text, place) == gap && gaps < 3 {
            place += 1;
            gaps += 1;
        }
        // Several: a blank between words.
        if gaps > 1 {
            made.push(gap);
        }
        if gaps == 0 {
            break;
        }
    }
    map.end(made.len(), place);
    (made.len() >= SHORTEST)
        .then_some((Made { via: Decoder::SpacedOut, text: made, map, changed: None }, place))
}

fn is_single(byte: u8, gap: u8) -> bool {
    byte.is_ascii_graphic() && byte != gap
}

/// The row of pairs of hexadecimal digits that has one at `at`.
fn pairs(text: &[u8], at: usize, floor: usize) -> Option<(Made, usize)> {
    let gap = byte(text, at + 2);
    if !matches!(gap, b' ' | b':' | b'-' | b',' | b'\n') {
        return None;
    }
    let fits =
        |at: usize| byte(text, at).is_ascii_hexdigit() && byte(text, at + 1).is_ascii_hexdigit();
    let step = |at: usize| matches!(byte(text, at), b' ' | b':' | b'-' | b',' | b'\n');
    if !(fits(at) && fits(at + 3) && step(at + 5) && fits(at + 6)) {
        return None;
    }
    let mut start = at;
    while start >= floor + 3 && step(start - 1) && fits(start - 3) && at - start < LONGEST {
        start -= 3;
    }
    let mut made = Vec::new();
    let mut place = start;
    while fits(place) && place - start < LONGEST {
        let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
        made.push(digit(byte(text, place)) << 4 | digit(byte(text, place + 1)));
        place += 2;
        if !step(place) {
            break;
        }
        place += 1;
    }
    let mut map = Map::new(start, 3, 1);
    map.end(made.len(), place);
    (made.len() >= 8 && is_text(&made))
        .then_some((Made { via: Decoder::Hex, text: made, map, changed: None }, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        find(text.as_bytes(), 0..text.len(), |made| {
            all.push(String::from_utf8_lossy(&made.text).into_owned())
        });
        all
    }

    #[test]
    fn rows_of_letters_and_of_digits() {
        assert_eq!(decoded("say s e c r e t w o r d s now"), ["secretwords"]);
        assert_eq!(decoded("73 65 63 72 65 74 20 77 6f 72 64"), ["secret word"]);
        assert_eq!(decoded("xx 73:65:63:72:65:74:20:77:6f:72:64"), ["secret word"]);
        assert!(decoded("it is a good day for a walk in a park").is_empty());
    }
}
