//! Every command and option, in one definition that help, man pages and completions come from.

mod audit;
mod dlp;
mod manifest;
mod people;
mod quarantine;
mod run;
mod why;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::{
    audit::{AuditCommand, CheckpointArguments, ProveArguments, QueryArguments, VerifyArguments},
    dlp::{DlpCommand, RedactArguments, ScanArguments},
    manifest::{CheckArguments, FmtArguments, ManifestCommand},
    people::{
        ApprovalCommand, ApproveArguments, EgressArguments, KillArguments, SessionCommand,
        ShowArguments, TopArguments,
    },
    quarantine::{QuarantineCommand, ReleaseArguments, ShowArguments as QuarantineShowArguments},
    run::RunArguments,
    why::WhyArguments,
};

/// Runs desktop agents inside the authority that a manifest gives them.
#[derive(Debug, Parser)]
#[command(name = "remit", version, arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Start here:
  remit doctor                                        is every protection available here?
  remit manifest check manifest.json                  is the manifest right?
  remit run --manifest manifest.json -- codex         run an agent under it
  remit approval list                                 what waits for your answer?
  remit top                                           what do my agents do on the network?
  remit quarantine list                               what was held for sensitive data?
  remit why --path ~/notes --manifest manifest.json   what would happen, and by which rule?
  remit audit verify                                  is the trail whole?

Environment:
  REMIT_HOME  folder of configuration and state; without it the XDG folders are used
  REMIT_LOG   diagnostics on stderr: error, warn (default), info, debug
  NO_COLOR    no colour; nothing depends on it";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an unmodified program under a manifest.
    Run(RunArguments),
    /// Look whether every protection is available on this machine.
    Doctor(DoctorArguments),
    /// Check, format and describe manifests.
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Explain a decision: the rule that made it, and the line to change.
    Why(WhyArguments),
    /// Read, verify and prove the trail.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Answer what running agents ask for.
    #[command(subcommand)]
    Approval(ApprovalCommand),
    /// Look at what was held for sensitive data, and release or reject it.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// List and end running sessions; show what they sent where.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Watch the connections of running sessions.
    Top(TopArguments),
    /// Find and remove secrets and personal data.
    #[command(subcommand)]
    Dlp(DlpCommand),
    /// Enforce a manifest's network rules as a proxy for programs that Remit does not start.
    Proxy(ProxyArguments),
    /// Print completions for a shell.
    Completions(CompletionArguments),
    /// Write the man pages into a folder.
    #[command(hide = true)]
    Man {
        /// The folder.
        folder: PathBuf,
    },
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
}

/// `remit doctor`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Builds the walls of a throw-away session and runs a small program inside, as `remit run` would;
nothing is left behind and nothing is written to the trail.

Ends with 0 when all that the default needs is in force, with 1 otherwise.")]
pub(crate) struct DoctorArguments {
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `remit proxy`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Speaks CONNECT and SOCKS5 on one port. The first line on standard output is the address.

Examples:
  remit proxy --listen 127.0.0.1:8080 --manifest manifest.json --write-ca ca.pem
  curl --proxy http://127.0.0.1:8080 --cacert ca.pem https://api.example.org/

SIGINT or SIGTERM ends it. Status 125 when it cannot start.")]
pub(crate) struct ProxyArguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// The manifest: which hosts may be reached.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// Certificate of the authority that clients trust (PEM); a fresh one without this.
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    pub(crate) ca_key: Option<PathBuf>,
    /// Where to write the fresh authority's certificate, for clients to trust.
    #[arg(long, value_name = "FILE", conflicts_with = "ca_cert")]
    pub(crate) write_ca: Option<PathBuf>,
    /// More roots to trust upstream (PEM), besides the system's.
    #[arg(long, value_name = "FILE")]
    pub(crate) upstream_ca: Option<PathBuf>,
    /// Who is responsible, for the trail; the login name by default.
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: Option<String>,
    /// How the address is printed; as JSON with the authority's certificate.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// `remit completions`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  remit completions bash > ~/.local/share/bash-completion/completions/remit
  remit completions zsh > ~/.zfunc/_remit
  remit completions fish > ~/.config/fish/completions/remit.fish")]
pub(crate) struct CompletionArguments {
    /// For which shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
