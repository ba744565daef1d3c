//! From a name to a verified connection: resolve once, vet, pin, dial.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use remit_core::{
    AccessRequest, Action, AddressRule, CorrelationId, Denial, Guard, Host, Outcome, ReasonCode,
    Resource,
};
use rustls::ClientConfig;
use tokio::{sync::OnceCell, task::JoinSet};
use tokio_rustls::TlsConnector;

use super::{
    Reach, Resolver, UpstreamTrust,
    cause::Cause,
    proxy::server_name,
    reach::{End, Found, Way},
    road::{Road, ServerStream},
};
use crate::budget::Budget;

/// Where a connection goes. Its addresses are found and vetted once, on first use.
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
    rule: AddressRule,
    /// Ties everything on the connection to its first decision.
    pub(crate) correlation: CorrelationId,
    vetted: OnceCell<Arc<[End]>>,
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
    way: Arc<Way>,
    trust: UpstreamTrust,
    configs: OnceLock<Configs>,
}

/// How TLS is spoken to servers. Made with the first connection: reading a system's roots takes
/// longer than starting a session.
struct Configs {
    only_h1: Arc<ClientConfig>,
    h2_first: Arc<ClientConfig>,
}

/// A connected server.
pub(crate) struct Dialled {
    pub(crate) stream: ServerStream,
    pub(crate) end: End,
    /// The server chose HTTP/2.
    pub(crate) h2: bool,
}

