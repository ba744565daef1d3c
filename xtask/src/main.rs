//! Every chore of this repository: `cargo xtask --help`.

mod bench;
mod check;
mod failure;
mod fuzz;
mod generate;
mod place;
mod quickstart;
mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Every chore of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Builds Remit and shows it at work: a small agent under a manifest, and its verified trail.
    Quickstart,
    /// Installs what the tests need (when root), builds, and runs all tests: as root also a second
    /// time as an ordinary user.
    Test(test::Options),
    /// Format, lints, file sizes, crate arrows, generated files, dependencies.
    Check(check::Options),
    /// Writes what is generated: manifest schema, command line reference, man pages, completions.
    Gen {
        /// Compares with what is committed instead of writing; fails on a difference.
        #[arg(long)]
        check: bool,
    },
    /// Runs the fuzz targets for a while each, from their committed seeds.
    Fuzz(fuzz::Options),
    /// Measures Remit and its rivals in one run.
    #[command(disable_help_flag = true)]
    Bench {
        /// Passed on to the benchmark; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Quickstart => quickstart::run(),
        Chore::Test(options) => test::run(&options),
        Chore::Check(options) => check::run(&options),
        Chore::Gen { check } => generate::run(check),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Bench { options } => bench::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
