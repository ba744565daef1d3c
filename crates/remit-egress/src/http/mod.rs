//! HTTP between the program and the server: read strictly, decided on, written anew.

mod authority;
mod chunks;
mod flow;
mod gate;
mod h2wire;
mod handshake;
mod head;
mod headers;
mod holding;
mod inspected;
mod path;
mod payload;
mod rest;
mod serve;
mod through;
mod upgrade;
mod wire;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::{
    chunks::Chunks,
    head::{Framing, encode_query},
    path::canonical,
};
pub(crate) use authority::Authority;
pub(crate) use flow::Flow;
pub(crate) use head::{Head, HeadError, Target, read_head};
pub(crate) use holding::settle;
pub(crate) use payload::Payload;
pub(crate) use serve::{serve, serve_forward, serve_refusal};
pub(crate) use wire::Wire;
