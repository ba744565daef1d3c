//! WebSocket messages (RFC 6455), where they are looked into: read strictly, judged whole, written
//! anew. Where nothing is looked at, sockets stay a plain pipe of bytes.

mod frame;
mod reader;
mod relay;

pub(crate) use relay::{Watched, relay};
