//! The policy decision point.
//!
//! [`Policy`] is compiled once from a manifest; [`PolicyStore`] holds it with the live grants
//! behind a numbered generation and implements [`remit_core::Pdp`]. A decision is always made from
//! the manifest first: a grant turns *ask* into *permit* and nothing else, so no answer of a person
//! can widen what no rule marks `ask`, and nothing outlives the manifest.

mod env;
mod files;
mod gitconfig;
mod grant;
mod hooks;
mod network;
mod policy;
mod programs;
mod protect;
mod store;
mod suggest;

pub use env::PolicyEnv;
pub use grant::{Ended, EndedRule, Grant, GrantError, GrantScope, Lifetime};
pub use hooks::{HookFolder, hook_paths, include_paths};
pub use policy::Policy;
pub use protect::{PROTECTED_VERSION, ProtectedError};
pub use store::{Listener, PolicyStore};
