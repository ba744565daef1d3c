//! The Rust files of the repository.

use std::{fs, path::PathBuf, process::Command};

use crate::{
    failure::{At, Failure},
    place, step,
};

/// One file.
pub(crate) struct Source {
    /// Relative to the repository.
    pub(crate) path: String,
    /// Contents.
    pub(crate) text: String,
}

impl Source {
    /// Whether all of it is tests or measurements.
    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "/benches/", "/examples/", "fuzz/"].iter().any(|part| self.path.contains(part))
    }

    /// Lines before the tests at the end.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
    }
}

/// Every Rust file that is or would be committed.
pub(crate) fn all() -> Result<Vec<Source>, Failure> {
    let mut git = Command::new("git");
    git.current_dir(place::root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        "*.rs",
    ]);
    let listed = step::capture("git ls-files", &mut git)?;
    let mut sources = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let full: PathBuf = place::root().join(path);
        // Listed by git, but removed from the working tree.
        if !full.exists() {
            continue;
        }
        let text = fs::read_to_string(&full).at(&full)?;
        sources.push(Source { path: path.to_owned(), text });
    }
    Ok(sources)
}
