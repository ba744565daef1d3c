//! What can be wrong with a manifest, and where.

use std::{fmt, sync::Arc};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use remit_core::{HostError, PathError, TimestampError};

/// A position in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// JSON pointer (RFC 6901) of the value or key.
    pub pointer: String,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// Byte offset of the start.
    pub offset: usize,
    /// Length in bytes.
    pub length: usize,
}

/// One kind of mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not JSON with comments.
    #[error("this is not JSON: {0}")]
    Syntax(String),
    /// Nested deeper than 64 levels.
    #[error("the manifest is nested deeper than 64 levels")]
    TooDeep,
    /// One object holds a key twice.
    #[error("the key `{0}` stands here twice")]
    DuplicateKey(String),
    /// A key that the contract does not know.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// The nearest known one.
        nearest: Option<String>,
        /// All that are known here.
        known: Vec<&'static str>,
    },
    /// A required key is absent.
    #[error("the key `{0}` is missing")]
    MissingKey(&'static str),
    /// A value of another JSON type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What belongs here.
        expected: &'static str,
        /// What stands here.
        found: &'static str,
    },
    /// A word that is not one of a fixed list.
    #[error("`{word}` is not {expected}")]
    UnknownWord {
        /// What stands here.
        word: String,
        /// What belongs here.
        expected: &'static str,
        /// The nearest known word.
        nearest: Option<String>,
    },
    /// A version of the contract other than 1.
    #[error("this Remit reads version 1 of the manifest")]
    Version,
    /// Not a reverse-DNS name.
    #[error("`{0}` is not a reverse-DNS name such as com.acme.agent")]
    AgentName(String),
    /// Empty, too long, or with characters that would forge a log line.
    #[error("this text must be 1 to {0} printable characters long")]
    Text(usize),
    /// A path that cannot be a scope.
    #[error("not a path for a rule: {0}")]
    Path(PathError),
    /// A `*`, `?` or `[` in a path: rules name folders, not patterns.
    #[error("paths of rules are not patterns")]
    PathWildcard,
    /// `$` that is not `${WORKDIR}`, or `~name`.
    #[error("unknown variable in the path")]
    Variable,
    /// A host that cannot be one.
    #[error("not a host: {0}")]
    Host(HostError),
    /// A host in the form of a URL.
    #[error("a host is a name without scheme, path or user")]
    HostIsUrl,
    /// A port outside 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// Not a network in CIDR form.
    #[error("`{0}` is not a network such as 10.1.0.0/16")]
    Network(String),
    /// A network whose address has bits beyond its prefix.
    #[error("the network has host bits set; {0} is meant")]
    NetworkHostBits(String),
    /// Not an upper-case HTTP method.
    #[error("an HTTP method is upper-case, such as GET")]
    Method,
    /// Not a path pattern.
    #[error("not a URL path pattern: {0}")]
    PathPattern(&'static str),
    /// Not a SHA-256 digest.
    #[error("a SHA-256 digest has 64 hexadecimal digits")]
    Sha256,
    /// Not a size.
    #[error("a size is a number of bytes, or a text such as \"96MiB\" or \"2GB\"")]
    Size,
    /// Not a duration.
    #[error("a duration is a text such as \"5s\", \"10m\", \"2h\" or \"7d\"")]
    Duration,
    /// Not a number of processors.
    #[error("`cpu` is a number of processors such as 1.5, or processor time such as \"10m\"")]
    Cpu,
    /// Not an RFC 3339 time.
    #[error("{0}")]
    Time(TimestampError),
    /// A limit of zero.
    #[error("a limit of zero would stop the agent at once")]
    Zero,
    /// A number that is no whole number in range.
    #[error("expected a whole number from 1 to {0}")]
    Count(u64),
    /// Not a name of an environment variable.
    #[error("`{0}` is not the name of an environment variable")]
    VariableName(String),
    /// A value to look for that stands in every text.
    #[error("a value of less than {0} bytes would be found everywhere")]
    ShortValue(usize),
    /// An empty list that would mean nothing, or everything.
    #[error("an empty list means nothing here")]
    EmptyList,
    /// Two parts of the manifest that cannot both hold.
    #[error("{what}")]
    Contradiction {
        /// What contradicts what.
        what: Clash,
        /// The other part.
        other: Option<Box<Place>>,
    },
}

