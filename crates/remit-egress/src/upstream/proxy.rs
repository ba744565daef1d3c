//! The operator's own proxy on the way out, used by CONNECT (RFC 9110, 9.3.6).
//!
//! Only the operator names it: neither the environment nor a manifest can. Its own address is
//! trusted, and may be private.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf, BytesMut};
use http::{HeaderName, HeaderValue, header};
use ipnet::IpNet;
use remit_core::{Host, HostPattern};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::{
    Resolver, Secret, UpstreamTrust,
    cause::Cause,
    reach::{OperatorAddress, open},
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

/// What the proxy is shown with every CONNECT.
#[derive(Clone, Debug)]
pub struct ProxyCredentials {
    kind: &'static str,
    name: HeaderName,
    value: Secret,
}

/// Why credentials cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// RFC 7617, 2: the name ends at the first colon.
    #[error("a user name cannot hold a colon or a control character")]
    User,
    /// Not fit for a header field (RFC 9110, 5.5).
    #[error("the secret is empty, or holds a character that a header cannot carry")]
    Value,
    /// Not a header that only carries a secret.
    #[error("this header cannot carry a secret")]
    Name,
}

impl ProxyCredentials {
    /// RFC 7617.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn basic(user: &str, password: &Secret) -> Result<Self, CredentialsError> {
        let bad = |c: char| c.is_control();
        if user.contains(':') || user.contains(bad) {
            return Err(CredentialsError::User);
        }
        if password.reveal().contains(bad) {
            return Err(CredentialsError::Value);
        }
        let pair = Zeroizing::new(format!("{user}:{}", password.reveal()));
        let mut value = "Basic ".to_owned();
        STANDARD.encode_string(pair.as_bytes(), &mut value);
        Self::new("basic", header::PROXY_AUTHORIZATION, value)
    }

    /// RFC 6750, 2.1, for proxies.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn bearer(token: &Secret) -> Result<Self, CredentialsError> {
        if token.reveal().is_empty() || token.reveal().contains(' ') {
            return Err(CredentialsError::Value);
        }
        let value = format!("Bearer {}", token.reveal());
        Self::new("bearer", header::PROXY_AUTHORIZATION, value)
    }

    /// A header of the proxy's own.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn header(name: &str, value: &Secret) -> Result<Self, CredentialsError> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| CredentialsError::Name)?;
        // These say where the tunnel goes, or where the message ends.
        let own = [
            header::HOST,
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
            header::TE,
            header::TRAILER,
            header::EXPECT,
        ];
        if own.contains(&name) {
            return Err(CredentialsError::Name);
        }
        Self::new("header", name, value.reveal().to_owned())
    }

    /// `basic`, `bearer` or `header`.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    fn new(kind: &'static str, name: HeaderName, value: String) -> Result<Self, CredentialsError> {
        let value = Secret::new(value);
        let sound = HeaderValue::from_str(value.reveal()).is_ok_and(|value| !value.is_empty());
        if sound { Ok(Self { kind, name, value }) } else { Err(CredentialsError::Value) }
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
pub(super) struct Parent {
    pub(super) proxy: UpstreamProxy,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Parent {
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

/// Reads the answer to a CONNECT: its status, and what came behind its head.
async fn answer(carrier: &mut Carrier) -> std::io::Result<Result<(u16, BytesMut), &'static str>> {
    let mut seen = BytesMut::with_capacity(1024);
    loop {
        if carrier.read_buf(&mut seen).await? == 0 {
            return Ok(Err("it ends in the middle"));
        }
        match judge(&seen) {
            Answer::Incomplete => {}
            Answer::Malformed(problem) => return Ok(Err(problem)),
            Answer::Whole { status, length } => {
                seen.advance(length.min(seen.len()));
                return Ok(Ok((status, seen)));
            }
        }
    }
}

/// What the bytes of an answer are so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Incomplete,
    Malformed(&'static str),
    /// The head of a final answer, with its length in bytes.
    Whole {
        status: u16,
        length: usize,
    },
}

/// Reads a status line and header lines (RFC 9112, 4 and 5), strictly. A successful answer to
/// CONNECT has no body, whatever its headers say (RFC 9110, 9.3.6); any other ends the connection.
fn judge(seen: &[u8]) -> Answer {
    let end = seen.windows(4).position(|part| part == b"\r\n\r\n");
    let head = seen.get(..end.unwrap_or(seen.len())).unwrap_or(seen);
    if head.len() > MOST_HEAD {
        return Answer::Malformed("its head is too long");
    }
    // What can never become an answer is not waited for.
    let begun = head.get(..head.len().min(HTTP.len())).unwrap_or_default();
    if !HTTP.starts_with(begun) {
        return Answer::Malformed("it is not HTTP/1");
    }
    let Some(end) = end else { return Answer::Incomplete };
    let Ok(text) = std::str::from_utf8(head) else {
        return Answer::Malformed("its head is not text");
    };
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(status);
    let sound = |line: &str| {
        let named = line.split_once(':').is_some_and(|(name, _)| is_token(name));
        named && !line.contains(|c: char| c != '\t' && c.is_control())
    };
    let mut count = 0usize;
    for line in lines {
        count = count.saturating_add(1);
        if count > MOST_LINES || !sound(line) {
            return Answer::Malformed("a header line is malformed");
        }
    }
    match status {
        Some(status @ 200..) => Answer::Whole { status, length: end.saturating_add(4) },
        // RFC 9110, 15.2: nothing of ours asks for an interim answer.
        _ => Answer::Malformed("its status line is malformed"),
    }
}

/// `HTTP/1.x NNN` and perhaps a phrase.
fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let rest = rest.strip_prefix(['0', '1'])?.strip_prefix(' ')?;
    let (digits, phrase) = rest.split_at_checked(3)?;
    let plain =
        !phrase.contains(char::is_control) && (phrase.is_empty() || phrase.starts_with(' '));
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()) && plain;
    digits.parse().ok().filter(|status| number && (100..600).contains(status))
}

