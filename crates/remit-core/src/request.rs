//! The one question every enforcement point asks (shape of OpenID AuthZEN: subject, action,
//! resource, context). The subject is the session, which the guard knows.

use std::{net::IpAddr, path::PathBuf};

use crate::{Action, CorrelationId, Host, display_path};

/// How a file is to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileMode {
    /// Contents or listing are read.
    Read,
    /// Contents, names or mode bits change.
    Write,
}

/// What the action is about, in canonical form: the form that is decided on is the form used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// A file or folder; symlinks resolved, absolute.
    File(PathBuf),
    /// A program to start; symlinks resolved, absolute.
    Program {
        /// Canonical path.
        path: PathBuf,
        /// SHA-256 of its contents, where a rule pins one.
        sha256: Option<[u8; 32]>,
    },
    /// A name to look up.
    Name(Host),
    /// A host and port to connect to.
    Endpoint {
        /// The name (or listed literal) that the connection stands for.
        host: Host,
        /// TCP port.
        port: u16,
    },
    /// A connection attempt to a bare address that no name stands for.
    Address {
        /// The literal address.
        address: IpAddr,
        /// Port.
        port: u16,
    },
    /// An HTTP request.
    Http {
        /// Authority, equal to the connection's name.
        host: Host,
        /// TCP port.
        port: u16,
        /// Upper-case method.
        method: String,
        /// Canonical path without query.
        path: String,
    },
    /// Anything else, by a short plain name: the session, an approval, a limit.
    Other(String),
}

impl Resource {
    /// The event's `resource` text. HTTP queries never appear in it.
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) | Self::Program { path, .. } => display_path(path),
            Self::Name(host) => host.to_string(),
            Self::Endpoint { host, port } => format!("{}:{port}", host.for_authority()),
            Self::Address { address: IpAddr::V6(address), port } => format!("[{address}]:{port}"),
            Self::Address { address, port } => format!("{address}:{port}"),
            Self::Http { host, port, method, path } => {
                format!("{method} {}:{port}{path}", host.for_authority())
            }
            Self::Other(text) => text.clone(),
        }
    }

    /// Hosts for the event's `network_targets`.
    pub fn network_targets(&self) -> Vec<String> {
        match self {
            Self::Name(host) | Self::Endpoint { host, .. } | Self::Http { host, .. } => {
                vec![host.to_string()]
            }
            Self::Address { address, .. } => vec![address.to_string()],
            _ => Vec::new(),
        }
    }
}

/// What kind of object a name stands for, or will stand for once it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link itself, not what it points to.
    Symlink,
    /// A FIFO or socket.
    Other,
}

/// A way of writing that protected files care about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Via {
    /// A rename of `<name>.lock` onto `<name>`: how version control replaces its configuration.
    LockRename,
    /// Only the permission bits change. Git tries this on its configuration to see whether the file
    /// system keeps them.
    ModeChange,
    /// The entry arrives unchanged because a folder above it is renamed. Lets a project move with
    /// the protected files inside it, but never plants one.
    TreeMove {
        /// The entry's canonical path before the rename.
        from: PathBuf,
        /// How many components the entry lies below the renamed folder; 0 is the folder itself.
        below: usize,
    },
}

/// Who inside the session asks, as far as the enforcement point knows. For people, not for rules:
/// a process can choose its own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Process id in the supervisor's view.
    pub pid: Option<u32>,
    /// Short extra fact for the record, such as the resolved address.
    pub detail: Option<String>,
    /// The kind of object that a write creates, puts in place or changes. Protected names are
    /// refused when it is unknown.
    pub kind: Option<FileKind>,
    /// How a write comes about, where that matters.
    pub via: Option<Via>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    /// What is attempted.
    pub action: Action,
    /// On what.
    pub resource: Resource,
    /// By whom inside the session.
    pub context: Context,
    /// Set when this request belongs to an earlier one (a request on a decided connection).
    pub correlation: Option<CorrelationId>,
}

impl AccessRequest {
    /// A request without context.
    pub const fn new(action: Action, resource: Resource) -> Self {
        let context = Context { pid: None, detail: None, kind: None, via: None };
        Self { action, resource, context, correlation: None }
    }

    /// The same request, made by process `pid`.
    #[must_use]
    pub const fn by(mut self, pid: u32) -> Self {
        self.context.pid = Some(pid);
        self
    }

    /// The same request about an object of this kind.
    #[must_use]
    pub const fn of_kind(mut self, kind: FileKind) -> Self {
        self.context.kind = Some(kind);
        self
    }

    /// The same request, coming about this way.
    #[must_use]
    pub fn via(mut self, via: Via) -> Self {
        self.context.via = Some(via);
        self
    }
}
