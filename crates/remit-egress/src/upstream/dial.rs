//! From a name to a verified connection: resolve once, vet, pin, dial.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use remit_core::{
    AccessRequest, Action, AddressRule, CorrelationId, Denial, Guard, Host, Outcome, ReasonCode,
    Resource,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OnceCell,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Resolver, UpstreamTrust};
use crate::{
    address,
    budget::Budget,
    leg::{Leg, Side},
    live::lock,
};

/// Where a connection goes. Its addresses are found and vetted once, on first use.
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
    rule: AddressRule,
    /// Ties everything on the connection to its first decision.
    pub(crate) correlation: CorrelationId,
    vetted: OnceCell<Arc<[SocketAddr]>>,
}

impl Target {
    pub(crate) fn new(
        host: Host,
        port: u16,
        rule: AddressRule,
        correlation: CorrelationId,
    ) -> Self {
        Self { host, port, rule, correlation, vetted: OnceCell::new() }
    }

    /// The endpoint as a question about connecting.
    pub(crate) fn question(&self, detail: Option<String>) -> AccessRequest {
        let resource = Resource::Endpoint { host: self.host.clone(), port: self.port };
        let mut request = AccessRequest::new(Action::Connect, resource);
        request.correlation = Some(self.correlation.clone());
        request.context.detail = detail;
        request
    }

    /// Any request to the endpoint: without method and path it fits rules that restrict neither.
    pub(crate) fn any_request(&self) -> AccessRequest {
        let resource = Resource::Http {
            host: self.host.clone(),
            port: self.port,
            method: String::new(),
            path: String::new(),
        };
        let mut request = AccessRequest::new(Action::HttpRequest, resource);
        request.correlation = Some(self.correlation.clone());
        request
    }
}

/// Opens connections to servers; nothing else in the crate does.
pub(crate) struct Dialer {
    guard: Arc<Guard>,
    budget: Arc<Budget>,
    resolver: Resolver,
    trust: UpstreamTrust,
    configs: OnceLock<Configs>,
    own: Mutex<Option<(Instant, Arc<[IpAddr]>)>>,
}

/// How TLS is spoken to servers. Made with the first connection: reading a system's roots takes
/// longer than starting a session.
struct Configs {
    only_h1: Arc<ClientConfig>,
    h2_first: Arc<ClientConfig>,
}

/// A server's byte stream.
pub(crate) enum ServerStream {
    Plain(Leg),
    Tls(Box<TlsStream<Leg>>),
}

/// A connected server.
pub(crate) struct Dialled {
    pub(crate) stream: ServerStream,
    pub(crate) address: SocketAddr,
    /// The server chose HTTP/2.
    pub(crate) h2: bool,
}

impl Dialer {
    pub(crate) fn new(
        guard: Arc<Guard>,
        budget: Arc<Budget>,
        resolver: Resolver,
        trust: UpstreamTrust,
    ) -> Self {
        let configs = OnceLock::new();
        Self { guard, budget, resolver, trust, configs, own: Mutex::default() }
    }

    fn configs(&self) -> Result<&Configs, rustls::Error> {
        if let Some(configs) = self.configs.get() {
            return Ok(configs);
        }
        let made = Configs {
            only_h1: self.trust.client(&[b"http/1.1"])?,
            h2_first: self.trust.client(&[b"h2", b"http/1.1"])?,
        };
        Ok(self.configs.get_or_init(|| made))
    }

    /// The addresses that may be dialled for `target`.
    pub(crate) async fn vetted(&self, target: &Target) -> Result<Arc<[SocketAddr]>, Denial> {
        target.vetted.get_or_try_init(|| self.find(target)).await.cloned()
    }

    /// A TCP connection to the first vetted address that answers. Addresses that do not answer at
    /// once are not waited for alone (RFC 8305, 5).
    pub(crate) async fn tcp(&self, target: &Target) -> Result<(Leg, SocketAddr), Denial> {
        let addresses = self.vetted(target).await?;
        if self.budget.is_spent() {
            return Err(self.guard.refuse(&target.question(None), ReasonCode::LimitReached));
        }
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let mut waiting = alternating(&addresses).into_iter().take(MOST_TRIES);
        let mut trying = JoinSet::new();
        loop {
            let next = waiting.next();
            if let Some(address) = next {
                self.announce(target, address)?;
                trying.spawn(async move { (address, connect(address).await) });
            }
            tokio::select! {
                biased;
                tried = trying.join_next() => match tried {
                    Some(Ok((address, Ok(stream)))) => {
                        let side = Side::Server(Arc::clone(&self.budget));
                        return Ok((Leg::new(stream, side), address));
                    }
                    Some(Ok((_, Err(error)))) => last = error,
                    Some(Err(error)) => last = io::Error::other(error),
                    None => return Err(self.failed(target, &last.to_string())),
                },
                () = tokio::time::sleep(STAGGER), if next.is_some() => {}
            }
        }
    }

