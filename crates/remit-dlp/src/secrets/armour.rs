//! Private keys between armour lines: PEM (RFC 7468), OpenSSH, PGP (RFC 9580), PuTTY, age.

use crate::{
    found::{Class, Hit},
    text::{mentions, part, run},
};

/// No key is longer.
const LONGEST: usize = 16 * 1024;

/// The private key whose armour starts at `at`.
pub(crate) fn at(text: &[u8], at: usize) -> Option<Hit> {
    let title = part(text, at..at + 64);
    let title =
        title.strip_prefix(b"-----BEGIN ").or_else(|| title.strip_prefix(b"---- BEGIN "))?;
    let name = title.get(..memchr::memmem::find(title, b"----")?)?;
    let private = mentions(name, b"private key");
    if !private {
        return None;
    }
    let body = at + 11 + name.len() + 5;
    let rest = part(text, body..at + LONGEST);
    let end = memchr::memmem::find(rest, b"-----END").map_or_else(
        // What is cut off is a key too.
        || run(text, body, LONGEST, is_body),
        |found| {
            let end = body + found + 8;
            run(text, end, 64, |byte| byte != b'-' && byte != b'\n') + 5
        },
    );
    let end = end.min(text.len());
    let content = part(text, body..end);
    // The armour without a key is code that writes or looks for one.
    let letters = content
        .split(|byte| !is_base64(*byte))
        .filter(|run| run.len() >= 16)
        .map(<[u8]>::len)
        .sum::<usize>();
    let spaced = content
        .split(|byte| !is_base64(*byte))
        .filter(|run| run.len() >= 4)
        .map(<[u8]>::len)
        .sum::<usize>();
    (letters >= 32 || spaced >= 128)
        .then(|| Hit::new(at..end, Class::PrivateKey, if letters >= 40 { 96 } else { 70 }, "pem"))
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// What stands between armour lines, also as a literal of a program.
const fn is_body(byte: u8) -> bool {
    is_base64(byte) || matches!(byte, b'\n' | b'\r' | b' ' | b'\\' | b':' | b',' | b'-')
}
