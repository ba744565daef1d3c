//! Shared memory of a session without a file system behind it: what `mmap` with `MAP_SHARED` and no
//! file holds. (Memory files and, under a ceiling, System V segments are refused to sessions.)
//!
//! Pages that a process lets go of (`MADV_DONTNEED`, madvise(2)) leave its page table, and with it
//! what `/proc` says it uses, but stay in the object that is mapped. So an object counts with its
//! size: the furthest that anybody was seen to map it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::fs::{MemfdFlags, fstat, memfd_create};

use crate::usage::{Process, read};

/// How long one look may take; what is not looked at then is the next time.
const BUDGET: Duration = Duration::from_millis(10);

/// What is known of the objects; looks again and again.
#[derive(Default)]
pub(crate) struct SharedObjects {
    /// The kernel's own place for memory without a file system: its device number.
    device: Option<u64>,
    /// What each process holds, as it was seen last, by the object's inode.
    held: HashMap<Process, Vec<u64>>,
    /// Whose turn it is: many new processes must not keep others from being looked at.
    queue: VecDeque<Process>,
    sizes: HashMap<u64, u64>,
}

impl SharedObjects {
    /// Bytes of all objects that these processes hold.
    pub(crate) fn count(&mut self, proc: &OwnedFd, living: &[Process]) -> io::Result<u64> {
        let device = match self.device {
            Some(device) => device,
            None => {
                let probe = memfd_create("remit", MemfdFlags::CLOEXEC)?;
                *self.device.insert(fstat(&probe)?.st_dev)
            }
        };
        let alive: HashSet<&Process> = living.iter().collect();
        self.held.retain(|process, _| alive.contains(process));
        self.queue.retain(|process| alive.contains(process));
        for process in living {
            if !self.held.contains_key(process) {
                self.held.insert(process.clone(), Vec::new());
                self.queue.push_back(process.clone());
            }
        }
        let began = Instant::now();
        for _ in 0..self.queue.len() {
            let Some(process) = self.queue.pop_front() else { break };
            let objects = self.look(proc, &process, device);
            self.held.insert(process.clone(), objects);
            self.queue.push_back(process);
            if began.elapsed() > BUDGET {
                break;
            }
        }
        let held: HashSet<u64> = self.held.values().flatten().copied().collect();
        self.sizes.retain(|object, _| held.contains(object));
        Ok(self.sizes.values().copied().fold(0, u64::saturating_add))
    }

    fn look(&mut self, proc: &OwnedFd, process: &Process, device: u64) -> Vec<u64> {
        let mut objects = Vec::new();
        let maps = read(proc, &process.0, "maps").unwrap_or_default();
        for (object, end) in maps.lines().filter_map(|line| mapped(line, device)) {
            // What was mapped once and is no longer may still be filled.
            let size = self.sizes.entry(object).or_default();
            *size = end.max(*size);
            objects.push(object);
        }
        objects.sort_unstable();
        objects.dedup();
        objects
    }
}

/// The object behind one line of `maps` (proc_pid_maps(5)), and where in it the mapping ends.
fn mapped(line: &str, device: u64) -> Option<(u64, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let offset = hex(fields.nth(1)?)?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let own = rustix::fs::makedev(number(major)?, number(minor)?) == device;
    let object = fields.next()?.parse().ok().filter(|object| own && *object != 0)?;
    Some((object, offset.saturating_add(hex(end)?.saturating_sub(hex(start)?))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        io::Read as _,
        process::{Command, Stdio},
    };

    use rustix::fs::{Mode, OFlags, openat};

    use super::*;

    #[test]
    fn mappings_count_by_object_under_whatever_name() {
        let device = rustix::fs::makedev(0, 1);
        for name in ["/dev/zero (deleted)", "/SYSV00000000 (deleted)", "[anon_shmem:x]", ""] {
            let line = format!("7f0000001000-7f0000003000 rw-s 00002000 00:01 77   {name}");
            assert_eq!(mapped(&line, device), Some((77, 0x4000)), "{name}");
        }
        let others = [
            "7f0000001000-7f0000003000 rw-p 00000000 00:00 0",
            "7f0000001000-7f0000003000 r-xp 00002000 08:01 77   /usr/lib/x.so",
            "7f0000001000 rw-s 0 00:01 77",
            "",
        ];
        for line in others {
            assert_eq!(mapped(line, device), None, "{line}");
        }
    }

    #[test]
    fn what_a_process_has_mapped_counts_while_it_lives() {
        let script =
            "import mmap, time; keep = mmap.mmap(-1, 48 << 20); print(flush=True); time.sleep(60)";
        let mut python = Command::new("python3");
        let mut child = python.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0; 1];
        child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = openat(rustix::fs::CWD, "/proc", flags, Mode::empty()).unwrap();
        let process = Process(child.id().to_string().into_bytes(), 0);
        let mut objects = SharedObjects::default();
        // Not one page of it was ever used: nothing tells that from pages that were let go.
        let counted = objects.count(&proc, std::slice::from_ref(&process)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(counted, 48 << 20);
        assert_eq!(objects.count(&proc, &[]).unwrap(), 0);
    }
}
