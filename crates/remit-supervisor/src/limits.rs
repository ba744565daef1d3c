//! Ceilings for the whole session that no rlimit holds: wall time; memory, processor time and
//! processes together.
//! Control groups do it where this machine lets us make them; the supervisor counts besides.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use remit_core::{Action, Guard, Outcome, ReasonCode, Resource};
use remit_sandbox::plan::ResourceLimits;
use rustix::process::Pid;

use crate::usage::Counter;

/// How often memory, processor time and processes are counted.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// What is watched, and how the session is ended.
pub(crate) struct Watch {
    pub(crate) guard: Arc<Guard>,
    pub(crate) limits: ResourceLimits,
    /// The session's root, for its own `/proc`.
    pub(crate) root: OwnedFd,
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
        let usage = counter.count(&self.root, self.limits.memory).ok()?;
        if self.limits.memory.is_some_and(|most| usage.memory > most) {
            return Some("memory");
        }
        if self.limits.cpu.is_some_and(|most| usage.cpu > most) {
            return Some("cpu");
        }
        // Our own first process is not the agent's.
        let most = self.limits.processes.map(|most| most.saturating_add(1));
        most.is_some_and(|most| usage.tasks > most).then_some("processes")
    }
}

/// Control groups of one session; removed when dropped.
#[derive(Default)]
pub(crate) struct Groups(Vec<PathBuf>);

impl Groups {
    /// Makes groups for the ceilings that control groups can hold, where this machine lets us,
    /// and moves the session's first process into them. What it cannot hold, rlimits and the
    /// watch do.
    pub(crate) fn make(name: &str, limits: &ResourceLimits, init: Pid) -> Self {
        let mut own = Self::default();
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let base = Path::new("/sys/fs/cgroup");
        let tasks = limits.processes.map(|most| most.saturating_add(1).to_string());
        let memory = limits.memory.map(|most| most.to_string());
        if unified {
            let settings = [("pids.max", tasks), ("memory.max", memory)];
            let _ = own.join(base.join(name), &settings, init);
        } else {
            let _ = own.join(base.join("pids").join(name), &[("pids.max", tasks)], init);
            let settings = [("memory.limit_in_bytes", memory)];
            let _ = own.join(base.join("memory").join(name), &settings, init);
        }
        own
    }

    fn join(
        &mut self,
        group: PathBuf,
        settings: &[(&str, Option<String>)],
        init: Pid,
    ) -> io::Result<()> {
        if settings.iter().all(|(_, value)| value.is_none()) {
            return Ok(());
        }
        fs::create_dir(&group)?;
        self.0.push(group.clone());
        for (file, value) in settings {
            if let Some(value) = value {
                fs::write(group.join(file), value)?;
            }
        }
        fs::write(group.join("cgroup.procs"), init.as_raw_nonzero().to_string())
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for group in &self.0 {
            // The dead linger in a group for a moment.
            for _ in 0..50 {
                if fs::remove_dir(group).is_ok() || !group.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}
