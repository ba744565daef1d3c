//! Kinds of addresses, each with the check that makes one, and the one place where connections to
//! servers begin.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use remit_core::ReasonCode;
use tokio::net::{TcpSocket, TcpStream};

use crate::address::{self, AddressClass, classify};

/// An address that can be connected to.
pub(super) trait Dialable: Copy {
    fn address(self) -> SocketAddr;

    /// What the connection must come from.
    fn from(self) -> Option<IpAddr> {
        None
    }
}

/// An address of one kind; the check is the only way to one.
pub(super) trait Checked: Dialable {
    /// # Errors
    /// Why it is not of this kind.
    fn new(address: SocketAddr) -> Result<Self, ReasonCode>;
}

/// An address of this machine, now.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalAddress(SocketAddr);

impl Checked for LocalAddress {
    fn new(address: SocketAddr) -> Result<Self, ReasonCode> {
        match classify(address.ip(), &address::own_addresses()) {
            AddressClass::Loopback | AddressClass::Own if !wraps(address.ip()) => Ok(Self(address)),
            _ => Err(ReasonCode::LocalOnly),
        }
    }
}

impl Dialable for LocalAddress {
    fn address(self) -> SocketAddr {
        self.0
    }

    /// Itself: the kernel refuses to send from an address that the machine no longer has, so that
    /// one which was taken away in between is not looked for outside. Loopback never is.
    fn from(self) -> Option<IpAddr> {
        Some(self.0.ip()).filter(|address| !address.is_loopback())
    }
}

/// An address that is not public.
#[derive(Clone, Copy, Debug)]
pub(super) struct PrivateAddress(SocketAddr);

impl Checked for PrivateAddress {
    fn new(address: SocketAddr) -> Result<Self, ReasonCode> {
        match classify(address.ip(), &address::own_addresses()) {
            AddressClass::Public => Err(ReasonCode::ExternalBlocked),
            _ => Ok(Self(address)),
        }
    }
}

impl Dialable for PrivateAddress {
    fn address(self) -> SocketAddr {
        self.0
    }
}

/// Any address that the rules permit.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnyAddress(SocketAddr);

impl Checked for AnyAddress {
    fn new(address: SocketAddr) -> Result<Self, ReasonCode> {
        Ok(Self(address))
    }
}

impl Dialable for AnyAddress {
    fn address(self) -> SocketAddr {
        self.0
    }
}

/// An address of the operator's own proxy, which no rule of a manifest concerns.
#[derive(Clone, Copy, Debug)]
pub(super) struct OperatorAddress(SocketAddr);

impl OperatorAddress {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl Dialable for OperatorAddress {
    fn address(self) -> SocketAddr {
        self.0
    }
}

/// Connects. Nothing else in the crate does.
pub(super) async fn open<A: Dialable>(to: A) -> io::Result<TcpStream> {
    let address = to.address();
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(from) = to.from() {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    tokio::time::timeout(CONNECT_PATIENCE, socket.connect(address))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Whether an IPv6 address only carries another one: a gateway outside would unwrap it.
fn wraps(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => {
            v6 != Ipv6Addr::LOCALHOST && classify(address, &[]) == AddressClass::Loopback
        }
    }
}

const CONNECT_PATIENCE: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use super::*;

    fn at(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 1)
    }

    #[test]
    fn each_kind_takes_its_own_addresses_only() {
        for local in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(LocalAddress::new(at(local)).is_ok(), "{local}");
        }
        for outside in [
            "93.184.216.34",
            "10.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "::",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "::127.0.0.1",
            "fe80::1",
            "2606:2800:220:1::1",
            "255.255.255.255",
            "224.0.0.1",
        ] {
            let made = LocalAddress::new(at(outside));
            assert_eq!(made.unwrap_err(), ReasonCode::LocalOnly, "{outside}");
        }
        for private in ["10.0.0.1", "fd12::1", "127.0.0.1", "100.64.0.1"] {
            assert!(PrivateAddress::new(at(private)).is_ok(), "{private}");
        }
        for public in ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::93.184.216.34"] {
            let made = PrivateAddress::new(at(public));
            assert_eq!(made.unwrap_err(), ReasonCode::ExternalBlocked, "{public}");
        }
    }

    #[tokio::test]
    async fn an_address_that_the_machine_lost_is_not_looked_for_outside() {
        // Made by hand, as if it had been this machine's when it was vetted.
        let lost = LocalAddress(SocketAddr::new(Ipv4Addr::new(203, 0, 113, 7).into(), 9));
        let error = open(lost).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    /// What could send something elsewhere, and the only files that may say it.
    #[test]
    fn nothing_else_connects_or_asks() {
        let mut folders =
            vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                seen += 1;
                for (word, home) in [
                    ("TcpSocket::new", "upstream/kinds.rs"),
                    ("TcpStream::connect", "nowhere"),
                    ("UdpSocket::bind", "nowhere"),
                    ("lookup_host", "upstream/resolve.rs"),
                    ("to_socket_addrs", "nowhere"),
                ] {
                    let fine = !code.contains(word) || path.ends_with(home);
                    assert!(fine, "{} has {word}", path.display());
                }
            }
        }
        assert!(seen > 40, "{seen} files");
    }
}
