//! What stands for a secret without being one: examples, templates, masks.

use std::{collections::HashSet, sync::LazyLock};

/// Words that a value of an example has in it.
const MARKS: [&[u8]; 36] = [
    b"example",
    b"placeholder",
    b"changeme",
    b"change_me",
    b"change-me",
    b"changeit",
    b"your_",
    b"your-",
    b"yourpass",
    b"yourkey",
    b"yourtoken",
    b"yoursecret",
    b"xxxx",
    b"****",
    b"....",
    b"redacted",
    b"dummy",
    b"replace",
    b"insert",
    b"sample",
    b"<your",
    b"fake",
    b"not-a-real",
    b"notreal",
    b"todo",
    b"fixme",
    b"enter_",
    b"enter-",
    b"opensesame",
    b"open sesame",
    b"2yotnfzfejr1zcsicmwpaa",
    b"tgzv3jokf0xg5qx2tlkwia",
    b"_here",
    b"-here",
    b"goes here",
    b"lorem",
];

/// Runs that people type when they need something to stand there.
const RUNS: [&[u8]; 7] = [
    b"1234567890",
    b"0123456789",
    b"abcdefghij",
    b"qwertyuiop",
    b"abcdef0123456789abcdef",
    b"deadbeefdeadbeef",
    b"abcabcabc",
];

/// Whether a credential's value is an example's: a marked word, a sequence, hardly any variety.
pub(crate) fn is_example(value: &[u8]) -> bool {
    is_marked(value) || is_typed(value)
}

/// Whether a word of examples is in it.
pub(crate) fn is_marked(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    MARKS.iter().any(|mark| memchr::memmem::find(&lower, mark).is_some())
}

/// Whether it is a sequence, or has hardly any variety.
pub(crate) fn is_typed(value: &[u8]) -> bool {
    long_run(&value.to_ascii_lowercase()) || variety(value) < variety_wanted(value.len())
}

/// Whether a value is written in a template's or a program's way instead of being itself.
pub(crate) fn is_template(value: &[u8]) -> bool {
    let first = value.first().copied().unwrap_or(0);
    let last = value.last().copied().unwrap_or(0);
    let wrapped = matches!(
        (first, last),
        (b'<', b'>') | (b'[', b']') | (b'{', b'}') | (b'%', b'%') | (b'(', b')')
    );
    let inside: [&[u8]; 8] = [b"${", b"{{", b"$(", b"%(", b"#{", b"<%", b"}}", b"$env:"];
    let variable = first == b'$'
        && value.get(1).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && value
            .iter()
            .skip(1)
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'.');
    let format = matches!(value, b"%s" | b"%d" | b"%v" | b"%q" | b"%w" | b"{}" | b"%@" | b"?");
    wrapped
        || variable
        || format
        || inside.iter().any(|mark| memchr::memmem::find(value, mark).is_some())
        || value.starts_with(b"!") && value.iter().skip(1).all(u8::is_ascii_alphabetic)
        || value.starts_with(b"ENC[")
        || value.starts_with(b"vault:")
        || value.starts_with(b"op://")
        || value.starts_with(b"arn:")
        || value.starts_with(b"env:")
        || value.starts_with(b"secret:")
        || value.starts_with(b"{") && memchr::memchr(b'}', value).is_some()
}

/// Whether every word of the value is an ordinary one of programs and their examples.
pub(crate) fn is_words(value: &[u8]) -> bool {
    words(value).all(|word| is_word(&word))
}

/// The value's words: split at case, digits and marks; in lower case.
pub(crate) fn words(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut last = 0_u8;
    for &byte in value {
        let letter = byte.is_ascii_alphabetic();
        let starts = letter
            && (!last.is_ascii_alphabetic()
                || (byte.is_ascii_uppercase() && last.is_ascii_lowercase()));
        if starts {
            words.push(Vec::new());
        }
        if letter && let Some(word) = words.last_mut() {
            word.push(byte.to_ascii_lowercase());
        }
        last = byte;
    }
    words.into_iter()
}

/// Whether it is in the list of ordinary words.
pub(crate) fn is_word(word: &[u8]) -> bool {
    static WORDS: LazyLock<HashSet<&[u8]>> = LazyLock::new(|| {
        let program = include_str!("words.txt").split_whitespace();
        let english = include_str!("bip39.txt").lines();
        program.chain(english).map(str::as_bytes).collect()
    });
    let singular = word.strip_suffix(b"s").filter(|word| word.len() > 2);
    word.len() < 2 || WORDS.contains(word) || singular.is_some_and(|word| WORDS.contains(word))
}

/// Whether a typed sequence makes up much of the value.
fn long_run(lower: &[u8]) -> bool {
    let has = |run: &&[u8]| memchr::memmem::find(lower, run).is_some();
    if lower.len() < 40 && RUNS.iter().any(has) {
        return true;
    }
    // The same byte or the same step, again and again: `aaaa…`, `abcdefgh…`.
    let mut longest = 0;
    let mut length = 0;
    for pair in lower.windows(2) {
        let [left, right] = pair else { continue };
        let step = right.wrapping_sub(*left);
        length = if step <= 1 { length + 1 } else { 0 };
        longest = longest.max(length);
    }
    longest >= 7 || longest * 2 > lower.len().max(8)
}

/// How many different bytes the value has.
fn variety(value: &[u8]) -> usize {
    let mut seen = [false; 256];
    for &byte in value {
        if let Some(slot) = seen.get_mut(usize::from(byte)) {
            *slot = true;
        }
    }
    seen.iter().filter(|seen| **seen).count()
}

const fn variety_wanted(length: usize) -> usize {
    match length {
        0..=7 => 2,
        8..=15 => 4,
        16..=23 => 6,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_documentation_are_no_secrets() {
        for value in [
            "AKIAIOSFODNN7EXAMPLE",
            "xxxxxxxxxxxxxxxx",
            "your_api_key_here",
            "sk-1234567890abcdef1234567890",
            "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "********",
            "changeme",
            "abcdefghijklmnop",
        ] {
            assert!(is_example(value.as_bytes()), "{value}");
        }
        for value in
            ["${TOKEN}", "<token>", "{{ secret }}", "$PASS", "%s", "%(password)s", "{password}"]
        {
            assert!(is_template(value.as_bytes()), "{value}");
        }
        assert!(!is_example(b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ8T"));
        assert!(!is_template(b"$tr0ng!Pass"));
        assert!(is_words(b"my_secret_token"));
        assert!(!is_words(b"svkdbf"));
    }
}
