//! `connect` and `bind`. Both are performed on the caller's own socket: letting the kernel do it
//! could be turned, by a `dup2` in between, into reaching a host's socket in a granted folder.

use std::{
    ffi::CString,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, OwnedFd},
};

use remit_core::{AccessRequest, Action, ReasonCode, Resource, display_path};
use rustix::{io::Errno, net::SocketType};

use super::{
    place::{Class, path_of},
    start::Begun,
    sys,
    threads::WaitsFor,
    turn::{Outcome, Reply, Stop, Turn},
};

/// `sizeof(struct sockaddr_storage)`: the kernel takes no longer address.
const MAX_ADDRESS: i32 = 128;
const AF_UNIX: u16 = libc::AF_UNIX as u16;
const AF_INET: u16 = libc::AF_INET as u16;
const AF_INET6: u16 = libc::AF_INET6 as u16;

impl Turn<'_> {
    /// Connects the caller's socket.
    pub(super) fn connect(&mut self, fd: i32, address: u64, length: i32) -> Outcome {
        let socket = self.grab(fd)?;
        let address = self.address(address, length)?;
        let mut target = None;
        match family(&address) {
            Some(AF_UNIX) => target = self.host_or_own(&address)?,
            Some(AF_INET | AF_INET6) => self.note_target(&address),
            _ => {}
        }
        if !self.may_block && may_wait(&socket) {
            return Err(Stop::Pool);
        }
        self.still_there()?;
        match target {
            None => self
                .waiting_for(WaitsFor::Connection, || sys::connect(socket.as_raw_fd(), &address))?,
            Some(held) => {
                // By the name of our own descriptor: the very socket that was looked at.
                sys::fchdir(self.shared.own.as_raw_fd())?;
                let name = rustix::path::DecInt::from_fd(&held);
                let address = unix(name.as_c_str().to_bytes());
                self.waiting_for(WaitsFor::Connection, || {
                    sys::connect(socket.as_raw_fd(), &address)
                })?;
            }
        }
        Ok(Reply::Value(0))
    }

    /// Binds the caller's socket to a path in scratch; other addresses are the kernel's.
    pub(super) fn bind(&mut self, fd: i32, address: u64, length: i32) -> Outcome {
        let socket = self.grab(fd)?;
        let address = self.address(address, length)?;
        let Some(path) = pathname(&address) else { return Err(Stop::Continue) };
        let shared = self.shared;
        // The kernel walks the path again, so no name may change meanwhile.
        let _alone = shared.moving();
        let start = match self.start(sys::CWD, &path, false)? {
            Begun::Path(start) => start,
            Begun::Object(_) => return Err(Errno::ADDRINUSE.into()),
        };
        let parent = self.parent(&start, 0)?;
        if parent.is_plain() && self.class(&parent.full) != Class::Scratch {
            return Err(self.refuse_socket(&parent.full));
        }
        self.take_umask()?;
        self.still_there()?;
        sys::bind(socket.as_raw_fd(), &unix(start.path.as_bytes()))?;
        Ok(Reply::Value(0))
    }

    fn address(&self, address: u64, length: i32) -> Result<Vec<u8>, Stop> {
        let length = usize::try_from(length).map_err(|_| Errno::INVAL)?;
        if length > MAX_ADDRESS as usize {
            return Err(Errno::INVAL.into());
        }
        if length == 0 { Ok(Vec::new()) } else { self.bytes(address, length) }
    }

    /// Sockets that the session made lie in scratch. Any other that has a path is the host's.
    fn host_or_own(&mut self, address: &[u8]) -> Result<Option<OwnedFd>, Stop> {
        let Some(path) = pathname(address) else { return Ok(None) };
        let object = match self.start(sys::CWD, &path, false)? {
            Begun::Path(start) => match self.object(&start, true) {
                Err(Stop::Errno(Errno::NOENT)) => {
                    self.absent(&start, Action::WriteFile);
                    return Err(Errno::NOENT.into());
                }
                object => object?,
            },
            Begun::Object(link) => {
                let fd = self.follow(&link, 0)?;
                self.reached(fd)?
            }
        };
        if self.class(&object.path) == Class::Scratch {
            Ok(Some(object.fd))
        } else {
            Err(self.refuse_socket(&object.path))
        }
    }

    fn refuse_socket(&self, path: &[u8]) -> Stop {
        let text = format!("unix:{}", display_path(&path_of(path)));
        let request = AccessRequest::new(Action::Connect, Resource::Other(text)).by(self.call.tid);
        self.refuse(&request, ReasonCode::UnsupportedProtocol)
    }

    /// Attempts on bare addresses lead nowhere (there is no route) and are recorded, each once.
    fn note_target(&self, address: &[u8]) {
        let Some((ip, port)) = internet(address) else { return };
        if is_quiet(ip) || !self.shared.first((ip, port)) {
            return;
        }
        let resource = Resource::Address { address: ip, port };
        let request = AccessRequest::new(Action::Connect, resource).by(self.call.tid);
        let _ = self.shared.guard.check(request);
    }
}

