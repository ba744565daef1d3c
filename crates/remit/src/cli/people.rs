//! `remit approval`, `remit session` and `remit top`

use std::path::PathBuf;

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
    /// Show what a session sent where: hosts, bytes, verdicts.
    Egress(EgressArguments),
}

/// `remit session egress`
#[derive(Debug, Args)]
#[command(after_long_help = "\
A running session is asked; for one that has ended the totals come from its last event in the trail.
Bytes are counted on the program's own wire, with TLS and framing.")]
pub(crate) struct EgressArguments {
    /// The session, as `remit session list` or `remit audit query` prints it.
    #[arg(value_name = "SESSION")]
    pub(crate) session: SessionId,
    /// The log's folder, for a session that has ended; the person's own by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) log: Option<PathBuf>,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `remit top`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Keys: up and down choose a session, tab switches between hosts and connections, q ends.
Without a terminal, and with --once, the state of this moment is printed and that is all.")]
pub(crate) struct TopArguments {
    /// Only this session.
    #[arg(value_name = "SESSION")]
    pub(crate) session: Option<SessionId>,
    /// Print the state of this moment instead of watching.
    #[arg(long)]
    pub(crate) once: bool,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) interval: u64,
    /// How the state is printed; JSON implies --once.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
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
