//! The port to quarantine: payloads that wait for a person.

use std::sync::Arc;

use remit_core::RuleRef;

use super::{Excerpt, Findings};

/// A payload that must wait.
pub struct HeldPayload {
    /// What names this very payload: direction, method, host, port, target and decoded body. A
    /// retry has the same.
    pub key: [u8; 32],
    /// `http_request` or `http_response`.
    pub action: &'static str,
    /// What was decided on, `POST api.example.org:443/upload`.
    pub resource: String,
    /// Headers, without what authenticates.
    pub head: Vec<(String, String)>,
    /// Decoded.
    pub body: Vec<u8>,
    /// What was found.
    pub found: Findings,
    /// Findings with what stands around them.
    pub excerpts: Vec<Excerpt>,
    /// The rule that holds it.
    pub rule: Option<Arc<RuleRef>>,
}

/// What a person said about a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was never held, or that is over.
    Unknown,
    /// Nobody has decided yet; the ticket.
    Waiting(String),
    /// It may pass, this once; the ticket.
    Released(String),
    /// It may not; the ticket.
    Rejected(String),
}

/// Why a payload cannot be held. It is refused then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// Quarantine has no room.
    #[error("quarantine is full")]
    Full,
    /// It cannot be written.
    #[error("quarantine cannot be written: {0}")]
    Io(#[from] std::io::Error),
    /// There is none.
    #[error("there is no quarantine here")]
    Absent,
}

/// Quarantine. Calls may block: they are made where that stops nobody.
pub trait Quarantine: Send + Sync {
    /// What a person said about this very payload. A release is used up by asking.
    fn claim(&self, key: &[u8; 32]) -> Claim;

    /// Takes a payload and gives its ticket.
    ///
    /// # Errors
    /// [`HoldError`]; nothing was taken then.
    fn hold(&self, payload: HeldPayload) -> Result<String, HoldError>;
}
