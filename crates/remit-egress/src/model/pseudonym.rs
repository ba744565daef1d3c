//! What stands in place of a value: `PII-E7K2M9QXTR4W8V3H`.
//!
//! A pseudonym is ASCII, of one length, and made of characters that JSON, URLs, shells, file names
//! and Markdown leave alone: a prefix of four, a letter for the class, ten characters of a keyed
//! hash, two check characters. One length means that none begins another one, and that whoever
//! reads a stream holds back at most [`LENGTH`] − 1 bytes.

use remit_core::{DataClass, DataGroup};

/// Bytes of every pseudonym.
pub const LENGTH: usize = 17;

/// A pseudonym's text.
pub(crate) type Text = [u8; LENGTH];

/// Spells the pseudonym of a hash.
pub(crate) fn spell(class: &DataClass, hash: &[u8]) -> Text {
    let mut text = [b'0'; LENGTH];
    let prefix = if class.group() == DataGroup::Secrets { SECRET } else { PERSONAL };
    let head = prefix.iter().copied().chain([letter(class)]);
    // Five bits for each of the ten characters.
    let bits = hash.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let body = (0..BODY).map(|at| digit(bits >> (at * 5)));
    for (slot, byte) in text.iter_mut().zip(head.chain(body)) {
        *slot = byte;
    }
    let check = check(&text);
    for (slot, byte) in text.iter_mut().skip(CHECKED).zip(check) {
        *slot = byte;
    }
    text
}

/// The next place at or behind `from` where a pseudonym's prefix stands whole.
pub(crate) fn next_prefix(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let dash = at.checked_add(memchr::memchr(b'-', text.get(at..)?)?)?;
        at = dash.checked_add(1)?;
        let start = dash.saturating_sub(3).max(from);
        if text.get(start..at).is_some_and(|word| word == PERSONAL || word == SECRET) {
            return Some(start);
        }
    }
}

/// What stands at a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A pseudonym with good check characters.
    Good(Text),
    /// It has the form, and somebody changed a character.
    Mangled,
    /// Something else.
    Other,
}

/// Reads the pseudonym that begins at `at`.
pub(crate) fn read(text: &[u8], at: usize) -> Shape {
    let Some(text) = text.get(at..).and_then(|rest| rest.first_chunk::<LENGTH>()) else {
        return Shape::Other;
    };
    if !viable(text) {
        return Shape::Other;
    }
    if text.iter().skip(CHECKED).copied().eq(check(text)) {
        Shape::Good(*text)
    } else {
        Shape::Mangled
    }
}

/// Where the part of `text` begins that may still become a pseudonym; its end when none can.
pub(crate) fn held_from(text: &[u8]) -> usize {
    let first = text.len().saturating_sub(LENGTH - 1);
    (first..text.len()).find(|at| text.get(*at..).is_some_and(viable)).unwrap_or(text.len())
}

/// Whether this is a pseudonym, or begins one, judged by its characters.
fn viable(text: &[u8]) -> bool {
    let head = text.len().min(PERSONAL.len());
    let (prefix, rest) = text.split_at_checked(head).unwrap_or((text, &[]));
    (PERSONAL.starts_with(prefix) || SECRET.starts_with(prefix))
        && rest.iter().all(|byte| DIGITS.contains(byte) || byte.is_ascii_uppercase())
}

/// Two characters over everything before them: a changed character or two exchanged ones show.
fn check(text: &Text) -> [u8; 2] {
    // Weights from a generator of the field of 1021 elements, the largest prime below 2^10.
    let mut sum = 0_u64;
    for byte in text.iter().take(CHECKED) {
        sum = (sum * 7 + u64::from(*byte)) % 1021;
    }
    [digit(sum), digit(sum >> 5)]
}

/// The character of the lowest five bits.
fn digit(bits: u64) -> u8 {
    let at = usize::try_from(bits & 31).unwrap_or_default();
    DIGITS.get(at).copied().unwrap_or(b'0')
}

