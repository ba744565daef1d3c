//! The supervisor's `/proc`, read through a held descriptor.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

/// Threads by process, all of one session.
pub(super) type Family = BTreeMap<i32, Vec<i32>>;

/// Processes of one session that are looked at; more than a kernel gives out pids.
const MAX_PROCESSES: usize = 4 << 20;

pub(super) struct Proc(OwnedFd);

impl Proc {
    pub(super) const fn new(dir: OwnedFd) -> Self {
        Self(dir)
    }

    pub(super) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        self.open(path, OFlags::RDONLY)?.read_to_end(&mut out)?;
        Ok(out)
    }

    pub(super) fn open(&self, path: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        Ok(File::from(rustix::fs::openat(&self.0, path, flags, Mode::empty())?))
    }

    /// The text of a magic link.
    pub(super) fn link(&self, path: &str) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.0, path, Vec::with_capacity(256))?.into_bytes())
    }

    /// Names in a folder that are numbers.
    pub(super) fn numbers(&self, path: &str) -> io::Result<Vec<i32>> {
        let folder = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut out = Vec::new();
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let entry = entry?;
            let name = std::str::from_utf8(entry.file_name().to_bytes());
            out.extend(name.ok().and_then(|name| name.parse::<i32>().ok()));
        }
        Ok(out)
    }

    /// The mount that one of our own descriptors was opened through.
    pub(super) fn own_mount(&self, fd: &impl std::os::fd::AsRawFd) -> io::Result<u64> {
        let info = self.read(&format!("self/fdinfo/{}", fd.as_raw_fd()))?;
        FdInfo::parse(&info).map(|info| info.mount).ok_or_else(|| Errno::INVAL.into())
    }

    /// State letter and parent of a process or thread (proc_pid_stat(5)).
    pub(super) fn state(&self, path: &str) -> io::Result<(u8, i32)> {
        let stat = self.read(&format!("{path}/stat"))?;
        // The program's name is in parentheses and may contain any byte.
        let after = stat.iter().rposition(|byte| *byte == b')').unwrap_or(0);
        let text = String::from_utf8_lossy(stat.get(after..).unwrap_or_default()).into_owned();
        let mut fields = text.split_ascii_whitespace().skip(1);
        let state = fields.next().and_then(|state| state.bytes().next());
        let parent = fields.next().and_then(|parent| parent.parse().ok());
        state.zip(parent).ok_or_else(|| Errno::INVAL.into())
    }

    /// Whether the thread runs no more instructions.
    pub(super) fn is_dead(&self, path: &str) -> bool {
        self.state(path).map_or(true, |(state, _)| matches!(state, b'Z' | b'X' | b'x'))
    }

    /// Whether a signal waits for a thread that it does not block. Where that cannot be told, yes.
    pub(super) fn is_signalled(&self, path: &str) -> bool {
        let Ok(status) = self.read(&format!("{path}/status")) else { return true };
        let status = String::from_utf8_lossy(&status);
        let set = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        match (set("SigPnd:"), set("ShdPnd:"), set("SigBlk:")) {
            (Some(own), Some(shared), Some(blocked)) => (own | shared) & !blocked != 0,
            _ => true,
        }
    }

    /// All descendants of `init` and their threads. Everything in its pid namespace descends from
    /// it, because orphans become its children. Complete if nobody forks meanwhile.
    pub(super) fn family(&self, init: i32) -> io::Result<Family> {
        let mut out = Family::new();
        let mut parents: Option<HashMap<i32, Vec<i32>>> = None;
        let mut todo = vec![init];
        while let Some(pid) = todo.pop() {
            let Ok(threads) = self.numbers(&format!("{pid}/task")) else {
                // It was there a moment ago: whoever stops the family will notice.
                out.insert(pid, vec![pid]);
                continue;
            };
            for thread in &threads {
                match self.read(&format!("{pid}/task/{thread}/children")) {
                    Ok(text) => todo.extend(numbers_in(&text)),
                    Err(_) if self.is_dead(&format!("{pid}/task/{thread}")) => {}
                    // A kernel without CONFIG_PROC_CHILDREN.
                    Err(_) => {
                        let known = match &mut parents {
                            Some(known) => known,
                            None => parents.insert(self.children_by_parent()?),
                        };
                        todo.extend(known.remove(&pid).unwrap_or_default());
                    }
                }
            }
            if pid != init {
                out.insert(pid, threads);
            }
            todo.retain(|pid| !out.contains_key(pid));
            if out.len() > MAX_PROCESSES {
                return Err(Errno::NOMEM.into());
            }
        }
        Ok(out)
    }

    fn children_by_parent(&self) -> io::Result<HashMap<i32, Vec<i32>>> {
        let mut out: HashMap<i32, Vec<i32>> = HashMap::new();
        for pid in self.numbers(".")? {
            if let Ok((_, parent)) = self.state(&pid.to_string()) {
                out.entry(parent).or_default().push(pid);
            }
        }
        Ok(out)
    }
}

fn numbers_in(text: &[u8]) -> Vec<i32> {
    let words = text.split(u8::is_ascii_whitespace);
    words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok()).collect()
}

/// What `/proc/PID/fdinfo/N` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FdInfo {
    /// `O_*`, with `O_CLOEXEC` of the descriptor.
    pub(super) flags: i32,
    pub(super) mount: u64,
    /// Descriptors in a Unix socket's queue.
    pub(super) parked: u32,
}

impl FdInfo {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let flags = i32::from_str_radix(field("flags")?, 8).ok()?;
        let parked = field("scm_fds").and_then(|count| count.parse().ok()).unwrap_or(0);
        Some(Self { flags, mount: field("mnt_id")?.parse().ok()?, parked })
    }

    pub(super) const fn writes(&self) -> bool {
        self.flags & libc::O_PATH == 0 && self.flags & libc::O_ACCMODE != libc::O_RDONLY
    }

    pub(super) const fn close_on_exec(&self) -> bool {
        self.flags & libc::O_CLOEXEC != 0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fdinfo() {
        let info = FdInfo::parse(b"pos:\t0\nflags:\t02100002\nmnt_id:\t41\nscm_fds: 3\n").unwrap();
        assert_eq!((info.mount, info.parked), (41, 3));
        assert!(info.writes() && info.close_on_exec());
        let path = FdInfo::parse(b"pos:\t0\nflags:\t010000001\nmnt_id:\t41\n").unwrap();
        assert!(!path.writes() && !path.close_on_exec());
        assert_eq!(FdInfo::parse(b"pos:\t0\n"), None);
    }
}
