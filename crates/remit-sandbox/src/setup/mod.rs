//! Putting a session into its walls, layer by layer.

pub(crate) mod cover;
mod etc;
pub mod filter;
mod init;
mod keystore;
mod launch;
mod mounts;
mod network;
mod rules;
pub(crate) mod sys;
pub mod table;
mod tree;
mod trust;
mod users;

pub use launch::{Ending, Forked, Launched, Remote, Standard, fork_session};
pub use users::enter_supervisor_namespace;
