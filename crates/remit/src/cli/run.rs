//! `remit run`

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use super::Format;

/// `remit run`
#[derive(Debug, Args)]
#[command(after_long_help = "\
The program's standard streams are its own. Its exit status is remit's, 128+n when signal n ended
it. Before it has started:
  125  refused, or a protection could not be put fully in force: nothing ran
  126  the program may not be executed under this manifest
  127  the program was not found

Examples:
  remit run --manifest manifest.json -- codex
  remit run --manifest manifest.json --dry-run -- codex        the plan; nothing runs
  remit run --manifest manifest.json --workdir ~/project -- bash -c 'make test'")]
pub(crate) struct RunArguments {
    /// The manifest: what the program may do.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// Where the program starts, and what `${WORKDIR}` means; the current folder by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<PathBuf>,
    /// Who is responsible, for the trail; the login name by default.
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: Option<String>,
    /// Record what would be denied instead of denying it; not in this version: ends with 125.
    ///
    /// Observing needs an organisation's ceiling to enforce meanwhile; it comes with ceilings.
    #[arg(long)]
    pub(crate) observe: bool,
    /// Print the plan and start nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Never ask at the terminal; `remit approval` still answers.
    #[arg(long)]
    pub(crate) non_interactive: bool,
    /// How the plan is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// The program and its arguments.
    #[arg(required = true, last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}
