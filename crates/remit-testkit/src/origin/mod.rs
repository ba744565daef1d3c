//! A server in the test process that remembers what reached it.

mod builtin;
mod forward;
mod serve;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use rustls::ServerConfig;

use crate::TestAuthority;

/// What a server answers with.
#[derive(Clone)]
pub enum Site {
    /// Fixed pages for clients of every kind: `/echo` gives the request's method, path, headers
    /// and body back as JSON; `/bytes/N` N bytes; `/status/N` that status; `/redirect/URL` a 302;
    /// `/sse` ten server-sent events 20 ms apart; `/ws` a WebSocket that echoes; all else `ok`.
    Builtin,
    /// Files below a folder, GET and HEAD only; names are taken as they stand.
    Folder(PathBuf),
    /// Everything is passed on to a plain HTTP server, upgrades included; requests whole, answers
    /// as they stream.
    Forward(SocketAddr),
    /// A function of method, path and query, headers and body.
    Function(Arc<dyn Fn(&Seen) -> Reply + Send + Sync>),
}

/// An answer of a [`Site::Function`].
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Bytes,
    /// Trailers.
    pub trailers: Vec<(&'static str, String)>,
}

impl Reply {
    /// 200 with a body.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        let (headers, trailers) = (Vec::new(), Vec::new());
        Self { status: StatusCode::OK, headers, body: body.into(), trailers }
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// TLS server name; `None` without TLS or without one.
    pub sni: Option<String>,
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub version: http::Version,
    /// Method.
    pub method: Method,
    /// `:authority` or `Host`.
    pub authority: String,
    /// Path with query, exactly as it arrived.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; empty for upgraded requests.
    pub body: Bytes,
}

/// The log of one origin.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    fn add(&self, seen: Seen) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running server; it ends with the value.
pub struct Origin {
    address: SocketAddr,
    log: Log,
    _runtime: serve::Runtime,
}

impl Origin {
    /// TLS with certificates for `names`.
    pub fn tls(authority: &TestAuthority, at: &str, names: &[&str], site: Site) -> Self {
        Self::start(at, Some(authority.server(names)), site)
    }

    /// HTTP without TLS.
    pub fn plain(at: &str, site: Site) -> Self {
        Self::start(at, None, site)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.log.all()
    }

    /// The requests so far as `METHOD authority path`, for comparisons at a glance.
    pub fn seen_lines(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|seen| format!("{} {} {}", seen.method, seen.authority, seen.path))
            .collect()
    }

    fn start(at: &str, tls: Option<Arc<ServerConfig>>, site: Site) -> Self {
        let log = Log::default();
        let (runtime, address) = serve::start(at, tls, site, log.clone());
        Self { address, log, _runtime: runtime }
    }
}
