//! The way out: real names, vetted addresses, verified servers, pooled connections.

mod cause;
mod dial;
mod kinds;
mod pool;
mod proxy;
mod reach;
mod resolve;
mod road;
mod secret;
mod trust;

pub(crate) use dial::{Dialer, Target};
pub(crate) use pool::{Key as PoolKey, Lease, Pool, PooledSender};
pub use proxy::{Bypass, CredentialsError, ProxyCredentials, TargetBy, UpstreamProxy};
pub use reach::Reach;
pub use resolve::Resolver;
pub(crate) use road::Road;
pub use secret::Secret;
pub use trust::{TrustError, UpstreamTrust};
