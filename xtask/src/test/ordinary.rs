//! The second half of the tests: as an ordinary user, on the same files.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::Options;
use crate::{
    failure::{At, Failure},
    place, step,
};

/// Made by `useradd` where missing; nothing else uses it.
const NAME: &str = "remit-test";

/// Packages whose integration tests drive real sessions, and so differ by who runs them.
const PACKAGES: [&str; 4] = ["remit", "remit-sandbox", "remit-supervisor", "remit-testkit"];

/// Runs in a private mount namespace. `$1` names a file of folders, one a line: those the user
/// must reach although a folder above them is closed (root's home is). Each is kept aside, the
/// closed folders are covered by empty ones, and each is put back at its own path, so that paths
/// compiled into the tests stay true.
const VIEW: &str = r#"set -e
folders=$1; covers=$2; user=$3; scratch=$4; shift 4
aside=$(mktemp -d); mount -t tmpfs tmpfs "$aside"
n=0; while read -r f; do n=$((n+1)); mkdir "$aside/$n"; mount --rbind "$f" "$aside/$n"; done < "$folders"
cp "$folders" "$aside/folders"
while read -r f; do mount -t tmpfs -o mode=755 tmpfs "$f"; done < "$covers"
n=0; while read -r f; do n=$((n+1)); mkdir -p "$f"; mount --rbind "$aside/$n" "$f"; done < "$aside/folders"
umount -l "$aside"; rmdir "$aside"
mkdir -p "$scratch"; mount -t tmpfs -o mode=1777 tmpfs "$scratch"
cd "$CARGO_MANIFEST_DIR"
exec setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all -- "$@""#;

/// An ordinary user with the test tools in its cache.
pub(crate) struct User {
    home: PathBuf,
}

/// One test program.
struct Program {
    executable: PathBuf,
    package: PathBuf,
    name: String,
}

impl User {
    /// Makes the user where missing and gives it the tools in these folders.
    pub(crate) fn provide(tools: &[PathBuf]) -> Result<Self, Failure> {
        if home().is_none() {
            let mut useradd = Command::new("useradd");
            step::show("useradd", useradd.args(["--create-home", "--shell", "/bin/bash", NAME]))?;
        }
        let home = home().ok_or(Failure::Findings {
            what: "the ordinary user",
            findings: vec![format!("{NAME} has no home after useradd")],
        })?;
        let user = Self { home };
        tools.iter().try_for_each(|folder| user.share(folder))?;
        Ok(user)
    }

    /// Runs the end-to-end tests again, as this user.
    pub(crate) fn run_tests(&self, options: &Options) -> Result<(), Failure> {
        let stage = place::target().join("ordinary");
        fs::create_dir_all(&stage).at(&stage)?;
        let wanted = |name: &&str| {
            options.package.is_empty() || options.package.iter().any(|package| package == name)
        };
        let packages: Vec<&str> = PACKAGES.into_iter().filter(wanted).collect();
        if packages.is_empty() {
            return Ok(());
        }
        let mut findings = Vec::new();
        for program in programs(&packages)? {
            let what = format!("{} as {NAME}", program.name);
            let mut command = self.command(&stage, &program)?;
            if options.with_claude {
                command.env("REMIT_TEST_CLAUDE", "1");
            }
            if let Err(failure) = step::show(&what, &mut command) {
                findings.push(failure.to_string());
            }
        }
        if findings.is_empty() {
            return Ok(());
        }
        Err(Failure::Findings { what: "tests as an ordinary user", findings })
    }

    fn command(&self, stage: &Path, program: &Program) -> Result<Command, Failure> {
        let toolchain = toolchain()?;
        let mut needed = vec![place::root(), place::target()];
        if !closed_above(std::slice::from_ref(&toolchain))?.is_empty() {
            needed.push(toolchain.clone());
        }
        let folders = stage.join("folders");
        fs::write(&folders, lines(&needed)).at(&folders)?;
        let covers = stage.join("covers");
        fs::write(&covers, lines(&closed_above(&needed)?)).at(&covers)?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", VIEW, "sh"])
            .args([&folders, &covers])
            .arg(NAME)
            .arg(place::target().join("tmp"))
            .arg(&program.executable)
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.home)
            .env("USER", NAME)
            .env("LANG", "C.UTF-8")
            .env("INSTA_UPDATE", "no")
            // Else it asks cargo, which this user need not have.
            .env("INSTA_WORKSPACE_ROOT", place::root())
            .env("REMIT_TEST_TOOLCHAIN", toolchain)
            .env("CARGO_MANIFEST_DIR", &program.package);
        Ok(command)
    }

    /// Hard links where possible: the tools are large.
    fn share(&self, tools: &Path) -> Result<(), Failure> {
        let cache = self.home.join(".cache/remit-tests");
        let target = cache.join(tools.file_name().unwrap_or_default());
        if target.exists() {
            fs::remove_dir_all(&target).at(&target)?;
        }
        fs::create_dir_all(&cache).at(&cache)?;
        let linked = Command::new("cp").arg("-al").args([tools, &target]).status();
        if !linked.is_ok_and(|status| status.success()) {
            let mut copy = Command::new("cp");
            step::show("copying the tools", copy.arg("-a").arg(tools.join(".")).arg(&target))?;
        }
        let mut chown = Command::new("chown");
        step::show("chown", chown.arg(format!("{NAME}:")).args([&self.home.join(".cache"), &cache]))
    }
}

/// The integration tests of the packages that drive sessions.
fn programs(packages: &[&str]) -> Result<Vec<Program>, Failure> {
    let mut cargo = Command::new(place::cargo());
    cargo.current_dir(place::root()).args(["test", "--no-run", "--quiet"]);
    cargo.args(packages.iter().flat_map(|package| ["-p", package]));
    let messages = step::capture("cargo test --no-run", cargo.arg("--message-format=json"))?;
    let mut found = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|source| Failure::Json { what: "cargo test --no-run".to_owned(), source })?;
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        let (Some(executable), Some("test")) = (text("/executable"), text("/target/kind/0")) else {
            continue;
        };
        let manifest = Path::new(text("/manifest_path").unwrap_or_default());
        found.push(Program {
            executable: PathBuf::from(executable),
            package: manifest.parent().unwrap_or(manifest).to_owned(),
            name: text("/target/name").unwrap_or_default().to_owned(),
        });
    }
    if found.is_empty() {
        let findings = vec!["cargo named none".to_owned()];
        return Err(Failure::Findings { what: "no end-to-end test found", findings });
    }
    Ok(found)
}

/// The folder of the compiler that builds all this: rustup keeps it in root's closed home.
fn toolchain() -> Result<PathBuf, Failure> {
    let mut rustc = Command::new("rustc");
    let sysroot = step::capture("rustc --print sysroot", rustc.args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(sysroot.trim()))
}

/// The topmost folders above `paths` that others may not pass.
fn closed_above(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut closed: Vec<PathBuf> = Vec::new();
    for path in paths {
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        for folder in above {
            let mode = fs::metadata(folder).at(folder)?.permissions().mode();
            if mode & 0o001 == 0 {
                closed.push(folder.to_owned());
                break;
            }
        }
    }
    closed.sort();
    closed.dedup();
    Ok(closed)
}

fn lines(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("{}\n", path.display())).collect()
}

/// The user's home as the system knows it.
fn home() -> Option<PathBuf> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts.lines().find(|line| line.split(':').next() == Some(NAME))?;
    line.split(':').nth(5).map(PathBuf::from)
}
