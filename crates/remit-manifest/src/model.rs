//! What a manifest says, in types that cannot say anything else.

use std::{fmt, sync::Arc, time::Duration};

use ipnet::IpNet;
use remit_core::{
    DataClass, DataRules, FileMode, HostPattern, ModelApi, PathScope, RuleRef, Timestamp, TlsMode,
};

use crate::Need;

/// A checked manifest. Every rule carries `at`, its position in the text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Manifest {
    /// Which agent this is for, `com.acme.cowork-agent`.
    pub agent: Arc<str>,
    /// Its version, where one is given.
    pub agent_version: Option<Arc<str>>,
    /// What the entry executable must be.
    pub binary: Option<Binary>,
    /// File rules, in the order of the text; no two are about the same path.
    pub files: Vec<FileRule>,
    /// Hosts and what may be behind them.
    pub network: Network,
    /// Programs besides the entry executable.
    pub execute: Execute,
    /// The clipboard.
    pub clipboard: Clipboard,
    /// The X11 or Wayland socket.
    pub display: Display,
    /// Secrets that the agent may use.
    pub secrets: Vec<SecretRule>,
    /// MCP tools.
    pub tools: Vec<ToolRule>,
    /// Names of host variables that are passed on.
    pub environment: Vec<Arc<str>>,
    /// Data-leak prevention.
    pub dlp: Dlp,
    /// Limits of the whole session.
    pub limits: Limits,
    /// Which runner isolates the session.
    pub isolation: Isolation,
    /// When everything ends.
    pub expiry: Option<Expiry>,
    /// Which keys the text has, so that a suggestion can point at one that exists.
    pub present: Present,
    pub(crate) needs: Vec<Need>,
}

impl Manifest {
    /// `agent:version`, or the agent alone where no version is given: an event's `agent_id`.
    pub fn agent_id(&self) -> String {
        match &self.agent_version {
            Some(version) => format!("{}:{version}", self.agent),
            None => self.agent.to_string(),
        }
    }

    /// Keys that this manifest uses and whose enforcement does not exist yet. A run that needs
    /// any of them is refused, naming the key.
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }
}

/// Which containers of rules the text has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "one plain fact per key")]
pub struct Present {
    /// `/permissions`.
    pub permissions: bool,
    /// `/permissions/fileAccess`.
    pub file_access: bool,
    /// `/permissions/network`.
    pub network: bool,
    /// `/permissions/network/egressHosts`.
    pub egress_hosts: bool,
}

/// A point in time with its position.
#[derive(Clone, Debug)]
pub struct Expiry {
    /// From then on nothing is permitted.
    pub time: Timestamp,
    /// Where it stands.
    pub at: Arc<RuleRef>,
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

impl fmt::Display for Sha256Digest {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the entry executable must be, or nothing starts.
#[derive(Clone, Debug)]
pub struct Binary {
    /// Digest of its bytes.
    pub sha256: Option<Sha256Digest>,
    /// Who signed it.
    pub signer: Option<Arc<str>>,
    /// Where its software bill of materials is.
    pub sbom: Option<Arc<str>>,
    /// Where it stands.
    pub at: Arc<RuleRef>,
}

/// A file, or a folder with everything below it.
#[derive(Clone, Debug)]
pub struct FileRule {
    /// What it covers.
    pub scope: PathScope,
    /// Write includes read.
    pub mode: FileMode,
    /// Ends sooner than the manifest.
    pub expiry: Option<Timestamp>,
    /// A person decides each use.
    pub ask: bool,
    /// Classes that are redacted before the agent reads.
    pub redact: Vec<DataClass>,
    /// Label that reading puts on the session.
    pub label: Option<Arc<str>>,
    /// Writes wait for review.
    pub staged: bool,
    /// Where it stands.
    pub at: Arc<RuleRef>,
}

/// Hosts.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Host rules, in the order of the text.
    pub hosts: Vec<HostRule>,
    /// Names may resolve to private addresses only.
    pub block_external: bool,
    /// No connection leaves the machine at all.
    pub local_only: bool,
}

/// A host, or every strict subdomain of a suffix.
#[derive(Clone, Debug)]
pub struct HostRule {
    /// Which hosts.
    pub pattern: HostPattern,
    /// Ports, ascending; 80 and 443 where none are named. Never empty.
    pub ports: Arc<[u16]>,
    /// Networks that the name may resolve to; empty: the contract's default.
    pub addresses: Arc<[IpNet]>,
    /// Methods, where they are limited. Never empty.
    pub methods: Option<Arc<[Arc<str>]>>,
    /// Paths, where they are limited. Never empty.
    pub paths: Option<Arc<[PathPattern]>>,
    /// How connections are treated.
    pub tls: TlsMode,
    /// Labels of data that may be sent there, where they are limited.
    pub accepts: Option<Vec<Arc<str>>>,
    /// Which model API the host speaks.
    pub model: Option<ModelApi>,
    /// A person decides each use.
    pub ask: bool,
    /// Ends sooner than the manifest.
    pub expiry: Option<Timestamp>,
    /// Where it stands.
    pub at: Arc<RuleRef>,
}

impl HostRule {
    /// Whether the host speaks a model API: by `model`, or as one of the vendors' own names.
    pub fn is_model(&self) -> bool {
        self.model.is_some()
            || match &self.pattern {
                HostPattern::Exact(host) => ModelApi::of_vendor(host).is_some(),
                HostPattern::Subdomains(suffix) => vendor_suffix(suffix),
            }
    }
}

fn vendor_suffix(suffix: &str) -> bool {
    matches!(suffix, "anthropic.com" | "openai.com" | "openai.azure.com" | "amazonaws.com")
}

/// A URL path, or everything below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// This path only.
    Exact(Box<str>),
    /// Written `<prefix>/*`; holds the prefix with its trailing slash. Everything below it, not
    /// the prefix itself, with or without the slash.
    Below(Box<str>),
}

