//! `execve`, `execveat`: the program and each interpreter that its first line names are decided
//! on; then the kernel starts it. What a racing thread swaps in meanwhile runs only if mounts and
//! Landlock leave it executable, which they do for the session's permitted programs alone.

use std::{
    ffi::CString,
    io::Read,
    os::fd::{AsRawFd, OwnedFd},
};

use remit_core::{AccessRequest, Action, Effect, FileKind, ReasonCode, Resource};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::{
    Prepared, Starter,
    place::{Class, path_of},
    start::{Begun, Object},
    sys,
    turn::{Outcome, Stop, Turn, is},
};

/// Linux 6.14; only asks whether it would be possible.
const AT_EXECVE_CHECK: i32 = 0x10000;
/// The kernel's own limit of interpreters of interpreters is 5.
const MAX_INTERPRETERS: usize = 5;
/// So often a start lets another go first.
const MAX_HOLDS: usize = 64;
/// `BINPRM_BUF_SIZE`: what the kernel looks at.
const FIRST_LINE: usize = 256;
/// Hashing more than this is left to the pool.
const QUICK_HASH: i64 = 1024 * 1024;

impl Turn<'_> {
    /// Starts a program.
    pub(super) fn exec(&mut self, dirfd: i32, path: u64, flags: i32) -> Outcome {
        let known = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | AT_EXECVE_CHECK;
        if flags & !known != 0 {
            return Err(Errno::INVAL.into());
        }
        let object = match self.path(path) {
            Err(Stop::Errno(Errno::NOENT)) if flags & libc::AT_EMPTY_PATH != 0 => {
                let fd = self.grab(dirfd)?;
                self.running(fd)?
            }
            path => {
                let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
                self.program(dirfd, &path?, follow)?
            }
        };
        let mut object = object;
        for _ in 0..=MAX_INTERPRETERS {
            let interpreter = self.judge_when_free(&object)?;
            let Some(interpreter) = interpreter else { return Err(Stop::Continue) };
            object = self.program(sys::CWD, &interpreter, true)?;
        }
        Err(Errno::LOOP.into())
    }

    fn program(&mut self, dirfd: i32, path: &CString, follow: bool) -> Result<Object, Stop> {
        match self.start(dirfd, path, false)? {
            Begun::Path(start) => match self.object(&start, follow) {
                Err(Stop::Errno(Errno::NOENT)) => {
                    self.absent_program(&start, self.start_of(&start.lexical, None));
                    Err(Errno::NOENT.into())
                }
                object => object,
            },
            Begun::Object(link) => {
                let fd = self.follow(&link, 0)?;
                self.running(fd)
            }
        }
    }

    /// A program by descriptor. One without a path is the agent's own making: a memory file, a
    /// removed file.
    fn running(&mut self, fd: OwnedFd) -> Result<Object, Stop> {
        let name = self.shared.canonical(&fd)?;
        match self.reached(fd) {
            Ok(object) => Ok(object),
            Err(Stop::Gone) => Err(Stop::Gone),
            Err(_) => Err(self.refuse(&self.start_of(&name, None), ReasonCode::AgentWritten)),
        }
    }

    fn start_of(&self, path: &[u8], sha256: Option<[u8; 32]>) -> AccessRequest {
        let resource = Resource::Program { path: path_of(path), sha256 };
        AccessRequest::new(Action::Execute, resource).by(self.call.tid)
    }

    /// Decides on one file of the chain, again where another start went first; returns the
    /// interpreter that its first line names.
    fn judge_when_free(&mut self, object: &Object) -> Result<Option<CString>, Stop> {
        for _ in 0..MAX_HOLDS {
            if let Some(interpreter) = self.judge(object)? {
                return Ok(interpreter);
            }
            // What has been permitted may have ended while this start waited.
            let guard = &self.shared.guard;
            self.granted.retain(|(request, _)| guard.peek(request).effect != Effect::Deny);
        }
        Err(Errno::AGAIN.into())
    }

    /// `None`: another start went first.
    fn judge(&mut self, object: &Object) -> Result<Option<Option<CString>>, Stop> {
        if is(object.stat.st_mode, libc::S_IFLNK) {
            return Err(Errno::LOOP.into());
        }
        if !is(object.stat.st_mode, libc::S_IFREG) {
            return Err(Errno::ACCESS.into());
        }
        // A program that waits for a person is mounted without the right to run.
        let runnable = sys::may_execute(object.fd.as_raw_fd());
        let plain = self.start_of(&object.path, None);
        if runnable.is_err() && self.shared.guard.peek(&plain).effect == Effect::Deny {
            runnable?;
        }
        if self.is_agent_written(&object.path) {
            return Err(self.refuse(&self.start_of(&object.path, None), ReasonCode::AgentWritten));
        }
        let request = self.with_digest(object)?;
        let _permit = self.decide(request)?;
        let interpreter = self.first_line(object)?;
        self.still_there()?;
        let by = Starter { thread: self.call.tid, call: self.call.id, may_wait: self.may_block };
        match self.shared.programs.before_exec(&path_of(&object.path), by) {
            Prepared::Ready => {
                sys::may_execute(object.fd.as_raw_fd())?;
                Ok(Some(interpreter))
            }
            Prepared::Later => Err(Stop::Pool),
            Prepared::Again => Ok(None),
            Prepared::Refused => Err(Errno::ACCESS.into()),
        }
    }

    /// Whether the session could have written the file: in scratch, or where it may write.
    fn is_agent_written(&self, path: &[u8]) -> bool {
        match self.class(path) {
            Class::Native => false,
            Class::Scratch => true,
            Class::Data => {
                let write = self.about(Action::WriteFile, path, FileKind::File);
                self.shared.guard.peek(&write).effect != Effect::Deny
            }
        }
    }

    /// The question, with the contents' digest where a rule pins one.
    fn with_digest(&self, object: &Object) -> Result<AccessRequest, Stop> {
        let plain = self.start_of(&object.path, None);
        if self.shared.guard.peek(&plain).reason != ReasonCode::DigestMismatch {
            return Ok(plain);
        }
        if object.stat.st_size > QUICK_HASH && !self.may_block {
            return Err(Stop::Pool);
        }
        let mut file = self.readable(object)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer).map_err(|_| Errno::IO)? {
                0 => break,
                count => hasher.update(buffer.get(..count).unwrap_or_default()),
            }
        }
        Ok(self.start_of(&object.path, Some(hasher.finalize().into())))
    }

    fn readable(&self, object: &Object) -> Result<std::fs::File, Stop> {
        let name = rustix::path::DecInt::from_fd(&object.fd);
        let flags = libc::O_RDONLY | libc::O_NONBLOCK;
        let file = sys::openat(self.shared.own.as_raw_fd(), name.as_c_str(), flags)?;
        Ok(file.into())
    }

    /// The interpreter of `#!`, as the kernel finds it. A file that may be executed and not read
    /// cannot be a script.
    fn first_line(&self, object: &Object) -> Result<Option<CString>, Stop> {
        let Ok(mut file) = self.readable(object) else { return Ok(None) };
        let mut head = [0; FIRST_LINE];
        let mut filled = 0;
        while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest).map_err(|_| Errno::IO)? {
                0 => break,
                count => filled = filled.saturating_add(count),
            }
        }
        Ok(interpreter(head.get(..filled).unwrap_or_default()))
    }

    /// With a list of programs: whether this one may be opened (and so given to the loader).
    pub(super) fn listed_program(&mut self, path: &[u8]) -> Result<(), Stop> {
        let request = self.start_of(path, None);
        if self.shared.guard.peek(&request).effect == Effect::Permit {
            return Ok(());
        }
        if self.shared.first((Action::Execute, path)) {
            let _ = self.shared.guard.refuse(&request, ReasonCode::NotExecutable);
        }
        Err(Errno::ACCESS.into())
    }
}

fn interpreter(head: &[u8]) -> Option<CString> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = line.iter().position(|byte| !blank(byte))?;
    let name = line.get(begin..)?;
    let end = name.iter().position(|byte| blank(byte) || *byte == 0).unwrap_or(name.len());
    let name = name.get(..end).filter(|name| !name.is_empty())?;
    CString::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::interpreter;

    #[test]
    fn first_lines() {
        let of = |head: &[u8]| interpreter(head).map(|name| name.into_bytes());
        assert_eq!(of(b"#!/bin/sh\nx"), Some(b"/bin/sh".to_vec()));
        assert_eq!(of(b"#! \t/usr/bin/env -S a b"), Some(b"/usr/bin/env".to_vec()));
        assert_eq!(of(b"#!\n/bin/sh"), None);
        assert_eq!(of(b"#!/bin/sh\0junk"), Some(b"/bin/sh".to_vec()));
        assert_eq!(of(b"\x7fELF"), None);
    }
}
