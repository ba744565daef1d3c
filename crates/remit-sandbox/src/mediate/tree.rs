//! Looking through a folder before it is renamed.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsRawFd, OwnedFd},
};

use remit_core::{Action, Effect, FileKind, ReasonCode};
use rustix::{fs::FileType, io::Errno};

use super::{
    create::Parent,
    place::{Class, join},
    sys,
    turn::{Stop, Turn, is, kind_of},
};

/// Entries below a folder that is renamed. For more the answer is the one for another file system:
/// programs then copy and remove entry by entry, each decided on.
const MAX_ENTRIES: usize = 250_000;
/// Levels below it; each holds a descriptor while it is looked through.
const MAX_DEPTH: usize = 200;

impl Turn<'_> {
    /// Refuses the rename of `from` to `to` if an entry below may not leave its old path or
    /// appear under its new one. The caller keeps all names still.
    pub(super) fn look_through(&mut self, from: &Parent, to: &Parent) -> Result<(), Stop> {
        let bare = CString::new(from.bare()).map_err(|_| Errno::INVAL)?;
        let stat = sys::lstatat(from.fd.as_raw_fd(), &bare)?;
        if !is(stat.st_mode, libc::S_IFDIR) {
            return Ok(());
        }
        let top = open_folder(from.fd.as_raw_fd(), &bare)?;
        let mut left = MAX_ENTRIES;
        self.walk(top, &from.full, &to.full, 1, &mut left)
    }

    fn walk(
        &mut self,
        folder: OwnedFd,
        old: &[u8],
        new: &[u8],
        below: usize,
        left: &mut usize,
    ) -> Result<(), Stop> {
        let too_big = |turn: &Self| {
            let request = turn.about(Action::WriteFile, old, FileKind::Folder);
            turn.refuse(&request, ReasonCode::LimitReached)
        };
        if below > MAX_DEPTH {
            return Err(too_big(self));
        }
        let raw = folder.as_raw_fd();
        let mut entries = rustix::fs::Dir::new(folder).map_err(Stop::Errno)?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            *left = left.checked_sub(1).ok_or(Errno::XDEV)?;
            let kind = match entry.file_type() {
                FileType::RegularFile => FileKind::File,
                FileType::Directory => FileKind::Folder,
                FileType::Symlink => FileKind::Symlink,
                FileType::Unknown => kind_of(sys::lstatat(raw, name)?.st_mode),
                _ => FileKind::Other,
            };
            let (old, new) = (join(old, name.to_bytes()), join(new, name.to_bytes()));
            self.entry_may_move(&old, &new, below, kind)?;
            if kind == FileKind::Folder {
                let next = open_folder(raw, name)?;
                self.walk(next, &old, &new, below.saturating_add(1), left)?;
            }
        }
        Ok(())
    }

    fn entry_may_move(
        &mut self,
        old: &[u8],
        new: &[u8],
        below: usize,
        kind: FileKind,
    ) -> Result<(), Stop> {
        if self.class(new) == Class::Data {
            let request = self.moved(new, old, below, kind);
            if self.shared.guard.peek(&request).effect != Effect::Permit {
                return Err(self.refused_for_good(request));
            }
        }
        if self.class(old) == Class::Data {
            let request = self.about(Action::WriteFile, old, kind);
            let decision = self.shared.guard.peek(&request);
            let protected =
                matches!(decision.reason, ReasonCode::Protected | ReasonCode::UnsafeConfig);
            // A protected entry may move with its project, as long as it stays protected.
            let stays = decision.effect == Effect::Deny && protected && {
                let arrives = self.about(Action::WriteFile, new, kind);
                self.shared.guard.peek(&arrives).effect == Effect::Deny
            };
            if decision.effect != Effect::Permit && !stays {
                return Err(self.refused_for_good(request));
            }
        }
        Ok(())
    }

    /// Records the refusal under the entry's name. What only a person could permit is refused
    /// too: nobody is asked a question per entry.
    fn refused_for_good(&mut self, request: remit_core::AccessRequest) -> Stop {
        let reason = match self.shared.guard.peek(&request) {
            decision if decision.effect == Effect::Deny => decision.reason,
            _ => ReasonCode::NeedsApproval,
        };
        self.refuse(&request, reason)
    }
}

fn open_folder(dir: i32, name: &CStr) -> Result<OwnedFd, Stop> {
    let flags = (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;
    // A folder that cannot be listed cannot be looked through, so it does not move.
    Ok(sys::openat2(dir, name, flags, 0, libc::RESOLVE_NO_MAGICLINKS)?)
}
