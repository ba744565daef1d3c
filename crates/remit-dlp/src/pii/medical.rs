//! Statements about health: a code or words after a diagnosis.

use crate::{
    found::{Class, Hit},
    text::{before, byte, is_word, part, run, says},
};

/// Ways that a statement goes on.
const VERBS: [&str; 22] = [
    "with ",
    "of ",
    "as ",
    "is ",
    "for ",
    "to ",
    "mit ",
    "an ",
    "auf ",
    "con ",
    "de ",
    "d'",
    "avec ",
    "di ",
    "com ",
    "met ",
    "na ",
    "z ",
    "was ",
    "includes ",
    "medikament ",
    ": ",
];

/// The statement that follows a word which ended at `at`.
pub(crate) fn after(text: &[u8], word: &[u8], at: usize) -> Option<Hit> {
    if let Some(hit) = code(text, at) {
        return Some(hit);
    }
    let patient =
        [&b"patient"[..], b"paciente", b"paziente", b"icd", b"chronic", b"symptom", b"medical"]
            .iter()
            .any(|name| says(word, 0, name));
    let mut place =
        run(text, at, 6, |byte| matches!(byte, b'"' | b'\'' | b' ' | b'\\' | b'*' | b')'));
    let field = matches!(byte(text, place), b':' | b'=' | b'>')
        || part(text, place..place + 3) == "：".as_bytes();
    if field {
        let width = if byte(text, place) == 0xef { 3 } else { 1 };
        place = run(text, place + width, 8, |byte| {
            matches!(byte, b'"' | b'\'' | b' ' | b'\\' | b'=' | b'*' | b'[')
        });
    } else {
        let verb = VERBS
            .iter()
            .find(|verb| says(text, place, verb.as_bytes()) && before(text, place) == b' ')?;
        place += verb.len();
    }
    if patient || !is_word(byte(text, place)) || byte(text, place).is_ascii_digit() {
        return None;
    }
    let end = run(text, place, 60, |byte| {
        is_word(byte) || matches!(byte, b' ' | b'-' | b'(' | b')' | b'/' | b'\'')
    });
    let end = end
        - part(text, place..end)
            .iter()
            .rev()
            .take_while(|byte| matches!(**byte, b' ' | b'-' | b'(' | b'/'))
            .count();
    let value = part(text, place..end);
    let letters = value.iter().filter(|byte| is_word(**byte)).count();
    // A field of a program: `diagnosis = None`, `diagnosis: str`.
    let code = [
        &b"None"[..],
        b"null",
        b"str",
        b"string",
        b"String",
        b"self",
        b"true",
        b"false",
        b"new ",
        b"the ",
        b"a ",
        b"this ",
        b"Option",
    ]
    .iter()
    .any(|word| value.starts_with(word))
        || byte(text, end) == b'_'
        || byte(text, end) == b'.' && is_word(byte(text, end + 1));
    let said = field || letters >= 6;
    (letters >= 3 && said && !code && byte(text, end) != b'=')
        .then(|| Hit::new(place..end, Class::Medical, 65, "statement"))
}

/// A code of ICD-10 shortly after.
fn code(text: &[u8], at: usize) -> Option<Hit> {
    let stop = at + 32;
    let mut place = at;
    while place < stop {
        place = run(text, place, stop - place, |byte| !byte.is_ascii_uppercase() && byte != b'\n');
        if byte(text, place) == b'\n' || place >= stop {
            return None;
        }
        let shape = byte(text, place) != b'U'
            && byte(text, place + 1).is_ascii_digit()
            && byte(text, place + 2).is_ascii_alphanumeric()
            && !is_word(before(text, place));
        if shape {
            let mut end = place + 3;
            if byte(text, end) == b'.' && byte(text, end + 1).is_ascii_digit() {
                end = run(text, end + 1, 4, |byte| byte.is_ascii_alphanumeric());
            }
            return (!is_word(byte(text, end)))
                .then(|| Hit::new(place..end, Class::Medical, 80, "icd-10"));
        }
        place += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_and_codes() {
        assert!(after(b" with type 2 diabetes", b"diagnosed", 0).is_some());
        assert!(after(b": E11.9", b"diagnosis", 0).is_some());
        assert!(after(b"\": \"Hypertension\"", b"diagnosis", 0).is_some());
        assert_eq!(after(b" = None", b"diagnosis", 0), None);
        assert_eq!(after(b" the problem quickly", b"diagnose", 0), None);
    }
}