    /// A connection that speaks HTTP: TLS verified for the same name where `tls`.
    pub(crate) async fn http(
        &self,
        target: &Target,
        tls: bool,
        h2: bool,
    ) -> Result<Dialled, Denial> {
        let (leg, address) = self.tcp(target).await?;
        if !tls {
            return Ok(Dialled { stream: ServerStream::Plain(leg), address, h2: false });
        }
        let name = match &target.host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => ServerName::try_from(name.to_string())
                .map_err(|_| self.failed(target, "the name is not one for TLS"))?,
        };
        let configs = self.configs().map_err(|error| self.failed(target, &error.to_string()))?;
        let config = if h2 { &configs.h2_first } else { &configs.only_h1 };
        let handshake = TlsConnector::from(Arc::clone(config)).connect(name, leg);
        let stream = match tokio::time::timeout(HANDSHAKE_PATIENCE, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.failed(target, &error.to_string())),
            Err(_) => return Err(self.failed(target, "the TLS handshake took too long")),
        };
        let chosen = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialled { stream: ServerStream::Tls(Box::new(stream)), address, h2: chosen })
    }

    /// Records a failure of the server's side. The agent sees the code, the trail the cause.
    pub(crate) fn failed(&self, target: &Target, cause: &str) -> Denial {
        self.error(target, ReasonCode::UpstreamFailed, cause)
    }

    fn error(&self, target: &Target, reason: ReasonCode, cause: &str) -> Denial {
        let request = target.question(None);
        let resource = request.resource.describe();
        let detail = cause.chars().filter(|c| !c.is_control()).take(200).collect();
        let noted = self.guard.note(
            request.action,
            request.resource.clone(),
            Outcome::Error,
            reason,
            Some(detail),
        );
        match noted {
            Ok(event) => {
                Denial { reason, rule: None, suggestion: None, event, resource, data: None }
            }
            Err(_) => self.guard.refuse(&request, ReasonCode::AuditUnavailable),
        }
    }

    async fn find(&self, target: &Target) -> Result<Arc<[SocketAddr]>, Denial> {
        let found = match self.resolver.resolve(&target.host).await {
            Ok(found) => found,
            Err(error) => {
                return Err(self.error(target, ReasonCode::NameNotFound, &error.to_string()));
            }
        };
        let own = self.own();
        let mut refused = None;
        let vetted: Vec<SocketAddr> = found
            .iter()
            .filter(|address| match address::vet(&target.rule, **address, &own) {
                Ok(()) => true,
                Err(reason) => {
                    refused.get_or_insert(reason);
                    false
                }
            })
            .map(|address| SocketAddr::new(address.to_canonical(), target.port))
            .collect();
        match refused {
            Some(reason) if vetted.is_empty() => {
                // Into the trail only: the answer must not tell the agent about inner addresses.
                let detail: Vec<String> = found.iter().map(ToString::to_string).collect();
                let question = target.question(Some(detail.join(" ")));
                Err(self.guard.refuse(&question, reason))
            }
            _ => Ok(vetted.into()),
        }
    }

    fn announce(&self, target: &Target, address: SocketAddr) -> Result<(), Denial> {
        let request = target.question(None);
        self.guard
            .note(
                request.action,
                request.resource.clone(),
                Outcome::Allowed,
                ReasonCode::Granted,
                Some(format!("dialling {address}")),
            )
            .map(drop)
            .map_err(|_| self.guard.refuse(&request, ReasonCode::AuditUnavailable))
    }

    fn own(&self) -> Arc<[IpAddr]> {
        let mut own = lock(&self.own);
        match &*own {
            Some((when, addresses)) if when.elapsed() < OWN_KEPT => Arc::clone(addresses),
            _ => {
                let fresh: Arc<[IpAddr]> = address::own_addresses().into();
                *own = Some((Instant::now(), Arc::clone(&fresh)));
                fresh
            }
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect(address);
    tokio::time::timeout(CONNECT_PATIENCE, connecting)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The two families by turns, in the order of each and beginning with the first address's (RFC
/// 8305, 4): one of them may lead nowhere.
fn alternating(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (own, other): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first);
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    let mut all = Vec::with_capacity(addresses.len());
    while all.len() < addresses.len() {
        all.extend(own.next());
        all.extend(other.next());
    }
    all
}

const MOST_TRIES: usize = 4;
/// RFC 8305, 5: the recommended delay between two attempts.
const STAGGER: Duration = Duration::from_millis(250);
const CONNECT_PATIENCE: Duration = Duration::from_secs(8);
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(15);
const OWN_KEPT: Duration = Duration::from_secs(5);

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(leg) => Pin::new(leg).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(leg) => Pin::new(leg).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(leg) => Pin::new(leg).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(leg) => leg.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(leg) => Pin::new(leg).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(leg) => Pin::new(leg).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn families_are_tried_by_turns() {
        let parse = |text: &str| -> Vec<SocketAddr> {
            text.split(' ').map(|address| address.parse().unwrap()).collect()
        };
        for (found, tried) in [
            ("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1", "[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1"),
            ("1.1.1.1:1 2.2.2.2:1 [::1]:1", "1.1.1.1:1 [::1]:1 2.2.2.2:1"),
            ("1.1.1.1:1", "1.1.1.1:1"),
        ] {
            assert_eq!(alternating(&parse(found)), parse(tried), "{found}");
        }
        assert!(alternating(&[]).is_empty());
    }
}
