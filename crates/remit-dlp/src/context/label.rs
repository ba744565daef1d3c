//! The name directly before a value: `"phone": "…"`, `SSN=…`, `<iban>…`, `Tel.: …`.

use std::ops::Range;

use crate::text::{before, byte, is_word, run_back};

/// A label is looked for so far back.
const REACH: usize = 64;

/// A label and what kind of separator follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// The name.
    pub(crate) name: Range<usize>,
    /// Whether it is a field's name in data or code, rather than words before a colon.
    pub(crate) field: bool,
}

/// The label of the value that starts at `at`, if a separator stands before it.
pub(crate) fn label(text: &[u8], at: usize) -> Option<Label> {
    // Quotes (also escaped ones), blanks and brackets between the separator and the value.
    let quiet =
        |byte: u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b' ' | b'\t' | b'(' | b'[' | b'+');
    let mut end = run_back(text, at, 8, quiet);
    match before(text, end) {
        b'=' | b':' => {
            end = run_back(text, end, 3, |byte| matches!(byte, b'=' | b':'));
        }
        b'>' => {
            // `<phone>+49…` or `phone => …`.
            end = run_back(text, end, 1, |byte| byte == b'>');
            end = run_back(text, end, 1, |byte| byte == b'=' || byte == b'-');
        }
        // A full-width colon, as Chinese and Japanese texts have it: EF BC 9A.
        0x9a if before(text, end - 1) == 0xbc => end = end.saturating_sub(3),
        _ => return None,
    }
    let end = run_back(text, end, 4, |byte| {
        matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b' ' | b'\t' | b'*' | b']')
    });
    let name = |byte: u8| is_word(byte) || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'@');
    let start = run_back(text, end, REACH, name);
    let quoted = matches!(byte(text, end), b'"' | b'\'' | b'\\');
    let tight = quoted
        || matches!(byte(text, end), b'=' | b':' | b'>')
            && !byte(text, end + 1).is_ascii_whitespace();
    if quoted || tight && byte(text, end) != b':' {
        return (start < end).then_some(Label { name: start..end, field: true });
    }
    // Words before a colon: as far as the line, the sentence or the cell goes.
    let words = |byte: u8| {
        is_word(byte)
            || matches!(
                byte,
                b' ' | b'_' | b'-' | b'.' | b'/' | b'(' | b')' | b'\'' | b'#' | b'&' | b'*'
            )
    };
    let start = run_back(text, end, 40, words);
    (start < end).then_some(Label { name: start..end, field: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str, value: &str) -> Option<String> {
        let at = text.find(value)?;
        label(text.as_bytes(), at).map(|label| text[label.name].trim().to_owned())
    }

    #[test]
    fn labels_of_data_code_and_prose() {
        assert_eq!(name(r#"{"a": 1, "phone": "555"}"#, "555").as_deref(), Some("phone"));
        assert_eq!(name(r#"{\"phone\":\"555\"}"#, "555").as_deref(), Some("phone"));
        assert_eq!(name("SSN=123", "123").as_deref(), Some("SSN"));
        assert_eq!(name("<tel>555", "555").as_deref(), Some("tel"));
        assert_eq!(name("Phone number (home): 555", "555").as_deref(), Some("Phone number (home)"));
        assert_eq!(name("电话：555", "555").as_deref(), Some("电话"));
        assert_eq!(name("call 555", "555"), None);
    }
}
