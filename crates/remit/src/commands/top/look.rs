//! One look at every running session.

use std::time::Duration;

use remit_core::{Clock as _, SessionId, Timestamp};
use remit_supervisor::{Call, Client, EgressView, Reply, Running, SystemClock, sessions};
use serde::Serialize;

use crate::{failure::Failure, place};

/// A session as it was seen.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Observed {
    /// What it is.
    #[serde(flatten)]
    pub(super) running: Running,
    /// When it was looked at.
    pub(super) seen: Timestamp,
    /// Questions that wait for an answer.
    pub(super) waiting: usize,
    /// What it sends where.
    pub(super) egress: EgressView,
}

impl Observed {
    /// How long the session has run.
    pub(super) fn age(&self) -> Duration {
        self.running.info.started.until(self.seen)
    }
}

/// Looks at all sessions, or at one. One that ends meanwhile is left out.
pub(super) fn look(only: Option<&SessionId>) -> Result<Vec<Observed>, Failure> {
    let home = place::home();
    let all = sessions(&home).map_err(Failure::at(&home.sessions))?;
    let wanted = all.into_iter().filter(|one| only.is_none_or(|id| *id == one.info.session));
    let mut observed = Vec::new();
    for running in wanted {
        let ask = |call: &Call| Client::reach(&home, &running.info.session)?.call(call);
        let (mut egress, mut waiting) = (EgressView::default(), 0);
        if running.reachable {
            match (ask(&Call::Egress), ask(&Call::Approvals)) {
                (Ok(Reply::Egress(view)), Ok(Reply::Approvals { waiting: questions })) => {
                    (egress, waiting) = (view, questions.len());
                }
                _ => continue,
            }
        }
        observed.push(Observed { running, seen: SystemClock.now(), waiting, egress });
    }
    Ok(observed)
}
