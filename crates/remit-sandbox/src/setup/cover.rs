//! Covers a place of a running session.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
    mount::MoveMountFlags,
};

use super::{
    mounts::{FIXED, attach, clone_mount, make_directory, memory},
    sys,
};

/// Covers `path`; what is mounted at `kept`, below it, moves onto the cover. Runs in a thread
/// inside the session's mount namespace.
pub(crate) fn cover(path: &Path, mut kept: Vec<PathBuf>) -> io::Result<()> {
    let at = match open(path) {
        Ok(at) => at,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(rustix::fs::fstat(&at)?.st_mode) != FileType::Directory {
        // A device that no mount option lets anybody open.
        let empty = clone_mount(CWD, "/dev/null")?;
        sys::mount_setattr(empty.as_fd(), FIXED | sys::NO_EXEC, 0, false)?;
        return Ok(attach(&empty, at.as_fd(), "")?);
    }
    // Outermost alone: what is mounted inside moves along.
    kept.sort();
    kept.dedup_by(|inner, outer| inner.starts_with(outer));
    let empty = memory("0555", Some(65536), 0).map_err(io::Error::other)?;
    let mut inner = Vec::with_capacity(kept.len());
    for one in kept {
        let mount = open(&one)?;
        let directory =
            FileType::from_raw_mode(rustix::fs::fstat(&mount)?.st_mode) == FileType::Directory;
        let below = one.strip_prefix(path).map_err(io::Error::other)?.to_owned();
        make(&empty, &below, directory)?;
        inner.push((mount, one));
    }
    sys::mount_setattr(empty.as_fd(), FIXED | sys::NO_EXEC, 0, false)?;
    attach(&empty, at.as_fd(), "")?;
    for (mount, name) in inner {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&mount, "", open(&name)?, "", flags)?;
    }
    Ok(())
}

fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

/// Makes what a mount needs below it.
fn make(root: &OwnedFd, path: &Path, directory: bool) -> io::Result<()> {
    let folders = if directory { Some(path) } else { path.parent() };
    let mut sofar = PathBuf::new();
    for name in folders.into_iter().flat_map(Path::components) {
        sofar.push(name);
        match make_directory(root.as_fd(), &sofar, 0o755) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !directory {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(root, path, flags, Mode::from_raw_mode(0o444))?;
    }
    Ok(())
}
