//! The structured event (A1), with at least the fields of the contract's example.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Action, ApprovalId, CorrelationId, EventId, HostTraffic, Outcome, ReasonCode, RuleRef,
    SessionId, Suggestion, Timestamp,
};

/// One event. Field names are contract; they only grow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the decision fell.
    pub timestamp: Timestamp,
    /// The person.
    pub principal: Arc<str>,
    /// `agent:version`.
    pub agent_id: Arc<str>,
    /// What was attempted.
    pub action: Action,
    /// On what, as text.
    pub resource: String,
    /// Digest of the manifest in force.
    pub permission_manifest: Arc<str>,
    /// The secret lease used, where one was.
    #[serde(default)]
    pub token_id: Option<String>,
    /// Hosts that the action reaches.
    #[serde(default)]
    pub network_targets: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// This record.
    pub event_id: EventId,
    /// The session.
    pub session_id: SessionId,
    /// What belongs together.
    pub correlation_id: CorrelationId,
    /// The question to a person, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<ApprovalId>,
    /// Why.
    pub reason: ReasonCode,
    /// The rule that made the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<RuleRef>>,
    /// The narrowest change that would permit a denied action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Suggestion>,
    /// Number of the effective policy that decided.
    pub generation: u64,
    /// Process id in the supervisor's view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Short extra fact: resolved address, exit status, digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// At a session's end: its traffic by host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<HostTraffic>,
}
