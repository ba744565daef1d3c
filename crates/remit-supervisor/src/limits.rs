//! Ceilings for the whole session that no rlimit holds: wall time; memory, processor time and
//! processes together.
//! Control groups do it where this machine lets us make them; the supervisor counts besides.

use std::{os::fd::OwnedFd, sync::Arc, time::Duration};

use remit_core::{Action, Guard, Outcome, ReasonCode, Resource};
use remit_sandbox::plan::ResourceLimits;

use crate::{
    groups::{Kernel, Meter},
    usage::{Counter, MemoryCeiling},
};

/// How often memory, processor time and processes are counted.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// What is watched, and how the session is ended.
pub(crate) struct Watch {
    pub(crate) guard: Arc<Guard>,
    pub(crate) limits: ResourceLimits,
    /// The session's root, for its own `/proc`.
    pub(crate) root: OwnedFd,
    /// What the kernel does of it, by control groups.
    pub(crate) kernel: Kernel,
    pub(crate) kill: Box<dyn Fn() + Send + Sync>,
}

impl Watch {
    /// Runs until a ceiling is reached; then ends the session.
    pub(crate) async fn run(self) {
        let limits = &self.limits;
        let counts = limits.memory.is_some() || limits.processes.is_some() || limits.cpu.is_some();
        let mut counter = Counter::default();
        let deadline = self.limits.wall_time.map(|span| tokio::time::Instant::now() + span);
        if !counts && deadline.is_none() {
            return;
        }
        loop {
            let tick = tokio::time::Instant::now() + COUNT_EVERY;
            let next = match (counts, deadline) {
                (true, Some(end)) => end.min(tick),
                (true, None) => tick,
                (false, end) => end.unwrap_or(tick),
            };
            tokio::time::sleep_until(next).await;
            let reached = if deadline.is_some_and(|end| tokio::time::Instant::now() >= end) {
                Some("wallTime")
            } else if counts {
                self.over(&mut counter)
            } else {
                None
            };
            if let Some(limit) = reached {
                let resource = Resource::Other(format!("limits/{limit}"));
                let (outcome, reason) = (Outcome::Denied, ReasonCode::LimitReached);
                let _ = self.guard.note(Action::Contain, resource, outcome, reason, None);
                (self.kill)();
                return;
            }
        }
    }

    fn over(&self, counter: &mut Counter) -> Option<&'static str> {
        let ceiling = MemoryCeiling { most: self.limits.memory, alone: !self.kernel.holds_memory };
        let usage = counter.count(&self.root, ceiling).ok()?;
        if self.limits.memory.is_some_and(|most| usage.memory > most) {
            return Some("memory");
        }
        let metered = self.kernel.meter.as_ref().and_then(Meter::read).unwrap_or_default();
        if self.limits.cpu.is_some_and(|most| usage.cpu.max(metered) > most) {
            return Some("cpu");
        }
        // Our own first process is not the agent's.
        let most = self.limits.processes.map(|most| most.saturating_add(1));
        most.is_some_and(|most| usage.tasks > most).then_some("processes")
    }
}
