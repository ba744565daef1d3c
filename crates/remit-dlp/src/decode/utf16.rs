//! UTF-16 (RFC 2781), with or without a byte order mark.

use super::{explorer::Made, map::Map};
use crate::found::Decoder;

/// The text as UTF-8, if every other byte is mostly NUL.
pub(super) fn decode(text: &[u8]) -> Option<Made> {
    let (big, skip) = match text {
        [0xff, 0xfe, ..] => (false, 2),
        [0xfe, 0xff, ..] => (true, 2),
        _ => {
            let sample = text.get(..text.len().min(4096))?;
            let zeros =
                |odd: usize| sample.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
            let (even, odd) = (zeros(0), zeros(1));
            let half = sample.len() / 2;
            if half < 6 {
                return None;
            }
            if odd * 10 >= half * 7 && even * 10 < half {
                (false, 0)
            } else if even * 10 >= half * 7 && odd * 10 < half {
                (true, 0)
            } else {
                return None;
            }
        }
    };
    let units = text.get(skip..)?.chunks_exact(2).map(|pair| match pair {
        [first, second] if big => u16::from_be_bytes([*first, *second]),
        [first, second] => u16::from_le_bytes([*first, *second]),
        _ => 0,
    });
    let mut made = Vec::with_capacity(text.len() / 2);
    let mut map = Map::new(skip, 2, 1);
    let mut read = skip;
    let mut straight = true;
    for letter in char::decode_utf16(units) {
        let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
        let ascii = letter.is_ascii();
        if !ascii || !straight {
            map.piece(made.len(), read);
        }
        straight = ascii;
        made.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        read += letter.len_utf16() * 2;
    }
    map.end(made.len(), read);
    Some(Made { via: Decoder::Utf16, text: made, map, changed: None })
}