/// Parts that cannot both hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Clash {
    /// Two file rules for one path that differ.
    #[error("another rule says something else about the same path")]
    SamePath,
    /// Two program rules for one path that differ.
    #[error("another rule says something else about the same program")]
    SameProgram,
    /// Two rules for one host and port with different `tls`.
    #[error("another rule treats TLS differently for the same host and port")]
    Tls,
    /// Two rules for one host and port with different `model`.
    #[error("another rule names another model API for the same host and port")]
    Model,
    /// `blockExternal` and public networks.
    #[error("blockExternal permits no public addresses, but this names some")]
    PublicWithBlockExternal,
    /// A literal host whose own address is outside `addresses`.
    #[error("the host is an address outside its own `addresses`")]
    LiteralOutside,
    /// Rules about what cannot be seen.
    #[error("with `tls: \"passthrough\"` requests cannot be seen, so this cannot be enforced")]
    Passthrough,
    /// `mask` towards the agent.
    #[error(
        "`mask` replaces on the way out and restores on the way back; it has no meaning for inputs"
    )]
    MaskInputs,
    /// `mask` without a model host.
    #[error("`mask` works on model hosts only, and no host here is one")]
    MaskWithoutModel,
    /// `mask` for a model host whose traffic is not read.
    #[error(
        "`mask` needs to read this host's traffic, and `tls: \"passthrough\"` leaves it unread"
    )]
    MaskPassthrough,
    /// Redaction or staging of the wrong mode.
    #[error("`staged` is about writes; the rule grants reading only")]
    StagedRead,
    /// One word twice in a list.
    #[error("this stands in the list twice")]
    Twice,
}

/// A mistake with its position and source.
#[derive(Clone)]
pub struct ManifestError {
    /// What is wrong.
    pub problem: Problem,
    /// Where.
    pub place: Place,
    pub(crate) source: NamedSource<Arc<str>>,
}

/// Every mistake found, in the order of the text; at most 50.
#[derive(Clone)]
pub struct ManifestErrors {
    errors: Vec<ManifestError>,
    name: String,
    more: bool,
}

impl ManifestErrors {
    /// Most mistakes that are reported for one manifest.
    pub const MOST: usize = 50;

    pub(crate) fn new(name: &str, mut errors: Vec<ManifestError>, more: bool) -> Self {
        errors.sort_by_key(|error| error.place.offset);
        Self { errors, name: name.to_owned(), more }
    }

    /// The mistakes.
    pub fn errors(&self) -> &[ManifestError] {
        &self.errors
    }

    /// Whether there are more than are reported.
    pub const fn has_more(&self) -> bool {
        self.more
    }
}

