//! Mounts as descriptors: clones of host places and fresh file systems, attached when complete.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags},
};

use super::sys;
use crate::report::{At as _, LayerError};

pub(super) const LAYER: &str = "mount_namespace";
/// What is read-only for good.
pub(super) const FIXED: u64 = sys::READ_ONLY | sys::NO_SUID | sys::NO_DEV;
/// What can be written can never be executed.
pub(super) const WRITABLE: u64 = sys::NO_SUID | sys::NO_DEV | sys::NO_EXEC;

/// Something of the host, cloned before the new root covers it.
pub(super) struct Source {
    pub(super) mount: OwnedFd,
    pub(super) target: PathBuf,
    pub(super) directory: bool,
}

/// Clones mounts of the host at their own paths; those that are missing are left out.
pub(super) fn clone_all<'a>(
    paths: impl Iterator<Item = &'a Path>,
    attributes: u64,
) -> Result<Vec<Source>, LayerError> {
    paths.filter(|path| path.exists()).map(|path| clone_one(path, attributes)).collect()
}

/// Clones what stands at a canonical path of the host; a link anywhere in it is refused, so what
/// was looked at when the plan was made is what is bound.
pub(super) fn clone_one(path: &Path, attributes: u64) -> Result<Source, LayerError> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS;
    let at =
        rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve).at(LAYER, "open", path)?;
    let kind = rustix::fs::fstat(&at).at(LAYER, "stat", path)?;
    let mount = clone_mount(at.as_fd(), "").at(LAYER, "clone", path)?;
    if attributes != 0 {
        sys::mount_setattr(mount.as_fd(), attributes, 0, true).at(LAYER, "restrict", path)?;
    }
    let directory = FileType::from_raw_mode(kind.st_mode) == FileType::Directory;
    Ok(Source { mount, target: path.to_owned(), directory })
}

pub(super) fn clone_mount(
    at: BorrowedFd<'_>,
    path: impl rustix::path::Arg,
) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    rustix::mount::open_tree(at, path, flags)
}

pub(super) fn attach(
    mount: &OwnedFd,
    at: BorrowedFd<'_>,
    path: impl rustix::path::Arg,
) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", at, path, flags)
}

pub(super) fn make_directory(
    at: BorrowedFd<'_>,
    name: impl rustix::path::Arg + Copy,
    mode: u32,
) -> rustix::io::Result<()> {
    rustix::fs::mkdirat(at, name, Mode::from_raw_mode(mode))?;
    // mkdir applies the umask; the sticky world-writable bits must stay.
    rustix::fs::chmodat(at, name, Mode::from_raw_mode(mode), AtFlags::empty())
}

pub(super) fn memory(
    mode: &str,
    size: Option<u64>,
    attributes: u64,
) -> Result<OwnedFd, LayerError> {
    let mode = mode.strip_prefix("mode=").unwrap_or(mode);
    let size = size.map(|bytes| bytes.to_string());
    let mut options = vec![("mode", mode)];
    if let Some(size) = &size {
        options.push(("size", size));
    }
    mounted("tmpfs", &options, attributes)
}

pub(super) fn mounted(
    kind: &str,
    options: &[(&str, &str)],
    attributes: u64,
) -> Result<OwnedFd, LayerError> {
    let context =
        rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at(LAYER, "open", kind)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(&context, *key, *value).at(
            LAYER,
            "configure",
            format!("{kind} {key}={value}"),
        )?;
    }
    rustix::mount::fsconfig_create(&context).at(LAYER, "create", kind)?;
    let mount =
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
            .at(LAYER, "mount", kind)?;
    if attributes != 0 {
        sys::mount_setattr(mount.as_fd(), attributes, 0, false).at(LAYER, "restrict", kind)?;
    }
    Ok(mount)
}
