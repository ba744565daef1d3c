//! `cargo xtask test`: everything that the tests need, then every test.

pub(crate) mod npm;
mod ordinary;
pub(crate) mod packages;
mod pip;

use std::{process::Command, time::Instant};

use clap::Args;

use crate::{check, failure::Failure, place, step};

/// Options of the test chore.
#[derive(Args)]
pub(crate) struct Options {
    /// Also installs and tests Claude Code, whose licence is proprietary.
    #[arg(long)]
    with_claude: bool,
    /// Only the tests of these packages; all without this.
    #[arg(long, short, value_name = "PACKAGE")]
    package: Vec<String>,
}

/// Installs, builds, tests.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let started = Instant::now();
    packages::provide(packages::NEEDED)?;
    let tools = [npm::provide(options.with_claude)?, npm::provide_clients()?, pip::provide()?];
    let user = if place::is_root() { Some(ordinary::User::provide(&tools)?) } else { None };

    let tests = || {
        let mut command = cargo(options);
        command.args(["test", "--no-fail-fast"]);
        if options.package.is_empty() {
            command.arg("--workspace");
        }
        command.args(options.package.iter().flat_map(|name| ["-p", name]));
        command
    };
    step::show("building", tests().arg("--no-run"))?;
    // The binary that the end-to-end tests drive, in the same profile.
    step::show("building remit", cargo(options).args(["build", "-p", "remit"]))?;
    if options.package.is_empty() {
        check::structure()?;
    }
    let first = step::show("all tests", &mut tests());
    let second = match user {
        Some(user) => user.run_tests(options),
        None => Ok(()),
    };
    if let (Err(failure), Err(_)) = (&first, &second) {
        eprintln!("xtask: {failure}");
    }
    second.and(first)?;
    println!("all passed in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(options: &Options) -> Command {
    let mut command = Command::new(place::cargo());
    command.current_dir(place::root());
    if options.with_claude {
        command.env("REMIT_TEST_CLAUDE", "1");
    }
    command
}
