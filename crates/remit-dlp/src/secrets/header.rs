//! Credentials in HTTP headers and on `curl`'s command line (RFC 6750, RFC 7617).

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use super::{classify::cost, placeholder};
use crate::{
    found::{Class, Hit},
    text::{before, part, run},
};

/// `Bearer TOKEN`, the word ending at `end`.
pub(crate) fn bearer(text: &[u8], end: usize) -> Option<Hit> {
    let start = run(text, end, 4, |byte| matches!(byte, b' ' | b':' | b'+'));
    if start == end {
        return None;
    }
    let stop = run(text, start, 4096, |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':')
    });
    let stop = if matches!(before(text, stop), b'.' | b':') { stop - 1 } else { stop };
    let value = part(text, start..stop);
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let odd = digits > 0
        && value.len() >= 12
        && (cost(value) >= 4.6 || value.iter().all(u8::is_ascii_hexdigit))
        || value.len() >= 16 && cost(value) >= 5.5;
    (odd && !placeholder::is_example(value))
        .then(|| Hit::new(start..stop, Class::Bearer, 90, "header"))
}

/// `Basic BASE64`, the word ending at `end`.
pub(crate) fn basic(text: &[u8], end: usize) -> Option<Hit> {
    let start = run(text, end, 4, |byte| byte == b' ');
    let stop = run(text, start, 1024, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/')
    });
    let value = part(text, start..stop);
    if start == end || value.len() < 6 {
        return None;
    }
    let plain = STANDARD_NO_PAD.decode(value).or_else(|_| URL_SAFE_NO_PAD.decode(value)).ok()?;
    let colon = memchr::memchr(b':', &plain)?;
    let printable = plain.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte >= 0x80);
    let password = plain.get(colon + 1..).unwrap_or_default();
    let user = plain.get(..colon).unwrap_or_default();
    // RFC 7617's own example, and what documentation writes.
    let example = plain == b"Aladdin:open sesame"
        || plain == b"test:123\xc2\xa3"
        || plain.len() < 6
        || placeholder::is_words(&plain)
            && !password.iter().any(u8::is_ascii_digit)
            && password.len() < 12;
    let stop = run(text, stop, 2, |byte| byte == b'=');
    let secret = if password.is_empty() { user } else { password };
    (printable && !example && secret.len() >= 3)
        .then(|| Hit::new(start..stop, Class::Bearer, 92, "header"))
}

/// `curl -u user:password`, the word ending at `end`.
pub(crate) fn user_option(text: &[u8], end: usize) -> Option<Hit> {
    let rest = part(text, end..end + 400);
    let rest = rest.split(|byte| *byte == b'\n').next()?;
    for mark in
        [&b" -u "[..], b" --user ", b" -u\"", b" -u'", b" --user=", b" -u=", b" -a ", b" --auth="]
    {
        let Some(found) = memchr::memmem::find(rest, mark) else { continue };
        let start = end + found + mark.len();
        let start = run(text, start, 3, |byte| matches!(byte, b'"' | b'\'' | b' ' | b'\\'));
        let stop =
            run(text, start, 200, |byte| byte > b' ' && !matches!(byte, b'"' | b'\'' | b'\\'));
        let value = part(text, start..stop);
        let Some(colon) = memchr::memchr(b':', value) else { continue };
        let password = value.get(colon + 1..)?;
        let user = value.get(..colon)?;
        let template = placeholder::is_template(password)
            || placeholder::is_template(user)
            || password.starts_with(b"$")
                && password.len() > 1
                && password.iter().skip(1).all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
        let poor = placeholder::is_words(password) && !password.iter().any(u8::is_ascii_digit)
            || password.starts_with(b"//");
        // `-u token:` puts the secret first.
        if password.is_empty() {
            let dense = user.len() >= 16
                && user.iter().any(u8::is_ascii_digit)
                && !placeholder::is_example(user);
            return dense.then(|| Hit::new(start..start + colon, Class::ApiKey, 75, "curl"));
        }
        if template
            || poor
            || password.len() < 4
            || placeholder::is_example(password) && password.len() > 5
        {
            continue;
        }
        let start = start + colon + 1;
        return Some(Hit::new(start..start + password.len(), Class::Password, 85, "curl"));
    }
    None
}
