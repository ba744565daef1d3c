//! What the kernel says of itself, without changing anything.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::Finding;
use crate::report::{Layer, LayerStatus};

/// Answers of the kernel and of its settings.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    /// Version of the Landlock interface; 0 where there is none.
    pub(super) landlock: i64,
    /// `SECCOMP_RET_USER_NOTIF` is known.
    pub(super) notification: bool,
    /// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` is known (Linux 5.19).
    pub(super) killable: bool,
    /// `pidfd_getfd(2)` is there.
    pub(super) getfd: bool,
    /// `process_vm_readv(2)` is there.
    pub(super) read_memory: bool,
    /// `mount_setattr(2)` is there (Linux 5.12).
    pub(super) mount_api: bool,
    /// `user.max_user_namespaces`
    pub(super) namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, where the distribution has it.
    pub(super) clone_sysctl: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, where the distribution has it.
    pub(super) apparmor: Option<u64>,
    /// `kernel.yama.ptrace_scope`
    pub(super) ptrace_scope: Option<u64>,
    /// This process is in a container, as far as such places tell.
    pub(super) container: bool,
}

impl Kernel {
    pub(super) fn look() -> Self {
        Self {
            landlock: landlock_version(),
            notification: notification(),
            killable: filter_flag(1 << 5),
            getfd: there(errno(pidfd_getfd())),
            read_memory: there(errno(read_own_memory())),
            mount_api: there(errno(mount_setattr())),
            namespaces: number("/proc/sys/user/max_user_namespaces"),
            clone_sysctl: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            ptrace_scope: number("/proc/sys/kernel/yama/ptrace_scope"),
            container: ["/.dockerenv", "/run/.containerenv"].iter().any(|p| Path::new(p).exists()),
        }
    }

    pub(super) fn landlock(&self) -> String {
        format!("file rights handled; version {} of the interface", self.landlock)
    }
}

/// Layer 10: whether control groups can hold the ceilings of a session, or rlimits and the
/// supervisor's own count must.
pub(super) fn control_groups() -> Finding {
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let bases: &[&str] = if unified {
        &["/sys/fs/cgroup"]
    } else {
        &["/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory"]
    };
    let writable = bases.iter().all(|base| access(Path::new(base), Access::WRITE_OK).is_ok());
    let version = if unified { 2 } else { 1 };
    let (status, detail) = if writable {
        (LayerStatus::InForce, format!("control groups (version {version}) hold the limits"))
    } else {
        let why = match bases.iter().map(PathBuf::from).find(|base| !base.exists()) {
            Some(base) => format!("{} is missing", base.display()),
            None => format!("control groups (version {version}) are not ours to make"),
        };
        (LayerStatus::Partial, format!("{why}: rlimits, and the supervisor counts every 50 ms"))
    };
    let help = (!writable).then(|| {
        "limits hold less exactly for memory and processes; nothing else depends on it".to_owned()
    });
    let layer = Layer { name: "limits".into(), status, detail };
    Finding { number: 10, layer, needed: false, help }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)`, landlock(7).
fn landlock_version() -> i64 {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag the kernel reads no attributes and makes nothing.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, 1u32) };
    version.max(0)
}

/// `SECCOMP_GET_ACTION_AVAIL`, seccomp(2).
fn notification() -> bool {
    const GET_ACTION_AVAIL: libc::c_uint = 2;
    let action: u32 = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: the kernel reads one number.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) };
    result == 0
}

/// A known flag goes on to the filter, which is not there (EFAULT); an unknown one is EINVAL.
fn filter_flag(flag: libc::c_ulong) -> bool {
    const SET_MODE_FILTER: libc::c_uint = 1;
    const NEW_LISTENER: libc::c_ulong = 1 << 3;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: a null filter is never installed.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, NEW_LISTENER | flag, none) };
    errno(result) == Some(libc::EFAULT)
}

fn pidfd_getfd() -> libc::c_long {
    // SAFETY: takes no pointers; no descriptor has this number.
    unsafe { libc::syscall(libc::SYS_pidfd_getfd, -1, 0, 0) }
}

fn read_own_memory() -> libc::c_long {
    let none = std::ptr::null::<libc::iovec>();
    // SAFETY: no vectors, so nothing is read or written.
    unsafe { libc::syscall(libc::SYS_process_vm_readv, libc::getpid(), none, 0, none, 0, 0) }
}

fn mount_setattr() -> libc::c_long {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: an attribute block of size 0 is refused before it is read.
    unsafe { libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, none, 0usize) }
}

/// The error number of a call that failed just now.
fn errno(result: libc::c_long) -> Option<i32> {
    if result >= 0 { None } else { io::Error::last_os_error().raw_os_error() }
}

/// Whether a call exists: any complaint but ENOSYS says so.
fn there(error: Option<i32>) -> bool {
    error != Some(libc::ENOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown_flags_differ() {
        // NEW_LISTENER alone has been there as long as notification; the highest bit never.
        assert!(filter_flag(0));
        assert!(!filter_flag(1 << 31));
    }
}
