//! Why a decision fell: stable codes that people search for and programs branch on.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal : $plain:literal,)*) => {
        /// A stable reason code, as in a 403 body or an event's `reason`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ReasonCode { $($(#[$doc])* $name,)* }

        impl ReasonCode {
            /// The stable spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// One plain sentence without the particulars.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $plain,)* }
            }
        }
    };
}

reasons! {
    /// A rule or grant covers the request.
    Granted = "granted": "a rule of the manifest covers it",
    /// A person said yes.
    Approved = "approved": "a person approved it",
    /// A person is being asked.
    NeedsApproval = "needs_approval": "the manifest asks a person first",
    /// A person said no.
    ApprovalDenied = "approval_denied": "a person refused it",
    /// Nobody answered in time.
    ApprovalTimeout = "approval_timeout": "nobody approved it in time",
    /// No rule names the resource.
    NoGrant = "no_grant": "no rule of the manifest names it",
    /// The rule grants reading only.
    ReadOnly = "read_only": "the manifest grants it for reading only",
    /// A file that makes a tool run code later.
    Protected = "protected": "the file makes tools run code or reach servers later; only a rule that names this very path permits it",
    /// Version-control configuration that would run a program or redirect.
    UnsafeConfig = "unsafe_config": "the change adds a configuration key that runs a program or redirects",
    /// The rule, grant or manifest has ended.
    Expired = "expired": "the permission has expired",
    /// The program is not on the execute list.
    NotExecutable = "not_executable": "the manifest does not permit this program",
    /// The program could have been written by the agent.
    AgentWritten = "agent_written": "the agent could have written this program",
    /// The program's digest differs from the pinned one.
    DigestMismatch = "digest_mismatch": "the program's SHA-256 is not the pinned one",
    /// The name is not listed.
    HostNotListed = "host_not_listed": "the manifest does not list this host",
    /// The port is not listed for the name.
    PortNotListed = "port_not_listed": "the manifest does not list this port for the host",
    /// A literal address that no rule lists.
    LiteralAddress = "literal_address": "literal addresses are refused unless the manifest lists them",
    /// The name resolved to an address that it must not have.
    AddressRefused = "address_refused": "the name resolves to an address that the manifest does not permit",
    /// The name did not resolve.
    NameNotFound = "name_not_found": "the name does not resolve",
    /// The upstream could not be reached or failed verification.
    UpstreamFailed = "upstream_failed": "the server could not be reached or did not prove its identity",
    /// The HTTP method is not listed.
    MethodNotListed = "method_not_listed": "the manifest does not list this method for the host",
    /// The HTTP path is not listed.
    PathNotListed = "path_not_listed": "the manifest does not list this path for the host",
    /// The path has a spelling that servers read in different ways.
    AmbiguousPath = "ambiguous_path": "the path has a spelling that servers read in different ways",
    /// TLS names another host than the connection stands for.
    SniMismatch = "sni_mismatch": "the TLS server name is not the host this connection stands for",
    /// HTTP names another host than the connection stands for.
    AuthorityMismatch = "authority_mismatch": "the request names another host than this connection stands for",
    /// A message that servers read in different ways.
    MalformedRequest = "malformed_request": "the message is malformed or ambiguous",
    /// A protocol that is not mediated.
    UnsupportedProtocol = "unsupported_protocol": "this protocol is not mediated",
    /// `blockExternal` is set and the address is public.
    ExternalBlocked = "external_blocked": "blockExternal permits private addresses only",
    /// `localOnly` is set.
    LocalOnly = "local_only": "localOnly permits no connection that leaves the machine",
    /// A limit of the manifest was reached.
    LimitReached = "limit_reached": "a limit of the manifest was reached",
    /// The record could not be written, so nothing may happen.
    AuditUnavailable = "audit_unavailable": "the audit log cannot be written, so nothing may happen",
    /// Findings that are only recorded.
    DataFound = "data_found": "it contains data of a class that is recorded",
    /// Findings that were taken out.
    DataRedacted = "data_redacted": "data of a class that the manifest redacts was taken out of it",
    /// Findings that were replaced by pseudonyms.
    DataMasked = "data_masked": "data of a class that the manifest masks was replaced in it",
    /// Findings that must not pass.
    DataBlocked = "data_blocked": "it contains data of a class that may not pass",
    /// Findings that wait for a person.
    DataHeld = "data_held": "it contains data of a class that waits in quarantine until a person has released it; then repeat it",
    /// A person released it.
    DataReleased = "data_released": "a person released it from quarantine",
    /// A person rejected it.
    DataRejected = "data_rejected": "a person rejected it in quarantine",
    /// Findings to mask, where nothing can be masked.
    MaskElsewhere = "mask_elsewhere": "it contains data that is sent masked only, and masking works in the bodies of model hosts only",
    /// Findings to mask in a place where nothing can be replaced.
    Unmaskable = "unmaskable": "it contains data that is sent masked only, where it cannot be masked",
    /// A body that cannot be looked into.
    BodyUnreadable = "body_unreadable": "the body cannot be decoded, and what cannot be inspected does not pass",
    /// A body that cannot be held whole.
    BodyTooLarge = "body_too_large": "the body is larger than can be inspected as a whole",
    /// Part of a session's life.
    SessionLife = "session_life": "part of the session's life",
    /// The supervisor ended or lost the session.
    Aborted = "aborted": "the session is ending",
}
