//! Composition on the endpoint: one session from manifest to verified trail.
//!
//! A [`Planned`] session knows what it would build (`--dry-run` prints it); [`Planned::prepare`]
//! builds the walls, the proxy and the trail; [`Prepared::enforce`] puts the last layers in force;
//! only an [`Enforced`] session can start the program, and [`Enforced::run`] returns how it
//! [`Ended`]. The crate wires enforcement points to the policy and the trail, and decides nothing
//! itself.

mod approvals;
mod clock;
mod control;
mod data;
mod ends;
mod error;
mod folders;
mod groups;
mod home;
mod limits;
mod names;
mod plan;
mod programs;
mod proxy;
pub mod quarantine;
mod repositories;
mod runnable;
mod running;
mod session;
mod settings;
mod shared;
mod starts;
mod tally;
mod terminal;
mod usage;

pub use approvals::{ApprovalView, Desk, LifetimeChoice};
pub use clock::SystemClock;
pub use control::{Call, Client, ControlError, EgressView, MOST_CONNECTIONS, Reply, SessionInfo};
pub use error::RunError;
pub use home::{RemitHome, login_name, person_home};
pub use names::on_the_way_to;
pub use plan::{Planned, RunRequest, hooks_of};
pub use proxy::{ProxyError, ProxyRequest, serve_proxy};
pub use remit_egress::{ConnectionInfo, EgressSummary, UpstreamProxy};
pub use running::{Running, kill_session, sessions};
pub use session::{Ended, Enforced, Prepared};
pub use settings::EgressSettings;
pub use tally::Tally;
