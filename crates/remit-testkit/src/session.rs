//! One `remit run`.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::{Area, Finished, ManifestBuilder, program, remit, run_bounded, trail};

/// A program about to run: under Remit, or natively in the same place with the same environment.
///
/// The native way exists so that a test first proves its fixture: what does not work natively
/// says nothing about Remit.
pub struct Session<'a> {
    area: &'a Area,
    manifest: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    flags: Vec<OsString>,
    limit: Duration,
}

impl<'a> Session<'a> {
    /// Under `manifest`, with the area's work folder as working directory.
    pub fn under(area: &'a Area, manifest: &ManifestBuilder) -> Self {
        let path = area.path().join("manifest.json");
        fs::write(&path, manifest.text()).expect("a manifest can be written");
        Self { manifest: Some(path), ..Self::native(area) }
    }

    /// Without Remit.
    pub fn native(area: &'a Area) -> Self {
        Self {
            area,
            manifest: None,
            variables: Vec::new(),
            flags: Vec::new(),
            limit: Duration::from_secs(60),
        }
    }

    /// Sets a variable of `remit`'s own environment (the agent gets it only if the manifest
    /// names it).
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Adds an option of `remit run`; without effect natively.
    #[must_use]
    pub fn flag(mut self, flag: impl AsRef<OsStr>) -> Self {
        self.flags.push(flag.as_ref().to_owned());
        self
    }

    /// Kills everything after that time; a minute without this.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The command, ready to start.
    pub fn command<A: AsRef<OsStr>>(&self, words: &[A]) -> Command {
        let mut command = match &self.manifest {
            Some(manifest) => {
                let mut command = Command::new(remit());
                command.arg("run").arg("--manifest").arg(manifest);
                command.args(["--non-interactive", "--workdir"]).arg(self.area.work());
                command.args(&self.flags).arg("--").args(words);
                command
            }
            None => {
                let mut command = Command::new("env");
                command.arg("--").args(words);
                command
            }
        };
        command
            .current_dir(self.area.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("HOME", self.area.home())
            .env("REMIT_HOME", self.area.remit_home())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a program to its end.
    pub fn run<A: AsRef<OsStr>>(&self, words: &[A]) -> Finished {
        run_bounded(&mut self.command(words), self.limit)
    }

    /// Runs a shell script to its end.
    pub fn shell(&self, script: &str) -> Finished {
        self.run(&[program("sh").as_os_str(), OsStr::new("-c"), OsStr::new(script)])
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Value> {
        trail::events(&self.area.remit_home())
    }

    /// Where the log is.
    pub fn remit_home(&self) -> PathBuf {
        self.area.remit_home()
    }

    /// The manifest's file; `None` natively.
    pub fn manifest(&self) -> Option<&Path> {
        self.manifest.as_deref()
    }
}
