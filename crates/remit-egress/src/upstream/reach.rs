//! How far a session's connections can go at all. It is chosen once, when the enforcement point is
//! made, and each choice can connect to addresses of its own type only: whatever the policy said
//! later, and whatever a mistake elsewhere would permit, a `localOnly` session's dialer holds
//! nothing that leads out of the machine. Every connection to a server begins in [`open`].

use std::{
    io,
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use remit_core::{AddressRule, Host, ReasonCode};

use super::{
    Resolver, UpstreamProxy,
    cause::Cause,
    kinds::{AnyAddress, Checked, LocalAddress, PrivateAddress, open},
    proxy::{TargetBy, Upstream},
    resolve::HostsFile,
    road::Road,
};
use crate::{
    address::{self, AddressClass, classify},
    budget::Budget,
    leg::{Leg, Side},
};

/// How far connections can go; from the manifest and the operator's configuration.
#[derive(Debug)]
pub enum Reach {
    /// This machine only (`localOnly`). Names are looked up in the hosts file only: whoever asks
    /// a resolver, also one on loopback, has it ask others.
    Machine,
    /// No public address (`blockExternal`).
    Private(Option<UpstreamProxy>),
    /// Whatever the rules permit.
    Anywhere(Option<UpstreamProxy>),
}

/// The same, made.
pub(super) enum Way {
    Machine(HostsFile),
    Private(Network<PrivateAddress>),
    Anywhere(Network<AnyAddress>),
}

/// A network with addresses of one kind.
pub(super) struct Network<A> {
    resolver: Resolver,
    upstream: Option<Upstream>,
    only: PhantomData<fn(A)>,
}

/// Where a connection ends, as far as it is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    /// A vetted address.
    Address(SocketAddr),
    /// The upstream proxy alone knows.
    Named,
}

/// Addresses of a name that may be dialled, or the reason why there are none.
pub(super) enum Found {
    Ends(Arc<[End]>),
    /// With what the trail should say of it.
    Refused(ReasonCode, String),
}

impl Way {
    pub(super) fn new(reach: Reach, resolver: Resolver) -> Self {
        match reach {
            Reach::Machine => Self::Machine(resolver.into_hosts_file()),
            Reach::Private(proxy) => Self::Private(Network::new(resolver, proxy)),
            Reach::Anywhere(proxy) => Self::Anywhere(Network::new(resolver, proxy)),
        }
    }

    /// Resolves once and vets.
    pub(super) async fn find(
        &self,
        host: &Host,
        port: u16,
        rule: &AddressRule,
    ) -> io::Result<Found> {
        let found = match self {
            Self::Machine(hosts) => {
                let found = match host {
                    Host::Address(address) => vec![*address],
                    Host::Name(name) => hosts.find(name).await,
                };
                if found.is_empty() {
                    let text = "not in the hosts file, and localOnly asks nobody else";
                    return Err(io::Error::new(io::ErrorKind::NotFound, text));
                }
                return Ok(vet::<LocalAddress>(&found, port, rule));
            }
            Self::Private(network) => network.addresses(host).await?,
            Self::Anywhere(network) => network.addresses(host).await?,
        };
        Ok(match (found, self) {
            (Some(found), Self::Anywhere(_)) => vet::<AnyAddress>(&found, port, rule),
            (Some(found), _) => vet::<PrivateAddress>(&found, port, rule),
            (None, Self::Anywhere(_)) if rule.public && rule.networks.is_empty() => {
                Found::Ends(Arc::from([End::Named]))
            }
            (None, _) => Found::Refused(ReasonCode::AddressRefused, UNVETTED.to_owned()),
        })
    }

    /// How the trail calls the way to an end; and whether it leads through the upstream proxy.
    pub(super) fn describe(&self, host: &Host, end: End) -> (String, bool) {
        let upstream = match self {
            Self::Machine(_) => None,
            Self::Private(network) => network.upstream_for(host, end),
            Self::Anywhere(network) => network.upstream_for(host, end),
        };
        match (end, upstream) {
            (End::Address(address), None) => (format!("dialling {address}"), false),
            (End::Address(address), Some(upstream)) => {
                (format!("dialling {address} through {}", upstream.proxy.url()), true)
            }
            (End::Named, Some(upstream)) => {
                (format!("dialling by name through {}; {UNVETTED}", upstream.proxy.url()), true)
            }
            (End::Named, None) => ("dialling by name".to_owned(), false),
        }
    }

