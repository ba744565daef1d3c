//! WebSocket messages (RFC 6455), where they are looked into: read strictly, judged whole, written
//! anew. Where nothing is looked at, sockets stay a plain pipe of bytes.

mod frame;
mod reader;
mod relay;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::{
    frame::{Fault, From},
    reader::{Reader, Said},
};
pub(crate) use relay::{Watched, relay};
