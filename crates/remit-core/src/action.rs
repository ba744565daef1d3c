//! What was attempted and how it ended: the contract's event names.

use serde::{Deserialize, Serialize};

/// An event's `action` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// A session began; its plan is in force.
    SessionStart,
    /// A session ended; nothing of it runs any more.
    SessionEnd,
    /// A file or folder is opened for reading.
    ReadFile,
    /// A file or folder is created, changed, renamed or linked.
    WriteFile,
    /// A file or folder is removed.
    DeleteFile,
    /// A program is started.
    Execute,
    /// A connection to a host and port.
    Connect,
    /// A name is looked up.
    ResolveName,
    /// One HTTP request, after parsing.
    HttpRequest,
    /// The response to an HTTP request.
    HttpResponse,
    /// One call of a model API: what was masked, and how it ended.
    ModelCall,
    /// A payload was put into quarantine.
    QuarantineHold,
    /// A person released or rejected what is in quarantine.
    QuarantineDecision,
    /// A person is asked.
    ApprovalRequest,
    /// A person (or a timeout) answered.
    ApprovalDecision,
    /// A time-bound right was added.
    Grant,
    /// A right ended.
    RevokeGrant,
    /// A resource limit was reached.
    Contain,
    /// The effective policy changed.
    PolicyChange,
    /// Remit's own configuration or state changed, for example a recovered log.
    ConfigChange,
}

impl Action {
    /// The contract's spelling, `read_file` for example.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionStart => "session_start",
            Self::SessionEnd => "session_end",
            Self::ReadFile => "read_file",
            Self::WriteFile => "write_file",
            Self::DeleteFile => "delete_file",
            Self::Execute => "execute",
            Self::Connect => "connect",
            Self::ResolveName => "resolve_name",
            Self::HttpRequest => "http_request",
            Self::HttpResponse => "http_response",
            Self::ModelCall => "model_call",
            Self::QuarantineHold => "quarantine_hold",
            Self::QuarantineDecision => "quarantine_decision",
            Self::ApprovalRequest => "approval_request",
            Self::ApprovalDecision => "approval_decision",
            Self::Grant => "grant",
            Self::RevokeGrant => "revoke_grant",
            Self::Contain => "contain",
            Self::PolicyChange => "policy_change",
            Self::ConfigChange => "config_change",
        }
    }

    /// Whether a record of this action must be on disk, not only in the log, before its effect.
    pub const fn is_barrier(self) -> bool {
        matches!(
            self,
            Self::SessionStart
                | Self::SessionEnd
                | Self::ApprovalDecision
                | Self::QuarantineDecision
                | Self::Grant
                | Self::RevokeGrant
                | Self::Contain
                | Self::PolicyChange
        )
    }
}

/// An event's `outcome` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The effect was let through.
    Allowed,
    /// The effect was refused.
    Denied,
    /// The payload waits in quarantine.
    Held,
    /// The effect went through with parts replaced.
    Redacted,
    /// A person was asked; the caller waits.
    Asked,
    /// Neither: something failed.
    Error,
}

impl Outcome {
    /// The contract's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Held => "held",
            Self::Redacted => "redacted",
            Self::Asked => "asked",
            Self::Error => "error",
        }
    }
}
