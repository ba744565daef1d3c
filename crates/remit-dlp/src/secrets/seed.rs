//! Phrases that a wallet is made from (BIP-39): 12, 15, 18, 21 or 24 words of a list of 2048, the
//! last bits of which are a checksum.

use std::{collections::HashMap, ops::Range, sync::LazyLock};

use sha2::{Digest as _, Sha256};

use crate::{
    found::{Class, Hit},
    text::{before, byte, part, run, run_back},
};

/// A phrase of 12 words has at least 59 bytes: a look at every so many bytes finds one of its words.
const STRIDE: usize = 40;

/// Every phrase that starts in `text[from..to]`.
pub(crate) fn find(text: &[u8], from: usize, to: usize, mut found: impl FnMut(Hit)) {
    let mut at = from;
    while at < to.min(text.len()) {
        at += STRIDE;
        if !looks_like_phrase(text, at) {
            continue;
        }
        let Some(word) = word_around(text, at) else { continue };
        if number(part(text, word.clone())).is_none() {
            continue;
        }
        let words = neighbours(text, word);
        if let Some(hit) = judge(text, &words) {
            at = at.max(hit.end);
            if (from..to).contains(&hit.start) {
                found(hit);
            }
        }
    }
}

/// Small letters around: most text of programs is out at once.
fn looks_like_phrase(text: &[u8], at: usize) -> bool {
    let around = part(text, at.saturating_sub(8)..at + 8);
    around.len() >= 8
        && around
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || is_gap(*byte) || byte.is_ascii_digit())
}

fn word_around(text: &[u8], at: usize) -> Option<Range<usize>> {
    let at = run(text, at, 6, |byte| !byte.is_ascii_lowercase());
    let range = run_back(text, at, 9, |byte| byte.is_ascii_lowercase())..run(text, at, 9, |byte| {
        byte.is_ascii_lowercase()
    });
    (3..=8).contains(&range.len()).then_some(range)
}

/// The words of the list around one of them, at most 24 each way.
fn neighbours(text: &[u8], word: Range<usize>) -> Vec<(Range<usize>, u16)> {
    let mut words = Vec::new();
    let mut here = word.clone();
    while let Some(found) = number(part(text, here.clone())) {
        words.push((here.clone(), found));
        let end = run_back(text, here.start, 6, is_gap);
        let start = run_back(text, end, 9, |byte| byte.is_ascii_lowercase());
        if words.len() > 24 || end == here.start || before(text, start).is_ascii_alphanumeric() {
            break;
        }
        here = start..end;
    }
    words.reverse();
    let mut here = word;
    while words.len() < 48 {
        let start = run(text, here.end, 6, is_gap);
        let end = run(text, start, 9, |byte| byte.is_ascii_lowercase());
        let Some(found) = number(part(text, start..end)) else { break };
        if start == here.end || byte(text, end).is_ascii_alphanumeric() {
            break;
        }
        words.push((start..end, found));
        here = start..end;
    }
    words
}

fn judge(text: &[u8], words: &[(Range<usize>, u16)]) -> Option<Hit> {
    if words.len() < 12 {
        return None;
    }
    // The list itself is in order.
    let sorted = words.windows(2).all(|pair| matches!(pair, [left, right] if left.1 < right.1));
    if sorted {
        return None;
    }
    let lengths = [24, 21, 18, 15, 12];
    let holds =
        lengths.iter().find_map(|length| words.windows(*length).find(|phrase| checksum(phrase)));
    let said = |start: usize| {
        let front = part(text, start.saturating_sub(80)..start);
        [&b"mnemonic"[..], b"seed", b"phrase", b"recovery", b"wallet", b"backup"]
            .iter()
            .any(|word| crate::text::mentions(front, word))
    };
    let whole = words.first()?.0.start..words.last()?.0.end;
    match holds {
        Some(phrase) => {
            let range = phrase.first()?.0.start..phrase.last()?.0.end;
            Some(Hit::new(range, Class::SeedPhrase, 95, "bip39"))
        }
        None if said(whole.start) && lengths.contains(&words.len()) => {
            Some(Hit::new(whole, Class::SeedPhrase, 75, "bip39"))
        }
        None => None,
    }
}

/// BIP-39: a phrase of n words has n·11 bits, of which n/3 are the start of the rest's SHA-256.
fn checksum(words: &[(Range<usize>, u16)]) -> bool {
    let bits: Vec<bool> = words
        .iter()
        .flat_map(|(_, number)| (0..11).rev().map(move |bit| number >> bit & 1 == 1))
        .collect();
    let check = words.len() / 3;
    let entropy = bits.len() - check;
    let byte = |bits: &[bool]| bits.iter().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
    let bytes: Vec<u8> = bits.get(..entropy).unwrap_or_default().chunks(8).map(byte).collect();
    let hash = Sha256::digest(&bytes);
    let first = hash.first().copied().unwrap_or(0);
    let stated = byte(bits.get(entropy..).unwrap_or_default());
    first >> (8 - check.min(8)) == stated
}

fn number(word: &[u8]) -> Option<u16> {
    static WORDS: LazyLock<HashMap<&[u8], u16>> =
        LazyLock::new(|| include_str!("bip39.txt").lines().map(str::as_bytes).zip(0..).collect());
    (3..=8).contains(&word.len()).then(|| WORDS.get(word).copied())?
}

/// Between two words: blanks, commas, quotes, numbers of a list.
const fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b'\n' | b'\r' | b'"' | b'\'' | b'-' | b'.' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        find(text.as_bytes(), 0, text.len(), |hit| found.push(text[hit.range()].to_owned()));
        found
    }

    #[test]
    fn a_phrase_with_its_checksum_is_found_in_prose() {
        // The vector of BIP-39 for the entropy 7f7f….
        let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
        assert_eq!(phrases(&format!("please write this down: {phrase}\nthanks")), [phrase]);
    }

    #[test]
    fn sentences_and_the_list_itself_are_none() {
        let list: String =
            include_str!("bip39.txt").lines().take(100).collect::<Vec<_>>().join("\n");
        assert!(phrases(&list).is_empty());
        assert!(
            phrases(
                "we can use the market report and the office will then call about the case again"
            )
            .is_empty()
        );
    }
}
