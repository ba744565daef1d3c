//! Web clients from PyPI, in an environment in the cache folder: the system's own Python is its
//! package manager's (PEP 668).

use std::{fs, path::PathBuf, process::Command};

use crate::{
    failure::{At, Failure},
    place, step,
};

/// Pinned: a test that passes today passes tomorrow.
const CLIENTS: [&str; 9] = [
    "aiohttp==3.14.5",
    "awscli==1.46.3",
    "grpcio==1.85.3",
    "httplib2==0.32.1",
    "httpx[http2]==0.28.1",
    "pip==26.3",
    "requests==2.34.2",
    "uv==0.13.9",
    "websockets==17.4",
];

/// The list that was installed, one a line.
const INSTALLED: &str = "installed.txt";

/// Installs what is missing and returns the environment's folder.
pub(crate) fn provide() -> Result<PathBuf, Failure> {
    let folder = place::test_cache().join("pip");
    let (wanted, installed) = (CLIENTS.join("\n"), folder.join(INSTALLED));
    if fs::read_to_string(&installed).is_ok_and(|list| list == wanted) {
        return Ok(folder);
    }
    // The system's, whatever comes first on PATH: sessions see it.
    let mut python = Command::new("/usr/bin/python3");
    step::show("making a Python environment", python.args(["-m", "venv", "--clear"]).arg(&folder))?;
    step::show_with_retries("pip install of the web clients", || {
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(CLIENTS);
        pip
    })?;
    fs::write(&installed, wanted).at(&installed)?;
    Ok(folder)
}
