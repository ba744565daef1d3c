//! `cargo xtask quickstart`: the main job on a fresh machine, unprivileged, without a server.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    failure::{At, Failure},
    place, step,
};

/// Builds `remit`, runs the example agent under its manifest, verifies and shows the trail.
pub(crate) fn run() -> Result<(), Failure> {
    let binary = build()?;
    let stage = place::target().join("quickstart");
    if stage.exists() {
        fs::remove_dir_all(&stage).at(&stage)?;
    }
    let work = stage.join("work");
    copy(&place::root().join("examples/quickstart"), &work)?;
    fs::create_dir_all(work.join("reports")).at(&work)?;
    let remit = || {
        let mut command = Command::new(&binary);
        command.env("REMIT_HOME", stage.join("remit")).current_dir(&work);
        command
    };

    println!("\n$ remit run --manifest manifest.json -- ./agent.sh");
    let mut session = remit();
    session.args(["run", "--manifest", "manifest.json", "--workdir"]).arg(&work);
    step::show("the agent's session", session.args(["--non-interactive", "--", "./agent.sh"]))?;

    println!("\n$ remit audit query");
    let events = step::capture("remit audit query", remit().args(["audit", "query"]))?;
    table(&events)?;

    println!("\n$ remit audit verify");
    step::show("verifying the trail", remit().args(["audit", "verify"]))?;
    println!("\nThe agent's report: {}", work.join("reports/summary.md").display());
    Ok(())
}

/// In the profile that the tests use as well: whoever runs both commands builds once.
fn build() -> Result<std::path::PathBuf, Failure> {
    let mut cargo = Command::new(place::cargo());
    cargo.current_dir(place::root()).args(["build", "-p", "remit"]);
    step::show("building remit", &mut cargo)?;
    Ok(place::target().join("debug/remit"))
}

/// One line an event: what was tried, on what, how it ended, why.
fn table(events: &str) -> Result<(), Failure> {
    println!("{:<9} {:<14} {:<52} why", "outcome", "action", "resource");
    for line in events.lines() {
        let event: Value = serde_json::from_str(line)
            .map_err(|source| Failure::Json { what: "remit audit query".to_owned(), source })?;
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or("-");
        let resource = shorten(text("resource"), 52);
        println!("{:<9} {:<14} {resource:<52} {}", text("outcome"), text("action"), text("reason"));
    }
    Ok(())
}

/// The end of a long text: paths differ at their end.
fn shorten(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(count + 1 - width)).collect()
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).at(to)?;
    for entry in fs::read_dir(from).at(from)? {
        let entry = entry.at(from)?;
        let target = to.join(entry.file_name());
        if entry.file_type().at(entry.path())?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).at(&target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_keep_their_end() {
        assert_eq!(shorten("/a/b/c/d", 4), "…c/d");
        assert_eq!(shorten("/a/b", 4), "/a/b");
    }
}
