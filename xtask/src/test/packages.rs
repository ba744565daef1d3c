//! Programs that the tests drive, and the Debian packages that bring them.

use std::process::Command;

use crate::{failure::Failure, place, step};

/// Program, package. Tests use each of them; `cargo xtask test` installs what is missing when
/// root and names it otherwise.
pub(crate) const NEEDED: [(&str, &str); 19] = [
    ("bash", "bash"),
    ("cc", "gcc"),
    ("curl", "curl"),
    ("git", "git"),
    ("go", "golang-go"),
    ("ip", "iproute2"),
    ("make", "make"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("perl", "perl-base"),
    ("python3", "python3"),
    ("setpriv", "util-linux"),
    ("slowhttptest", "slowhttptest"),
    ("squid", "squid"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("sslscan", "sslscan"),
    ("testssl", "testssl.sh"),
];

/// Installs what is missing, or fails naming it.
pub(crate) fn provide(needed: &[(&str, &str)]) -> Result<(), Failure> {
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(program, _)| !place::has_program(program))
        .map(|(_, package)| *package)
        .collect();
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
