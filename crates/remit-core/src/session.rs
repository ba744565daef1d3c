//! The subject of every request: one session.

use std::sync::Arc;

use crate::SessionId;

/// Who runs what under which manifest; immutable for the session's life.
#[derive(Clone, Debug)]
pub struct SessionContext {
    /// The session.
    pub id: SessionId,
    /// The person, `alice@acme.com` or a login name.
    pub principal: Arc<str>,
    /// `agent:version` as the manifest says.
    pub agent_id: Arc<str>,
    /// `sha256:<hex>` of the manifest's bytes.
    pub manifest: Arc<str>,
}
