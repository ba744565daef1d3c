//! Which name has which address, and the listeners on it.

use std::{
    collections::{HashMap, hash_map},
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Arc, Mutex},
};

use remit_core::{
    AccessRequest, Action, Denial, Effect, Guard, Host, Obligation, ReasonCode, Resource,
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{budget::NameBudget, repeats::Repeats};
use crate::{config::SessionNet, connection, engine::Engine, live::lock};

/// The session's table of names. An address stands for one name for the session's whole life.
pub(crate) struct Directory {
    engine: Arc<Engine>,
    net: Arc<dyn SessionNet>,
    pub(super) repeats: Repeats,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    names: HashMap<Host, Entry>,
    last: u32,
    budget: NameBudget,
}

struct Entry {
    address: Ipv4Addr,
    ports: HashMap<u16, JoinHandle<()>>,
}

/// What a lookup comes to.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    /// The name's address; its listeners are open.
    Address(Ipv4Addr),
    /// The guard said no.
    Denied(ReasonCode),
    /// The session asked for too many names, or no socket could be made.
    Failed(ReasonCode),
}

impl Directory {
    pub(crate) fn new(engine: Arc<Engine>, net: Arc<dyn SessionNet>) -> Arc<Self> {
        let repeats = Repeats::new(Arc::clone(&engine.guard));
        Arc::new(Self { engine, net, repeats, inner: Mutex::default() })
    }

    pub(super) fn guard(&self) -> &Arc<Guard> {
        &self.engine.guard
    }

    /// Decides, allocates and listens.
    pub(super) async fn look_up(self: &Arc<Self>, host: &Host) -> Lookup {
        if let Some(reason) = self.repeats.denied_lately(host) {
            return Lookup::Denied(reason);
        }
        let request = question(host);
        match self.engine.guard.check_async(request.clone()).await {
            Ok(permit) => {
                let ports = ports(&permit.obligations);
                match self.open(host, &ports) {
                    Ok(address) => Lookup::Address(address),
                    Err(failure) => {
                        let mut request = request;
                        request.context.detail = Some(failure.to_string());
                        Lookup::Failed(self.engine.refuse(&request, failure.reason()).reason)
                    }
                }
            }
            Err(Denial { reason, .. }) => {
                self.engine.live.count_refused(host, 0);
                self.repeats.remember(host, reason);
                Lookup::Denied(reason)
            }
        }
    }

    /// Whether a name is listed, without a record; for questions other than its address.
    pub(super) fn is_listed(&self, host: &Host) -> bool {
        self.engine.guard.peek(&question(host)).effect != Effect::Deny
    }

    /// Opens what is missing on the name's address. The listeners are there before the answer is.
    fn open(self: &Arc<Self>, host: &Host, ports: &[u16]) -> Result<Ipv4Addr, OpenError> {
        let mut inner = lock(&self.inner);
        let address = match inner.names.get(host) {
            Some(entry) => entry.address,
            None => {
                if inner.names.len() >= MOST_NAMES || !inner.budget.spend(host) {
                    return Err(OpenError::TooMany);
                }
                let next = inner.last.max(FIRST.to_bits().wrapping_sub(1)).saturating_add(1);
                if next > LAST.to_bits() {
                    return Err(OpenError::TooMany);
                }
                inner.last = next;
                Ipv4Addr::from_bits(next)
            }
        };
        self.listen(&mut inner, host, address, ports)?;
        Ok(address)
    }

    /// Opens listeners on a literal address that the policy lists as a host; nothing looks it up.
    /// What is open there already stays open.
    pub(crate) fn open_at(&self, host: &Host, address: Ipv4Addr, ports: &[u16]) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        let open = inner.names.get(host).map(|entry| entry.ports.keys().copied());
        let all: Vec<u16> = open.into_iter().flatten().chain(ports.iter().copied()).collect();
        self.listen(&mut inner, host, address, &all)
    }

    /// Makes `ports` the ones that answer for `host`.
    fn listen(
        &self,
        inner: &mut Inner,
        host: &Host,
        address: Ipv4Addr,
        ports: &[u16],
    ) -> io::Result<()> {
        let entry = inner
            .names
            .entry(host.clone())
            .or_insert_with(|| Entry { address, ports: HashMap::new() });
        entry.ports.retain(|port, task| {
            let keep = ports.contains(port) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for port in ports.iter().copied() {
            if let hash_map::Entry::Vacant(place) = entry.ports.entry(port) {
                let listener = self.net.listen(SocketAddrV4::new(address, port))?;
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                let engine = Arc::clone(&self.engine);
                let task = tokio::spawn(accept(engine, listener, host.clone(), port));
                place.insert(task);
            }
        }
        Ok(())
    }

    /// The policy changed: names that are no longer listed lose their listeners.
    pub(crate) fn review(&self) {
        self.repeats.forget();
        let mut inner = lock(&self.inner);
        for (host, entry) in &mut inner.names {
            let decision = self.engine.guard.peek(&question(host));
            let ports = match decision.effect {
                Effect::Deny => Arc::default(),
                _ => ports(&decision.obligations),
            };
            entry.ports.retain(|port, task| {
                let keep = ports.contains(port);
                if !keep {
                    task.abort();
                }
                keep
            });
        }
    }

    /// Closes every listener.
    pub(crate) fn close(&self) {
        self.repeats.forget();
        for entry in lock(&self.inner).names.values_mut() {
            for (_, task) in entry.ports.drain() {
                task.abort();
            }
        }
    }
}

async fn accept(engine: Arc<Engine>, listener: TcpListener, host: Host, port: u16) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let engine = Arc::clone(&engine);
                tokio::spawn(connection::handle(engine, stream, host.clone(), port));
            }
            // Out of descriptors, or a connection that was gone: neither ends the listener.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
}

fn question(host: &Host) -> AccessRequest {
    AccessRequest::new(Action::ResolveName, Resource::Name(host.clone()))
}

fn ports(duties: &[Obligation]) -> Arc<[u16]> {
    duties
        .iter()
        .find_map(|duty| match duty {
            Obligation::Ports(ports) => Some(Arc::clone(ports)),
            _ => None,
        })
        .unwrap_or_default()
}

/// Why a permitted name has no address.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("too many names")]
    TooMany,
    #[error("no listener: {0}")]
    Socket(#[from] io::Error),
}

impl OpenError {
    const fn reason(&self) -> ReasonCode {
        match self {
            Self::TooMany => ReasonCode::LimitReached,
            Self::Socket(_) => ReasonCode::UpstreamFailed,
        }
    }
}

const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const LAST: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 254);
const MOST_NAMES: usize = 2048;
