//! The way out: real names, vetted addresses, verified servers, pooled connections.

mod dial;
mod pool;
mod resolve;
mod trust;

pub(crate) use dial::{Dialer, Target};
pub(crate) use pool::{Key as PoolKey, Lease, Pool, PooledSender};
pub use resolve::Resolver;
pub use trust::{TrustError, UpstreamTrust};
