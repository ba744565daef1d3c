//! `remit audit`

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use remit_core::{EventId, SessionId};

use super::Format;
use crate::moment::Moment;

/// Every `action` value of the contract, also those that this version never records.
pub(crate) const ACTIONS: [&str; 27] = [
    "session_start",
    "session_end",
    "read_file",
    "write_file",
    "delete_file",
    "execute",
    "connect",
    "resolve_name",
    "http_request",
    "http_response",
    "model_call",
    "lease_secret",
    "use_secret",
    "revoke_secret",
    "clipboard_read",
    "clipboard_write",
    "tool_call",
    "approval_request",
    "approval_decision",
    "quarantine_hold",
    "quarantine_decision",
    "grant",
    "revoke_grant",
    "attest",
    "contain",
    "policy_change",
    "config_change",
];

/// Every `outcome` value of the contract.
pub(crate) const OUTCOMES: [&str; 6] = ["allowed", "denied", "held", "redacted", "asked", "error"];

/// `remit audit`
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print events, oldest first, one JSON object a line.
    Query(QueryArguments),
    /// Compute the whole log again and compare it with what was signed.
    Verify(VerifyArguments),
    /// Print the newest signed checkpoint, to keep elsewhere.
    Checkpoint(CheckpointArguments),
    /// Print the proof that an event is in the log, or check one.
    Prove(ProveArguments),
}

/// `remit audit query`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  remit audit query --session s-… --outcome denied
  remit audit query --action execute --since 1h --format text
  remit audit query | jq -r 'select(.outcome == \"denied\") | .resource'")]
pub(crate) struct QueryArguments {
    /// Of this session.
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<SessionId>,
    /// With this action.
    #[arg(long, value_name = "ACTION", hide_possible_values = true,
        value_parser = PossibleValuesParser::new(ACTIONS))]
    pub(crate) action: Option<String>,
    /// With this outcome.
    #[arg(long, value_name = "OUTCOME", value_parser = PossibleValuesParser::new(OUTCOMES))]
    pub(crate) outcome: Option<String>,
    /// Not earlier than a time (RFC 3339), or than a while ago (`10m`, `2h`, `7d`).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Earlier than a time (RFC 3339), or than a while ago.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
    /// At most so many.
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
    /// The log's folder; your own by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) log: Option<PathBuf>,
    /// How events are printed.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub(crate) format: Format,
}

/// `remit audit verify`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Ends with 0 when the log is intact, with 1 when it was tampered with, with 2 when there is nothing
that could be verified.

Your own log is also compared with the last checkpoint that this machine signed, so that a log that
was cut or rolled back is found. Whoever owns the folders can replace the log, its key and that
checkpoint together. A checkpoint that was kept elsewhere shows it, also for a copy of a log:
  remit audit checkpoint > /safe/place/checkpoint
  remit audit verify --checkpoint /safe/place/checkpoint")]
pub(crate) struct VerifyArguments {
    /// The log's folder; your own by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) log: Option<PathBuf>,
    /// An older checkpoint, kept elsewhere: the log must extend it.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// The log's public key (its `log.pub`), kept elsewhere.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `remit audit checkpoint`
#[derive(Debug, Args)]
pub(crate) struct CheckpointArguments {
    /// The log's folder; your own by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) log: Option<PathBuf>,
}

/// `remit audit prove`
#[derive(Debug, Args)]
#[command(after_long_help = "\
A proof is a text (C2SP tlog-proof) that holds the event and shows, with nothing but the log's public
key, that it is in the log.

Examples:
  remit audit prove e-…-12 > proof
  remit audit prove --check proof --key log.pub

Ends with 0 when it is proven, with 1 when not, with 2 when there is nothing to look at.")]
pub(crate) struct ProveArguments {
    /// The event.
    #[arg(value_name = "EVENT", required_unless_present = "check", conflicts_with = "check")]
    pub(crate) event: Option<EventId>,
    /// Check a proof instead of making one, and print the event that it proves.
    #[arg(long, value_name = "FILE")]
    pub(crate) check: Option<PathBuf>,
    /// The log's public key to check with; by default the one in the log's folder.
    #[arg(long, value_name = "FILE", requires = "check")]
    pub(crate) key: Option<PathBuf>,
    /// The log's folder; your own by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) log: Option<PathBuf>,
}
