//! What can go wrong with a log, apart from tampering, which the verifier reports.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use remit_core::AuditError;

use crate::note::NoteError;

/// Why a log cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The operating system refused something.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A record that no entry can hold.
    #[error("the record has {bytes} bytes; an entry holds at most 65535")]
    TooLarge {
        /// Its size as JSON.
        bytes: usize,
    },
    /// A record that is not JSON; none of ours is.
    #[error("the record cannot be written as JSON: {0}")]
    Unwritable(#[from] serde_json::Error),
    /// The log's folder was removed or replaced while it was open.
    #[error("the log was removed or replaced while it was open")]
    Removed,
    /// An earlier write to the disk failed; what is in memory can no longer be trusted to be
    /// there.
    #[error("an earlier write to the log's disk failed; open the log again")]
    Broken,
    /// Records are written but cannot be signed, for longer than the grace time.
    #[error("the log cannot be signed: {cause}")]
    Stalled {
        /// Why signing fails.
        cause: Arc<str>,
    },
    /// The log exists but its private key does not.
    #[error("the log {origin} exists, but its private key is missing from {path}")]
    KeyMissing {
        /// The log's name.
        origin: String,
        /// Where the key should be.
        path: PathBuf,
    },
    /// The private key is that of another log.
    #[error("the private key belongs to {key}, the log is {origin}")]
    ForeignKey {
        /// The log's name.
        origin: String,
        /// The key's name.
        key: String,
    },
    /// A key or checkpoint that cannot be read.
    #[error("{path}: {source}")]
    Note {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: NoteError,
    },
    /// The log holds less than was signed on this machine.
    #[error("the log was rolled back: it is signed up to {have} records, but {signed} were signed")]
    RolledBack {
        /// What its checkpoint says.
        have: u64,
        /// What this machine signed last.
        signed: u64,
    },
    /// What is on disk does not fit the signed checkpoint; going on would sign something else.
    #[error("{path}: the log does not fit its signed checkpoint ({what}); verify it")]
    Inconsistent {
        /// Where.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// No such event.
    #[error("the log has no event {0}")]
    NoSuchEvent(String),
    /// The event is in the log but not yet under a signed checkpoint.
    #[error("the event {0} is not yet under a signed checkpoint")]
    NotYetSigned(String),
}

impl LogError {
    /// For `map_err`: an error at this path.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

impl From<LogError> for AuditError {
    fn from(error: LogError) -> Self {
        Self { cause: error.to_string().into() }
    }
}
