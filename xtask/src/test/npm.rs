//! The real agents and their mock model, and web clients, from npm, in the cache folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    failure::{At, Failure},
    place, step,
};

/// Pinned: a test that passes today passes tomorrow.
const TOOLS: [&str; 3] =
    ["@openai/codex@0.169.0", "opencode-ai@1.18.33", "@copilotkit/aimock@1.43.0"];

/// Web clients and runtimes, in a folder of their own: the agents' stays as their makers have it.
const CLIENTS: [&str; 6] =
    ["axios@1.21.1", "bun@1.4.5", "deno@2.9.6", "got@14.6.6", "undici@7.30.2", "ws@8.23.0"];

/// Proprietary licence: for the test only, and only on request.
const CLAUDE: &str = "@anthropic-ai/claude-code@2.1.197";

/// Packages that fetch or link their native program in an install script, which some versions
/// and settings of npm do not run.
const SCRIPTS: [(&str, &str, &str); 2] = [
    ("opencode", "opencode-ai", "postinstall.mjs"),
    ("claude", "@anthropic-ai/claude-code", "install.cjs"),
];
const CLIENT_SCRIPTS: [(&str, &str, &str); 2] =
    [("bun", "bun", "install.js"), ("deno", "deno", "install.cjs")];

/// Installs the agents that are missing and returns the folder that holds `node_modules`.
pub(crate) fn provide(with_claude: bool) -> Result<PathBuf, Failure> {
    let wanted: Vec<&str> = TOOLS.into_iter().chain(with_claude.then_some(CLAUDE)).collect();
    install("npm", "npm install of the real agents", &wanted, &SCRIPTS)
}

/// The same for the web clients.
pub(crate) fn provide_clients() -> Result<PathBuf, Failure> {
    install("npm-clients", "npm install of the web clients", &CLIENTS, &CLIENT_SCRIPTS)
}

fn install(
    name: &str,
    what: &str,
    wanted: &[&str],
    scripts: &[(&str, &str, &str)],
) -> Result<PathBuf, Failure> {
    let folder = place::test_cache().join(name);
    if wanted.iter().all(|tool| is_installed(&folder, tool)) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).at(&folder)?;
    let package = folder.join("package.json");
    fs::write(&package, "{\"private\":true}\n").at(&package)?;
    step::show_with_retries(what, || {
        let mut npm = Command::new("npm");
        npm.current_dir(&folder).args(["install", "--no-audit", "--no-fund", "--save-exact"]);
        npm.args(wanted);
        npm
    })?;
    for (program, package, script) in scripts {
        finish(&folder, program, package, script)?;
    }
    Ok(folder)
}

fn is_installed(folder: &Path, tool: &str) -> bool {
    let Some((name, version)) = tool.rsplit_once('@') else { return false };
    let package = folder.join("node_modules").join(name).join("package.json");
    let text = fs::read_to_string(package).unwrap_or_default();
    text.contains(&format!("\"version\": \"{version}\""))
}

/// Runs a package's install script where npm did not: its program then is not a native one.
fn finish(folder: &Path, program: &str, package: &str, script: &str) -> Result<(), Failure> {
    let binary = folder.join("node_modules/.bin").join(program);
    let native = fs::read(&binary).map(|bytes| bytes.starts_with(b"\x7fELF")).unwrap_or(true);
    if native {
        return Ok(());
    }
    let mut node = Command::new("node");
    node.current_dir(folder.join("node_modules").join(package)).arg(script);
    step::show(&format!("install script of {package}"), &mut node)
}
