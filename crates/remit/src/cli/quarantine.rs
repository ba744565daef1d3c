//! `remit quarantine`

use clap::{Args, Subcommand};
use remit_supervisor::quarantine::Ticket;

use super::{Format, people::ListArguments};
use crate::moment::Moment;

/// `remit quarantine`
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List what is held, oldest first.
    List(ListArguments),
    /// Show one payload: its head, what was found, and what stands around it.
    Show(ShowArguments),
    /// Let a payload pass once: the agent repeats its request.
    Release(ReleaseArguments),
    /// Refuse a payload: the agent's repeated request is denied.
    Reject(RejectArguments),
}

/// `remit quarantine show`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Values are never shown: each finding is replaced by its class.")]
pub(crate) struct ShowArguments {
    /// The payload, as `remit quarantine list` prints it.
    #[arg(value_name = "TICKET")]
    pub(crate) ticket: Ticket,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `remit quarantine release`
#[derive(Debug, Args)]
#[command(after_long_help = "\
A release is for this agent, for the same method, host, path, query and body, and for one request.

Examples:
  remit quarantine release TICKET                  within the next hour
  remit quarantine release TICKET --within 10m     within ten minutes")]
pub(crate) struct ReleaseArguments {
    /// The payloads, as `remit quarantine list` prints them.
    #[arg(required = true, value_name = "TICKET")]
    pub(crate) tickets: Vec<Ticket>,
    /// Until when the agent may repeat its request (RFC 3339, or a while such as `10m`).
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(crate) within: Moment,
}

/// `remit quarantine reject`
#[derive(Debug, Args)]
pub(crate) struct RejectArguments {
    /// The payloads, as `remit quarantine list` prints them.
    #[arg(required = true, value_name = "TICKET")]
    pub(crate) tickets: Vec<Ticket>,
}
