//! Whether this machine has what a session's walls need.
//!
//! Asking the kernel what it supports says little: a security module, a container or a sysctl may
//! still refuse. So [`examine`] builds the walls of a throw-away session with the very code that
//! `remit run` uses, runs a small script inside that tries what it must not be able to do, and
//! reports each layer; what the kernel says of itself explains failures. Nothing is left behind.

mod help;
mod kernel;
mod trial;

use serde::Serialize;

use self::kernel::Kernel;
use crate::report::{Layer, LayerStatus};

/// One layer of the design on this machine.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Its number in the documentation's table of layers.
    pub number: u8,
    /// Name, state and reason.
    #[serde(flatten)]
    pub layer: Layer,
    /// Whether a session refuses to start without it.
    pub needed: bool,
    /// What to do where it is not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    /// Whether a session can start as far as this layer is concerned.
    pub fn suffices(&self) -> bool {
        !self.needed || self.layer.status == LayerStatus::InForce
    }
}

/// Tries every layer. The calling process must have one thread; it forks and changes nothing of
/// itself.
pub fn examine() -> Vec<Finding> {
    let kernel = Kernel::look();
    let trial = trial::run();
    let tried = |number, name: &'static str, what: &str| {
        let status = trial.status(name);
        let in_force = status == LayerStatus::InForce;
        let detail = match trial.reason(name) {
            Some(reason) => reason,
            None => what.to_owned(),
        };
        let help = (!in_force && trial.failed_at(name)).then(|| help::about(name, &trial, &kernel));
        let layer = Layer { name: name.to_owned(), status, detail };
        Finding { number, layer, needed: true, help: help.flatten() }
    };
    let mut all = vec![
        tried(1, "user_namespace", "own user namespaces; no capability, no nesting inside"),
        tried(2, "mount_namespace", "granted paths and system directories alone exist"),
        tried(3, "programs", "unlisted programs are absent; what was written cannot start"),
        tried(
            4,
            "process_namespaces",
            "own processes, IPC objects and names; /proc shows no other",
        ),
        tried(5, "network_namespace", "loopback and 198.18.0.0/15 for listed names alone"),
        tried(6, "landlock", &kernel.landlock()),
        tried(7, "seccomp", "system calls filtered; notification, killable waits"),
        tried(8, "mediation", "files, programs and connections performed by the supervisor"),
    ];
    all.push(kernel::control_groups());
    all
}

/// The kernel's name and version, `Linux 6.18.0`.
pub fn kernel_version() -> String {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    format!("{} {}", text(name.sysname()), text(name.release()))
}

#[cfg(test)]
mod tests {
    use super::{trial::Trial, *};

    #[test]
    fn what_is_not_needed_never_stops_a_session() {
        let layer = Layer { name: "x".into(), status: LayerStatus::Partial, detail: String::new() };
        let mut finding = Finding { number: 10, layer, needed: false, help: None };
        assert!(finding.suffices());
        finding.needed = true;
        assert!(!finding.suffices());
    }

    #[test]
    fn a_failed_layer_hides_no_other() {
        let trial = Trial::failed_for_test("mount_namespace");
        assert_eq!(trial.status("user_namespace"), LayerStatus::InForce);
        assert_eq!(trial.status("mount_namespace"), LayerStatus::Absent);
        // Never reached, so never said to be in force.
        assert_eq!(trial.status("seccomp"), LayerStatus::Absent);
        assert!(trial.reason("seccomp").unwrap().contains("not tried"));
    }
}
