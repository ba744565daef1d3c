//! Why a session did not start, with the contract's status.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use remit_core::RuleRef;
use remit_manifest::{ManifestErrors, SourceError};
use remit_sandbox::report::LayerError;

/// Why a session did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The manifest's file.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// The manifest's text.
    #[error("{0}")]
    Manifest(#[from] ManifestErrors),
    /// It has expired.
    #[error("the manifest expired at {0}")]
    Expired(remit_core::Timestamp, Arc<RuleRef>),
    /// It asks for something that this version cannot enforce.
    #[error("`{key}` needs {feature}, which this version cannot enforce")]
    Unsupported {
        /// JSON pointer of the key.
        key: String,
        /// What is missing.
        feature: &'static str,
        /// Where the key stands.
        at: Arc<RuleRef>,
    },
    /// An option that this version cannot honour.
    #[error("{0} is not available in this version")]
    Option(&'static str),
    /// A granted path.
    #[error("{}: {problem}", path.display())]
    Grant {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// What to do.
        help: &'static str,
        /// The rule.
        at: Arc<RuleRef>,
    },
    /// The program was not found.
    #[error("`{0}` was not found")]
    NotFound(String),
    /// The program may not be executed.
    #[error("{}: {problem}", path.display())]
    NotExecutable {
        /// The program.
        path: PathBuf,
        /// Why not.
        problem: &'static str,
    },
    /// The entry program is not the pinned one.
    #[error("{}: its SHA-256 is {actual}, the manifest pins {expected}", path.display())]
    Digest {
        /// The program.
        path: PathBuf,
        /// What it is.
        actual: String,
        /// What it should be.
        expected: String,
        /// The rule.
        at: Arc<RuleRef>,
    },
    /// A layer of the sandbox.
    #[error("{0}")]
    Layer(#[from] LayerError),
    /// The trail.
    #[error("the audit log cannot be used: {0}")]
    Audit(String),
    /// Remit's own folders, threads, sockets.
    #[error("{step}: {cause}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// The reason.
        cause: io::Error,
    },
    /// The proxy's authority or trust.
    #[error("the egress proxy cannot be set up: {0}")]
    Egress(String),
    /// The operator's settings for the way out.
    #[error("{}{}: {problem}", remit_core::display_path(path), at(*.line, *.column))]
    Settings {
        /// The file.
        path: PathBuf,
        /// Counted from one; zero where the file as a whole is meant.
        line: usize,
        /// Counted from one.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// The policy's own data.
    #[error("the policy cannot be compiled: {0}")]
    Policy(String),
}

impl RunError {
    /// A file of the operator's that cannot be used.
    pub(crate) fn settings(path: &Path, problem: impl Into<String>) -> Self {
        Self::Settings { path: path.to_owned(), line: 0, column: 0, problem: problem.into() }
    }

    /// The same for its text, with the position.
    pub(crate) fn settings_text(path: &Path, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let tail = format!(" at line {line} column {column}");
        let text = text.strip_suffix(&tail).unwrap_or(&text);
        // The wrong value stands in such a text, and it may be a secret.
        let problem = match text.split_once(", expected ") {
            Some((_, expected)) if text.starts_with("invalid ") => {
                format!("a wrong value, expected {expected}")
            }
            _ => text.to_owned(),
        };
        Self::Settings { path: path.to_owned(), line, column, problem }
    }

    /// The contract's exit status.
    pub const fn status(&self) -> i32 {
        match self {
            Self::NotFound(_) => 127,
            Self::NotExecutable { .. } => 126,
            _ => 125,
        }
    }

    /// The manifest position, where there is one.
    pub fn at(&self) -> Option<&RuleRef> {
        match self {
            Self::Expired(_, at)
            | Self::Unsupported { at, .. }
            | Self::Grant { at, .. }
            | Self::Digest { at, .. } => Some(at),
            _ => None,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Expired(..) => "ask for a manifest with a later `expiry`".into(),
            Self::Unsupported { key, .. } => {
                format!("remove `{key}`, or use a version that has it")
            }
            Self::Grant { help, .. } => (*help).into(),
            Self::NotFound(_) => "name an existing program, or a path to one".into(),
            Self::NotExecutable { .. } => {
                "the program must be an executable file that the agent cannot write".into()
            }
            Self::Digest { .. } => {
                "check where the program comes from before changing the pin".into()
            }
            Self::Layer(_) => "`remit doctor` shows what this machine lacks".into(),
            Self::Settings { .. } => {
                "docs/reference/egress.md describes the file; without it connections go direct"
                    .into()
            }
            Self::Audit(_) => "make room, or point REMIT_HOME at a writable folder".into(),
            _ => return None,
        })
    }
}

fn at(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!(":{line}:{column}") }
}

/// Names the step at which an I/O error happened.
pub(crate) trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, RunError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, RunError> {
        self.map_err(|cause| RunError::Io { step, cause: cause.into() })
    }
}
