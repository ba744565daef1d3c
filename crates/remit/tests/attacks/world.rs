//! What every attack has: a corner of the disk with permitted places, places that are not
//! permitted, and a program inside that tries.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use libtest_mimic::Trial;
use remit_testkit::{Area, Finished, ManifestBuilder, Session, remit, run_bounded, trail};
use serde_json::Value;

/// What must never be seen inside.
pub const SECRET: &str = "the host's secret";
/// What stands in granted files.
pub const DATA: &str = "granted data";
/// Calls, attempts, small helpers.
const PRELUDE: &str = include_str!("prelude.py");

/// The interpreter of the machine's own packages; one below a home would need grants to run.
pub fn python() -> PathBuf {
    Path::new("/usr/bin/python3").canonicalize().expect("python3 is installed")
}

pub fn trial(name: &'static str, body: fn()) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// One attack's corner:
/// `secret/key` is granted to nobody, `work/read/` for reading, `work/write/` for writing.
pub struct World {
    pub area: Area,
    pub manifest: ManifestBuilder,
    pub limit: Duration,
}

/// What an attack's script printed, and the trail that it left.
pub struct Report {
    pub done: Finished,
    pub lines: BTreeMap<String, String>,
    pub events: Vec<Value>,
}

/// Says yes to the next question.
pub fn answer_next(home: &Path, how: &[&str]) {
    let approval = |words: &[&str]| {
        let mut command = Command::new(remit());
        command.arg("approval").args(words).env("REMIT_HOME", home);
        run_bounded(&mut command, Duration::from_secs(10))
    };
    for _ in 0..200 {
        let listed = approval(&["list", "--format", "json"]).stdout;
        let all: Vec<Value> = serde_json::from_str(&listed).unwrap_or_default();
        let id = all.first().and_then(|question| question["id"].as_str());
        if let Some(id) = id {
            let mut words = vec!["approve", id];
            words.extend(how);
            let _ = approval(&words).must_succeed();
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing was asked");
}

/// Says yes to all that is being asked; returns to how many questions.
pub fn answer_all(home: &Path, how: &[&str]) -> usize {
    let approval = |words: &[&str]| {
        let mut command = Command::new(remit());
        command.arg("approval").args(words).env("REMIT_HOME", home);
        run_bounded(&mut command, Duration::from_secs(10))
    };
    let listed = approval(&["list", "--format", "json"]).stdout;
    let all: Vec<Value> = serde_json::from_str(&listed).unwrap_or_default();
    let ids = all.iter().filter_map(|question| question["id"].as_str());
    let yes = |id: &&str| approval(&[&["approve", id], how].concat()).status == Some(0);
    ids.filter(yes).count()
}

impl World {
    pub fn new(name: &str) -> Self {
        let area = Area::new(name);
        area.write("secret/key", SECRET);
        area.write("work/read/file", DATA);
        area.write("work/write/file", DATA);
        let manifest = ManifestBuilder::default()
            .read(area.work().join("read"))
            .write(area.work().join("write"));
        Self { area, manifest, limit: Duration::from_secs(60) }
    }

    /// Changes the manifest.
    pub fn with(mut self, change: impl FnOnce(ManifestBuilder, &Area) -> ManifestBuilder) -> Self {
        self.manifest = change(self.manifest, &self.area);
        self
    }

    pub fn session(&self) -> Session<'_> {
        Session::under(&self.area, &self.manifest).within(self.limit)
    }

    /// The script as an argument of the interpreter, knowing where everything is.
    pub fn script(&self, script: &str) -> String {
        let area = self.area.path().display();
        format!("{PRELUDE}A = {area:?}\nR, W = A + '/work/read', A + '/work/write'\n{script}")
    }

    /// Runs a Python script inside.
    pub fn attack(&self, script: &str) -> Report {
        self.attack_in(&self.session(), script)
    }

    pub fn attack_in(&self, session: &Session<'_>, script: &str) -> Report {
        let (python, script) = (python(), self.script(script));
        let done = session.run(&[python.as_os_str(), OsStr::new("-c"), OsStr::new(&script)]);
        self.report(done)
    }

    /// The same with a file of the host as standard input.
    pub fn attack_with_input(&self, input: &Path, script: &str) -> Report {
        let (python, script) = (python(), self.script(script));
        let words = [python.as_os_str(), OsStr::new("-c"), OsStr::new(&script)];
        let mut command = self.session().command(&words);
        let start = std::time::Instant::now();
        let file = fs::File::open(input).expect("the input can be opened");
        let output = command.stdin(file).output().expect("remit starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.report(Finished {
            status: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            took: start.elapsed(),
        })
    }

    /// What a script that has run printed.
    pub fn report(&self, done: Finished) -> Report {
        let lines = done
            .stdout
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, what)| (name.to_owned(), what.to_owned()))
            .collect();
        // A session that is refused leaves no trail; some keep it elsewhere.
        let kept = self.exists("remit/audit/checkpoint");
        let events = if kept { trail::events(&self.area.remit_home()) } else { Vec::new() };
        Report { events, done, lines }
    }

    pub fn text(&self, relative: &str) -> String {
        self.area.read(relative).unwrap_or_else(|| panic!("{relative} is gone"))
    }

    pub fn exists(&self, relative: &str) -> bool {
        self.area.path().join(relative).symlink_metadata().is_ok()
    }

    pub fn link(&self, target: impl AsRef<Path>, relative: &str) {
        let link = self.area.path().join(relative);
        std::os::unix::fs::symlink(target, link).expect("a link can be made");
    }

    pub fn executable(&self, relative: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.area.write(relative, contents);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
        path
    }
}

impl Report {
    /// What became of an attempt.
    #[track_caller]
    pub fn of(&self, name: &str) -> &str {
        let found = self.lines.get(name);
        found.unwrap_or_else(|| panic!("`{name}` was not attempted:\n{}", self.done))
    }

    /// Fails the test where one of these happened.
    #[track_caller]
    pub fn refused(&self, names: &[&str]) -> &Self {
        for name in names {
            let what = self.of(name);
            assert_ne!(what, "happened", "`{name}` got through:\n{}", self.done);
            assert_ne!(what, "NameError", "`{name}` is a mistake in the test:\n{}", self.done);
            assert_ne!(what, "TypeError", "`{name}` is a mistake in the test:\n{}", self.done);
        }
        self
    }

    /// Fails the test where one of these was refused: the permitted things beside the attack.
    #[track_caller]
    pub fn works(&self, names: &[&str]) -> &Self {
        for name in names {
            assert_eq!(self.of(name), "happened", "`{name}` must work:\n{}", self.done);
        }
        self
    }

    /// Every attempt whose name begins like this was refused; returns how many there were.
    #[track_caller]
    pub fn all_refused(&self, prefix: &str) -> usize {
        let names: Vec<&str> =
            self.lines.keys().map(String::as_str).filter(|name| name.starts_with(prefix)).collect();
        assert!(!names.is_empty(), "nothing was attempted:\n{}", self.done);
        self.refused(&names);
        names.len()
    }

    /// Fails the test unless the trail has such an event.
    #[track_caller]
    pub fn recorded(&self, action: &str, outcome: &str, part: &str) -> &Self {
        trail::must_have(&self.events, action, outcome, part);
        self
    }

    /// Nothing of the host's secret came out.
    #[track_caller]
    pub fn silent(&self) -> &Self {
        assert!(!self.done.stdout.contains(SECRET), "the secret came out:\n{}", self.done);
        self
    }
}
