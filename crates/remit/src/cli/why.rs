//! `remit why`

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use remit_core::EventId;

use super::Format;

/// `remit why`
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["event", "path", "host", "exec"]),
    after_long_help = "\
An EVENT is explained from the trail, as it was decided then. A path, host or program is decided
now, under a manifest: the one given, else the one of the running session, else ./manifest.json.

Examples:
  remit why e-…-12
  remit why --path ~/.ssh/id_ed25519
  remit why --path src/main.rs --write --manifest manifest.json
  remit why --host api.example.org:443 --method POST --url-path /v1/upload
  remit why --exec git"
)]
pub(crate) struct WhyArguments {
    /// An event of the trail.
    #[arg(value_name = "EVENT")]
    pub(crate) event: Option<EventId>,
    /// A file or folder.
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// Writing instead of reading.
    #[arg(long, requires = "path")]
    pub(crate) write: bool,
    /// A host, with port 443 unless one is given.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) host: Option<String>,
    /// The method of an HTTP request to the host.
    #[arg(long, requires = "host", value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// The path of an HTTP request to the host.
    #[arg(long, requires = "host", value_name = "PATH")]
    pub(crate) url_path: Option<String>,
    /// A program, by path or name.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) exec: Option<PathBuf>,
    /// The manifest to decide under; for an EVENT, whose lines to show.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// What `${WORKDIR}` means; the current folder by default.
    #[arg(long, value_name = "DIR", conflicts_with = "event")]
    pub(crate) workdir: Option<PathBuf>,
    /// The log's folder, for an EVENT.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["path", "host", "exec"])]
    pub(crate) log: Option<PathBuf>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}
