//! `rename`, `renameat`, `renameat2`.

use std::{ffi::CString, os::fd::AsRawFd};

use remit_core::{Action, Effect, FileKind, Obligation, Resource, Via};
use rustix::io::Errno;

use super::{
    create::Parent,
    place::{Class, covers, path_of},
    sys,
    turn::{Outcome, Reply, Stop, Turn, is, kind_of},
};

const NOREPLACE: u32 = libc::RENAME_NOREPLACE;
const EXCHANGE: u32 = libc::RENAME_EXCHANGE;
const WHITEOUT: u32 = libc::RENAME_WHITEOUT;

impl Turn<'_> {
    /// Renames. A folder takes all below it along, so each entry is looked at under both paths.
    pub(super) fn rename(&mut self, old: (i32, u64), new: (i32, u64), flags: u32) -> Outcome {
        if flags & !(NOREPLACE | EXCHANGE | WHITEOUT) != 0
            || (flags & EXCHANGE != 0 && flags & (NOREPLACE | WHITEOUT) != 0)
        {
            return Err(Errno::INVAL.into());
        }
        if flags & WHITEOUT != 0 {
            return Err(Errno::PERM.into());
        }
        let shared = self.shared;
        self.keep_names_still();
        let old_path = self.path(old.1)?;
        let from = self.name_at(old.0, &old_path)?;
        let new_path = self.path(new.1)?;
        let to = self.name_at(new.0, &new_path)?;
        if !from.is_plain() || !to.is_plain() {
            return act(&from, &to, flags);
        }
        let source = self.there(&from)?.ok_or(Errno::NOENT)?;
        let target = self.there(&to)?;
        if let Some(error) = hopeless(&from, &to, &source, target.as_ref(), flags) {
            return Err(error.into());
        }
        if from.full != to.full && (covers(&from.full, &to.full) || covers(&to.full, &from.full)) {
            // A folder and its own inside: that fails in the kernel, each time in its own way.
            return act(&from, &to, flags);
        }
        let leads_to_grant = |parent: &Parent| {
            let granted = |path: &std::path::PathBuf| {
                covers(&parent.full, std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
            };
            shared.view.granted.iter().any(granted)
        };
        if leads_to_grant(&from) || leads_to_grant(&to) {
            return Err(Errno::BUSY.into());
        }
        let scratch = |parent: &Parent| self.class(&parent.full) == Class::Scratch;
        if scratch(&from) && scratch(&to) {
            self.still_there()?;
            return act(&from, &to, flags);
        }
        let folder = |stat: &libc::stat| is(stat.st_mode, libc::S_IFDIR);
        if folder(&source) || (flags & EXCHANGE != 0 && target.as_ref().is_some_and(folder)) {
            self.let_names_go();
            return self.rename_tree(&from, &to, flags);
        }
        if flags == 0 && is(source.st_mode, libc::S_IFREG) && is_lock_of(&from, &to) {
            let request =
                self.about(Action::WriteFile, &to.full, FileKind::File).via(Via::LockRename);
            let decision = shared.guard.peek(&request);
            if decision.obligations.contains(&Obligation::JudgeConfig) {
                self.let_names_go();
                return self.replace_config(&from, &to, request);
            }
            if decision.effect != Effect::Permit {
                let _permit = self.decide(request)?;
            }
        }
        self.decide_both(&from, &to, &source, target.as_ref(), flags)?;
        self.still_there()?;
        act(&from, &to, flags)
    }

    /// Both names change; with an exchange each gets the other's kind.
    fn decide_both(
        &mut self,
        from: &Parent,
        to: &Parent,
        source: &libc::stat,
        target: Option<&libc::stat>,
        flags: u32,
    ) -> Result<(), Stop> {
        let kind = kind_of(source.st_mode);
        let left = match target {
            Some(target) if flags & EXCHANGE != 0 => kind_of(target.st_mode),
            _ => kind,
        };
        self.may(Action::WriteFile, &from.full, left)?;
        if left != kind {
            // What goes away from the name must be changeable there as well.
            self.may(Action::WriteFile, &from.full, kind)?;
            self.may(Action::WriteFile, &to.full, left)?;
        }
        self.may(Action::WriteFile, &to.full, kind)
    }

    /// With no other change of names under way: what was looked at is what moves.
    fn rename_tree(&mut self, from: &Parent, to: &Parent, flags: u32) -> Outcome {
        if !self.may_block {
            return Err(Stop::Pool);
        }
        let shared = self.shared;
        let _alone = shared.moving();
        // The folders may have moved themselves while nothing was locked.
        let (from, to) = (self.again(from)?, self.again(to)?);
        let source = self.there(&from)?.ok_or(Errno::NOENT)?;
        let target = self.there(&to)?;
        self.look_through(&from, &to)?;
        if flags & EXCHANGE != 0 {
            self.look_through(&to, &from)?;
        }
        self.decide_both(&from, &to, &source, target.as_ref(), flags)?;
        self.still_there()?;
        act(&from, &to, flags)
    }

    /// The same name with its folder's path of now.
    pub(super) fn again(&self, parent: &Parent) -> Result<Parent, Stop> {
        let fd = parent.fd.try_clone().map_err(|_| Errno::MFILE)?;
        let stat = sys::fstat(fd.as_raw_fd())?;
        let dir = self.name(&fd, &stat)?;
        let full = super::place::join(&dir, parent.bare());
        Ok(Parent { fd, dir, name: parent.name.clone(), slash: parent.slash, full })
    }

    /// What the name stands for, if anything.
    pub(super) fn there(&self, parent: &Parent) -> Result<Option<libc::stat>, Stop> {
        let bare = CString::new(parent.bare()).map_err(|_| Errno::INVAL)?;
        match sys::lstatat(parent.fd.as_raw_fd(), &bare) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A question about an entry that moves with a folder above it.
    pub(super) fn moved(
        &self,
        path: &[u8],
        from: &[u8],
        below: usize,
        kind: FileKind,
    ) -> remit_core::AccessRequest {
        let mut request = self.about(Action::WriteFile, path, kind);
        request.resource = Resource::File(path_of(path));
        request.via(Via::TreeMove { from: path_of(from), below })
    }
}

pub(super) fn act(from: &Parent, to: &Parent, flags: u32) -> Outcome {
    sys::renameat2(from.fd.as_raw_fd(), &from.name, to.fd.as_raw_fd(), &to.name, flags)?;
    Ok(Reply::Value(0))
}

/// The errors that the kernel gives whatever the policy says; nothing is asked or recorded then.
fn hopeless(
    from: &Parent,
    to: &Parent,
    source: &libc::stat,
    target: Option<&libc::stat>,
    flags: u32,
) -> Option<Errno> {
    let folder = |stat: &libc::stat| is(stat.st_mode, libc::S_IFDIR);
    if flags & NOREPLACE != 0 && target.is_some() {
        return Some(Errno::EXIST);
    }
    if flags & EXCHANGE != 0 {
        let Some(target) = target else { return Some(Errno::NOENT) };
        if to.slash && !folder(target) {
            return Some(Errno::NOTDIR);
        }
    }
    if from.slash && !folder(source) {
        return Some(Errno::NOTDIR);
    }
    if flags & EXCHANGE == 0 && !folder(source) && to.slash {
        return Some(Errno::NOTDIR);
    }
    None
}

/// `<name>.lock` onto `<name>`, in one folder.
fn is_lock_of(from: &Parent, to: &Parent) -> bool {
    from.dir == to.dir && from.bare().strip_suffix(b".lock") == Some(to.bare())
}
