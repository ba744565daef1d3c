//! What a process holds of ended places.

use std::{
    cell::OnceCell,
    ffi::OsStr,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{
    maps::{self, Mapping},
    place::{Mounts, Place},
    proc::{FdInfo, Proc},
    queue,
    sys::{self, Shared},
};

/// Something held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// A descriptor.
    Descriptor { number: i32, close_on_exec: bool },
    /// The working directory.
    Folder,
    /// A mapping.
    Mapping(Mapping),
    /// Its own program, or what cannot be read: it can only end.
    Whole,
}

/// Something held, and the threads that can each let go of it for all.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) hold: Hold,
    pub(super) tids: Vec<i32>,
}

/// Looks into processes.
pub(super) struct Finder<'a> {
    pub(super) proc: &'a Proc,
    pub(super) places: &'a [Place],
    pub(super) mounts: Mounts,
    pub(super) root: &'a OwnedFd,
    /// The thread's root, to come back to; without one it cannot be changed.
    pub(super) home: Option<&'a OwnedFd>,
    pub(super) queues: Queues,
}

/// What to do about descriptors in the queues of Unix sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queues {
    /// Nothing.
    Ignore,
    /// A socket with any is found, so that the session is stopped and they can be looked at.
    Suspect,
    /// Look at them: the session is stopped.
    Look,
}