impl PathPattern {
    /// Whether a canonical path without query is meant.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(own) => **own == *path,
            Self::Below(prefix) => {
                path.strip_prefix(&**prefix).is_some_and(|rest| !rest.is_empty())
            }
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Below(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// Which programs the agent may start besides its own entry executable.
#[derive(Clone, Debug)]
pub enum Execute {
    /// None; the position is that of `execute`, where it stands in the text.
    None(Option<Arc<RuleRef>>),
    /// Any program in read-only system directories.
    All(Arc<RuleRef>),
    /// These. No two rules are about the same path.
    List(Vec<ProgramRule>),
}

/// A program; or a folder, and with it every program below it.
#[derive(Clone, Debug)]
pub struct ProgramRule {
    /// The program or folder.
    pub path: PathScope,
    /// Digest of the program's bytes. For a folder: of the one program below it that may start.
    pub sha256: Option<Sha256Digest>,
    /// A person decides each start.
    pub ask: bool,
    /// Where it stands.
    pub at: Arc<RuleRef>,
}

/// Deny, ask or allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// Never.
    #[default]
    Deny,
    /// A person decides.
    Ask,
    /// Always.
    Allow,
}

/// Access to the clipboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clipboard {
    /// Reading it.
    pub read: Access,
    /// Changing it.
    pub write: Access,
}

/// Access to the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Display {
    /// No display socket.
    #[default]
    Deny,
    /// The X11 or Wayland socket.
    Allow,
}

/// A secret that the agent may use without holding it.
#[derive(Clone, Debug)]
pub struct SecretRule {
    /// The name under which the agent finds its handle.
    pub name: Arc<str>,
    /// Where the broker takes it from.
    pub source: Arc<str>,
    /// How long a lease lives.
    pub ttl: Option<Duration>,
    /// Hosts it is bound to. Never empty.
    pub hosts: Vec<HostPattern>,
    /// Where in a request it is put.
    pub inject: Option<Arc<str>>,
    /// What it may be used for.
    pub scope: Option<Arc<str>>,
    /// Least level of attestation, 0 (software key) to 3 (TPM quote with measured files).
    pub min_assurance: Option<u8>,
    /// A person decides each lease.
    pub ask: bool,
    /// Where it stands.
    pub at: Arc<RuleRef>,
}

/// Tools of one MCP server.
#[derive(Clone, Debug)]
pub struct ToolRule {
    /// The server's name.
    pub server: Arc<str>,
    /// Its tools. Never empty.
    pub allow: Vec<Arc<str>>,
    /// A person decides each call.
    pub ask: bool,
    /// Where it stands.
    pub at: Arc<RuleRef>,
}

/// Data-leak prevention.
#[derive(Clone, Debug, Default)]
pub struct Dlp {
    /// What happens to findings.
    pub rules: DataRules,
    /// Literal strings that always count as findings.
    pub values: Vec<KnownValue>,
}

/// A literal string that always counts as a finding. Printing one shows its class only.
#[derive(Clone, PartialEq, Eq)]
pub struct KnownValue {
    value: Arc<str>,
    /// Its class.
    pub class: DataClass,
}

impl KnownValue {
    pub(crate) fn new(value: &str, class: DataClass) -> Self {
        Self { value: value.into(), class }
    }

    /// The string itself; not for logs.
    pub fn reveal(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for KnownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownValue({})", self.class.as_str())
    }
}

/// Processor limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuLimit {
    /// Processors in thousandths: 1500 is one and a half.
    Processors(u32),
    /// Processor time of all processes together.
    Time(Duration),
}

/// Limits of the whole session; absent ones do not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processors, or processor time.
    pub cpu: Option<CpuLimit>,
    /// Processes and threads at one time.
    pub processes: Option<u32>,
    /// Time from start to end.
    pub wall_time: Option<Duration>,
    /// Bytes written to places that are not granted folders, and staged.
    pub disk: Option<u64>,
    /// Bytes sent to hosts; zero is a limit too.
    pub egress_bytes: Option<u64>,
    /// Open files of a process.
    pub open_files: Option<u32>,
}

/// Which runner isolates the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Namespaces, Landlock, seccomp, mediation.
    #[default]
    Native,
    /// gVisor.
    Gvisor,
    /// A micro-VM.
    MicroVm,
}
