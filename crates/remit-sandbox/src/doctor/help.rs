//! What to do about a layer that could not be put in force.

use super::{kernel::Kernel, trial::Trial};

/// Advice for the layer at which the trial failed, from most to least particular.
pub(super) fn about(layer: &str, trial: &Trial, kernel: &Kernel) -> Option<String> {
    // What a limit says, whichever namespace it is about (user_namespaces(7), namespaces(7)).
    if matches!(trial.errno(), libc::ENOSPC | libc::EUSERS) && kernel.namespaces != Some(0) {
        return Some(LIMIT.to_owned());
    }
    let text = match layer {
        "user_namespace" => return Some(user_namespaces(kernel)),
        // Ubuntu's restriction lets the namespace be made and then refuses every right in it.
        "process_namespaces" | "network_namespace" | "mount_namespace"
            if refused(trial) && kernel.apparmor == Some(1) =>
        {
            return Some(APPARMOR.to_owned());
        }
        "mount_namespace" if !kernel.mount_api => "needs Linux 5.12 or newer (mount_setattr)",
        "process_namespaces" | "network_namespace" | "mount_namespace" if kernel.container => {
            CONTAINER
        }
        "landlock" if kernel.landlock == 0 => {
            "Landlock is not switched on: the kernel needs CONFIG_SECURITY_LANDLOCK and `landlock` \
             in `lsm=`; see /sys/kernel/security/lsm"
        }
        "landlock" if kernel.landlock < 3 => "needs Landlock version 3, that is Linux 6.2 or newer",
        "seccomp" if !kernel.notification => "the kernel needs CONFIG_SECCOMP_FILTER, Linux 5.0",
        "seccomp" if !kernel.killable => "needs Linux 5.19 or newer (WAIT_KILLABLE_RECV)",
        "mediation" if kernel.ptrace_scope == Some(3) => {
            "kernel.yama.ptrace_scope=3 keeps the supervisor from reading its session's calls; 2 or \
             less will do"
        }
        "mediation" if !kernel.getfd => "needs Linux 5.6 or newer (pidfd_getfd)",
        "mediation" if !kernel.read_memory => {
            "the kernel needs CONFIG_CROSS_MEMORY_ATTACH (process_vm_readv)"
        }
        _ if kernel.container => CONTAINER,
        _ => return None,
    };
    Some(text.to_owned())
}

fn user_namespaces(kernel: &Kernel) -> String {
    if kernel.namespaces == Some(0) {
        return "user namespaces are switched off: `sysctl user.max_user_namespaces=10000` as root"
            .to_owned();
    }
    if kernel.clone_sysctl == Some(0) {
        return "people may not make user namespaces: \
                `sysctl kernel.unprivileged_userns_clone=1` as root"
            .to_owned();
    }
    if kernel.apparmor == Some(1) {
        return APPARMOR.to_owned();
    }
    if kernel.container {
        return CONTAINER.to_owned();
    }
    "the kernel needs CONFIG_USER_NS, and a security module or seccomp filter may refuse".to_owned()
}

/// Whether the kernel said that something is not permitted.
fn refused(trial: &Trial) -> bool {
    matches!(trial.errno(), libc::EPERM | libc::EACCES)
}

const APPARMOR: &str = "AppArmor lets only programs with a profile make user namespaces \
    (kernel.apparmor_restrict_unprivileged_userns=1): put `abi <abi/4.0>, include \
    <tunables/global> profile remit /usr/bin/remit flags=(unconfined) { userns, }` with this \
    program's own path into /etc/apparmor.d/remit, then `apparmor_parser -r /etc/apparmor.d/remit` \
    as root";

const LIMIT: &str = "a limit on namespaces is reached: see /proc/sys/user/max_*_namespaces, and \
    whether namespaces are nested more than 32 deep";

const CONTAINER: &str = "this is a container: run Remit outside it, or let the container's profile \
    permit user namespaces, mounts and seccomp notification";
