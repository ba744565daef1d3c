//! What a session's processes use together, read from the session's own `/proc`.

use std::{collections::HashMap, fs, io, os::fd::OwnedFd, time::Duration};

use rustix::fs::{Dir, Mode, OFlags, openat};

/// What all processes of a session use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes: private memory, shared memory, and what stands in scratch places (which is memory
    /// too).
    pub(crate) memory: u64,
    /// Threads.
    pub(crate) tasks: u64,
    /// Processor time since the session began, of the living and the dead. Processes that live
    /// for less than the time between two counts may be missing.
    pub(crate) cpu: Duration,
}

/// Counts again and again; remembers what the dead have used.
#[derive(Default)]
pub(crate) struct Counter {
    /// Clock ticks of processes seen last time, by number and start.
    living: HashMap<(Vec<u8>, u64), u64>,
    /// Clock ticks of those that have gone.
    gone: u64,
}

impl Counter {
    /// Counts. `most` is the ceiling of memory: near it, shared memory is counted exactly, by
    /// shares, which costs more.
    pub(crate) fn count(&mut self, root: &OwnedFd, most: Option<u64>) -> io::Result<Usage> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat(root, "proc", flags, Mode::empty())?;
        let (mut private, mut shared, mut tasks) = (0u64, 0u64, 0u64);
        let mut names = Vec::new();
        for entry in Dir::read_from(&proc)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name.first().is_some_and(u8::is_ascii_digit) {
                names.push(name.to_vec());
            }
        }
        let mut living = HashMap::with_capacity(names.len());
        let mut inherited = 0u64;
        for name in &names {
            // A process that ended meanwhile uses nothing.
            let Some(status) = read(&proc, name, "status") else { continue };
            private = private.saturating_add(kibibytes(&status, "RssAnon:"));
            shared = shared.saturating_add(kibibytes(&status, "RssShmem:"));
            tasks = tasks.saturating_add(field(&status, "Threads:").max(1));
            let Some(times) = read(&proc, name, "stat").and_then(|stat| Times::of(&stat)) else {
                continue;
            };
            living.insert((name.clone(), times.started), times.own);
            inherited = inherited.saturating_add(times.own).saturating_add(times.children);
        }
        for (process, ticks) in self.living.drain() {
            if !living.contains_key(&process) {
                self.gone = self.gone.saturating_add(ticks);
            }
        }
        self.living = living;
        let scratch = scratch(root);
        let sum = |shared: u64| private.saturating_add(shared).saturating_add(scratch);
        if most.is_some_and(|most| sum(shared) > most) {
            // The same pages count in each process that maps them, so look at the shares.
            let share = |name: &Vec<u8>| {
                read(&proc, name, "smaps_rollup").map(|text| kibibytes(&text, "Pss_Shmem:"))
            };
            shared = names.iter().filter_map(share).fold(0, u64::saturating_add);
        }
        // Both are lower bounds: children whose end nobody waits for are in neither's sum of the
        // other kind.
        let tracked = self.living.values().copied().fold(self.gone, u64::saturating_add);
        Ok(Usage { memory: sum(shared), tasks, cpu: ticks(tracked.max(inherited)) })
    }
}

/// Clock ticks of one process (proc_pid_stat(5)).
struct Times {
    own: u64,
    children: u64,
    started: u64,
}

impl Times {
    fn of(stat: &str) -> Option<Self> {
        // The name stands in parentheses and may contain anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        // Counted from the state, which is field 3.
        let (user, system) = (number(11)?, number(12)?);
        let (child_user, child_system) = (number(13)?, number(14)?);
        Some(Self {
            own: user.saturating_add(system),
            children: child_user.saturating_add(child_system),
            started: number(19)?,
        })
    }
}

/// `USER_HZ`: the unit that `/proc` shows on every architecture Remit runs on, whatever the
/// kernel's own tick.
const MILLISECONDS_PER_TICK: u64 = 10;

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(MILLISECONDS_PER_TICK))
}

/// Bytes in scratch places: one file system stands behind all of them.
fn scratch(root: &OwnedFd) -> u64 {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = openat(root, "tmp", flags, Mode::empty()) else { return 0 };
    rustix::fs::fstatvfs(&folder)
        .map_or(0, |stat| stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize))
}

fn read(proc: &OwnedFd, process: &[u8], file: &str) -> Option<String> {
    let path = [process, b"/", file.as_bytes()].concat();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = openat(proc, path.as_slice(), flags, Mode::empty()).ok()?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut fs::File::from(opened), &mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn kibibytes(text: &str, name: &str) -> u64 {
    field(text, name).saturating_mul(1024)
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_process_with_a_deceptive_name() {
        let stat = "7 (a) R 1 1) S 1 7 7 0 -1 4194560 1 0 0 0 11 22 33 44 20 0 1 0 99 0 0";
        let times = Times::of(stat).unwrap();
        assert_eq!((times.own, times.children, times.started), (33, 77, 99));
    }

    #[test]
    fn fields_by_their_whole_name() {
        let status = "Name:\tx\nRssAnon:\t  12 kB\nThreads:\t3\n";
        assert_eq!(kibibytes(status, "RssAnon:"), 12 * 1024);
        assert_eq!(field(status, "Threads:"), 3);
        assert_eq!(field(status, "Rss:"), 0);
    }
}