/// A letter that tells a reader (and the model) what kind of value it stands for.
fn letter(class: &DataClass) -> u8 {
    match class.as_str() {
        "PERSON" => b'N',
        "ADDRESS" | "LOCATION" => b'A',
        "ORGANIZATION" => b'R',
        "EMAIL" => b'E',
        "PHONE" => b'P',
        "CREDIT_CARD" => b'C',
        "IBAN" | "BANK_ACCOUNT" => b'B',
        "NATIONAL_ID" => b'D',
        "DATE_OF_BIRTH" => b'T',
        "IP_ADDRESS" => b'H',
        "MEDICAL" => b'M',
        "SALARY" => b'S',
        "CRYPTO_WALLET" => b'W',
        "API_KEY" | "BEARER" | "JWT" => b'K',
        "PASSWORD" | "SEED_PHRASE" => b'Q',
        "PRIVATE_KEY" => b'V',
        "CONNECTION_STRING" => b'Z',
        _ => b'X',
    }
}

const PERSONAL: &[u8] = b"PII-";
const SECRET: &[u8] = b"SEC-";
/// Crockford's base 32: no characters that are mistaken for one another.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of the hash.
const BODY: u32 = 10;
/// Characters that the check covers.
const CHECKED: usize = LENGTH - 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(word: &str, seed: u8) -> Text {
        spell(&DataClass::parse(word).expect(word), &[seed; 32])
    }

    #[test]
    fn a_dash_at_the_beginning_hides_no_pseudonym() {
        for before in ["-", "a-", "RC-FINAL about ", "--", "é-"] {
            let text = format!("{before}PII-");
            assert_eq!(next_prefix(text.as_bytes(), 0), Some(before.len()), "{text}");
        }
    }

    #[test]
    fn a_pseudonym_is_read_where_it_stands() {
        let text = one("EMAIL", 7);
        assert!(text.starts_with(b"PII-E"));
        assert!(one("API_KEY", 7).starts_with(b"SEC-K"));
        let around = [b"xPII-".as_slice(), &text, &text, b"7"].concat();
        assert_eq!(next_prefix(&around, 0), Some(1));
        assert_eq!(next_prefix(&[b"- ".as_slice(), &text].concat(), 0), Some(2));
        assert_eq!(next_prefix(&around, 2), Some(5));
        assert_eq!(read(&around, 5), Shape::Good(text));
        assert_eq!(read(&around, 5 + LENGTH), Shape::Good(text));
        assert_eq!(read(&around, 6 + LENGTH), Shape::Other);
    }

    #[test]
    fn a_changed_or_exchanged_character_is_noticed() {
        let text = one("PHONE", 0x5a);
        for at in 4..LENGTH {
            for other in DIGITS {
                let mut changed = text;
                changed[at] = *other;
                let expected = if changed == text { Shape::Good(text) } else { Shape::Mangled };
                assert_eq!(read(&changed, 0), expected, "{at}");
            }
        }
        for at in 4..LENGTH - 1 {
            let mut swapped = text;
            swapped.swap(at, at + 1);
            if swapped != text {
                assert_eq!(read(&swapped, 0), Shape::Mangled, "{at}");
            }
        }
    }

    #[test]
    fn only_what_may_become_a_pseudonym_is_held() {
        let text = one("PERSON", 1);
        for end in 1..LENGTH {
            let begun = [b"I am ".as_slice(), &text[..end]].concat();
            assert_eq!(held_from(&begun), 5, "{end}");
        }
        let held = |text: &[u8]| text.len() - held_from(text);
        assert_eq!(held(&text), 0);
        assert_eq!(held(b"PIPI"), 2);
        assert_eq!(held(b"PII-e"), 0);
        assert_eq!(held(b"PII- "), 0);
        assert_eq!(held(b"SECP"), 1);
        assert_eq!(held(b""), 0);
    }
}
