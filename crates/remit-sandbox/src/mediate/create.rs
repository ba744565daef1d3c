//! Names: the folder and last component that a creating or removing call is about, and the calls
//! that only create: `mkdir`, `mknod`, `symlink`.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsRawFd, OwnedFd},
};

use remit_core::{Action, FileKind};
use rustix::io::Errno;

use super::{
    place::{Class, join},
    start::{Begun, Start},
    sys,
    turn::{Outcome, Reply, SET_ID, Stop, Turn, open_path},
};

/// `/dev/null`'s number.
const NEEDS_CAPABILITY: u64 = 0x103;

/// A name in a held folder. All that is done with it is done there.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) fd: OwnedFd,
    /// Canonical path of the folder.
    pub(super) dir: Vec<u8>,
    /// The last component with its slashes, as the kernel wants to see it; `/` for the root.
    pub(super) name: CString,
    /// Whether the name ends in a slash.
    pub(super) slash: bool,
    /// Canonical path of the name itself, if it is one.
    pub(super) full: Vec<u8>,
}

impl Parent {
    /// Whether the last component is a name, not `.`, `..` or `/`. Nothing can be created,
    /// renamed or removed by those; the kernel has its own error for each call.
    pub(super) fn is_plain(&self) -> bool {
        !matches!(self.bare(), b"" | b"." | b"..")
    }

    /// The last component without slashes.
    pub(super) fn bare(&self) -> &[u8] {
        let name = self.name.as_bytes();
        let end = name.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at.saturating_add(1));
        name.get(..end).unwrap_or_default()
    }
}

impl Turn<'_> {
    /// Resolves the folder of a path that starts in this thread.
    pub(super) fn parent(&self, start: &Start, resolve: u64) -> Result<Parent, Stop> {
        let path = start.path.as_bytes();
        let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at.saturating_add(1));
        let (body, slashes) = path.split_at_checked(end).unwrap_or((path, b""));
        let (folder, name) = match body.iter().rposition(|byte| *byte == b'/') {
            _ if body.is_empty() => (b"/".as_slice(), b"/".as_slice()),
            None => (b".".as_slice(), body),
            Some(at) => {
                let next = at.saturating_add(1);
                (body.get(..next).unwrap_or(b"/"), body.get(next..).unwrap_or_default())
            }
        };
        let slash = !slashes.is_empty();
        let mut name = name.to_vec();
        if slash && !body.is_empty() {
            name.push(b'/');
        }
        // The final `.` asks for the right to look names up there, as the kernel does first.
        let folder = CString::new(join(folder, b".")).map_err(|_| Errno::INVAL)?;
        let fd = open_path(&folder, libc::O_DIRECTORY, resolve)?;
        let stat = sys::fstat(fd.as_raw_fd())?;
        let dir = self.name(&fd, &stat)?;
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let mut parent = Parent { fd, dir, name, slash, full: Vec::new() };
        parent.full = join(&parent.dir, parent.bare());
        Ok(parent)
    }

    /// The same from a call's arguments. Native names go back to the kernel.
    pub(super) fn name_at(&self, dirfd: i32, path: &CStr) -> Result<Parent, Stop> {
        match self.start(dirfd, path, false)? {
            Begun::Path(start) if start.is_native() => Err(Stop::Continue),
            Begun::Path(start) => {
                let parent = self.parent(&start, 0)?;
                if self.class(&parent.full) == Class::Native {
                    return Err(Stop::Continue);
                }
                Ok(parent)
            }
            // The last component is a magic link itself; it lives in `/proc`.
            Begun::Object(_) => Err(Stop::Continue),
        }
    }

    /// Decides on a change of a name, unless it is the session's own.
    pub(super) fn may(&mut self, action: Action, path: &[u8], kind: FileKind) -> Result<(), Stop> {
        if self.class(path) == Class::Data {
            let request = self.about(action, path, kind);
            let _permit = self.decide(request)?;
        }
        Ok(())
    }

    /// `mkdir`, `mkdirat`.
    pub(super) fn make_dir(&mut self, dirfd: i32, path: u64, mode: u64) -> Outcome {
        let mode = mode as u32;
        self.make(dirfd, path, Some(FileKind::Folder), |parent| {
            sys::mkdirat(parent.fd.as_raw_fd(), &parent.name, mode)
        })
    }

    /// `mknod`, `mknodat`: FIFOs and regular files; sockets too. Devices are never made.
    pub(super) fn make_node(&mut self, dirfd: i32, path: u64, mode: u64) -> Outcome {
        let mode = mode as u32;
        let kind = match mode & libc::S_IFMT {
            0 | libc::S_IFREG => FileKind::File,
            libc::S_IFIFO | libc::S_IFSOCK => FileKind::Other,
            libc::S_IFDIR => return Err(Errno::PERM.into()),
            libc::S_IFCHR | libc::S_IFBLK => {
                // Overlay white-outs are device nodes too: nothing the session needs. What the
                // kernel is asked for instead needs a capability, so it has only the error.
                return self.make(dirfd, path, None, |parent| {
                    sys::mknodat(parent.fd.as_raw_fd(), &parent.name, mode, NEEDS_CAPABILITY)
                });
            }
            _ => return Err(Errno::INVAL.into()),
        };
        self.make(dirfd, path, Some(kind), |parent| {
            sys::mknodat(parent.fd.as_raw_fd(), &parent.name, mode & !SET_ID, 0)
        })
    }

    /// `symlink`, `symlinkat`. What the link leads to is decided when it is followed.
    pub(super) fn make_link(&mut self, target: u64, dirfd: i32, path: u64) -> Outcome {
        let target = self.path(target)?;
        self.make(dirfd, path, Some(FileKind::Symlink), |parent| {
            sys::symlinkat(&target, parent.fd.as_raw_fd(), &parent.name)
        })
    }

    /// Without a kind nothing is made and nothing decided: `act` only has the error.
    fn make(
        &mut self,
        dirfd: i32,
        path: u64,
        kind: Option<FileKind>,
        act: impl FnOnce(&Parent) -> sys::Result<()>,
    ) -> Outcome {
        let path = self.path(path)?;
        self.keep_names_still();
        let parent = self.name_at(dirfd, &path)?;
        if parent.is_plain() {
            if self.there(&parent)?.is_some() {
                return Err(Errno::EXIST.into());
            }
            if let Some(kind) = kind {
                self.may(Action::WriteFile, &parent.full, kind)?;
            }
            self.take_umask()?;
            self.still_there()?;
        }
        act(&parent)?;
        Ok(Reply::Value(0))
    }
}
