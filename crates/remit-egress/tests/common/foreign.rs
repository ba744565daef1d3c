//! Cases of other projects, read from where cargo keeps their sources, and the committed lists of
//! those that pass. The lists may only grow.

#![allow(dead_code)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where the source of a dependency is.
pub fn source_of(package: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        // Of other platforms cargo keeps no sources.
        .args(["--filter-platform", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = all["packages"].as_array().unwrap();
    let found = packages.iter().find(|one| one["name"] == package).expect("a dependency of ours");
    Path::new(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

/// Compares the cases that pass with the committed list `name`: none may be missing from either.
pub fn compare(name: &str, passing: &BTreeSet<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(name);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let listed: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let lost: Vec<_> = listed.difference(passing).collect();
    let new: Vec<_> = passing.difference(&listed).collect();
    let update = std::env::var_os("REMIT_UPDATE_LISTS").is_some();
    // Ranges of lines change as wholes when they grow.
    let ranges = lost.iter().all(|one| one.starts_with("lines "));
    if update && ranges {
        let lines: String = passing.iter().map(|one| format!("{one}\n")).collect();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, lines).unwrap();
        return;
    }
    assert!(lost.is_empty(), "{name}: these passed before: {lost:#?}");
    assert!(new.is_empty(), "{name}: these pass now; REMIT_UPDATE_LISTS=1 lists them: {new:#?}");
}

/// The same for cases that are lines of a file: the list holds ranges of their numbers.
pub fn compare_lines(name: &str, passing: &BTreeSet<usize>) {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for line in passing {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *line => *last = *line,
            _ => ranges.push((*line, *line)),
        }
    }
    let shown = |(first, last): &(usize, usize)| format!("lines {first} to {last}");
    compare(name, &ranges.iter().map(shown).collect());
}
