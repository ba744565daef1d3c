//! Values, a masker for them, and looking for them.

use std::sync::Arc;

use bytes::BytesMut;
use remit_core::{DataAction, DataClass};
use remit_dlp::KnownValues;
use remit_egress::model::{LENGTH, MaskRules, Masker, Unmasker, Vault};
use serde_json::Value;

/// Values with everything that some layer escapes.
pub(crate) const VALUES: [(&str, &str); 9] = [
    ("Ada Lovelace", "PERSON"),
    ("ada@example.org", "EMAIL"),
    ("C:\\Users\\ada", "ADDRESS"),
    ("say \"hi\" to Zoë", "PERSON"),
    ("Łódź 12/a", "ADDRESS"),
    ("two\nlines\tof it", "MEDICAL"),
    ("face 😀 face", "PERSON"),
    ("+44 20 7946 0958", "PHONE"),
    ("sk-live-0123456789abcdef", "API_KEY"),
];

/// What people write that looks like a pseudonym.
pub(crate) const LOOK_ALIKE: &str = "PII-E0123456789AB";

struct MaskAll;

impl MaskRules for MaskAll {
    fn action(&self, class: &DataClass) -> DataAction {
        match class.as_str() {
            "CANARY" => DataAction::Block,
            "SALARY" => DataAction::Alert,
            _ => DataAction::Mask,
        }
    }
}

pub(crate) fn masker() -> Masker {
    masker_of(&VALUES)
}

pub(crate) fn masker_of(values: &[(&str, &str)]) -> Masker {
    let class = |word: &str| DataClass::parse(word).expect("class");
    let known = KnownValues::new(values.iter().map(|(value, word)| (*value, class(word))));
    let vault = Arc::new(Vault::new(&[7; 32]));
    Masker::new(vault, Arc::new(known.expect("values")), Arc::new(MaskAll))
}

/// A whole answer through the unmasker, in pieces of `size` bytes.
pub(crate) fn restored(mut unmasker: Unmasker, bytes: &[u8], size: usize) -> Vec<u8> {
    let mut out = BytesMut::new();
    for piece in bytes.chunks(size) {
        unmasker.push(piece, &mut out);
        assert!(unmasker.held() < LENGTH, "more is held than a pseudonym less one byte");
    }
    unmasker.finish(&mut out);
    assert_eq!(unmasker.held(), 0);
    out.to_vec()
}

/// Asserts that no value stands in a text in any spelling of JSON strings, to any depth.
pub(crate) fn assert_masked(body: &[u8]) {
    let mut text = String::from_utf8(body.to_vec()).expect("text");
    for _ in 0..4 {
        for (value, _) in VALUES {
            assert!(!text.contains(value), "{value:?} went out in {text}");
        }
        let next = unescaped(&text);
        if next == text {
            break;
        }
        text = next;
    }
}

/// Asserts that no pseudonym stands in a text.
pub(crate) fn assert_restored(text: &str) {
    let found = text
        .match_indices("PII-")
        .chain(text.match_indices("SEC-"))
        .filter_map(|(at, _)| text.get(at + 4..at + LENGTH))
        .filter(|rest| rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
        .find(|rest| !LOOK_ALIKE.ends_with(rest));
    assert_eq!(found, None, "a pseudonym reached the agent in {text}");
}

/// Reads backslash escapes wherever they stand.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let length = [12, 6, 2].into_iter().find_map(|length| {
            let escape = rest.get(at..at + length)?;
            let read: String = serde_json::from_str(&format!("\"{escape}\"")).ok()?;
            (read.chars().count() == 1).then(|| {
                out.push_str(&read);
                length
            })
        });
        if length.is_none() {
            out.push('\\');
        }
        rest = &rest[at + length.unwrap_or(1)..];
    }
    out.push_str(rest);
    out
}

/// JSON as programs write it that escape everything but ASCII, and slashes.
pub(crate) fn ascii(value: &Value) -> String {
    let mut out = String::new();
    for character in value.to_string().chars() {
        match character {
            '/' => out.push_str("\\/"),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}
