//! Addresses of crypto currencies, by their own checksums.

use sha2::{Digest as _, Sha256};
use sha3::Keccak256;

use super::cue::{Around, Cue};
use crate::{
    context::Role,
    found::{Class, Hit},
    text::{byte, part, run},
};

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Words that start addresses with bech32: what the walk stops at.
pub(crate) const FIRSTS: [[u8; 3]; 4] = [*b"bc1", *b"ltc", *b"tb1", *b"add"];

/// The address that starts with the digit at `at`: `0x…`, `1…`, `3…`.
pub(crate) fn number(around: &Around<'_>, at: usize) -> Option<Hit> {
    match (byte(around.text, at), byte(around.text, at + 1)) {
        (b'0', b'x') => ethereum(around, at),
        (b'1' | b'3', next) if next.is_ascii_alphanumeric() => base58(around.text, at),
        _ => None,
    }
}

/// ERC-55: the case of the letters is a checksum.
fn ethereum(around: &Around<'_>, at: usize) -> Option<Hit> {
    let end = run(around.text, at + 2, 42, |byte| byte.is_ascii_alphanumeric());
    let digits = part(around.text, at + 2..end);
    if digits.len() != 40 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let hash = Keccak256::digest(&lower);
    let holds = digits.iter().enumerate().all(|(place, digit)| {
        let byte = hash.get(place / 2).copied().unwrap_or(0);
        let nibble = if place % 2 == 0 { byte >> 4 } else { byte & 15 };
        !digit.is_ascii_alphabetic() || digit.is_ascii_uppercase() == (nibble >= 8)
    });
    let one_case = digits == lower || digits.iter().all(|byte| !byte.is_ascii_lowercase());
    let varied = lower.windows(2).filter(|pair| pair.first() != pair.last()).count() > 20;
    let cue = around.cue(at, &[Role::Wallet]);
    let sure = holds && !one_case || cue == Cue::Yes;
    (sure && varied)
        .then(|| Hit::new(at..end, Class::CryptoWallet, if holds { 95 } else { 75 }, "ethereum"))
}

/// Base58Check: version, 20 bytes, four bytes of a double SHA-256.
fn base58(text: &[u8], at: usize) -> Option<Hit> {
    let end = run(text, at, 36, |byte| byte.is_ascii_alphanumeric());
    let value = part(text, at..end);
    if !(26..=35).contains(&value.len()) {
        return None;
    }
    let mut bytes = [0_u8; 25];
    for letter in value {
        let mut carry = BASE58.iter().position(|digit| digit == letter)?;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    let (body, sum) = bytes.split_at(21);
    let hash = Sha256::digest(Sha256::digest(body));
    let holds = hash.get(..4) == Some(sum) && matches!(body.first(), Some(0 | 5));
    holds.then(|| Hit::new(at..end, Class::CryptoWallet, 97, "bitcoin"))
}

/// BIP-173, BIP-350.
pub(crate) fn bech32(text: &[u8], at: usize) -> Option<Hit> {
    let prefix = ["bc", "ltc", "tb", "addr"].into_iter().find(|prefix| {
        let word = part(text, at..at + prefix.len() + 1);
        word.strip_suffix(b"1") == Some(prefix.as_bytes())
    })?;
    let start = at + prefix.len() + 1;
    let end = run(text, start, 110, |byte| byte.is_ascii_alphanumeric());
    let data = part(text, start..end);
    if data.len() < 14 {
        return None;
    }
    let values = data.iter().map(|letter| {
        BECH32.iter().position(|digit| digit == letter).and_then(|place| u8::try_from(place).ok())
    });
    let values: Vec<u8> = values.collect::<Option<_>>()?;
    let head =
        prefix.bytes().map(|byte| byte >> 5).chain([0]).chain(prefix.bytes().map(|byte| byte & 31));
    let sum = polymod(head.chain(values));
    matches!(sum, 1 | 0x2bc8_30a3).then(|| Hit::new(at..end, Class::CryptoWallet, 97, "bech32"))
}

fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.fold(1, |sum, value| {
        let top = sum >> 25;
        let sum = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        GENERATOR
            .iter()
            .enumerate()
            .fold(sum, |sum, (bit, row)| if top >> bit & 1 == 1 { sum ^ row } else { sum })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_standards_vectors() {
        assert!(bech32(b"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", 0).is_some());
        assert!(bech32(b"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp", 0).is_none());
        assert!(base58(b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", 0).is_some());
        assert!(base58(b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3", 0).is_none());
    }
}
