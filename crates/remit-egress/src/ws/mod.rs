//! WebSocket messages (RFC 6455), where they are looked into: read strictly, judged whole, written
//! anew. Where nothing is looked at, sockets stay a plain pipe of bytes.

mod frame;
mod reader;
mod relay;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};

pub(crate) use relay::{Watched, relay};

/// What a server must answer to a client's `Sec-WebSocket-Key` (RFC 6455, 4.2.2).
pub(crate) fn accept_for(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(context.finish())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_answer_of_the_specification() {
        assert_eq!(super::accept_for(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
