//! One module per command.

mod approval;
mod audit;
mod dlp;
mod doctor;
mod generate;
mod manifest;
mod proxy;
mod quarantine;
pub(crate) mod run;
mod session;
mod top;
mod traffic;
mod why;

use crate::{cli::Command, failure::Failure};

/// Every command but `run`; returns the exit status.
///
/// # Errors
/// [`Failure`] with its own status.
pub(crate) fn other(command: Command) -> Result<i32, Failure> {
    match command {
        Command::Run(arguments) => Ok(run::run(arguments)),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Manifest(command) => manifest::run(command),
        Command::Why(arguments) => why::run(arguments),
        Command::Audit(command) => audit::run(command),
        Command::Approval(command) => approval::run(command),
        Command::Quarantine(command) => quarantine::run(command),
        Command::Session(command) => session::run(command),
        Command::Top(arguments) => top::run(&arguments),
        Command::Dlp(command) => dlp::run(command),
        Command::Proxy(arguments) => proxy::run(arguments),
        Command::Completions(arguments) => generate::completions(arguments.shell),
        Command::Man { folder } => generate::man(&folder),
    }
}
