//! User namespaces: the supervisor's own (A), and the agent's below it (B).

use std::{fs, io::Write as _, os::fd::BorrowedFd};

use rustix::fs::{Mode, OFlags, openat};

use super::sys;
use crate::report::{At as _, LayerError};

const LAYER: &str = "user_namespace";

/// Moves this process into a user namespace of its own, with a copy of the mount tree: the person
/// stays the same person, and gains the right to build walls for children. Nothing changes for
/// the files that the process can reach.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// [`LayerError`] where the machine does not let people make user namespaces.
pub fn enter_supervisor_namespace() -> Result<(), LayerError> {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).at(LAYER, "create", "")?;
    write_maps("/proc/self", uid.as_raw(), gid.as_raw())?;
    // Mounts of the host go on arriving here; ours never travel back.
    let flags = rustix::mount::MountPropagationFlags::DOWNSTREAM
        | rustix::mount::MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).at("mount_namespace", "make private", "/")
}

/// Moves the calling process, which must have one thread, into the agent's user namespace: no
/// process in it can make another one, and the mount tree belongs to the namespace above.
///
/// # Errors
/// [`LayerError`] naming the step.
pub(crate) fn enter_agent_namespace(host_proc: BorrowedFd<'_>) -> Result<(), LayerError> {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    sys::unshare(libc::CLONE_NEWUSER).at(LAYER, "create inner", "")?;
    write_maps("/proc/self", uid.as_raw(), gid.as_raw())?;
    // The table that `sys/user` shows is the opener's user namespace's, so it is opened here and
    // not before.
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let limit = openat(host_proc, "sys/user/max_user_namespaces", flags, Mode::empty()).at(
        LAYER,
        "open",
        "user.max_user_namespaces",
    )?;
    fs::File::from(limit).write_all(b"0").at(LAYER, "set", "user.max_user_namespaces")
}

fn write_maps(proc: &str, uid: u32, gid: u32) -> Result<(), LayerError> {
    let write = |name: &str, text: String| {
        let path = format!("{proc}/{name}");
        fs::write(&path, text).at(LAYER, "write", &path)
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{uid} {uid} 1"))?;
    write("gid_map", format!("{gid} {gid} 1"))
}
