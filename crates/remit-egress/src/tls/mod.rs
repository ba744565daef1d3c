//! TLS as far as it is seen before it is terminated or passed on.

mod accept;
mod hello;

pub(crate) use accept::{AgentStream, Prefixed, accept, alert};
pub(crate) use hello::{Hello, HelloError, read_hello};
