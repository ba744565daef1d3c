//! What is derived from the command line's own definition: completions and man pages.

use std::{fs, path::Path};

use clap::CommandFactory as _;

use crate::{cli::Cli, failure::Failure, output};

/// `remit completions`
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<i32, Failure> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "remit", &mut bytes);
    output::print(&String::from_utf8_lossy(&bytes))?;
    Ok(0)
}

/// `remit man`: one page a command, `remit.1`, `remit-run.1` and so on.
pub(crate) fn man(folder: &Path) -> Result<i32, Failure> {
    fs::create_dir_all(folder).map_err(Failure::at(folder))?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(Failure::at(folder))?;
    Ok(0)
}
