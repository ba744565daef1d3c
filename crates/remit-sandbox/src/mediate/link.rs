//! Hard links and removals.

use std::{
    ffi::CString,
    os::fd::{AsRawFd, OwnedFd},
};

use remit_core::Action;
use rustix::io::Errno;

use super::{
    place::Class,
    start::{Begun, Object},
    sys,
    turn::{Outcome, Reply, Stop, Turn, is, kind_of},
};

/// What a hard link is made of.
enum Source {
    Named(Object),
    /// An `O_TMPFILE` that has no name yet.
    Unnamed(OwnedFd),
}

impl Turn<'_> {
    /// `link`, `linkat`. A second name for a file is a way to change it later under that name, so
    /// the file must be writable under its first.
    pub(super) fn link(&mut self, old: (i32, u64), new: (i32, u64), flags: i32) -> Outcome {
        if flags & !(libc::AT_SYMLINK_FOLLOW | libc::AT_EMPTY_PATH) != 0 {
            return Err(Errno::INVAL.into());
        }
        self.keep_names_still();
        let source = self.link_source(old, flags)?;
        let path = self.path(new.1)?;
        let parent = self.name_at(new.0, &path)?;
        let (fd, kind) = match &source {
            Source::Named(object) => (&object.fd, kind_of(object.stat.st_mode)),
            Source::Unnamed(fd) => (fd, remit_core::FileKind::File),
        };
        if parent.is_plain() {
            if self.there(&parent)?.is_some() {
                return Err(Errno::EXIST.into());
            }
            if parent.slash {
                return Err(Errno::NOENT.into());
            }
            match &source {
                // Folders have no second names; the kernel knows which error comes first.
                Source::Named(object) if is(object.stat.st_mode, libc::S_IFDIR) => {}
                Source::Named(object) if self.class(&object.path) == Class::Native => {
                    return Err(Stop::Continue);
                }
                Source::Named(object) => {
                    self.may(Action::WriteFile, &object.path, kind)?;
                    self.may(Action::WriteFile, &parent.full, kind)?;
                }
                Source::Unnamed(_) => self.may(Action::WriteFile, &parent.full, kind)?,
            }
            self.still_there()?;
        }
        let name = rustix::path::DecInt::from_fd(fd);
        sys::linkat(
            self.shared.own.as_raw_fd(),
            name.as_c_str(),
            parent.fd.as_raw_fd(),
            &parent.name,
            libc::AT_SYMLINK_FOLLOW,
        )?;
        Ok(Reply::Value(0))
    }

    fn link_source(&self, (dirfd, path): (i32, u64), flags: i32) -> Result<Source, Stop> {
        let text = match self.path(path) {
            Err(Stop::Errno(Errno::NOENT)) if flags & libc::AT_EMPTY_PATH != 0 => {
                return self.source_by_descriptor(dirfd);
            }
            text => text?,
        };
        let follow = flags & libc::AT_SYMLINK_FOLLOW != 0;
        match self.start(dirfd, &text, false)? {
            Begun::Path(start) if start.is_native() => Err(Stop::Continue),
            Begun::Path(start) => Ok(Source::Named(self.object(&start, follow)?)),
            Begun::Object(_) if !follow => Err(Stop::Continue),
            Begun::Object(link) => {
                let fd = self.follow(&link, 0)?;
                self.held_source(fd)
            }
        }
    }

    fn source_by_descriptor(&self, fd: i32) -> Result<Source, Stop> {
        if fd == sys::CWD {
            return Err(Errno::PERM.into());
        }
        let fd = self.grab(fd)?;
        self.held_source(fd)
    }

    fn held_source(&self, fd: OwnedFd) -> Result<Source, Stop> {
        let stat = sys::fstat(fd.as_raw_fd())?;
        if stat.st_nlink == 0 && is(stat.st_mode, libc::S_IFREG) {
            // Its contents came through its creator's descriptor; only its new name is decided.
            // The kernel refuses files that have lost their names.
            return Ok(Source::Unnamed(fd));
        }
        self.reached(fd).map(Source::Named)
    }

    /// `unlink`, `unlinkat`, `rmdir`.
    pub(super) fn remove(&mut self, dirfd: i32, path: u64, flags: i32) -> Outcome {
        if flags & !libc::AT_REMOVEDIR != 0 {
            return Err(Errno::INVAL.into());
        }
        let path: CString = self.path(path)?;
        self.keep_names_still();
        let parent = self.name_at(dirfd, &path)?;
        let dir = parent.fd.as_raw_fd();
        // With a final slash `unlink` only ever fails.
        if parent.is_plain() && !(parent.slash && flags == 0) {
            let bare = CString::new(parent.bare()).map_err(|_| Errno::INVAL)?;
            let stat = sys::lstatat(dir, &bare)?;
            let folder = is(stat.st_mode, libc::S_IFDIR);
            if folder == (flags & libc::AT_REMOVEDIR != 0) {
                self.may(Action::DeleteFile, &parent.full, kind_of(stat.st_mode))?;
                self.still_there()?;
            } else {
                // The wrong call for the kind: it fails whatever is decided.
                sys::may_change(dir)?;
                return Err(if folder { Errno::ISDIR } else { Errno::NOTDIR }.into());
            }
        }
        sys::unlinkat(dir, &parent.name, flags)?;
        Ok(Reply::Value(0))
    }
}
