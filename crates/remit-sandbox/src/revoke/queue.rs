//! Descriptors that lie in a Unix socket's queue (`SCM_RIGHTS`, unix(7)).
//!
//! Looked at through a copy of the socket, without taking anything out: `MSG_PEEK` hands out copies
//! of the queued descriptors, and `SO_PEEK_OFF` walks along the queue. Only while everybody who
//! could use the socket is stopped. What cannot be seen counts as held: the kernel says how many
//! descriptors a queue has, and all of them must have been shown.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, OwnedFd},
};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::{
    proc::{FdInfo, Proc},
    sys,
};

/// Descriptors of one message at most (`SCM_MAX_FD`).
const MAX_RIGHTS: usize = 253;
/// Messages looked at in one queue; a longer one counts as holding.
const MAX_MESSAGES: usize = 4096;
/// Sockets in queues of sockets; deeper counts as holding.
const MAX_DEPTH: u32 = 8;

/// Whether something in the socket's queue, which has `parked` descriptors, is `ended`.
pub(super) fn holds(
    proc: &Proc,
    socket: &OwnedFd,
    parked: u32,
    ended: &dyn Fn(&OwnedFd, &FdInfo) -> bool,
) -> bool {
    look(proc, socket, parked, MAX_DEPTH, ended).unwrap_or(true)
}

fn look(
    proc: &Proc,
    socket: &OwnedFd,
    parked: u32,
    depth: u32,
    ended: &dyn Fn(&OwnedFd, &FdInfo) -> bool,
) -> io::Result<bool> {
    let Some(deeper) = depth.checked_sub(1) else { return Ok(true) };
    let own_offset = sys::peek_offset(socket)?;
    sys::set_peek_offset(socket, 0)?;
    let result = (|| {
        let mut seen = 0u32;
        for _ in 0..MAX_MESSAGES {
            let Some(rights) = next(socket)? else {
                return Ok(seen < parked);
            };
            for fd in rights {
                seen = seen.saturating_add(1);
                let info = proc.own_info(&fd)?;
                let inner = info.parked > 0 && look(proc, &fd, info.parked, deeper, ended)?;
                if inner || ended(&fd, &info) {
                    return Ok(true);
                }
            }
        }
        Ok(true)
    })();
    sys::set_peek_offset(socket, own_offset)?;
    result
}

/// The descriptors of the next message; `None` at the queue's end.
fn next(socket: &OwnedFd) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_RIGHTS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0u8; 64 << 10];
    let mut data = [io::IoSliceMut::new(&mut bytes)];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = match recvmsg(socket, &mut data, &mut control, flags) {
        Err(rustix::io::Errno::AGAIN) => return Ok(None),
        other => other?,
    };
    let mut rights = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            rights.extend(fds);
        }
    }
    Ok((got.bytes > 0 || !rights.is_empty()).then_some(rights))
}

impl Proc {
    /// What one of our own descriptors is.
    pub(super) fn own_info(&self, fd: &OwnedFd) -> io::Result<FdInfo> {
        let info = self.read(&format!("self/fdinfo/{}", fd.as_raw_fd()))?;
        FdInfo::parse(&info).ok_or_else(|| rustix::io::Errno::INVAL.into())
    }
}
