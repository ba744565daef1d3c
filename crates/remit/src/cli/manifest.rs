//! `remit manifest`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

/// `remit manifest`
#[derive(Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// Say whether manifests are valid; every mistake with its place and remedy.
    Check(CheckArguments),
    /// Print a manifest in canonical form: keys in order, two spaces, no comments.
    Fmt(FmtArguments),
    /// Print the JSON schema, for editors.
    Schema,
}

/// `remit manifest check`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Ends with 0 when all are valid, with 1 otherwise. Keys that this version understands but cannot
enforce are named: `remit run` refuses them.

Examples:
  remit manifest check manifest.json
  remit manifest check --format json templates/*.json")]
pub(crate) struct CheckArguments {
    /// The manifests.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `remit manifest fmt`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Comments are not part of the canonical form: `--write` refuses a file that has some unless `--force`
is given.

Examples:
  remit manifest fmt manifest.json             print it
  remit manifest fmt --check *.json            1 when one is not in canonical form
  remit manifest fmt --write manifest.json     rewrite the file")]
pub(crate) struct FmtArguments {
    /// The manifests.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Rewrite the files instead of printing.
    #[arg(long, conflicts_with = "check")]
    pub(crate) write: bool,
    /// Print nothing; end with 1 when a file is not in canonical form.
    #[arg(long)]
    pub(crate) check: bool,
    /// Rewrite also where comments would be lost.
    #[arg(long, requires = "write")]
    pub(crate) force: bool,
}
