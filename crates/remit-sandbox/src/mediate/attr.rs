//! Changes of length, mode, times, owner and extended attributes.
//!
//! Landlock covers none of them but length, so these are never left to the kernel: a call
//! that is let through unread could be turned on a protected file.

use std::{
    ffi::CStr,
    os::fd::{AsRawFd, OwnedFd},
};

use remit_core::{Action, ReasonCode, Via};
use rustix::io::Errno;

use super::{
    place::Class,
    start::{Begun, Object},
    sys,
    turn::{Outcome, Reply, SET_ID, Stop, Turn, is, kind_of},
};

/// `XATTR_NAME_MAX` with its NUL, `XATTR_SIZE_MAX`.
const MAX_ATTR_NAME: usize = 256;
const MAX_ATTR_SIZE: u64 = 65_536;

/// What a system call's times are given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeUnit {
    /// `struct utimbuf`.
    Seconds,
    /// `struct timeval`.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no such call there"))]
    Microseconds,
    /// `struct timespec`.
    Nanoseconds,
}

impl Turn<'_> {
    /// `truncate`.
    pub(super) fn truncate(&mut self, path: u64, length: u64) -> Outcome {
        let length = length as i64;
        if length < 0 {
            return Err(Errno::INVAL.into());
        }
        let path = self.path(path)?;
        self.keep_names_still();
        let object = self.find(sys::CWD, &path, true)?;
        if self.class(&object.path) == Class::Native {
            return Err(Stop::Continue);
        }
        if is(object.stat.st_mode, libc::S_IFDIR) {
            return Err(Errno::ISDIR.into());
        }
        if !is(object.stat.st_mode, libc::S_IFREG) {
            return Err(Errno::INVAL.into());
        }
        self.change(&object, None)?;
        self.still_there()?;
        self.by_name(&object.fd, |name| sys::truncate(name, length))
    }

    /// `chmod`, `fchmodat`, `fchmodat2`.
    pub(super) fn chmod(&mut self, dirfd: i32, path: u64, mode: u64, flags: i32) -> Outcome {
        if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
            return Err(Errno::INVAL.into());
        }
        self.keep_names_still();
        let object = match self.path(path) {
            Err(Stop::Errno(Errno::NOENT)) if flags & libc::AT_EMPTY_PATH != 0 => {
                if dirfd == sys::CWD {
                    self.attr_object(dirfd, c".", true)?
                } else {
                    let fd = self.grab(dirfd)?;
                    self.reached(fd)?
                }
            }
            path => self.attr_object(dirfd, &path?, flags & libc::AT_SYMLINK_NOFOLLOW == 0)?,
        };
        if is(object.stat.st_mode, libc::S_IFLNK) {
            return Err(Errno::OPNOTSUPP.into());
        }
        let mode = mode as u32;
        self.no_set_id(mode, &object.stat, &object.path)?;
        self.change(&object, Some(Via::ModeChange))?;
        self.still_there()?;
        self.by_name(&object.fd, |name| sys::chmodat(sys::CWD, name, mode))
    }

    /// `fchmod`.
    pub(super) fn fchmod(&mut self, fd: i32, mode: u64) -> Outcome {
        self.keep_names_still();
        if mode as u32 & SET_ID != 0 {
            let file = self.grab(fd)?;
            let path = self.shared.canonical(&file)?;
            self.no_set_id(mode as u32, &sys::fstat(file.as_raw_fd())?, &path)?;
        }
        let file = self.changed_file(fd, Some(Via::ModeChange))?;
        self.still_there()?;
        sys::fchmod(file.as_raw_fd(), mode as u32)?;
        Ok(Reply::Value(0))
    }

    /// Folders may have the group's bit: new files in them then get their group.
    fn no_set_id(&self, mode: u32, stat: &libc::stat, path: &[u8]) -> Result<(), Stop> {
        if mode & SET_ID == 0 || is(stat.st_mode, libc::S_IFDIR) {
            return Ok(());
        }
        let request = self.about(Action::WriteFile, path, kind_of(stat.st_mode));
        let _recorded = self.refuse(&request, ReasonCode::AgentWritten);
        Err(Errno::PERM.into())
    }

    /// `utimensat`, `futimesat`, `utimes`, `utime`: where the path is null, about `dirfd` itself.
    pub(super) fn set_times(
        &mut self,
        (dirfd, path): (i32, u64),
        times: Option<[libc::timespec; 2]>,
        flags: i32,
    ) -> Outcome {
        if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
            return Err(Errno::INVAL.into());
        }
        let fd = if path == 0 && dirfd != sys::CWD {
            if flags != 0 {
                return Err(Errno::INVAL.into());
            }
            self.keep_names_still();
            self.changed_file(dirfd, None)?
        } else {
            self.attr_target(dirfd, path, flags)?
        };
        self.still_there()?;
        sys::set_times(fd.as_raw_fd(), times.as_ref())?;
        Ok(Reply::Value(0))
    }

    /// `fchown`.
    pub(super) fn set_owner_of_file(&mut self, fd: i32, user: u64, group: u64) -> Outcome {
        self.keep_names_still();
        let file = self.changed_file(fd, None)?;
        self.still_there()?;
        sys::set_owner(file.as_raw_fd(), user as u32, group as u32)?;
        Ok(Reply::Value(0))
    }

    /// `chown`, `lchown`, `fchownat`.
    pub(super) fn set_owner(
        &mut self,
        (dirfd, path): (i32, u64),
        (user, group): (u64, u64),
        flags: i32,
    ) -> Outcome {
        if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
            return Err(Errno::INVAL.into());
        }
        let fd = self.attr_target(dirfd, path, flags)?;
        self.still_there()?;
        sys::set_owner(fd.as_raw_fd(), user as u32, group as u32)?;
        Ok(Reply::Value(0))
    }

    /// What times and owners are changed of, decided on and held.
    fn attr_target(&mut self, dirfd: i32, path: u64, flags: i32) -> Result<OwnedFd, Stop> {
        self.keep_names_still();
        let object = match self.path(path) {
            Err(Stop::Errno(Errno::NOENT)) if flags & libc::AT_EMPTY_PATH != 0 => {
                if dirfd == sys::CWD {
                    self.attr_object(dirfd, c".", true)?
                } else {
                    return self.held_or_changed(dirfd);
                }
            }
            path => self.attr_object(dirfd, &path?, flags & libc::AT_SYMLINK_NOFOLLOW == 0)?,
        };
        self.change(&object, None)?;
        Ok(object.fd)
    }

    /// By an empty path also what a descriptor without rights stands for.
    fn held_or_changed(&mut self, fd: i32) -> Result<OwnedFd, Stop> {
        let file = self.grab(fd)?;
        if sys::status_flags(file.as_raw_fd())? & libc::O_PATH == 0 {
            return self.changed_file(fd, None);
        }
        let object = self.reached(file)?;
        self.change(&object, None)?;
        Ok(object.fd)
    }

    /// Two times in the agent's memory: `struct timespec`, or `struct timeval` with microseconds.
    pub(super) fn times(
        &self,
        address: u64,
        unit: TimeUnit,
    ) -> Result<Option<[libc::timespec; 2]>, Stop> {
        if address == 0 {
            return Ok(None);
        }
        let size = if unit == TimeUnit::Seconds { 16 } else { 32 };
        let bytes = self.bytes(address, size)?;
        let word = |at: usize| {
            let word = bytes.get(at..at.saturating_add(8)).and_then(|word| word.try_into().ok());
            i64::from_ne_bytes(word.unwrap_or_default())
        };
        let time = |index: usize| -> Result<libc::timespec, Stop> {
            let at = index.saturating_mul(if unit == TimeUnit::Seconds { 8 } else { 16 });
            let tv_nsec = match unit {
                TimeUnit::Seconds => 0,
                TimeUnit::Nanoseconds => word(at.saturating_add(8)),
                TimeUnit::Microseconds => match word(at.saturating_add(8)) {
                    micros @ 0..1_000_000 => micros.saturating_mul(1000),
                    _ => return Err(Errno::INVAL.into()),
                },
            };
            Ok(libc::timespec { tv_sec: word(at), tv_nsec })
        };
        Ok(Some([time(0)?, time(1)?]))
    }

    /// `setxattr`, `lsetxattr`.
    pub(super) fn set_attr(&mut self, follow: bool) -> Outcome {
        let (name, value, flags) = self.attr_arguments()?;
        let path = self.path(self.arg(0))?;
        self.keep_names_still();
        let object = self.attr_object(sys::CWD, &path, follow)?;
        self.change(&object, None)?;
        self.still_there()?;
        self.by_name(&object.fd, |file| sys::setxattr(file, &name, &value, flags))
    }

    /// `fsetxattr`.
    pub(super) fn set_attr_of_file(&mut self) -> Outcome {
        let (name, value, flags) = self.attr_arguments()?;
        self.keep_names_still();
        let file = self.changed_file(self.int(0), None)?;
        self.still_there()?;
        self.by_name(&file, |file| sys::setxattr(file, &name, &value, flags))
    }

    /// `removexattr`, `lremovexattr`.
    pub(super) fn remove_attr(&mut self, follow: bool) -> Outcome {
        let name = self.attr_name(self.arg(1))?;
        let path = self.path(self.arg(0))?;
        self.keep_names_still();
        let object = self.attr_object(sys::CWD, &path, follow)?;
        self.change(&object, None)?;
        self.still_there()?;
        self.by_name(&object.fd, |file| sys::removexattr(file, &name))
    }

    /// `fremovexattr`.
    pub(super) fn remove_attr_of_file(&mut self) -> Outcome {
        let name = self.attr_name(self.arg(1))?;
        self.keep_names_still();
        let file = self.changed_file(self.int(0), None)?;
        self.still_there()?;
        self.by_name(&file, |file| sys::removexattr(file, &name))
    }

    fn attr_arguments(&self) -> Result<(std::ffi::CString, Vec<u8>, i32), Stop> {
        let flags = self.int(4);
        if flags & !(libc::XATTR_CREATE | libc::XATTR_REPLACE) != 0 {
            return Err(Errno::INVAL.into());
        }
        let name = self.attr_name(self.arg(1))?;
        let size = self.arg(3);
        if size > MAX_ATTR_SIZE {
            return Err(Errno::TOOBIG.into());
        }
        let size = usize::try_from(size).map_err(|_| Errno::TOOBIG)?;
        let value = if size == 0 { Vec::new() } else { self.bytes(self.arg(2), size)? };
        Ok((name, value, flags))
    }

    fn attr_name(&self, address: u64) -> Result<std::ffi::CString, Stop> {
        let name = self.string(address, MAX_ATTR_NAME, Errno::RANGE)?;
        if name.is_empty() { Err(Errno::RANGE.into()) } else { Ok(name) }
    }

    /// The object of an attribute call. System folders included: nothing is left to the kernel.
    fn attr_object(&self, dirfd: i32, path: &CStr, follow: bool) -> Result<Object, Stop> {
        let begun = match self.start(dirfd, path, false) {
            // `..` below `/proc`: nobody's attributes.
            Err(Stop::Continue) => return Err(Errno::ACCESS.into()),
            begun => begun?,
        };
        match begun {
            Begun::Path(start) => self.object(&start, follow),
            Begun::Object(_) if !follow => Err(Errno::OPNOTSUPP.into()),
            Begun::Object(link) => {
                let fd = self.follow(&link, 0)?;
                self.reached(fd)
            }
        }
    }

    /// The task's open file, if its mode and attributes may change.
    fn changed_file(&mut self, fd: i32, via: Option<Via>) -> Result<OwnedFd, Stop> {
        let file = self.grab(fd)?;
        if sys::status_flags(file.as_raw_fd())? & libc::O_PATH != 0 {
            return Err(Errno::BADF.into());
        }
        let stat = sys::fstat(file.as_raw_fd())?;
        let stored = is(stat.st_mode, libc::S_IFREG) || is(stat.st_mode, libc::S_IFDIR);
        if !stored || stat.st_nlink == 0 {
            // A pipe, a terminal, a file without a name: the descriptor is all there is.
            return Ok(file);
        }
        let twin = file.try_clone().map_err(|_| Errno::MFILE)?;
        match self.reached(twin) {
            Ok(object) => self.change(&object, via).map(|()| file),
            Err(_) => match self.former_name(&file)? {
                Some(path) => {
                    self.may(Action::WriteFile, &path, kind_of(stat.st_mode)).map(|()| file)
                }
                None => Err(Errno::ACCESS.into()),
            },
        }
    }

    fn change(&mut self, object: &Object, via: Option<Via>) -> Result<(), Stop> {
        if self.class(&object.path) == Class::Data {
            let kind = kind_of(object.stat.st_mode);
            let mut request = self.about(Action::WriteFile, &object.path, kind);
            request.context.via = via;
            let _permit = self.decide(request)?;
        }
        Ok(())
    }

    /// Acts on a held object by its name below our own descriptors.
    fn by_name(&self, fd: &OwnedFd, act: impl FnOnce(&CStr) -> sys::Result<()>) -> Outcome {
        sys::fchdir(self.shared.own.as_raw_fd())?;
        act(rustix::path::DecInt::from_fd(fd).as_c_str())?;
        Ok(Reply::Value(0))
    }
}
