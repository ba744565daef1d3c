//! How much may be open at once. Every connection from a program holds a place until its last byte,
//! upgraded or not; there are no more places than descriptors, and nobody can take them all.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::live::lock;

/// Places for connections.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    most_per_peer: usize,
    peers: Arc<Peers>,
}

type Peers = Mutex<HashMap<IpAddr, usize>>;

/// A connection's place; dropping it frees it.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    peer: Option<(Arc<Peers>, IpAddr)>,
}

impl Places {
    /// As many as this process's descriptors carry.
    pub(crate) fn new() -> Self {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
        let descriptors = usize::try_from(soft).unwrap_or(usize::MAX);
        let carried = descriptors.saturating_sub(RESERVED).div_euclid(PER_CONNECTION);
        Self::of(carried.clamp(FEWEST, MOST))
    }

    fn of(count: usize) -> Self {
        let all = Arc::new(Semaphore::new(count));
        Self { all, most_per_peer: count.div_euclid(2).max(1), peers: Arc::default() }
    }

    /// A place for a session's program; `None` when all are taken.
    pub(crate) fn take(&self) -> Option<Arc<Place>> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Arc::new(Place { _permit: permit, peer: None }))
    }

    /// A place for a client at `peer`, which gets half of them at most.
    pub(crate) fn take_for(&self, peer: IpAddr) -> Option<Arc<Place>> {
        let peer = one_client(peer);
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut peers = lock(&self.peers);
        let taken = peers.entry(peer).or_default();
        if *taken >= self.most_per_peer {
            return None;
        }
        *taken = taken.saturating_add(1);
        drop(peers);
        let peer = Some((Arc::clone(&self.peers), peer));
        Some(Arc::new(Place { _permit: permit, peer }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((peers, peer)) = &self.peer else { return };
        let mut peers = lock(peers);
        if let Some(taken) = peers.get_mut(peer) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                peers.remove(peer);
            }
        }
    }
}

/// Whoever has one IPv6 address has the whole /64 (RFC 4291, 2.5.1).
fn one_client(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

/// For the log, the trail, names, listeners, files of the supervisor.
const RESERVED: usize = 128;
/// The program's side, the server's, and a share of the connections kept for later.
const PER_CONNECTION: usize = 3;
const FEWEST: usize = 32;
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_client_cannot_take_every_place() {
        let places = Places::of(4);
        let (greedy, other) = ("2001:db8::1".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let first = places.take_for(greedy).unwrap();
        let second = places.take_for(neighbour).unwrap();
        assert!(places.take_for(greedy).is_none() && places.take_for(neighbour).is_none());
        let others = (places.take_for(other).unwrap(), places.take_for(other).unwrap());
        assert!(places.take_for(other).is_none() && places.take().is_none());
        // Whoever still holds it, an upgraded connection say, keeps the place.
        let held = Arc::clone(&first);
        drop(first);
        assert!(places.take_for(greedy).is_none());
        drop(held);
        assert!(places.take_for(greedy).is_some());
        drop((second, others));
        assert!(lock(&places.peers).is_empty());
    }
}
