//! The trail: an append-only Merkle log in C2SP form that several processes write at once.
//!
//! A record is appended to a preallocated *segment* file, where it survives the death of any
//! process; a moment later segments are synced, their entries hashed into a tree (RFC 6962), full
//! tiles written (C2SP tlog-tiles) and the root signed (C2SP checkpoint). What is on disk verifies
//! at every moment: entries, the last signed checkpoint, and an unsigned tail that the next
//! opening signs.
//!
//! ```text
//! audit/log.pub           public key (C2SP vkey)
//! audit/checkpoint        signed number and root of the entries
//! audit/tile/<L>/<N>      hashes; audit/tile/entries/<N>: entries, 256 a file
//! audit/segment/<n>.seg   newest entries, from entry n on
//! audit/lock, audit/live  locks; empty
//! config/audit.key        private key
//! config/audit.head       last checkpoint that this machine signed
//! ```
//!
//! [`AuditLog`] writes; [`verify`], [`query`], [`prove`] read, live or from a copy.

mod append;
mod errand;
mod error;
mod evidence;
mod files;
mod frame;
mod intents;
mod keys;
mod log;
pub mod merkle;
pub mod note;
mod open;
pub mod proof;
mod publish;
mod query;
mod reader;
mod segment;
mod state;
mod summary;
pub mod tile;
mod unrecorded;
mod verify;

pub use error::LogError;
pub use evidence::{ProofError, Proven, prove, verify_proof};
pub use files::LogPaths;
pub use intents::intend;
pub use keys::{Kept, kept};
pub use log::{AuditLog, LogOptions};
pub use note::{Checkpoint, VerifierKey};
pub use query::{Filter, Found, Query, checkpoint, find, query};
pub use reader::public_key;
pub use summary::{Counts, SessionSummary, summarise};
pub use verify::{Finding, FindingKind, MAX_FINDINGS, Report, Severity, VerifyOptions, verify};
