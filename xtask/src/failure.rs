//! Why a chore failed.

use std::{io, path::PathBuf};

/// A chore's failure; its text is all a person gets, so it says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program that did not start.
    #[error("{program} does not start: {source}")]
    Start {
        /// Which.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that ended badly.
    #[error("{what} failed ({status})")]
    Status {
        /// What was being done.
        what: String,
        /// How it ended.
        status: String,
    },
    /// Findings of a check, one a line.
    #[error("{what}:\n  {}", findings.join("\n  "))]
    Findings {
        /// The check.
        what: &'static str,
        /// What it found.
        findings: Vec<String>,
    },
    /// A program's output that is not what it should be.
    #[error("{what} is not the JSON expected: {source}")]
    Json {
        /// Whose output.
        what: String,
        /// The parser's complaint.
        source: serde_json::Error,
    },
}

/// Attaches a path to an error of the system.
pub(crate) trait At<T> {
    /// The same result, with the path in its error.
    fn at(self, path: impl Into<PathBuf>) -> Result<T, Failure>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T, Failure> {
        self.map_err(|source| Failure::File { path: path.into(), source })
    }
}
