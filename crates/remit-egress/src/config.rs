//! What the enforcement point is made of.

use std::{
    io,
    net::{SocketAddrV4, TcpListener, UdpSocket},
    sync::Arc,
};

use remit_core::Guard;
use tokio::sync::watch;

use crate::{Authority, Inspector, Quarantine, Reach, Resolver, UpstreamTrust};

/// Creates sockets inside a session's network namespace. The namespace routes `198.18.0.0/15` to
/// its own loopback, so every address of it can be bound.
pub trait SessionNet: Send + Sync {
    /// A TCP socket, bound and listening.
    ///
    /// # Errors
    /// The operating system's.
    fn listen(&self, at: SocketAddrV4) -> io::Result<TcpListener>;

    /// A bound UDP socket.
    ///
    /// # Errors
    /// The operating system's.
    fn datagram(&self, at: SocketAddrV4) -> io::Result<UdpSocket>;
}

/// Who looks into bodies, and where those go that must wait.
pub struct Inspection {
    /// Says what exchanges pass.
    pub inspector: Arc<dyn Inspector>,
    /// Where held payloads wait; without one they are refused.
    pub quarantine: Option<Arc<dyn Quarantine>>,
}

/// The transparent form's parts.
pub struct EgressConfig {
    /// Decides and records.
    pub guard: Arc<Guard>,
    /// Makes sockets in the session.
    pub net: Arc<dyn SessionNet>,
    /// Whose certificates the session trusts.
    pub authority: Arc<Authority>,
    /// Whom the proxy trusts upstream.
    pub trust: UpstreamTrust,
    /// Finds real addresses; [`Resolver::system`] for the host's.
    pub resolver: Resolver,
    /// How far connections can go at all.
    pub reach: Reach,
    /// The effective policy's number; a change ends connections that it no longer permits.
    pub policy_changed: watch::Receiver<u64>,
    /// Bytes that the session may send in total.
    pub egress_bytes: Option<u64>,
    /// What bodies pass; `None`: they stream untouched.
    pub inspection: Option<Inspection>,
}

/// The explicit proxy's parts; see [`EgressConfig`].
pub struct ExplicitConfig {
    /// Decides and records.
    pub guard: Arc<Guard>,
    /// Whose certificates the clients trust.
    pub authority: Arc<Authority>,
    /// Whom the proxy trusts upstream.
    pub trust: UpstreamTrust,
    /// Finds real addresses.
    pub resolver: Resolver,
    /// How far connections can go at all.
    pub reach: Reach,
    /// The effective policy's number.
    pub policy_changed: watch::Receiver<u64>,
    /// Bytes that the clients may send in total.
    pub egress_bytes: Option<u64>,
    /// What bodies pass; `None`: they stream untouched.
    pub inspection: Option<Inspection>,
}
