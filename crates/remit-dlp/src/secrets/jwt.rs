//! JSON web tokens (RFC 7519): three base64url parts, the first two of which hold JSON objects.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    found::{Class, Hit},
    text::{byte, part, run},
};

/// The token that starts at `at`; its first part starts with `{"` in base64.
pub(crate) fn at(text: &[u8], at: usize) -> Option<Hit> {
    if part(text, at..at + 3) != b"eyJ" {
        return None;
    }
    let piece = |start: usize| {
        run(text, start, 8192, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let head = piece(at);
    if byte(text, head) != b'.' || head - at < 12 {
        return None;
    }
    let mut end = piece(head + 1);
    if end - head < 8 {
        return None;
    }
    if byte(text, end) == b'.' {
        end = piece(end + 1);
        // Five parts: encrypted (RFC 7516).
        while byte(text, end) == b'.' && piece(end + 1) > end + 1 && end - at < 16_384 {
            end = piece(end + 1);
        }
    }
    let header = decode(part(text, at..head))?;
    let marked = [&b"\"alg\""[..], b"\"typ\"", b"\"enc\""]
        .iter()
        .any(|mark| memchr::memmem::find(&header, mark).is_some());
    // The token of RFC 7519's and jwt.io's documentation.
    let body = part(text, head + 1..end);
    let example =
        memchr::memmem::find(body, b"eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9l").is_some();
    (marked && !example).then(|| Hit::new(at..end, Class::Jwt, 95, "jwt"))
}

fn decode(part: &[u8]) -> Option<Vec<u8>> {
    let whole = part.len() - part.len() % 4;
    let part = part.get(..if part.len() % 4 == 1 { whole } else { part.len() })?;
    URL_SAFE_NO_PAD
        .decode(part)
        .or_else(|_| URL_SAFE_NO_PAD.decode(part.get(..whole).unwrap_or_default()))
        .ok()
}
