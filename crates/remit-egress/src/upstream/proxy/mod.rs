//! The operator's own proxy on the way out, used by CONNECT (RFC 9110, 9.3.6).
//!
//! Only the operator names it: neither the environment nor a manifest can. Its own address is
//! trusted, and may be private.

mod answer;
mod credentials;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use ipnet::IpNet;
use remit_core::{Host, HostPattern};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{io::AsyncWriteExt, time::timeout};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use self::answer::answer;
pub use self::credentials::{CredentialsError, ProxyCredentials};
use super::{
    Resolver, UpstreamTrust,
    cause::Cause,
    kinds::{OperatorAddress, open},
    road::{Carrier, Road},
};
use crate::{
    budget::Budget,
    leg::{Leg, Side},
};

/// The proxy that stands between this machine and the servers.
#[derive(Clone, Debug)]
pub struct UpstreamProxy {
    /// Where it is.
    pub host: Host,
    /// Its TCP port.
    pub port: u16,
    /// It is spoken to over TLS, and must prove its name under these roots.
    pub tls: Option<UpstreamTrust>,
    /// What it is shown.
    pub credentials: Option<ProxyCredentials>,
    /// What is reached without it.
    pub bypass: Vec<Bypass>,
    /// What it is asked for.
    pub target_by: TargetBy,
}

/// What an upstream proxy is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetBy {
    /// An address that was resolved and vetted here.
    #[default]
    Address,
    /// The name: for networks in which only the proxy can resolve. Addresses cannot be vetted then.
    Name,
}

impl TargetBy {
    /// As in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Name => "name",
        }
    }
}

/// What is reached without the upstream proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// A name, or all below a suffix.
    Host(HostPattern),
    /// Every address of a network.
    Network(IpNet),
}

impl fmt::Display for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(pattern) => pattern.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl UpstreamProxy {
    /// As a URL, without what it is shown.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host.for_authority(), self.port)
    }

    /// Whether a host is reached without it, whatever its address.
    pub(super) fn spares(&self, host: &Host) -> bool {
        self.bypass.iter().any(|one| match (one, host) {
            (Bypass::Host(pattern), _) => pattern.matches(host),
            (Bypass::Network(network), Host::Address(address)) => {
                network.contains(&address.to_canonical())
            }
            (Bypass::Network(_), Host::Name(_)) => false,
        })
    }

    /// Whether an address is reached without it.
    pub(super) fn spares_address(&self, address: IpAddr) -> bool {
        self.bypass.iter().any(
            |one| matches!(one, Bypass::Network(network) if network.contains(&address.to_canonical())),
        )
    }
}

/// The proxy in use.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) proxy: UpstreamProxy,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Upstream {
    pub(super) const fn new(proxy: UpstreamProxy) -> Self {
        Self { proxy, config: OnceLock::new() }
    }

    /// A tunnel to `to:port`, where `to` is an address or a name.
    pub(super) async fn tunnel(
        &self,
        resolver: &Resolver,
        to: &Host,
        port: u16,
        budget: &Arc<Budget>,
    ) -> Result<Road, Cause> {
        let leg = self.reach(resolver, budget).await.map_err(Cause::ending)?;
        let mut carrier = match &self.proxy.tls {
            None => Carrier::Tcp(leg),
            Some(trust) => self.secure(trust, leg).await.map_err(Cause::ending)?,
        };
        let asked = async {
            carrier.write_all(&self.request(to, port)).await?;
            carrier.flush().await?;
            answer(&mut carrier).await
        };
        let (status, early) = match timeout(ANSWER_PATIENCE, asked).await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(problem))) => {
                return Err(
                    Cause::new("the upstream proxy's answer is malformed", problem).ending()
                );
            }
            Ok(Err(error)) => {
                let words = "the upstream proxy broke the connection off";
                return Err(Cause::new(words, error.to_string()));
            }
            Err(_) => return Err(Cause::new("the upstream proxy does not answer", "").ending()),
        };
        match status {
            200..300 => Ok(Road::tunnel(carrier, early)),
            407 if self.proxy.credentials.is_some() => {
                let words = "the upstream proxy does not accept Remit's credentials (407)";
                Err(Cause::new(words, "").ending())
            }
            407 => Err(Cause::new("the upstream proxy asks for credentials (407)", "").ending()),
            other => {
                let words = "the upstream proxy refuses the connection";
                Err(Cause::new(words, format!("status {other}")))
            }
        }
    }

    async fn reach(&self, resolver: &Resolver, budget: &Arc<Budget>) -> Result<Leg, Cause> {
        let UpstreamProxy { host, port, .. } = &self.proxy;
        let found = resolver.resolve(host).await;
        let found = found.map_err(|error| {
            Cause::new("the upstream proxy's name does not resolve", error.to_string())
        })?;
        let mut last = Cause::new("the upstream proxy has no address", "");
        for address in found.iter().take(MOST_TRIES) {
            let address = OperatorAddress::new(SocketAddr::new(*address, *port));
            match open(address).await {
                Ok(stream) => return Ok(Leg::new(stream, Side::Server(Arc::clone(budget)))),
                Err(error) => {
                    last = Cause::new("the upstream proxy cannot be reached", error.to_string());
                }
            }
        }
        Err(last)
    }

    async fn secure(&self, trust: &UpstreamTrust, leg: Leg) -> Result<Carrier, Cause> {
        let words = "the upstream proxy did not prove its identity";
        let fail = |particulars: String| Cause::new(words, particulars);
        let config = match self.config.get() {
            Some(config) => Arc::clone(config),
            None => {
                let made = trust.client(&[]).map_err(|error| fail(error.to_string()))?;
                Arc::clone(self.config.get_or_init(|| made))
            }
        };
        let name = server_name(&self.proxy.host).ok_or_else(|| fail("no name for TLS".into()))?;
        match timeout(TLS_PATIENCE, TlsConnector::from(config).connect(name, leg)).await {
            Ok(Ok(stream)) => Ok(Carrier::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(fail(Cause::handshake(&error).detail())),
            Err(_) => Err(Cause::new("the upstream proxy does not answer", "TLS")),
        }
    }

    fn request(&self, to: &Host, port: u16) -> Zeroizing<Vec<u8>> {
        let target = format!("{}:{port}", to.for_authority());
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(ProxyCredentials { name, value, .. }) = &self.proxy.credentials {
            head.push_str(&format!("{name}: {}\r\n", value.reveal()));
        }
        head.push_str("\r\n");
        Zeroizing::new(head.into_bytes())
    }
}

/// The name that a host proves by TLS.
pub(super) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Address(address) => Some(ServerName::from(*address)),
        Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
    }
}

const MOST_TRIES: usize = 4;
const TLS_PATIENCE: Duration = Duration::from_secs(10);
/// The proxy connects to the server before it answers.
const ANSWER_PATIENCE: Duration = Duration::from_secs(15);
