//! Why a command other than `remit run` could not do what was asked.

use std::{io, path::PathBuf};

use miette::Diagnostic;
use remit_audit::LogError;
use remit_core::display_path;
use remit_manifest::{ManifestErrors, SourceError};
use remit_supervisor::{ControlError, RunError, quarantine::QuarantineError};

/// A command's failure: shown with its code and what to do, and ends `remit` with `status`.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The manifest's file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Source(#[from] SourceError),
    /// The manifest's text.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Manifest(#[from] ManifestErrors),
    /// A file or folder that was named.
    #[error("{}: {cause}", display_path(path))]
    #[diagnostic(code(remit::file))]
    File {
        /// Which.
        path: PathBuf,
        /// The operating system's reason.
        cause: io::Error,
    },
    /// Standard output.
    #[error("cannot print: {0}")]
    #[diagnostic(code(remit::output))]
    Output(io::Error),
    /// The trail.
    #[error(transparent)]
    #[diagnostic(code(audit::unusable), help("{}", log_help(.0)))]
    Log(#[from] LogError),
    /// There is no trail yet.
    #[error("there is no log in {}", display_path(.0))]
    #[diagnostic(
        code(audit::no_log),
        help("the first `remit run` begins one; `--log DIR` or REMIT_HOME name another")
    )]
    NoLog(PathBuf),
    /// Something that was to be found in the trail.
    #[error("the log has no event {0}")]
    #[diagnostic(
        code(audit::no_event),
        help("`remit audit query` prints the events with their ids")
    )]
    NoEvent(String),
    /// A session that neither runs nor ended on this log.
    #[error("session {0} neither runs nor has its end in the log")]
    #[diagnostic(
        code(session::unknown),
        help(
            "`remit session list` shows what runs, `remit audit query --action session_end` what ended"
        )
    )]
    NoSession(String),
    /// A text that should be a key or a proof.
    #[error("{}: {problem}", display_path(path))]
    #[diagnostic(code(audit::input))]
    Input {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A text from which something sensitive was to be removed.
    #[error("{}: {problem}", display_path(path))]
    #[diagnostic(
        code(dlp::unread),
        help("nothing was printed: what cannot be looked into may be sensitive")
    )]
    Text {
        /// Which file.
        path: PathBuf,
        /// What could not be read.
        problem: String,
    },
    /// A session.
    #[error(transparent)]
    #[diagnostic(code(session::unreachable), help("`remit session list` shows what runs"))]
    Control(#[from] ControlError),
    /// A session said no.
    #[error("{id}: {message}")]
    #[diagnostic(
        code(session::refused),
        help("`remit approval list` shows what waits; a question waits for five minutes")
    )]
    Refused {
        /// What was asked about.
        id: String,
        /// Its reason.
        message: String,
    },
    /// Something in quarantine.
    #[error(transparent)]
    #[diagnostic(code(quarantine::refused), help("`remit quarantine list` shows what is held"))]
    Quarantine(#[from] QuarantineError),
    /// A time that has passed.
    #[error("{0} has passed")]
    #[diagnostic(code(approval::past), help("name a time to come, or a while such as 10m"))]
    Past(remit_core::Timestamp),
    /// No manifest to decide under.
    #[error("no manifest to decide under: {0}")]
    #[diagnostic(code(why::no_manifest), help("name one with `--manifest FILE`"))]
    WhichManifest(&'static str),
    /// A host that is none.
    #[error("`{text}`: {problem}")]
    #[diagnostic(code(why::host), help("write `host` or `host:port`; IPv6 addresses in brackets"))]
    Host {
        /// As it was given.
        text: String,
        /// Why not.
        problem: String,
    },
    /// A program that cannot be found.
    #[error("`{}` was not found", display_path(.0))]
    #[diagnostic(code(why::program), help("name an existing program, or a path to one"))]
    Program(PathBuf),
    /// A comment that would be lost.
    #[error("{}: has comments, which the canonical form leaves out", display_path(.0))]
    #[diagnostic(code(manifest::comments), help("`--force` rewrites it without them"))]
    Comments(PathBuf),
    /// Whatever `remit run` would say too.
    #[error(transparent)]
    #[diagnostic(code(run::refused))]
    Run(#[from] RunError),
}

impl Failure {
    /// The exit status: 2 where the input of an inspection is unusable, 125 where `remit run`
    /// would say so, else 1.
    pub(crate) const fn status(&self) -> i32 {
        match self {
            Self::Log(_) | Self::NoLog(_) | Self::Input { .. } | Self::File { .. } => 2,
            Self::Text { .. } => 2,
            Self::Host { .. } | Self::Program(_) | Self::WhichManifest(_) => 2,
            Self::Run(error) => error.status(),
            _ => 1,
        }
    }

    /// For `map_err`: a failure at this path.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { path, cause }
    }
}

fn log_help(error: &LogError) -> &'static str {
    match error {
        LogError::NotYetSigned(_) => "a running session signs within moments: try again",
        LogError::Io { .. } => "check that the folder is there and yours to read",
        _ => "`remit audit verify` says more; `--log DIR` names another log",
    }
}
