//! Names of fields and variables: which of them hold a secret.

use std::ops::Range;

use super::placeholder::words;
use crate::{
    context::Role,
    text::{before, part, run, run_back},
};

/// Last words that make the name one of something about a secret, not of the secret.
const ABOUT: [&str; 90] = [
    "hash",
    "hashes",
    "hashed",
    "digest",
    "length",
    "len",
    "size",
    "count",
    "limit",
    "max",
    "min",
    "name",
    "names",
    "id",
    "ids",
    "file",
    "files",
    "filename",
    "path",
    "dir",
    "url",
    "uri",
    "link",
    "endpoint",
    "type",
    "types",
    "kind",
    "field",
    "label",
    "policy",
    "policies",
    "expiry",
    "expires",
    "expiration",
    "expire",
    "ttl",
    "age",
    "regex",
    "pattern",
    "prompt",
    "hint",
    "required",
    "enabled",
    "disabled",
    "version",
    "algorithm",
    "algo",
    "reset",
    "manager",
    "provider",
    "service",
    "strength",
    "rules",
    "rule",
    "validator",
    "validation",
    "error",
    "errors",
    "invalid",
    "valid",
    "exists",
    "protected",
    "input",
    "form",
    "button",
    "placeholder",
    "template",
    "format",
    "prefix",
    "suffix",
    "index",
    "column",
    "timeout",
    "usage",
    "used",
    "budget",
    "per",
    "seconds",
    "minutes",
    "at",
    "date",
    "time",
    "status",
    "state",
    "ref",
    "arn",
    "description",
    "title",
    "mgr",
    "callable",
];

/// Words anywhere in the name that say that the value is no secret.
const NEVER: [&str; 27] = [
    "public",
    "example",
    "sample",
    "dummy",
    "mock",
    "regex",
    "pattern",
    "hint",
    "csrf",
    "xsrf",
    "pagination",
    "page",
    "next",
    "prev",
    "continuation",
    "cursor",
    "max",
    "min",
    "num",
    "total",
    "tokens",
    "tokenizer",
    "fingerprint",
    "publishable",
    "thumbprint",
    "idempotency",
    "placeholder",
];

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The whole name around the word.
    pub(crate) range: Range<usize>,
    pub(crate) role: Role,
    /// Whether it says more than `token` or `key` alone.
    pub(crate) compound: bool,
}

/// The whole name that a word is in.
pub(crate) fn around(text: &[u8], word: Range<usize>) -> Range<usize> {
    let belongs =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || byte >= 0x80;
    let start = run_back(text, word.start, 40, belongs);
    // Scripts without blanks between words: the word is the name.
    let open = before(text, word.end) < 0x80;
    let end = if open { run(text, word.end, 32, belongs) } else { word.end };
    start..end
}

/// The name around a word, unless it is one of something else.
pub(crate) fn name(text: &[u8], word: Range<usize>, role: Role) -> Option<Name> {
    let Range { start, end } = around(text, word.clone());
    // What follows the word in the same name: `token_count`, `passwordHash`.
    let tail: Vec<Vec<u8>> = words(part(text, word.end..end)).collect();
    let about = |word: &Vec<u8>| ABOUT.iter().any(|about| about.as_bytes() == word.as_slice());
    if tail.last().is_some_and(about) || tail.len() > 3 {
        return None;
    }
    // `min-password`, but not a flag's own dashes.
    let whole: Vec<Vec<u8>> = words(part(text, start..end)).collect();
    let never = |word: &Vec<u8>| NEVER.iter().any(|never| never.as_bytes() == word.as_slice());
    if whole.iter().any(never) && role != Role::Password
        || matches!(role, Role::Pin) && whole.len() > 2
    {
        return None;
    }
    Some(Name { range: start..end, role, compound: whole.len() > 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, word: &str, role: Role) -> bool {
        let at = text.find(word).expect("the word");
        name(text.as_bytes(), at..at + word.len(), role).is_some()
    }

    #[test]
    fn what_a_name_is_about() {
        assert!(holds("db_password", "password", Role::Password));
        assert!(holds("PASSWORD_PROD", "PASSWORD", Role::Password));
        assert!(!holds("password_hash", "password", Role::Password));
        assert!(!holds("passwordLength", "password", Role::Password));
        assert!(!holds("token_count", "token", Role::Secret));
        assert!(!holds("max_tokens", "token", Role::Secret));
        assert!(!holds("public_key", "key", Role::KeyName));
    }
}
