//! `cargo xtask bench`: the harness is a package of its own, so that no other chore builds it.

use std::{fs, path::PathBuf, process::Command};

use crate::{
    failure::{At, Failure},
    place, step,
    test::{npm, packages},
};

/// Program, package: rivals, and what drives them.
const RIVALS: [(&str, &str); 8] = [
    ("bwrap", "bubblewrap"),
    ("curl", "curl"),
    ("firejail", "firejail"),
    ("hey", "hey"),
    ("nginx", "nginx-light"),
    ("rg", "ripgrep"),
    ("socat", "socat"),
    ("squid", "squid-openssl"),
];

/// A rival from npm.
const SANDBOX_RUNTIME: &str = "@anthropic-ai/sandbox-runtime@0.0.78";

/// Installs the rivals (when root), builds Remit and the harness in release, runs the harness.
/// A rival that is missing is said by the harness and not measured.
pub(crate) fn run(options: &[String]) -> Result<(), Failure> {
    if place::is_root() {
        packages::provide(&RIVALS)?;
    }
    let rivals = sandbox_runtime()?;
    npm::provide(false)?;
    let cargo = || {
        let mut command = Command::new(place::cargo());
        command.current_dir(place::root());
        command
    };
    step::show("building remit (release)", cargo().args(["build", "--release", "-p", "remit"]))?;
    let example = ["build", "--release", "-p", "remit-audit", "--features", "sqlite-peer"];
    let mut build = cargo();
    build.args(example).args(["--example", "throughput"]);
    step::show("building the log's own example (release)", &mut build)?;
    let example = ["build", "--release", "-p", "remit-egress", "--example", "mask_cost"];
    step::show("building the masker's own example (release)", cargo().args(example))?;
    let mut harness = cargo();
    harness.args(["run", "--quiet", "--release", "-p", "remit-bench", "--"]).args(options);
    harness.env("REMIT_BIN", place::target().join("release/remit"));
    harness.env("REMIT_BENCH_SRT", rivals);
    step::show("measuring", &mut harness)
}

fn sandbox_runtime() -> Result<PathBuf, Failure> {
    let folder = place::test_cache().join("rivals");
    let modules = folder.join("node_modules");
    if modules.join("@anthropic-ai/sandbox-runtime/dist/cli.js").is_file() {
        return Ok(modules);
    }
    fs::create_dir_all(&folder).at(&folder)?;
    let package = folder.join("package.json");
    fs::write(&package, "{\"private\":true}\n").at(&package)?;
    step::show_with_retries("npm install of a rival", || {
        let mut command = Command::new("npm");
        command.current_dir(&folder).args(["install", "--no-audit", "--no-fund", "--save-exact"]);
        command.arg(SANDBOX_RUNTIME);
        command
    })?;
    Ok(modules)
}
