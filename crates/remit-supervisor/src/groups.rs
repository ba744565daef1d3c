//! A session's control groups (cgroups(7)): exact ceilings and exact counts, where this machine lets
//! us make some.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use remit_core::SessionId;
use remit_sandbox::plan::ResourceLimits;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// Control groups of one session; removed when dropped, with what still runs in them.
#[derive(Default)]
pub(crate) struct Groups {
    folders: Vec<PathBuf>,
    /// The session's first process: nothing of a session outlives it.
    init: Option<OwnedFd>,
    meter: Option<Meter>,
    holds: Holds,
}

/// What control groups do for the watch.
pub(crate) struct Kernel {
    /// Counts processor time.
    pub(crate) meter: Option<Meter>,
    /// Memory has an exact ceiling.
    pub(crate) holds_memory: bool,
}

/// Which ceilings the kernel holds exactly.
#[derive(Clone, Copy, Default)]
struct Holds {
    memory: bool,
    processes: bool,
    cpu: bool,
}

const BASE: &str = "/sys/fs/cgroup";
/// Where groups of ours may be: the unified tree, and the older trees of single controllers.
const TREES: [&str; 4] = ["", "pids", "memory", "cpuacct"];

/// The name of a session's control groups.
pub(crate) fn group_name(session: &SessionId) -> String {
    format!("remit-{session}")
}

/// Removes what a killed supervisor left of its control groups. `false`: something is still there.
pub(crate) fn remove_left(session: &SessionId) -> bool {
    let name = group_name(session);
    let left: Vec<PathBuf> = TREES
        .iter()
        .map(|tree| Path::new(BASE).join(tree).join(&name))
        .filter(|group| group.exists())
        .collect();
    for group in &left {
        // Members are of a session whose supervisor is dead; they are about to end by themselves.
        for line in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
            if let Some(pid) = line.parse().ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
    left.iter().all(|group| remove(group))
}

impl Groups {
    /// Makes groups for the ceilings that control groups can hold, where this machine lets us,
    /// and moves the session's first process into them. What it cannot hold, rlimits and the
    /// watch do.
    pub(crate) fn make(name: &str, limits: &ResourceLimits, init: Pid) -> Self {
        let pidfd = pidfd_open(init, PidfdFlags::empty()).ok();
        let mut own = Self::default();
        own.init = pidfd;
        let base = Path::new(BASE);
        let unified = base.join("cgroup.controllers").exists();
        let place = |tree: &str| {
            if unified { base.join(name) } else { base.join(tree).join(name) }
        };
        let tasks = limits.processes.map(|most| most.saturating_add(1).to_string());
        if let Some(tasks) = tasks {
            let setting = Some(("pids.max", tasks));
            own.holds.processes = own.join(place("pids"), setting, init).is_ok();
        }
        if let Some(memory) = limits.memory {
            let file = if unified { "memory.max" } else { "memory.limit_in_bytes" };
            let setting = Some((file, memory.to_string()));
            own.holds.memory = own.join(place("memory"), setting, init).is_ok();
        }
        if limits.cpu.is_some() {
            let group = place("cpuacct");
            let file = group.join(if unified { "cpu.stat" } else { "cpuacct.usage" });
            let joined = own.join(group, None, init);
            own.meter = joined.and_then(|()| fs::File::open(file)).ok().map(Meter);
            own.holds.cpu = own.meter.is_some();
        }
        own
    }

    /// Ceilings that are asked for and that the kernel does not hold here, with how they are held
    /// instead.
    pub(crate) fn partial(&self, limits: &ResourceLimits) -> Option<String> {
        let all = [
            (limits.memory.is_some() && !self.holds.memory, "memory"),
            (limits.processes.is_some() && !self.holds.processes, "processes"),
            (limits.cpu.is_some() && !self.holds.cpu, "cpu"),
        ];
        let lacking: Vec<&str> =
            all.into_iter().filter_map(|(lacks, name)| lacks.then_some(name)).collect();
        (!lacking.is_empty()).then(|| {
            let names = lacking.join(", ");
            format!(
                "limits held in part ({names}): there is no control group, so the supervisor \
                 counts every 50 ms"
            )
        })
    }

    /// What the kernel does, for the watch.
    pub(crate) fn kernel(&mut self) -> Kernel {
        Kernel { meter: self.meter.take(), holds_memory: self.holds.memory }
    }

    fn join(
        &mut self,
        group: PathBuf,
        setting: Option<(&str, String)>,
        init: Pid,
    ) -> io::Result<()> {
        if !self.folders.contains(&group) {
            fs::create_dir(&group)?;
            self.folders.push(group.clone());
        }
        if let Some((file, value)) = setting {
            fs::write(group.join(file), value)?;
        }
        fs::write(group.join("cgroup.procs"), init.as_raw_nonzero().to_string())
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // Also a session that never came to run: its first process still waits for orders.
        if let Some(init) = &self.init {
            let _ = pidfd_send_signal(init, Signal::KILL);
        }
        for group in &self.folders {
            remove(group);
        }
    }
}

fn remove(group: &Path) -> bool {
    // The dead linger in a group for a moment.
    for _ in 0..50 {
        if fs::remove_dir(group).is_ok() || !group.exists() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

/// Processor time of a control group, the dead included.
pub(crate) struct Meter(fs::File);

impl Meter {
    pub(crate) fn read(&self) -> Option<Duration> {
        let mut bytes = [0u8; 1024];
        let got = self.0.read_at(&mut bytes, 0).ok()?;
        processor_time(std::str::from_utf8(bytes.get(..got)?).ok()?)
    }
}

/// From `cpu.stat` (microseconds among other facts) or `cpuacct.usage` (nanoseconds alone).
fn processor_time(text: &str) -> Option<Duration> {
    let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    match micros {
        Some(micros) => micros.trim().parse().ok().map(Duration::from_micros),
        None => text.trim().parse().ok().map(Duration::from_nanos),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_of_both_kinds_of_groups() {
        let unified = "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n";
        assert_eq!(processor_time(unified), Some(Duration::from_millis(1500)));
        assert_eq!(processor_time("2500000000\n"), Some(Duration::from_millis(2500)));
        assert_eq!((processor_time(""), processor_time("usage_usec x")), (None, None));
    }

    /// A session whose last layers could not be put in force leaves neither its first process nor
    /// its groups.
    #[test]
    fn groups_go_with_what_runs_in_them() {
        use std::os::unix::process::ExitStatusExt as _;
        let mut first = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(first.id()).unwrap()).unwrap();
        let session = SessionId::from_random(std::array::from_fn(|at| {
            std::process::id().to_le_bytes().get(at).copied().unwrap_or(7)
        }));
        let limits = ResourceLimits {
            memory: Some(1 << 30),
            processes: Some(10),
            cpu: Some(Duration::from_secs(5)),
            ..ResourceLimits::default()
        };
        let groups = Groups::make(&group_name(&session), &limits, pid);
        let folders = groups.folders.clone();
        drop(groups);
        assert_eq!(first.wait().unwrap().signal(), Some(9));
        assert!(folders.iter().all(|group| !group.exists()), "{folders:?}");
        assert!(remove_left(&session));
    }

    #[test]
    fn a_ceiling_without_a_control_group_is_named() {
        let limits = ResourceLimits { memory: Some(1), cpu: None, ..ResourceLimits::default() };
        let told = Groups::default().partial(&limits).unwrap();
        assert!(told.starts_with("limits held in part (memory): "), "{told}");
        assert_eq!(Groups::default().partial(&ResourceLimits::default()), None);
    }
}
