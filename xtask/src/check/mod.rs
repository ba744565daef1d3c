//! `cargo xtask check`: what every change must keep.

mod arrows;
mod sizes;
mod sources;

use std::process::Command;

use clap::Args;

use crate::{failure::Failure, generate, place, step};

/// Options of the check.
#[derive(Args)]
pub(crate) struct Options {
    /// Does not fetch the database of advisories, and so does not check them.
    #[arg(long)]
    offline: bool,
}

/// Runs every check, the quick ones first.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    structure()?;
    step::show("format", cargo().args(["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    step::show("lints", cargo().args(clippy))?;
    check_dependencies(options)
}

/// What takes no tools but cargo, and so runs with the tests too: file sizes, crate arrows, where
/// `unsafe` stands, generated files.
pub(crate) fn structure() -> Result<(), Failure> {
    let sources = sources::all()?;
    sizes::check(&sources)?;
    arrows::check_dependencies()?;
    arrows::check_unsafe(&sources)?;
    generate::run(true)
}

fn check_dependencies(options: &Options) -> Result<(), Failure> {
    if !place::has_program("cargo-deny") {
        eprintln!("xtask: dependencies: NOT checked, cargo-deny is not installed");
        return Ok(());
    }
    let local = ["deny", "--all-features", "--log-level", "error", "check"];
    step::show("dependencies", cargo().args(local).args(["bans", "licenses", "sources"]))?;
    if options.offline {
        eprintln!("xtask: advisories: NOT checked (--offline)");
        return Ok(());
    }
    step::show("advisories", cargo().args(local).arg("advisories"))
}

fn cargo() -> Command {
    let mut command = Command::new(place::cargo());
    command.current_dir(place::root());
    command
}
