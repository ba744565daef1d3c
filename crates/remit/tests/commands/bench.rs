//! One test's corner, and the program in it.

use std::{
    ffi::OsStr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use remit_testkit::{Area, Finished, ManifestBuilder, program, remit, run_bounded};
use serde_json::Value;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A corner of the disk with a person's home, a work folder and a `REMIT_HOME`.
pub(crate) struct Bench {
    pub(crate) area: Area,
}

impl Bench {
    pub(crate) fn new(name: &str) -> Self {
        Self { area: Area::new(name) }
    }

    /// `remit` in the work folder, with an environment of its own.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(remit());
        command
            .args(arguments)
            .current_dir(self.area.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.area.home())
            .env("REMIT_HOME", self.area.remit_home())
            .env("LANG", "C.UTF-8")
            .env("COLUMNS", "100");
        command
    }

    pub(crate) fn remit<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Finished {
        run_bounded(&mut self.command(arguments), LIMIT)
    }

    /// Writes `work/manifest.json`.
    pub(crate) fn manifest(&self, manifest: &ManifestBuilder) {
        self.area.write("work/manifest.json", manifest.text());
    }

    /// A shell script under `work/manifest.json`.
    pub(crate) fn session(&self, script: &str) -> Command {
        let shell = program("sh");
        let shell = shell.to_str().unwrap();
        let head = ["run", "--manifest", "manifest.json", "--non-interactive", "--"];
        let mut words = head.to_vec();
        words.extend([shell, "-c", script]);
        self.command(&words)
    }

    /// Starts it and leaves it running.
    pub(crate) fn start(&self, script: &str) -> Running {
        let mut command = self.session(script);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(Some(command.spawn().unwrap()))
    }

    /// Every event of the log.
    pub(crate) fn events(&self) -> Vec<Value> {
        remit_testkit::trail::events(&self.area.remit_home())
    }

    /// What a command prints with everything that differs between runs taken out.
    pub(crate) fn masked(&self, text: &str) -> String {
        text.replace(&self.area.path().display().to_string(), "[AREA]")
    }

    /// Waits until the trail has so many events with that action.
    pub(crate) fn wait_for_events(&self, action: &str, count: usize) {
        wait_for(action, || {
            let done = self.remit(&["audit", "query", "--action", action]);
            // Until the first session has begun there is no log to ask.
            (done.status == Some(0) && done.stdout.lines().count() >= count).then_some(())
        });
    }

    /// The rows of `remit approval list` once there are some.
    pub(crate) fn questions(&self) -> Vec<Value> {
        self.wait_for_events("approval_request", 1);
        wait_for("a question", || {
            let done = self.remit(&["approval", "list", "--format", "json"]).must_succeed();
            let all: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
            (!all.is_empty()).then_some(all)
        })
    }
}

/// Tries again until there is something, for ten seconds.
pub(crate) fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that runs beside the test; killed with the value.
pub(crate) struct Running(pub(crate) Option<Child>);

impl Running {
    /// Waits for its end.
    pub(crate) fn finish(mut self) -> std::process::Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Settings under which snapshots are compared: ids and times masked.
pub(crate) fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"\b(s|e|c|a|g)-[a-z0-9]{16}", "$1-[SESSION]");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]");
    settings.add_filter(r"/(usr/)?bin/(ba|da|a)?sh\b", "[SHELL]");
    settings.add_filter(r"/(usr/)?bin/(cat|coreutils|busybox)\b", "[CAT]");
    settings.add_filter(r"(sha256:)?[0-9a-f]{64}", "[SHA256]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}
