//! `remit approval` and `remit session`

use clap::{Args, Subcommand};
use remit_core::{ApprovalId, SessionId};

use super::Format;
use crate::moment::Moment;

/// `remit approval`
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalCommand {
    /// List what waits for an answer, oldest first.
    List(ListArguments),
    /// Show one question in full.
    Show(ShowArguments),
    /// Say yes: the waiting call goes on.
    Approve(ApproveArguments),
    /// Say no: the waiting call is refused.
    Deny(DenyArguments),
}

/// `remit approval list`, `remit session list`
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// How the list is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `remit approval show`
#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The question, as `remit approval list` prints it.
    #[arg(value_name = "ID")]
    pub(crate) id: ApprovalId,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `remit approval approve`
#[derive(Debug, Args)]
#[command(after_long_help = "\
An answer for this session or until a time covers all that the asking rule covers; nothing outlives
the manifest.

Examples:
  remit approval approve ID                        this one call
  remit approval approve ID --session              until the session ends
  remit approval approve ID --until 10m            for ten minutes
  remit approval approve ID --until 2026-12-01T18:00:00Z")]
pub(crate) struct ApproveArguments {
    /// The questions, as `remit approval list` prints them.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<ApprovalId>,
    /// For the waiting call alone (the default).
    #[arg(long, conflicts_with_all = ["session", "until"])]
    pub(crate) once: bool,
    /// Until the session ends, for all that the asking rule covers.
    #[arg(long, conflicts_with = "until")]
    pub(crate) session: bool,
    /// Until a time (RFC 3339) or for a while (`10m`, `2h`), for all that the asking rule covers.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
}

/// `remit approval deny`
#[derive(Debug, Args)]
pub(crate) struct DenyArguments {
    /// The questions, as `remit approval list` prints them.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<ApprovalId>,
}

/// `remit session`
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the sessions that run now.
    List(ListArguments),
    /// End sessions at once, with everything that runs in them.
    Kill(KillArguments),
}

/// `remit session kill`
#[derive(Debug, Args)]
pub(crate) struct KillArguments {
    /// The sessions, as `remit session list` prints them.
    #[arg(value_name = "SESSION", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) sessions: Vec<SessionId>,
    /// Every session of yours.
    #[arg(long)]
    pub(crate) all: bool,
}
