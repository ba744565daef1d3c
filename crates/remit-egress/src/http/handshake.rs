//! The opening handshake of a WebSocket (RFC 6455, 4): a key, and the answer that only a server
//! that speaks the protocol gives.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};

/// Whether a client's `Sec-WebSocket-Key` is one: sixteen bytes in base64.
pub(super) fn is_key(value: &[u8]) -> bool {
    value.len() == 24 && STANDARD.decode(value).is_ok_and(|bytes| bytes.len() == 16)
}

/// Why a `101` does not open the way, if it does not. A server that switches without having
/// understood the question may take what follows for requests.
pub(super) fn fault(
    key: Option<&HeaderValue>,
    offered: bool,
    answer: &HeaderMap,
) -> Option<&'static str> {
    let upgrade = answer.get(header::UPGRADE);
    if !upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Some("101 for another protocol");
    }
    let mut accepts = answer.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
    let accept = accepts.next().filter(|_| accepts.next().is_none());
    let same = |key: &HeaderValue| {
        accept.is_some_and(|value| value.as_bytes() == accept_for(key.as_bytes()).as_bytes())
    };
    if !key.is_some_and(same) {
        return Some("101 that does not answer the key (Sec-WebSocket-Accept)");
    }
    if !offered && answer.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Some("an extension that was not offered");
    }
    None
}

/// What a server must answer to a client's key (RFC 6455, 4.2.2).
fn accept_for(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_the_specification() {
        assert_eq!(accept_for(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_are_sixteen_bytes() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in [
            &b""[..],
            b"x",
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZQ=a",
            b"dGhlIHNhbXBsZSBub25jZSE=",
        ] {
            assert!(!is_key(bad), "{}", bad.escape_ascii());
        }
    }
}
