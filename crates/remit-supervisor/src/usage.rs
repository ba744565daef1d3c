//! What a session's processes use together, read from the session's own `/proc`.

use std::{
    collections::HashMap,
    fs, io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::fs::{Dir, Mode, OFlags, openat};

use crate::shared::SharedObjects;

/// What all processes of a session use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes: private memory, shared memory, and what stands in scratch places (which is memory
    /// too).
    pub(crate) memory: u64,
    /// Threads.
    pub(crate) tasks: u64,
    /// Processor time since the session began, of the living and the dead. What processes used
    /// that lived for less than the time between two counts is estimated.
    pub(crate) cpu: Duration,
}

/// One process: its number inside, and when it started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process(pub(crate) Vec<u8>, pub(crate) u64);

/// A process as it was seen last.
struct Seen {
    /// Clock ticks that it has used.
    ticks: u64,
    /// Clock ticks to charge should it be gone the next time.
    when_gone: u64,
}

/// Counts again and again; remembers what the dead have used.
#[derive(Default)]
pub(crate) struct Counter {
    living: HashMap<Process, Seen>,
    /// Clock ticks of those that have gone.
    gone: u64,
    shared: SharedObjects,
    counted: Option<Instant>,
}

/// How memory is counted.
#[derive(Clone, Copy)]
pub(crate) struct MemoryCeiling {
    /// Bytes; near them, shared memory is counted exactly, by shares, which costs more.
    pub(crate) most: Option<u64>,
    /// Nothing but this count holds it, so that objects count with their whole size.
    pub(crate) alone: bool,
}

impl Counter {
    /// Counts.
    pub(crate) fn count(&mut self, root: &OwnedFd, ceiling: MemoryCeiling) -> io::Result<Usage> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat(root, "proc", flags, Mode::empty())?;
        let (mut private, mut mapped, mut tasks) = (0u64, 0u64, 0u64);
        let names = processes(&proc)?;
        let since = self.counted.replace(Instant::now()).map_or(Duration::ZERO, |at| at.elapsed());
        let mut living = HashMap::with_capacity(names.len());
        let mut inherited = 0u64;
        for name in names {
            // A process that ended meanwhile uses nothing.
            let Some(status) = read(&proc, &name, "status") else { continue };
            private = private.saturating_add(kibibytes(&status, "RssAnon:"));
            mapped = mapped.saturating_add(kibibytes(&status, "RssShmem:"));
            let threads = field(&status, "Threads:").max(1);
            tasks = tasks.saturating_add(threads);
            let Some(times) = read(&proc, &name, "stat").and_then(|stat| Times::of(&stat)) else {
                continue;
            };
            inherited = inherited.saturating_add(times.own).saturating_add(times.children);
            let process = Process(name, times.started);
            let new = !self.living.contains_key(&process);
            // The state is that of the first thread, which may wait for others that run.
            let runs = times.running || threads > 1;
            let estimate = if new && runs { estimate(&proc, &process.0, since) } else { 0 };
            let when_gone = times.own.max(estimate);
            living.insert(process, Seen { ticks: times.own, when_gone });
        }
        for (process, seen) in self.living.drain() {
            if !living.contains_key(&process) {
                self.gone = self.gone.saturating_add(seen.when_gone);
            }
        }
        self.living = living;
        let scratch = scratch(root);
        let mut shared = mapped;
        let sum = |shared: u64| private.saturating_add(shared).saturating_add(scratch);
        if let Some(most) = ceiling.most {
            let living: Vec<Process> = self.living.keys().cloned().collect();
            if sum(shared) > most {
                // The same pages count in each process that maps them, so look at the shares.
                let share = |process: &Process| {
                    read(&proc, &process.0, "smaps_rollup")
                        .map(|text| kibibytes(&text, "Pss_Shmem:"))
                };
                shared = living.iter().filter_map(share).fold(0, u64::saturating_add);
            }
            if ceiling.alone {
                shared = shared.max(self.shared.count(&proc, &living)?);
            }
        }
        // Both are lower bounds: children whose end nobody waits for are in neither's sum of the
        // other kind.
        let tracked =
            self.living.values().map(|seen| seen.ticks).fold(self.gone, u64::saturating_add);
        Ok(Usage { memory: sum(shared), tasks, cpu: ticks(tracked.max(inherited)) })
    }
}

fn processes(proc: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(proc)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name.first().is_some_and(u8::is_ascii_digit) {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// Clock ticks for a process that is seen running once and is gone at the next count. Children of a
/// parent that ignores their end (`SIGCHLD`, sigaction(2)) are in nobody's sum, and each may end
/// before it has used one tick. But whoever runs much of the time is found running as often: each
/// sighting stands for the time since the last, as far as the process was on a processor and not
/// waiting for one (`schedstat`: nanoseconds of both).
fn estimate(proc: &OwnedFd, process: &[u8], since: Duration) -> u64 {
    let since = since.min(LONGEST).as_nanos();
    let stat = read(proc, process, "schedstat").unwrap_or_default();
    let mut fields = stat.split_whitespace().map(|text| text.parse::<u128>().unwrap_or(0));
    let (ran, waited) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
    let share = since.saturating_mul(ran).checked_div(ran.saturating_add(waited));
    let nanos = share.unwrap_or(since);
    u64::try_from(nanos / (1_000_000 * u128::from(MILLISECONDS_PER_TICK))).unwrap_or(0)
}

/// A count that comes late must not make one sighting stand for all the time in between.
const LONGEST: Duration = Duration::from_millis(250);

/// Clock ticks of one process (proc_pid_stat(5)).
struct Times {
    running: bool,
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
            running: fields.first() == Some(&"R"),
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

pub(crate) fn read(proc: &OwnedFd, process: &[u8], file: &str) -> Option<String> {
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
        assert!(!times.running);
    }

    #[test]
    fn fields_by_their_whole_name() {
        let status = "Name:\tx\nRssAnon:\t  12 kB\nThreads:\t3\n";
        assert_eq!(kibibytes(status, "RssAnon:"), 12 * 1024);
        assert_eq!(field(status, "Threads:"), 3);
        assert_eq!(field(status, "Rss:"), 0);
    }
}
