//! One value in the encodings that programs use every day.

use base64::{
    Engine,
    alphabet::{Alphabet, STANDARD, URL_SAFE},
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};

/// The value's encoded forms that differ from the value. Short values have none: four hex digits
/// stand in any file.
pub(crate) fn of(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    if bytes.len() < MIN_BYTES {
        return Vec::new();
    }
    let mut forms = vec![hex(bytes, b"0123456789abcdef"), hex(bytes, b"0123456789ABCDEF")];
    forms.push(percent(bytes, b"0123456789ABCDEF"));
    forms.push(percent(bytes, b"0123456789abcdef"));
    for alphabet in [&STANDARD, &URL_SAFE] {
        forms.extend((0..3).filter_map(|before| base64_behind(bytes, before, alphabet)));
    }
    forms.retain(|form| form != bytes);
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| nibbles(*byte, digits)).collect()
}

/// RFC 3986 section 2.1: everything but unreserved characters.
fn percent(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(*byte);
        } else {
            text.push(b'%');
            text.extend(nibbles(*byte, digits));
        }
    }
    text
}

fn nibbles(byte: u8, digits: &[u8; 16]) -> impl Iterator<Item = u8> {
    [byte >> 4, byte & 15].into_iter().filter_map(|at| digits.get(usize::from(at)).copied())
}

/// The characters that hold only bits of `bytes` when `before` other bytes stand in front of them
/// in their group of three.
fn base64_behind(bytes: &[u8], before: usize, alphabet: &Alphabet) -> Option<Vec<u8>> {
    let mut padded = vec![0; before];
    padded.extend_from_slice(bytes);
    let text = GeneralPurpose::new(alphabet, NO_PAD).encode(&padded);
    let first = before.saturating_mul(8).div_ceil(6);
    let last = padded.len().saturating_mul(8) / 6;
    text.as_bytes().get(first..last).map(<[u8]>::to_vec)
}

/// From here on an encoded form is long enough to mean something.
const MIN_BYTES: usize = 6;
