//! What the tests share: a policy and a trail that can be looked into, origins that log what they
//! get, and network namespaces like a session's.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

pub mod client;
pub mod corporate;
pub mod data;
pub mod foreign;
pub mod frames;
pub mod front;
pub mod netns;
pub mod origin;
pub mod policy;
pub mod readings;
pub mod world;
