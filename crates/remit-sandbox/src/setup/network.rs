//! The session's network namespace: loopback, and one local route under which every listed name
//! gets its own address (198.18.0.0/15, RFC 2544's benchmarking block, never used on the
//! Internet).

use std::{
    fs, io,
    net::Ipv4Addr,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::report::{At as _, LayerError};

const LAYER: &str = "network_namespace";

/// Brings loopback up, adds the route, and lets the agent's own servers use low ports. The
/// calling process must already be in the new network namespace, with host `/proc` in place.
///
/// # Errors
/// [`LayerError`] naming the step.
pub(crate) fn set_up(literals: &[Ipv4Addr]) -> Result<(), LayerError> {
    loopback_up().at(LAYER, "bring up", "lo")?;
    let socket = netlink().at(LAYER, "open", "netlink")?;
    local_route(&socket, Ipv4Addr::new(198, 18, 0, 0), 15).at(LAYER, "add route", "198.18/15")?;
    for address in literals {
        local_route(&socket, *address, 32).at(LAYER, "add route", address.to_string())?;
    }
    let path = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    fs::write(path, "0").at(LAYER, "write", path)
}

fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: an all-zero ifreq is valid; the name is copied with room for its NUL.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn netlink() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // protocol 0 is NETLINK_ROUTE,
    )?)
}

/// `ip route add local NETWORK/BITS dev lo` (rtnetlink(7)).
fn local_route(socket: &OwnedFd, network: Ipv4Addr, bits: u8) -> io::Result<()> {
    const LOOPBACK_INDEX: u32 = 1;
    let mut body: Vec<u8> = Vec::with_capacity(64);
    // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
    body.extend([libc::AF_INET as u8, bits, 0, 0, libc::RT_TABLE_LOCAL]);
    body.extend([libc::RTPROT_BOOT, libc::RT_SCOPE_HOST, libc::RTN_LOCAL]);
    body.extend(0u32.to_ne_bytes());
    attribute(&mut body, libc::RTA_DST, &network.octets());
    attribute(&mut body, libc::RTA_OIF, &LOOPBACK_INDEX.to_ne_bytes());
    let length = u32::try_from(body.len().saturating_add(16)).unwrap_or(u32::MAX);
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE) as u16;
    let mut message: Vec<u8> = Vec::with_capacity(80);
    message.extend(length.to_ne_bytes());
    message.extend(libc::RTM_NEWROUTE.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(1u32.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(body);
    rustix::net::send(socket, &message, SendFlags::empty())?;
    acknowledge(std::os::fd::AsFd::as_fd(socket))
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len().saturating_add(4)).unwrap_or(u16::MAX);
    out.extend(length.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The reply is an NLMSG_ERROR whose first word after the header is the negated errno, 0 for
/// success.
fn acknowledge(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut reply = [0u8; 512];
    let (got, _) = rustix::net::recv(socket, &mut reply[..], RecvFlags::empty())?;
    let code = reply.get(16..20).filter(|_| got >= 20).and_then(|word| word.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
    }
}
