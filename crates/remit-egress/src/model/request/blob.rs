//! Values in files, images and uploads, where nothing can be replaced.

use super::{BY_CHANCE, Search};
use crate::model::Place;
use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

impl Search<'_> {
    /// Searches bytes of any kind; true when something is found.
    pub(super) fn data(&mut self, bytes: &[u8]) -> bool {
        let least = if std::str::from_utf8(bytes).is_ok() { 0 } else { BY_CHANCE };
        let mut found = false;
        for finding in self.masker.detector.find(bytes) {
            if finding.range.len() >= least {
                self.count(&finding.class, Place::Data);
                found = true;
            }
        }
        found
    }

    /// Searches a body in UTF-16 or UTF-32, which some servers read as JSON (RFC 4627 section 3);
    /// false when it is in neither.
    pub(super) fn wide(&mut self, body: &[u8]) -> bool {
        let Some(text) = wide(body) else { return false };
        self.fixed(&text, 0, Place::Data);
        true
    }

    /// Searches what a `data:` URL holds (RFC 2397); false when it is not base64.
    pub(super) fn data_url(&mut self, text: &str) -> bool {
        match text.split_once(',') {
            Some((head, body)) if head.ends_with(";base64") => {
                let read = self.base64(body);
                if read {
                    self.fixed(head, 0, Place::Fixed);
                }
                read
            }
            _ => false,
        }
    }

    /// Searches what a base64 text says; false when it is no base64, and so text.
    pub(super) fn base64(&mut self, text: &str) -> bool {
        let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        let spaced = text.contains(|character: char| character.is_ascii_whitespace());
        let packed: String;
        let digits = if spaced {
            packed = text.split_ascii_whitespace().collect();
            packed.as_str()
        } else {
            text
        };
        if digits.len() < FILE {
            return false;
        }
        if digits.len() / 4 * 3 > MAX_DECODED {
            self.unread = self.unread.saturating_add(1);
            return true;
        }
        let config = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        let Ok(bytes) = GeneralPurpose::new(alphabet, config).decode(digits) else {
            return false;
        };
        if !self.data(&bytes) {
            // Plain text may happen to be base64 as well, words with spaces too.
            self.fixed(text, PLAIN, Place::Data);
        }
        true
    }
}

/// The text of UTF-16 and UTF-32, told by a byte order mark or by the zeros of a first ASCII
/// character.
fn wide(body: &[u8]) -> Option<String> {
    let utf16 = |unit: fn([u8; 2]) -> u16| -> String {
        let units = body.as_chunks::<2>().0.iter().map(|two| unit(*two));
        char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    let utf32 = |unit: fn([u8; 4]) -> u32| -> String {
        let units = body.as_chunks::<4>().0.iter().map(|four| unit(*four));
        units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match body {
        [0xff, 0xfe, 0, 0, ..] | [1..=0xff, 0, 0, 0, ..] => Some(utf32(u32::from_le_bytes)),
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=0xff, ..] => Some(utf32(u32::from_be_bytes)),
        [0xff, 0xfe, ..] | [1..=0xff, 0, ..] => Some(utf16(u16::from_le_bytes)),
        [0xfe, 0xff, ..] | [0, 1..=0xff, ..] => Some(utf16(u16::from_be_bytes)),
        _ => None,
    }
}

/// Larger files are not searched; the caller is told.
const MAX_DECODED: usize = 8 << 20;
/// Shorter texts are no files.
const FILE: usize = 32;
/// A value of this length does not stand in base64 by chance.
const PLAIN: usize = 8;
