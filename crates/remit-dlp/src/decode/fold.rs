//! Characters that look like others, or like nothing (Unicode TR 36, TR 39).

use super::{explorer::Made, map::Map};
use crate::found::Decoder;

/// Letters of Cyrillic and Greek that look like Latin ones, and the Latin ones.
const LOOKALIKES: &str = "аaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwѵvАAВBЕEЅSІIЈJКKМMНHОOРPСCТTУYХXЗ3бbпnкkмmтtгrοoαaνvρpιiκkυuχxγyΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXɡgɑaցgոnօoսuɩiℓlᴏo";

/// The text with such characters as what they look like; nothing when there are none.
pub(super) fn fold(text: &[u8]) -> Option<Made> {
    if text.is_ascii() {
        return None;
    }
    let mut made = Vec::with_capacity(text.len());
    let mut map = Map::new(0, 1, 1);
    let mut changed = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let plain = rest.iter().position(|byte| *byte >= 0x80).unwrap_or(rest.len());
        made.extend_from_slice(rest.get(..plain).unwrap_or_default());
        at += plain;
        let Some((letter, length)) = letter(text.get(at..).unwrap_or_default()) else {
            // A byte of no character.
            made.extend(text.get(at));
            at += 1;
            continue;
        };
        match instead(text, at, letter, length) {
            Some((ascii, via)) => {
                changed.push((made.len(), via));
                map.piece(made.len(), at);
                made.extend(ascii);
                at += length;
                map.piece(made.len(), at);
            }
            None => {
                made.extend_from_slice(text.get(at..at + length).unwrap_or_default());
                at += length;
            }
        }
    }
    map.end(made.len(), text.len());
    (!changed.is_empty()).then_some(Made {
        via: Decoder::Homoglyph,
        text: made,
        map,
        changed: Some(changed),
    })
}

/// The character at the start.
fn letter(text: &[u8]) -> Option<(char, usize)> {
    let first = text.get(..text.len().min(4))?;
    let valid = match std::str::from_utf8(first) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(first.get(..error.valid_up_to())?).ok()?,
    };
    valid.chars().next().map(|letter| (letter, letter.len_utf8()))
}

/// What a character is read as, and why.
fn instead(text: &[u8], at: usize, letter: char, length: usize) -> Option<(Option<u8>, Decoder)> {
    let code = u32::from(letter);
    match code {
        // Invisible: soft hyphen, joiners, marks of direction, variation selectors, tags.
        0xad
        | 0x34f
        | 0x61c
        | 0x115f
        | 0x1160
        | 0x17b4
        | 0x17b5
        | 0x180b..=0x180f
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x206f
        | 0x3164
        | 0xfe00..=0xfe0f
        | 0xfeff
        | 0xffa0
        | 0xe0000..=0xe01ef => Some((None, Decoder::ZeroWidth)),
        // Marks over Latin letters, more than a language has.
        0x300..=0x36f if before_is_ascii(text, at) => Some((None, Decoder::Homoglyph)),
        0xff01..=0xff5e => {
            u8::try_from(code - 0xff01 + 0x21).ok().map(|byte| (Some(byte), Decoder::FullWidth))
        }
        0x3000 => Some((Some(b' '), Decoder::FullWidth)),
        0x1d400..=0x1d6a3 => {
            let place = (code - 0x1d400) % 52;
            let base =
                if place < 26 { u32::from(b'A') + place } else { u32::from(b'a') + place - 26 };
            u8::try_from(base).ok().map(|byte| (Some(byte), Decoder::FullWidth))
        }
        0x1d7ce..=0x1d7ff => u8::try_from(u32::from(b'0') + (code - 0x1d7ce) % 10)
            .ok()
            .map(|byte| (Some(byte), Decoder::FullWidth)),
        // Digits of other scripts.
        0x660..=0x669 | 0x6f0..=0x6f9 | 0x966..=0x96f => {
            u8::try_from(u32::from(b'0') + (code & 15) - if code >= 0x966 { 6 } else { 0 })
                .ok()
                .map(|byte| (Some(byte), Decoder::FullWidth))
        }
        // Dashes and blanks of typography between digits.
        0x2010..=0x2015 | 0x2212 | 0xfe63 if between_digits(text, at, length) => {
            Some((Some(b'-'), Decoder::Homoglyph))
        }
        0x2000..=0x200a | 0x202f | 0x205f if between_digits(text, at, length) => {
            Some((Some(b' '), Decoder::Homoglyph))
        }
        0x370..=0x58f | 0x251 | 0x261 | 0x269 | 0x2113 | 0x1d0f
            if beside_ascii(text, at, length) =>
        {
            let mut pairs = LOOKALIKES.chars();
            while let (Some(odd), Some(plain)) = (pairs.next(), pairs.next()) {
                if odd == letter {
                    return u8::try_from(u32::from(plain))
                        .ok()
                        .map(|byte| (Some(byte), Decoder::Homoglyph));
                }
            }
            None
        }
        _ => None,
    }
}

fn before_is_ascii(text: &[u8], at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|at| text.get(at))
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
}

fn between_digits(text: &[u8], at: usize, length: usize) -> bool {
    let digit = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b')' | b'('))
    };
    digit(at.checked_sub(1)) && digit(Some(at + length))
}

/// Whether the word that the character is in has ASCII letters or digits in it.
fn beside_ascii(text: &[u8], at: usize, length: usize) -> bool {
    let word = |byte: &&u8| {
        byte.is_ascii_alphanumeric() || **byte >= 0x80 || matches!(**byte, b'_' | b'-')
    };
    let front = text.get(at.saturating_sub(24)..at).unwrap_or_default();
    let back = text.get(at + length..text.len().min(at + length + 24)).unwrap_or_default();
    front
        .iter()
        .rev()
        .take_while(word)
        .chain(back.iter().take_while(word))
        .any(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Option<String> {
        fold(text.as_bytes()).map(|made| String::from_utf8_lossy(&made.text).into_owned())
    }

    #[test]
    fn lookalikes_and_invisible_ones() {
        assert_eq!(folded("AK\u{200b}IA").as_deref(), Some("AKIA"));
        assert_eq!(folded("ＡＫＩＡ１２").as_deref(), Some("AKIA12"));
        assert_eq!(folded("\u{410}KI\u{410}").as_deref(), Some("AKIA"));
        assert_eq!(folded("4111‑1111").as_deref(), Some("4111-1111"));
        assert_eq!(folded("привет мир"), None);
        assert_eq!(folded("naïve café"), None);
    }
}
