//! Running programs, with a line before and the time after.

use std::{
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::failure::Failure;

/// Runs a program whose output people see, saying what is done and how long it took.
pub(crate) fn show(what: &str, command: &mut Command) -> Result<(), Failure> {
    eprintln!("xtask: {what}…");
    let started = Instant::now();
    let status = command.status().map_err(|source| start_failure(command, source))?;
    eprintln!("xtask: {what}: {:.1} s", started.elapsed().as_secs_f64());
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Status { what: what.to_owned(), status: status.to_string() })
    }
}

/// [`show`], up to three times: for what depends on somebody else's server.
pub(crate) fn show_with_retries(
    what: &str,
    mut command: impl FnMut() -> Command,
) -> Result<(), Failure> {
    for pause in [5, 20] {
        match show(what, &mut command()) {
            Err(Failure::Status { .. }) => {
                eprintln!("xtask: {what}: again in {pause} s");
                thread::sleep(Duration::from_secs(pause));
            }
            other => return other,
        }
    }
    show(what, &mut command())
}

/// Runs a program for its output; its error output is shown.
pub(crate) fn capture(what: &str, command: &mut Command) -> Result<String, Failure> {
    let Output { status, stdout, .. } = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| start_failure(command, source))?;
    if !status.success() {
        return Err(Failure::Status { what: what.to_owned(), status: status.to_string() });
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

fn start_failure(command: &Command, source: std::io::Error) -> Failure {
    Failure::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}
