//! What an enforcement point must do when it lets a request through.

use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::ModelApi;

/// How connections to a host are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// TLS is terminated and every request inside is decided on.
    #[default]
    Intercept,
    /// Bytes pass as they are; for TLS the server name is checked.
    Passthrough,
}

/// Which addresses a listed name may resolve to (contract, "Addresses").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRule {
    /// Networks that the rule names; they override every class below.
    pub networks: Arc<[IpNet]>,
    /// Whether public addresses are permitted.
    pub public: bool,
    /// Whether private (RFC 1918, ULA) addresses are permitted.
    pub private: bool,
    /// Whether only addresses of this machine are permitted.
    pub local_only: bool,
}

/// One duty. The enforcement point that does not know a duty must refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obligation {
    /// Ports that answer for this name (on `resolve_name`).
    Ports(Arc<[u16]>),
    /// How to treat the connection (on `connect`).
    Tls(TlsMode),
    /// Which addresses the name may have (on `connect`).
    Addresses(AddressRule),
    /// Which model API the host speaks (on `connect`).
    Model(ModelApi),
    /// The change to this version-control configuration file must be judged by its content.
    JudgeConfig,
}
