//! The command line: parses, then hands over to one module per command.

// `println!` and its kin panic when the stream is full or gone, and status 101 is no status of
// ours: data goes through `output::print`, everything else through `output::say`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod commands;
mod explain;
mod failure;
mod locate;
mod moment;
mod output;
mod place;
mod plan;
mod refusal;
mod upstream;

use clap::{Parser as _, error::ErrorKind};

use crate::cli::{Cli, Command};

fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    output::diagnostics();
    let status = match cli.command {
        Command::Run(arguments) => {
            refusal::quote_from(&arguments.manifest);
            commands::run::run(arguments)
        }
        other => commands::other(other).unwrap_or_else(|failure| output::fail(&failure)),
    };
    // Statuses are 0 to 255 by construction of the contract.
    std::process::ExitCode::from(u8::try_from(status).unwrap_or(125))
}

/// Help and versions end with 0, mistakes with 2. A mistaken `remit run` ends with 125: the
/// program did not start, and 2 could be its own status.
fn refuse(error: &clap::Error) -> std::process::ExitCode {
    // A reader that has gone away needs no help.
    let _ = error.print();
    let run = std::env::args_os().nth(1).is_some_and(|word| word == "run");
    let status = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ if run => 125,
        _ => 2,
    };
    std::process::ExitCode::from(status)
}