/// RFC 9110, 5.6.2.
fn is_token(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(sound)
}

const HTTP: &[u8] = b"HTTP/1.";
const MOST_HEAD: usize = 16 << 10;
const MOST_LINES: usize = 100;
const MOST_TRIES: usize = 4;
const TLS_PATIENCE: Duration = Duration::from_secs(10);
/// The proxy connects to the server before it answers.
const ANSWER_PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_whole_sound_heads_are_answers() {
        let whole = |status, length| Answer::Whole { status, length };
        for (bytes, expected) in [
            (&b"HTTP/1.1 200 Connection established\r\n\r\nSSH-2.0"[..], whole(200, 39)),
            (b"HTTP/1.0 200\r\nvia: 1.1 squid (squid/5.7)\r\n\r\n", whole(200, 44)),
            (
                b"HTTP/1.1 407 Proxy\r\nproxy-authenticate: Basic realm=\"a\"\r\n\r\n",
                whole(407, 59),
            ),
            (b"", Answer::Incomplete),
            (b"HT", Answer::Incomplete),
            (b"HTTP/1.1 200 OK\r\nvia: x\r\n", Answer::Incomplete),
            (b"SSH-2.0-x\r\n", Answer::Malformed("it is not HTTP/1")),
            (b"HTTP/2 200\r\n\r\n", Answer::Malformed("it is not HTTP/1")),
            (b"\x15\x03\x01", Answer::Malformed("it is not HTTP/1")),
        ] {
            assert_eq!(judge(bytes), expected, "{}", bytes.escape_ascii());
        }
        for malformed in [
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 200OK",
            "HTTP/1.1  200 OK",
            "HTTP/1.1 +20 OK",
            "HTTP/1.2 200 OK",
            "HTTP/1.1 100 Continue",
            "HTTP/1.1 199 x",
            "HTTP/1.1 600 x",
            "HTTP/1.1 200 OK\nvia: x",
            "HTTP/1.1 200 OK\r\nno colon",
            "HTTP/1.1 200 OK\r\nname : value",
            "HTTP/1.1 200 OK\r\nvia: x\r\n folded: y",
            "HTTP/1.1 200 OK\r\nvia: x\0",
            "HTTP/1.1 200 OK\r\nvia: x\rset: y",
        ] {
            let bytes = format!("{malformed}\r\n\r\n");
            assert!(matches!(judge(bytes.as_bytes()), Answer::Malformed(_)), "{malformed}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nvia: {}", "x".repeat(MOST_HEAD));
        assert!(matches!(judge(long.as_bytes()), Answer::Malformed(_)));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_LINES + 1));
        assert!(matches!(judge(many.as_bytes()), Answer::Malformed(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = judge(&bytes);
            let framed = [b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat();
            if let Answer::Whole { length, .. } = judge(&framed) {
                prop_assert!(length <= framed.len());
            }
        }
    }

    #[test]
    fn credentials_cannot_write_other_headers() {
        let secret = |text: &str| Secret::new(text.into());
        for bad in ["", "a\r\nhost: b", "a\0", "a\n"] {
            assert!(ProxyCredentials::bearer(&secret(bad)).is_err(), "{bad:?}");
            assert!(ProxyCredentials::header("x-key", &secret(bad)).is_err(), "{bad:?}");
        }
        assert!(ProxyCredentials::basic("u:v", &secret("p")).is_err());
        assert!(ProxyCredentials::basic("u", &secret("p\nq")).is_err());
        for name in ["host", "Content-Length", "transfer-encoding", "bad name", "", "x\r\ny"] {
            let made = ProxyCredentials::header(name, &secret("v"));
            assert_eq!(made.unwrap_err(), CredentialsError::Name, "{name:?}");
        }
        let basic = ProxyCredentials::basic("Aladdin", &secret("open sesame")).unwrap();
        // RFC 7617, 2.
        assert_eq!(basic.value.reveal(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let shown = format!("{basic:?}");
        assert!(!shown.contains("QWxh") && !shown.contains("sesame"), "{shown}");
    }
}