impl Problem {
    /// A stable code, `manifest::unknown_key` for example.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "manifest::syntax",
            Self::TooDeep => "manifest::too_deep",
            Self::DuplicateKey(_) => "manifest::duplicate_key",
            Self::UnknownKey { .. } => "manifest::unknown_key",
            Self::MissingKey(_) => "manifest::missing_key",
            Self::WrongType { .. } => "manifest::wrong_type",
            Self::UnknownWord { .. } => "manifest::unknown_word",
            Self::Version => "manifest::version",
            Self::AgentName(_) => "manifest::agent_name",
            Self::Text(_) | Self::ShortValue(_) => "manifest::text",
            Self::Path(_) | Self::PathWildcard | Self::Variable => "manifest::path",
            Self::Host(_) | Self::HostIsUrl => "manifest::host",
            Self::Port => "manifest::port",
            Self::Network(_) | Self::NetworkHostBits(_) => "manifest::network",
            Self::Method => "manifest::method",
            Self::PathPattern(_) => "manifest::path_pattern",
            Self::Sha256 => "manifest::sha256",
            Self::Size => "manifest::size",
            Self::Duration => "manifest::duration",
            Self::Cpu => "manifest::cpu",
            Self::Time(_) => "manifest::time",
            Self::Zero | Self::Count(_) => "manifest::number",
            Self::VariableName(_) => "manifest::environment",
            Self::EmptyList => "manifest::empty_list",
            Self::Contradiction { .. } => "manifest::contradiction",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Syntax(_) => "a manifest is JSON; comments and trailing commas are fine".into(),
            Self::TooDeep => "no manifest needs more than 6 levels".into(),
            Self::DuplicateKey(_) => "keep one of the two".into(),
            Self::UnknownKey { nearest: Some(near), .. }
            | Self::UnknownWord { nearest: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::UnknownKey { known, .. } => format!("known here: {}", known.join(", ")),
            Self::UnknownWord { expected, .. } => format!("expected {expected}"),
            Self::MissingKey(key) => format!("add `{key}`"),
            Self::WrongType { expected, .. } => format!("write {expected}"),
            Self::Version => "write 1, or leave the key out".into(),
            Self::AgentName(_) => "letters, digits and hyphens in labels with dots between".into(),
            Self::Text(_) => "leave out control characters and shorten the text".into(),
            Self::Path(_) => "write an absolute path, `~/…` or `${WORKDIR}/…`, without `..`".into(),
            Self::PathWildcard => "name the folder: a rule covers everything below it".into(),
            Self::Variable => "only a leading `~` and `${WORKDIR}` are known".into(),
            Self::Host(_) | Self::HostIsUrl => {
                "write `host`, `host:port` or `*.suffix`; IPv6 addresses in brackets".into()
            }
            Self::Port => "for example 443".into(),
            Self::Network(_) => "write an address, a slash and a prefix length".into(),
            Self::NetworkHostBits(meant) => format!("write {meant}"),
            Self::Method => "methods are matched exactly".into(),
            Self::PathPattern(_) => {
                "write an exact path such as /v1/models, or a prefix such as /v1/*".into()
            }
            Self::Sha256 => "`sha256sum PROGRAM` prints it".into(),
            Self::Size | Self::Duration | Self::Cpu => "see the units in the manifest guide".into(),
            Self::Time(_) => "write the time with its offset, such as 2026-02-01T00:00:00Z".into(),
            Self::Zero => "leave the key out where there is no limit".into(),
            Self::Count(_) => "leave the key out where there is no limit".into(),
            Self::VariableName(_) => "letters, digits and underscores; no value, no `*`".into(),
            Self::ShortValue(_) => "name more of it, or leave it out".into(),
            Self::EmptyList => "leave the key out, or name something".into(),
            Self::Contradiction { other: Some(place), .. } => {
                format!("the other one is on line {}; keep one of the two", place.line)
            }
            Self::Contradiction { .. } => "decide for one of the two".into(),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl fmt::Debug for ManifestError {
    /// Without the source text, which may hold literal values to look for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{} {} {:?}",
            self.place.line, self.place.column, self.place.pointer, self.problem
        )
    }
}

impl std::error::Error for ManifestError {}

impl Diagnostic for ManifestError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.code()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.help()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let here = LabeledSpan::new_primary_with_span(
            Some(format!(
                "at {}",
                if self.place.pointer.is_empty() { "/" } else { &self.place.pointer }
            )),
            (self.place.offset, self.place.length),
        );
        let other = match &self.problem {
            Problem::Contradiction { other: Some(place), .. } => {
                Some(LabeledSpan::new(Some("the other one".to_owned()), place.offset, place.length))
            }
            _ => None,
        };
        Some(Box::new(std::iter::once(here).chain(other)))
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.errors.len();
        let more = if self.more { "more than " } else { "" };
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        write!(f, "the manifest {} has {more}{count} {noun}", self.name)
    }
}

impl fmt::Debug for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.errors).finish()
    }
}

impl std::error::Error for ManifestErrors {}

impl Diagnostic for ManifestErrors {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("manifest::invalid"))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.errors.iter().map(|error| error as &dyn Diagnostic)))
    }
}
