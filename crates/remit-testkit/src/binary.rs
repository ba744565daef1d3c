//! Where the programs under test are.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The `remit` binary: `REMIT_BIN` where set, else the one that cargo built beside this test.
pub fn remit() -> PathBuf {
    if let Some(path) = env::var_os("REMIT_BIN") {
        return PathBuf::from(path);
    }
    let test = env::current_exe().expect("this test has an executable");
    // target/<profile>/deps/test-hash and target/<profile>/examples/name both have the programs of
    // the workspace two levels up.
    let profile = test.parent().and_then(Path::parent).expect("a test lies below its profile");
    let binary = profile.join("remit");
    assert!(
        binary.is_file(),
        "{} does not exist: build it with `cargo build -p remit`, or set REMIT_BIN",
        binary.display()
    );
    binary
}

/// The `node_modules` folder with the real agents, installed by `cargo xtask test`:
/// `REMIT_TEST_NPM` where set, else `$XDG_CACHE_HOME/remit-tests/npm/node_modules`.
pub fn npm_tools() -> PathBuf {
    installed("REMIT_TEST_NPM", "npm/node_modules")
}

/// The `node_modules` folder with web clients and runtimes, installed by `cargo xtask test`:
/// `REMIT_TEST_NPM_CLIENTS` where set, else `$XDG_CACHE_HOME/remit-tests/npm-clients/node_modules`.
pub fn npm_clients() -> PathBuf {
    installed("REMIT_TEST_NPM_CLIENTS", "npm-clients/node_modules")
}

/// The Python environment with web clients, installed by `cargo xtask test`: `REMIT_TEST_PIP`
/// where set, else `$XDG_CACHE_HOME/remit-tests/pip`.
pub fn pip_clients() -> PathBuf {
    installed("REMIT_TEST_PIP", "pip")
}

fn installed(variable: &str, below: &str) -> PathBuf {
    let folder = match env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => cache().join("remit-tests").join(below),
    };
    assert!(
        folder.is_dir(),
        "{} does not exist: `cargo xtask test` installs it, or set {variable}",
        folder.display()
    );
    folder
}

/// A program on `PATH`, as a canonical path: what a manifest's execute list needs.
pub fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain(["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file());
    let found = found.unwrap_or_else(|| panic!("{name} is not installed"));
    found.canonicalize().expect("a program that was just found has a canonical path")
}

/// `$XDG_CACHE_HOME`, or `~/.cache`.
pub(crate) fn cache() -> PathBuf {
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache"))
}