impl Finder<'_> {
    /// Everything that the process with these threads holds.
    pub(super) fn process(&self, pid: i32, tids: &[i32]) -> Vec<Found> {
        let mut out = Vec::new();
        for group in groups(tids, Shared::Files) {
            let found = first(&group, |tid| self.descriptors(pid, tid));
            self.add(pid, &mut out, group, found);
        }
        if self.places.iter().any(Place::ends_all) {
            for group in groups(tids, Shared::Folder) {
                let found = first(&group, |tid| self.folder(pid, tid));
                self.add(pid, &mut out, group, found);
            }
        }
        let found = first(tids, |tid| self.memory(pid, tid));
        self.add(pid, &mut out, tids.to_vec(), found);
        out
    }

    /// All mappings of the process.
    pub(super) fn maps(&self, pid: i32, tids: &[i32]) -> io::Result<Vec<Mapping>> {
        first(tids, |tid| {
            let text = self.proc.read(&format!("{pid}/task/{tid}/maps"))?;
            // A dead thread has none; another one may.
            if text.is_empty() { Err(Errno::SRCH.into()) } else { Ok(maps::parse(&text)) }
        })
    }

    fn add(&self, pid: i32, out: &mut Vec<Found>, tids: Vec<i32>, found: io::Result<Vec<Hold>>) {
        let found = found.unwrap_or_else(|error| {
            let gone = error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(libc::ESRCH)
                || tids.iter().all(|tid| self.proc.is_dead(&format!("{pid}/task/{tid}")));
            if gone { Vec::new() } else { vec![Hold::Whole] }
        });
        out.extend(found.into_iter().map(|hold| Found { hold, tids: tids.clone() }));
    }

    fn descriptors(&self, pid: i32, tid: i32) -> io::Result<Vec<Hold>> {
        let task = format!("{pid}/task/{tid}");
        let mut out = Vec::new();
        for number in self.proc.numbers(&format!("{task}/fdinfo"))? {
            let Ok(text) = self.proc.read(&format!("{task}/fdinfo/{number}")) else { continue };
            let info = FdInfo::parse(&text).ok_or(Errno::INVAL)?;
            let path = || self.descriptor_path((pid, tid), &task, number);
            if self.holds(info.mount, info.writes(), &path)
                || (info.parked > 0 && self.queue_holds((pid, tid), number, info.parked))
            {
                out.push(Hold::Descriptor { number, close_on_exec: info.close_on_exec() });
            }
        }
        Ok(out)
    }

    /// The file's present path. A process that hides its descriptors' links from its own user
    /// (`PR_SET_DUMPABLE`) hides no descriptor from its tracer.
    fn descriptor_path(&self, of: (i32, i32), task: &str, number: i32) -> io::Result<Vec<u8>> {
        let told = self.proc.link(&format!("{task}/fd/{number}"));
        if !matches!(&told, Err(error) if error.kind() == io::ErrorKind::PermissionDenied) {
            return told;
        }
        let copy = sys::copy(of.0, of.1, number)?;
        self.proc.link(&format!("self/fd/{}", copy.as_raw_fd()))
    }

    fn queue_holds(&self, of: (i32, i32), number: i32, parked: u32) -> bool {
        if self.queues == Queues::Ignore || !self.places.iter().any(Place::is_past) {
            return false;
        }
        if self.queues == Queues::Suspect {
            return true;
        }
        let ended = |fd: &OwnedFd, info: &FdInfo| {
            let path = || self.proc.link(&format!("self/fd/{}", fd.as_raw_fd()));
            self.places
                .iter()
                .filter(|place| place.is_past())
                .any(|place| place.holds(&self.mounts, info.mount, info.writes(), &path))
        };
        match sys::copy(of.0, of.1, number) {
            Ok(socket) => queue::holds(self.proc, &socket, parked, &ended),
            // Closed meanwhile, or out of reach.
            Err(error) => error.raw_os_error() != Some(libc::EBADF),
        }
    }

    fn folder(&self, pid: i32, tid: i32) -> io::Result<Vec<Hold>> {
        let held = self.link_is_held(&format!("{pid}/task/{tid}/cwd"))?;
        Ok(if held { vec![Hold::Folder] } else { Vec::new() })
    }

    fn link_is_held(&self, link: &str) -> io::Result<bool> {
        let opened = self.proc.open(link, OFlags::PATH)?;
        let mount = self.proc.own_mount(&opened)?;
        Ok(self.holds(mount, false, &|| self.proc.link(link)))
    }

    fn memory(&self, pid: i32, tid: i32) -> io::Result<Vec<Hold>> {
        let task = format!("{pid}/task/{tid}");
        if self.link_is_held(&format!("{task}/exe"))? {
            return Ok(vec![Hold::Whole]);
        }
        let all = self.maps(pid, &[tid])?;
        let writable = OnceCell::new();
        let writes = |mapping: &Mapping| {
            mapping.shared
                && writable
                    .get_or_init(|| {
                        self.proc.read(&format!("{task}/smaps")).map(|text| maps::may_write(&text))
                    })
                    .as_ref()
                    .map_or(true, |starts| starts.contains(&mapping.start))
        };
        let ended = |mapping: &Mapping| {
            let held = |by: &dyn Fn(bool) -> bool| {
                by(false) || (mapping.shared && by(true) && writes(mapping))
            };
            let by_path = |writes| {
                self.places.iter().any(|place| {
                    place.is_attached(&self.mounts) && place.maps(&mapping.path, writes)
                })
            };
            let by_device = |writes| {
                self.places.iter().any(|place| {
                    !place.is_attached(&self.mounts) && place.lost(mapping.device, writes)
                })
            };
            mapping.inode != 0
                && (held(&by_path) || (held(&by_device) && !self.in_tree(&task, mapping)))
        };
        Ok(all.into_iter().filter(ended).map(Hold::Mapping).collect())
    }

    /// Whether a mapped file is reached through a mount that is still part of the session's tree.
    fn in_tree(&self, task: &str, mapping: &Mapping) -> bool {
        let path = OsStr::from_bytes(&mapping.path);
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let found = rustix::fs::openat2(self.root, path, flags, Mode::empty(), resolve)
            .and_then(rustix::fs::fstat);
        let same = found.is_ok_and(|stat| {
            let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
            device == mapping.device && stat.st_ino == mapping.inode
        });
        same || self.shortens(task, mapping).unwrap_or(false)
    }

    /// The kernel tells paths from the reader's root downwards. Read from a root one folder below
    /// the session's, the path of a file in the session's tree lacks that folder; the path of a
    /// file in an unmounted tree, which never meets that root, stays the same.
    fn shortens(&self, task: &str, mapping: &Mapping) -> io::Result<bool> {
        let Some(home) = self.home else { return Ok(false) };
        let rest = mapping.path.strip_prefix(b"/").unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'/') else { return Ok(false) };
        let (folder, shorter) = rest.split_at(length);
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECTORY;
        let folder = rustix::fs::openat(self.root, folder, flags, Mode::empty())?;
        enter_root(&folder)?;
        let text = self.proc.read(&format!("{task}/maps"));
        enter_root(home)?;
        Ok(maps::parse(&text?)
            .iter()
            .any(|other| other.start == mapping.start && other.path == shorter))
    }

    fn holds(&self, mount: u64, writes: bool, path: &dyn Fn() -> io::Result<Vec<u8>>) -> bool {
        self.places.iter().any(|place| place.holds(&self.mounts, mount, writes, path))
    }
}

/// Changes the calling thread's root.
fn enter_root(folder: &OwnedFd) -> io::Result<()> {
    rustix::process::fchdir(folder)?;
    Ok(rustix::process::chroot(".")?)
}

/// Groups of threads that share something.
fn groups(tids: &[i32], what: Shared) -> Vec<Vec<i32>> {
    let mut out: Vec<Vec<i32>> = Vec::new();
    for tid in tids {
        let shared = |group: &&mut Vec<i32>| {
            group.first().is_some_and(|first| sys::same(*first, *tid, what))
        };
        match out.iter_mut().find(shared) {
            Some(group) => group.push(*tid),
            None => out.push(vec![*tid]),
        }
    }
    out
}

/// The first answer that one of the threads gives.
fn first<T>(tids: &[i32], ask: impl Fn(i32) -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::from(Errno::SRCH);
    for tid in tids {
        match ask(*tid) {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}
