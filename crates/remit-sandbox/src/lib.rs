//! Linux isolation back end: namespaces, mounts, Landlock, seccomp, mediation.
//!
//! The only crate of Remit with `unsafe` code. [`setup`] builds a session's walls and starts the
//! program inside; [`mediate`] performs the file, exec and connect calls of that program on its
//! behalf, after asking the guard.

pub mod doctor;
pub mod inside;
pub mod mediate;
pub mod plan;
pub mod report;
pub mod revoke;
pub mod setup;
