//! The network enforcement point: everything a session sends passes through here, tied to a name.
//!
//! Names resolve only if the policy lists them; each gets an address of its own, and the listeners
//! on that address are born with the answer, so an accepted connection *is* a name and a port
//! ([`names`](mod@self), `connection`). TLS is terminated with a per-session [`Authority`], HTTP is
//! parsed once, decided on, and written anew from the parsed form; what is neither is relayed as
//! bytes towards that name only. The real name is resolved once, its addresses are vetted
//! ([`AddressClass`]) and pinned. Every decision is the guard's; nothing here knows a manifest.
//!
//! * [`Egress`]: the transparent form, inside a session's network namespace.
//! * [`ExplicitProxy`]: the same pipeline behind CONNECT, absolute-form HTTP and SOCKS5.

mod address;
mod authority;
mod body;
mod budget;
mod config;
mod connection;
mod egress;
mod engine;
mod error;
mod explicit;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
#[allow(missing_docs, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]
pub mod fuzzing;
mod http;
mod info;
mod leg;
mod live;
pub mod model;
mod names;
mod places;
mod refusal;
mod relay;
mod sniff;
mod tls;
mod traffic;
mod upstream;
mod ws;

pub use address::{AddressClass, classify, vet};
pub use authority::Authority;
pub use body::{
    Claim, DataInspector, Excerpt, Exchange, Findings, GATHERED, Gather, HELD, Held, HeldPayload,
    HoldError, Inspector, MASKED, Message, MessageKind, MessageStage, Output, Quarantine, Socket,
    Stage, Stages, Stop, Watch,
};
pub use config::{EgressConfig, ExplicitConfig, Inspection, SessionNet};
pub use egress::Egress;
pub use error::AuthorityError;
pub use explicit::ExplicitProxy;
pub use info::{ConnectionInfo, EgressSummary};
pub use upstream::{
    Bypass, CredentialsError, ProxyCredentials, Reach, Resolver, Secret, TargetBy, TrustError,
    UpstreamProxy, UpstreamTrust,
};
