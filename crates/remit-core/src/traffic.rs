//! What a session sent where: totals for people, beside the decisions one by one.

use serde::{Deserialize, Serialize};

/// All traffic of a session with one host and port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTraffic {
    /// The name or listed literal; `*` for all hosts beyond the most that are told apart.
    pub host: String,
    /// TCP port; 0 where only the name was asked for.
    pub port: u16,
    /// Connections open at the time of the count.
    #[serde(default)]
    pub open: u64,
    /// Connections that were permitted.
    pub connections: u64,
    /// Requests that were permitted.
    pub permitted: u64,
    /// Names, connections and requests that were refused.
    pub refused: u64,
    /// Connections that were ended by force.
    pub ended: u64,
    /// Bytes from the program, as on its wire.
    pub bytes_up: u64,
    /// Bytes to the program, as on its wire.
    pub bytes_down: u64,
}