impl Dialer {
    pub(crate) fn new(
        guard: Arc<Guard>,
        budget: Arc<Budget>,
        resolver: Resolver,
        trust: UpstreamTrust,
        reach: Reach,
    ) -> Self {
        let way = Arc::new(Way::new(reach, resolver));
        Self { guard, budget, way, trust, configs: OnceLock::new() }
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

    /// Where connections to `target` may end.
    pub(crate) async fn vetted(&self, target: &Target) -> Result<Arc<[End]>, Denial> {
        target.vetted.get_or_try_init(|| self.find(target)).await.cloned()
    }

    /// A connection to the first vetted address that answers. Addresses that do not answer at
    /// once are not waited for alone (RFC 8305, 5); an upstream proxy has its time for each.
    pub(crate) async fn tcp(&self, target: &Target) -> Result<(Road, End), Denial> {
        let ends = self.vetted(target).await?;
        if self.budget.is_spent() {
            return Err(self.guard.refuse(&target.question(None), ReasonCode::LimitReached));
        }
        let mut last = Cause::new("the name has no address", "");
        let mut waiting = alternating(&ends).into_iter().take(MOST_TRIES);
        let mut trying = JoinSet::new();
        loop {
            let next = waiting.next();
            let mut alone = false;
            if let Some(end) = next {
                let (told, tunnelled) = self.way.describe(&target.host, end);
                alone = tunnelled;
                self.announce(target, told)?;
                let (way, budget) = (Arc::clone(&self.way), Arc::clone(&self.budget));
                let (host, port) = (target.host.clone(), target.port);
                trying.spawn(async move { (end, way.connect(&host, port, end, &budget).await) });
            }
            tokio::select! {
                biased;
                tried = trying.join_next() => match tried {
                    Some(Ok((end, Ok(road)))) => return Ok((road, end)),
                    Some(Ok((_, Err(cause)))) if cause.is_final => {
                        return Err(self.failed_by(target, &cause));
                    }
                    Some(Ok((_, Err(cause)))) => last = cause,
                    Some(Err(error)) => last = Cause::from(error.to_string().as_str()),
                    None => return Err(self.failed_by(target, &last)),
                },
                () = tokio::time::sleep(STAGGER), if next.is_some() && !alone => {}
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
        let (road, end) = self.tcp(target).await?;
        if !tls {
            return Ok(Dialled { stream: ServerStream::Plain(road), end, h2: false });
        }
        let name = server_name(&target.host)
            .ok_or_else(|| self.failed(target, "the name is not one for TLS"))?;
        let configs =
            self.configs().map_err(|error| self.failed_by(target, &Cause::tls(&error)))?;
        let config = if h2 { &configs.h2_first } else { &configs.only_h1 };
        let handshake = TlsConnector::from(Arc::clone(config)).connect(name, road);
        let stream = match tokio::time::timeout(HANDSHAKE_PATIENCE, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.failed_by(target, &Cause::handshake(&error))),
            Err(_) => {
                let cause = Cause::new("the TLS handshake with the server took too long", "");
                return Err(self.failed_by(target, &cause));
            }
        };
        let chosen = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialled { stream: ServerStream::Tls(Box::new(stream)), end, h2: chosen })
    }

    /// Records a failure of the server's side.
    pub(crate) fn failed(&self, target: &Target, particulars: &str) -> Denial {
        self.failed_by(target, &Cause::from(particulars))
    }

    /// The same with its cause: the agent sees the words, the trail all of it.
    fn failed_by(&self, target: &Target, cause: &Cause) -> Denial {
        self.error(target, ReasonCode::UpstreamFailed, cause)
    }

    fn error(&self, target: &Target, reason: ReasonCode, cause: &Cause) -> Denial {
        let request = target.question(None);
        let resource = request.resource.describe();
        let noted = self.guard.note(
            request.action,
            request.resource.clone(),
            Outcome::Error,
            reason,
            Some(cause.detail()),
        );
        match noted {
            Ok(event) => Denial {
                reason,
                rule: None,
                suggestion: None,
                event,
                resource,
                detail: Some(cause.words),
                data: None,
            },
            Err(_) => self.guard.refuse(&request, ReasonCode::AuditUnavailable),
        }
    }

    async fn find(&self, target: &Target) -> Result<Arc<[End]>, Denial> {
        match self.way.find(&target.host, target.port, &target.rule).await {
            Ok(Found::Ends(ends)) => Ok(ends),
            Ok(Found::Refused(reason, detail)) => {
                // Into the trail only: the answer must not tell the agent about inner addresses.
                Err(self.guard.refuse(&target.question(Some(detail)), reason))
            }
            Err(error) => {
                let words = match error.kind() {
                    io::ErrorKind::TimedOut => "the resolver does not answer",
                    _ => "nobody knows an address of the name",
                };
                let cause = Cause::new(words, error.to_string());
                Err(self.error(target, ReasonCode::NameNotFound, &cause))
            }
        }
    }

    fn announce(&self, target: &Target, told: String) -> Result<(), Denial> {
        let request = target.question(None);
        self.guard
            .note(
                request.action,
                request.resource.clone(),
                Outcome::Allowed,
                ReasonCode::Granted,
                Some(told),
            )
            .map(drop)
            .map_err(|_| self.guard.refuse(&request, ReasonCode::AuditUnavailable))
    }
}

/// The two families by turns, in the order of each and beginning with the first address's (RFC
/// 8305, 4): one of them may lead nowhere.
fn alternating(ends: &[End]) -> Vec<End> {
    let is_v6 = |end: &End| matches!(end, End::Address(address) if address.is_ipv6());
    let first = ends.first().is_some_and(is_v6);
    let (own, other): (Vec<End>, Vec<End>) = ends.iter().partition(|end| is_v6(end) == first);
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    let mut all = Vec::with_capacity(ends.len());
    while all.len() < ends.len() {
        all.extend(own.next());
        all.extend(other.next());
    }
    all
}

const MOST_TRIES: usize = 4;
/// RFC 8305, 5: the recommended delay between two attempts.
const STAGGER: Duration = Duration::from_millis(250);
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn families_are_tried_by_turns() {
        let parse = |text: &str| -> Vec<End> {
            text.split(' ').map(|address| End::Address(address.parse().unwrap())).collect()
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
