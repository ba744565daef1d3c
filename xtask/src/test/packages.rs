//! Programs that the tests drive, and the Debian packages that bring them.

use std::{path::Path, process::Command};

use crate::{failure::Failure, place, step};

/// Program or path, package. Tests use each of them; `cargo xtask test` installs what is missing when
/// root and names it otherwise.
pub(crate) const NEEDED: &[(&str, &str)] = &[
    // Of these two only a folder shows that they are there.
    ("/usr/share/doc/php-curl", "php-curl"),
    ("/usr/share/doc/python3-venv", "python3-venv"),
    ("bash", "bash"),
    ("cc", "gcc"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("gh", "gh"),
    ("git", "git"),
    ("go", "golang-go"),
    ("h2load", "nghttp2-client"),
    ("ip", "iproute2"),
    ("javac", "default-jdk-headless"),
    ("make", "make"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("perl", "perl-base"),
    ("php", "php-cli"),
    ("python3", "python3"),
    ("ruby", "ruby"),
    ("setpriv", "util-linux"),
    ("slowhttptest", "slowhttptest"),
    ("squid", "squid"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("sslscan", "sslscan"),
    ("testssl", "testssl.sh"),
    ("wget", "wget"),
];

/// Installs what is missing, or fails naming it.
pub(crate) fn provide(needed: &[(&str, &str)]) -> Result<(), Failure> {
    let is_missing = |name: &str| match name.starts_with('/') {
        true => !Path::new(name).exists(),
        false => !place::has_program(name),
    };
    let missing: Vec<&str> =
        needed.iter().filter(|(name, _)| is_missing(name)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !place::is_root() {
        let findings = vec![
            format!("missing: {}", missing.join(" ")),
            format!("install them as root: apt-get install {}", missing.join(" ")),
        ];
        return Err(Failure::Findings { what: "packages are needed", findings });
    }
    step::show_with_retries("apt-get update", || apt(&["update", "-qq"]))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    step::show_with_retries("apt-get install", || {
        let mut command = apt(&install);
        command.args(&missing);
        command
    })
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}