    /// A connection to one end.
    pub(super) async fn connect(
        &self,
        host: &Host,
        port: u16,
        end: End,
        budget: &Arc<Budget>,
    ) -> Result<Road, Cause> {
        match self {
            Self::Machine(_) => {
                let End::Address(address) = end else { return Err(Cause::from(NO_WAY)) };
                let address = LocalAddress::new(address).map_err(|_| Cause::from(NO_WAY))?;
                let stream = open(address).await.map_err(|error| Cause::connecting(&error))?;
                Ok(Road::direct(Leg::new(stream, Side::Server(Arc::clone(budget)))))
            }
            Self::Private(network) => network.connect(host, port, end, budget).await,
            Self::Anywhere(network) => network.connect(host, port, end, budget).await,
        }
    }
}

impl<A: Checked> Network<A> {
    fn new(resolver: Resolver, proxy: Option<UpstreamProxy>) -> Self {
        Self { resolver, upstream: proxy.map(Upstream::new), only: PhantomData }
    }

    /// `None` where only the upstream proxy is to resolve.
    async fn addresses(&self, host: &Host) -> io::Result<Option<Arc<[IpAddr]>>> {
        let by_name = self.upstream.as_ref().is_some_and(|upstream| {
            upstream.proxy.target_by == TargetBy::Name && !upstream.proxy.spares(host)
        });
        if !by_name {
            return self.resolver.resolve(host).await.map(Some);
        }
        match host {
            Host::Address(address) => Ok(Some(Arc::from([*address]))),
            // What this machine says itself about a name is known, and so vetted.
            Host::Name(name) => {
                let found = self.resolver.hosts_file().find(name).await;
                Ok((!found.is_empty()).then(|| found.into()))
            }
        }
    }

    fn upstream_for(&self, host: &Host, end: End) -> Option<&Upstream> {
        let upstream = self.upstream.as_ref()?;
        let spared = match end {
            End::Named => false,
            // These are other places when seen from the proxy.
            End::Address(address) => {
                upstream.proxy.spares(host)
                    || upstream.proxy.spares_address(address.ip())
                    || is_near(address.ip())
            }
        };
        (!spared).then_some(upstream)
    }

    async fn connect(
        &self,
        host: &Host,
        port: u16,
        end: End,
        budget: &Arc<Budget>,
    ) -> Result<Road, Cause> {
        let upstream = self.upstream_for(host, end);
        match (end, upstream) {
            (End::Named, None) => Err(Cause::from(NO_WAY)),
            (End::Named, Some(upstream)) => {
                upstream.tunnel(&self.resolver, host, port, budget).await
            }
            (End::Address(address), upstream) => {
                let address = A::new(address).map_err(|_| Cause::from(NO_WAY))?;
                match upstream {
                    Some(upstream) => {
                        let to = Host::Address(address.address().ip());
                        upstream.tunnel(&self.resolver, &to, port, budget).await
                    }
                    None => {
                        let stream =
                            open(address).await.map_err(|error| Cause::connecting(&error))?;
                        Ok(Road::direct(Leg::new(stream, Side::Server(Arc::clone(budget)))))
                    }
                }
            }
        }
    }
}

/// Addresses that the rule permits and that can be dialled as an `A`.
fn vet<A: Checked>(found: &[IpAddr], port: u16, rule: &AddressRule) -> Found {
    let own = address::own_addresses_lately();
    let mut refused = None;
    let ends: Vec<End> = found
        .iter()
        .filter_map(|address| {
            let end = SocketAddr::new(address.to_canonical(), port);
            let vetted = address::vet(rule, *address, &own).and_then(|()| A::new(end).map(drop));
            match vetted {
                Ok(()) => Some(End::Address(end)),
                Err(reason) => {
                    refused.get_or_insert(reason);
                    None
                }
            }
        })
        .collect();
    match refused {
        Some(reason) if ends.is_empty() => {
            let all: Vec<String> = found.iter().map(ToString::to_string).collect();
            Found::Refused(reason, all.join(" "))
        }
        _ => Found::Ends(ends.into()),
    }
}

/// Whether an address means something only where one stands: this machine, its links, its cloud.
fn is_near(address: IpAddr) -> bool {
    let class = classify(address, &address::own_addresses_lately());
    matches!(
        class,
        AddressClass::Loopback
            | AddressClass::Own
            | AddressClass::LinkLocal
            | AddressClass::Metadata
            | AddressClass::Unspecified
    )
}

const UNVETTED: &str = "the upstream proxy resolves the name, so its addresses cannot be vetted";
const NO_WAY: &str = "no way leads there";
