//! `cargo xtask fuzz`: the fuzz targets, each for a while.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
};

use clap::Args;

use crate::{
    failure::{At, Failure},
    place, step,
};

/// Options of the fuzz chore.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this target; all without it.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Runs targets from their seeds; what they find besides is kept in `fuzz/corpus`.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    tools()?;
    let known = targets()?;
    let wanted: Vec<&String> = match &options.target {
        None => known.iter().collect(),
        Some(name) => known.iter().filter(|target| *target == name).collect(),
    };
    if wanted.is_empty() {
        let findings = known.into_iter().collect();
        return Err(Failure::Findings { what: "no such target; there are", findings });
    }
    for target in wanted {
        let fuzz = place::root().join("fuzz");
        let corpus = fuzz.join("corpus").join(target);
        fs::create_dir_all(&corpus).at(&corpus)?;
        let mut command = nightly();
        command.current_dir(&fuzz).args(["cargo", "fuzz", "run", target]).arg(&corpus);
        let seeds = fuzz.join("seeds").join(target);
        if seeds.is_dir() {
            command.arg(&seeds);
        }
        command.args(["--", &format!("-max_total_time={}", options.seconds), "-timeout=10"]);
        // Inputs as large as the largest head; leaks are looked for by the sanitizer at the end.
        command.args(["-max_len=8192", "-print_final_stats=1"]);
        step::show(&format!("fuzzing {target}"), &mut command)?;
    }
    Ok(())
}

/// The names in `fuzz/fuzz_targets`.
fn targets() -> Result<BTreeSet<String>, Failure> {
    let folder = place::root().join("fuzz/fuzz_targets");
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&folder).at(&folder)? {
        let path = entry.at(&folder)?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    Ok(names)
}

/// Says what is missing, and how to get it.
fn tools() -> Result<(), Failure> {
    let works = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    let mut findings = Vec::new();
    if !works(nightly().args(["rustc", "--version"])) {
        findings.push("a nightly compiler: rustup toolchain install nightly".to_owned());
    }
    if !works(Command::new("cargo-fuzz").arg("--version")) {
        findings.push("cargo-fuzz: cargo install --locked cargo-fuzz".to_owned());
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure::Findings { what: "fuzzing needs what is not installed", findings })
}

fn nightly() -> Command {
    let mut command = Command::new("rustup");
    // The stable cargo that runs this names its own compiler.
    command.args(["run", "nightly"]).env_remove("CARGO").env_remove("RUSTC");
    command
}
