//! Time-bound rights that a person adds to a running session.

use std::{path::PathBuf, sync::Arc};

use remit_core::{
    AccessRequest, Action, ApprovalId, CorrelationId, FileMode, GrantId, Host, HostPattern,
    PathScope, Resource, RuleRef, Timestamp,
};

/// A right, born from a person's yes. It answers what a rule marks `ask`; it widens nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// What it covers.
    pub scope: GrantScope,
    /// When it ends.
    pub lifetime: Lifetime,
    /// The question that it answers.
    pub approval: ApprovalId,
    /// The rule that asked, where the grant covers all that this rule covers: it answers no other.
    pub rule: Option<Arc<RuleRef>>,
}

/// What a grant covers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantScope {
    /// A file or folder.
    File {
        /// Which.
        scope: PathScope,
        /// Write includes read.
        mode: FileMode,
        /// Whether everything below is covered too, or this very path only.
        below: bool,
    },
    /// Connections, names and requests.
    Host {
        /// Which hosts.
        pattern: HostPattern,
        /// This port only, where one is given.
        port: Option<u16>,
    },
    /// One kind of HTTP request.
    Request {
        /// The host.
        host: Host,
        /// Its port.
        port: u16,
        /// The method.
        method: String,
        /// The canonical path.
        path: String,
    },
    /// A program.
    Program {
        /// Its canonical path.
        path: PathBuf,
    },
}

/// When a grant ends. All end with the session and with the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lifetime {
    /// The one attempt that was asked about, and what belongs to it.
    Once(CorrelationId),
    /// The session.
    Session,
    /// A time.
    Until(Timestamp),
}

/// Why a grant cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The grant or the manifest has ended already.
    #[error("the grant or the manifest has already ended")]
    Ended,
    /// The id is in use.
    #[error("a grant with this id exists")]
    Exists,
    /// Thousands of grants live already.
    #[error("the session holds too many grants")]
    TooMany,
}

/// A rule or grant that has just ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub what: EndedRule,
    /// Where it stands; absent for grants.
    pub at: Option<Arc<RuleRef>>,
    /// When it ended.
    pub when: Timestamp,
}

/// What has ended, with what the enforcement points need to close it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedRule {
    /// The manifest, and with it everything.
    Manifest,
    /// A file rule.
    File {
        /// What it covered.
        scope: PathScope,
        /// How.
        mode: FileMode,
    },
    /// A host rule.
    Host {
        /// Which hosts.
        pattern: HostPattern,
        /// On which ports.
        ports: Arc<[u16]>,
    },
    /// A grant.
    Grant(Grant),
}

impl GrantScope {
    /// The narrowest scope that a yes to this request gives; `None` where nothing can be granted.
    pub fn narrowest_for(request: &AccessRequest) -> Option<Self> {
        match (&request.resource, request.action) {
            (Resource::File(path), action) => {
                let mode =
                    if action == Action::ReadFile { FileMode::Read } else { FileMode::Write };
                let scope = PathScope::new(path).ok()?;
                Some(Self::File { scope, mode, below: false })
            }
            (Resource::Program { path, .. }, _) => Some(Self::Program { path: path.clone() }),
            (Resource::Name(host), _) => {
                Some(Self::Host { pattern: HostPattern::Exact(host.clone()), port: None })
            }
            (Resource::Endpoint { host, port }, _) => {
                Some(Self::Host { pattern: HostPattern::Exact(host.clone()), port: Some(*port) })
            }
            (Resource::Address { address, port }, _) => {
                let host = Host::Address(address.to_canonical());
                Some(Self::Host { pattern: HostPattern::Exact(host), port: Some(*port) })
            }
            (Resource::Http { host, port, method, path }, _) => Some(Self::Request {
                host: host.clone(),
                port: *port,
                method: method.clone(),
                path: path.clone(),
            }),
            _ => None,
        }
    }

    /// Whether a request lies within the scope.
    pub fn covers(&self, request: &AccessRequest) -> bool {
        match (self, &request.resource) {
            (Self::File { scope, mode, below }, Resource::File(path)) => {
                let enough = *mode == FileMode::Write || request.action == Action::ReadFile;
                let place = if *below { scope.covers(path) } else { scope.as_path() == path };
                enough && place
            }
            (Self::Program { path: own }, Resource::Program { path, .. }) => own == path,
            (Self::Host { pattern, .. }, Resource::Name(host)) => pattern.matches(host),
            (
                Self::Host { pattern, port: own },
                Resource::Endpoint { host, port } | Resource::Http { host, port, .. },
            ) => pattern.matches(host) && own.is_none_or(|own| own == *port),
            (Self::Host { pattern, port: own }, Resource::Address { address, port }) => {
                pattern.matches(&Host::Address(address.to_canonical()))
                    && own.is_none_or(|own| own == *port)
            }
            (
                Self::Request { host: h, port: p, method: m, path: q },
                Resource::Http { host, port, method, path },
            ) => h == host && p == port && m == method && q == path,
            _ => false,
        }
    }
}

impl Lifetime {
    /// When it ends by the clock, if ever.
    pub const fn end(&self) -> Option<Timestamp> {
        match self {
            Self::Until(end) => Some(*end),
            Self::Once(_) | Self::Session => None,
        }
    }
}
