//! What the enforcement point can say about itself.

use remit_core::{HostTraffic, Timestamp};
use serde::{Deserialize, Serialize};

/// One live connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// The name that the connection stands for.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// When it was permitted.
    pub since: Timestamp,
    /// When the permission ends.
    pub until: Option<Timestamp>,
    /// Bytes from the program, as on the wire.
    pub bytes_up: u64,
    /// Bytes to the program, as on the wire.
    pub bytes_down: u64,
    /// Requests that were permitted.
    pub permitted: u64,
    /// Requests that were refused.
    pub refused: u64,
}

/// Totals since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressSummary {
    /// Connections open now.
    pub open: usize,
    /// Connections permitted so far.
    pub connections: u64,
    /// Requests permitted so far.
    pub permitted: u64,
    /// Connections and requests refused so far.
    pub refused: u64,
    /// Connections ended by force.
    pub ended: u64,
    /// Bytes sent to servers, as on the wire.
    pub egress_bytes: u64,
    /// By host and port, the busiest first.
    pub hosts: Vec<HostTraffic>,
}
