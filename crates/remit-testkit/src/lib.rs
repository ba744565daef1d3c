//! Fixtures for tests that drive the real `remit` binary, as root or as an ordinary user.
//!
//! - [`Area`]: temporary folders of one test: the person's home, a work folder, `REMIT_HOME`.
//! - [`Session`]: a `remit run` under a manifest made with [`ManifestBuilder`], and what came of it.
//! - [`enter_private_network`]: puts the test process into a network and mount namespace of its
//!   own in which chosen names point at loopback addresses.
//! - [`Origin`]: a server in this process that speaks TLS with a [`TestAuthority`], HTTP/1.1,
//!   HTTP/2, WebSocket and server-sent events, and remembers every request it saw.
//! - [`npm_registry`]: packages and a lock file for `npm ci`.
//! - [`rustls_client`]: a web client as Rust programs are.
//! - [`trail`]: reads the events of a session through the command line.
//!
//! A fixture that cannot be set up fails its test: helpers panic with a sentence instead of
//! returning errors that every test would only unwrap.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a broken fixture fails its test"
)]

mod area;
mod binary;
mod manifest;
mod network;
pub mod npm_registry;
mod origin;
mod pki;
mod process;
pub mod rustls_client;
mod session;
pub mod trail;

pub use area::Area;
pub use binary::{npm_clients, npm_tools, pip_clients, program, remit};
pub use manifest::ManifestBuilder;
pub use network::{PrivateNetwork, enter_private_network};
pub use origin::{Origin, Reply, Seen, Site};
pub use pki::TestAuthority;
pub use process::{Finished, run_bounded};
pub use session::Session;