/// Whether connecting may take time: a blocking socket that keeps connections.
fn may_wait(socket: &OwnedFd) -> bool {
    let blocking =
        sys::status_flags(socket.as_raw_fd()).is_ok_and(|flags| flags & libc::O_NONBLOCK == 0);
    blocking
        && rustix::net::sockopt::socket_type(socket).is_ok_and(|kind| kind != SocketType::DGRAM)
}

fn family(address: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(address.get(..2)?.try_into().ok()?))
}

/// The path of a Unix address; `None` for others, unnamed and abstract ones.
fn pathname(address: &[u8]) -> Option<CString> {
    if family(address) != Some(AF_UNIX) {
        return None;
    }
    let path = address.get(2..)?;
    let path = path.split(|byte| *byte == 0).next().filter(|path| !path.is_empty())?;
    CString::new(path).ok()
}

/// A Unix address with this path.
fn unix(path: &[u8]) -> Vec<u8> {
    let mut address = AF_UNIX.to_ne_bytes().to_vec();
    address.extend_from_slice(path);
    address.push(0);
    address
}

fn internet(address: &[u8]) -> Option<(IpAddr, u16)> {
    let port = u16::from_be_bytes(address.get(2..4)?.try_into().ok()?);
    match family(address)? {
        AF_INET => {
            let octets: [u8; 4] = address.get(4..8)?.try_into().ok()?;
            Some((Ipv4Addr::from(octets).into(), port))
        }
        AF_INET6 => {
            let octets: [u8; 16] = address.get(8..24)?.try_into().ok()?;
            Some((Ipv6Addr::from(octets).to_canonical(), port))
        }
        _ => None,
    }
}

/// The session's own loopback, and the addresses that stand for listed names: what is connected
/// there is decided where the connection arrives.
fn is_quiet(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback() || ip.is_unspecified() || (a == 198 && b & 0xfe == 18)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_what_they_map() {
        let mut address = vec![0u8; 28];
        address[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
        address[2..4].copy_from_slice(&443u16.to_be_bytes());
        address[18..24].copy_from_slice(&[0xff, 0xff, 10, 0, 0, 1]);
        assert_eq!(internet(&address), Some(("10.0.0.1".parse().unwrap(), 443)));
        assert!(is_quiet("198.19.255.255".parse().unwrap()));
        assert!(!is_quiet("198.20.0.1".parse().unwrap()));
    }

    #[test]
    fn abstract_and_unnamed_have_no_path() {
        assert_eq!(pathname(&unix(b"/tmp/s")), CString::new("/tmp/s").ok());
        assert_eq!(pathname(&unix(b"\0abstract")), None);
        assert_eq!(pathname(&AF_UNIX.to_ne_bytes()), None);
    }
}
