//! Version-control configuration, which changes by content: `<name>.lock` is judged, and a copy of
//! the very bytes that were judged takes the name's place. A descriptor that the agent keeps on
//! the lock file then leads to a file that nobody reads.

use std::{
    ffi::CString,
    io::Read,
    os::fd::{AsRawFd, OwnedFd},
};

use remit_core::{AccessRequest, Effect, ReasonCode};
use rustix::io::Errno;

use super::{
    create::Parent,
    place::path_of,
    sys,
    turn::{Outcome, Reply, Stop, Turn, is},
};

/// Larger configuration files are refused.
const MAX_CONFIG: u64 = 1024 * 1024;

impl Turn<'_> {
    pub(super) fn replace_config(
        &mut self,
        lock: &Parent,
        config: &Parent,
        request: AccessRequest,
    ) -> Outcome {
        if !self.may_block {
            return Err(Stop::Pool);
        }
        let shared = self.shared;
        let _alone = shared.moving();
        let (lock, config) = (self.again(lock)?, self.again(config)?);
        if request.resource != remit_core::Resource::File(path_of(&config.full)) {
            return Err(Errno::BUSY.into());
        }
        let Some((new, mode)) = self.whole(&lock, &request)? else {
            return Err(Errno::NOENT.into());
        };
        let old = self.whole(&config, &request)?.map(|(bytes, _)| bytes);
        let judged = shared.guard.judge_config(&path_of(&config.full), old.as_deref(), &new);
        if judged.effect != Effect::Permit {
            return Err(self.refuse(&request, judged.reason));
        }
        let lock_kind = remit_core::FileKind::File;
        self.may(remit_core::Action::WriteFile, &lock.full, lock_kind)?;
        let _permit = self.decide(request)?;
        self.still_there()?;
        self.put_copy(&lock, &config, &new, mode)?;
        Ok(Reply::Value(0))
    }

    /// A regular file's bytes and mode; `None` when it does not exist.
    fn whole(
        &self,
        name: &Parent,
        request: &AccessRequest,
    ) -> Result<Option<(Vec<u8>, u32)>, Stop> {
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let bare = bare(name)?;
        let file = match sys::openat2(name.fd.as_raw_fd(), &bare, flags as u64, 0, 0) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(_) => return Err(self.refuse(request, ReasonCode::UnsafeConfig)),
        };
        let stat = sys::fstat(file.as_raw_fd())?;
        if !is(stat.st_mode, libc::S_IFREG) {
            return Err(self.refuse(request, ReasonCode::UnsafeConfig));
        }
        let mut bytes = Vec::new();
        let mut limited = std::fs::File::from(file).take(MAX_CONFIG.saturating_add(1));
        limited.read_to_end(&mut bytes).map_err(|_| Errno::IO)?;
        if bytes.len() as u64 > MAX_CONFIG {
            return Err(self.refuse(request, ReasonCode::LimitReached));
        }
        Ok(Some((bytes, stat.st_mode & 0o777)))
    }

    /// Writes a new file beside, renames it over the configuration, removes the lock. Nobody in
    /// the session can open the new file in between: opens for writing wait for us.
    fn put_copy(
        &self,
        lock: &Parent,
        config: &Parent,
        bytes: &[u8],
        mode: u32,
    ) -> Result<(), Stop> {
        let dir = config.fd.as_raw_fd();
        let name =
            CString::new(format!(".remit-{:x}.tmp", self.call.id)).map_err(|_| Errno::INVAL)?;
        let flags =
            libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let fresh = sys::openat2(dir, &name, flags as u64, 0o600, 0)?;
        let put = write_all(&fresh, bytes)
            .and_then(|()| sys::fchmod(fresh.as_raw_fd(), mode))
            .and_then(|()| sys::renameat2(dir, &name, dir, &bare(config)?, 0));
        if let Err(error) = put {
            let _ = sys::unlinkat(dir, &name, 0);
            return Err(error.into());
        }
        Ok(sys::unlinkat(lock.fd.as_raw_fd(), &bare(lock)?, 0)?)
    }
}

fn bare(name: &Parent) -> sys::Result<CString> {
    CString::new(name.bare()).map_err(|_| Errno::INVAL)
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> sys::Result<()> {
    while !bytes.is_empty() {
        let count = rustix::io::write(file, bytes)?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}
