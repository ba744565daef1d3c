//! The revoker's thread: stops the session, lets its processes let go, and lets them run on.

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    process::{Pid, PidfdFlags, Signal},
};

use super::{
    Command, Outcome, Session,
    find::{Finder, Found, Hold, Queues},
    maps::Mapping,
    place::{Mounts, Place},
    proc::{Family, Proc},
    sys,
    visit::Visit,
    world::World,
};

/// How often threads that are late to stop are looked at.
const LATE: Duration = Duration::from_millis(2);

pub(super) struct Worker {
    proc: Proc,
    root: OwnedFd,
    home: Option<OwnedFd>,
    init: i32,
    places: Vec<Place>,
    world: World,
    /// What was taken from late threads since the last answer.
    late: Outcome,
}

impl Worker {
    pub(super) fn new(session: Session) -> Self {
        Self {
            proc: Proc::new(session.proc),
            root: session.root,
            home: None,
            init: session.init.as_raw_nonzero().get(),
            places: Vec::new(),
            world: World::default(),
            late: Outcome::default(),
        }
    }

    /// Works until nobody can command any more.
    pub(super) fn run(&mut self, inbox: &Receiver<Command>) {
        if sys::separate_root().is_ok() {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.home = rustix::fs::openat(CWD, "/", flags, Mode::empty()).ok();
        }
        loop {
            let command = if self.world.is_waiting() {
                inbox.recv_timeout(LATE)
            } else {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match command {
                Ok(Command::TakeAway(path, rights, kept, answer)) => {
                    let result = self.take_away((path, rights, kept));
                    let _ = answer.send(result.map(|done| self.with_late(done)));
                }
                Ok(Command::Sweep(answer)) => {
                    let result = self.sweep();
                    let _ = answer.send(result.map(|done| self.with_late(done)));
                }
                Ok(Command::AllowAgain(kept)) => self.places.retain_mut(|place| place.allow(&kept)),
                Err(RecvTimeoutError::Timeout) => self.tend(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take_away(&mut self, ended: super::place::Ended) -> io::Result<Outcome> {
        let Some(mounts) = self.mounts()? else { return Ok(Outcome::default()) };
        let place = Place::new(&self.proc, &self.root, &mounts, ended);
        self.places.retain(|known| !known.is_same(&place));
        self.places.push(place);
        self.round()
    }

    fn sweep(&mut self) -> io::Result<Outcome> {
        if self.places.is_empty() || self.mounts()?.is_none() {
            return Ok(Outcome::default());
        }
        let family = self.proc.family(self.init)?;
        let found = self.finder(Queues::Suspect, |finder| {
            family.iter().any(|(pid, tids)| {
                let found = finder.process(*pid, tids);
                found.iter().any(|one| !self.world.holds(&one.tids))
            })
        })?;
        if found { self.round() } else { Ok(Outcome::default()) }
    }

    /// Stops the session and looks into every process.
    fn round(&mut self) -> io::Result<Outcome> {
        let family = self.world.stop(&self.proc, self.init)?;
        let done = self.empty_hands(&family, Queues::Look);
        self.world.release(&self.proc);
        done
    }

    /// Threads that were late to stop, and now have.
    fn tend(&mut self) {
        self.world.poll();
        let arrived = self.world.arrived();
        if arrived.is_empty() {
            return;
        }
        if let Ok(mut family) = self.proc.family(self.init) {
            family.retain(|pid, _| arrived.contains(pid));
            match self.empty_hands(&family, Queues::Ignore) {
                Ok(done) => self.late = self.late.plus(done),
                Err(error) => tracing::warn!(%error, "a late thread could not be looked into"),
            }
        }
        self.world.release(&self.proc);
    }

    fn with_late(&mut self, done: Outcome) -> Outcome {
        std::mem::take(&mut self.late).plus(done)
    }

    /// `None` when the session is over.
    fn mounts(&self) -> io::Result<Option<Mounts>> {
        match Mounts::read(&self.proc, self.init) {
            Ok(mounts) => Ok(Some(mounts)),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    || matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL)) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn finder<T>(&self, queues: Queues, ask: impl FnOnce(&Finder<'_>) -> T) -> io::Result<T> {
        let mounts = Mounts::read(&self.proc, self.init)?;
        Ok(ask(&Finder {
            proc: &self.proc,
            places: &self.places,
            mounts,
            root: &self.root,
            home: self.home.as_ref(),
            queues,
        }))
    }

    fn empty_hands(&mut self, family: &Family, queues: Queues) -> io::Result<Outcome> {
        let mut done = Outcome::default();
        for (pid, tids) in family {
            self.empty_hands_of((*pid, tids), queues, &mut done)?;
        }
        Ok(done)
    }

    fn empty_hands_of(
        &mut self,
        of: (i32, &[i32]),
        queues: Queues,
        done: &mut Outcome,
    ) -> io::Result<()> {
        let (pid, tids) = of;
        let (found, maps) = self.finder(queues, |finder| {
            let found = finder.process(pid, tids);
            let maps = if found.is_empty() { Ok(Vec::new()) } else { finder.maps(pid, tids) };
            (found, maps.unwrap_or_default())
        })?;
        if found.is_empty() {
            return Ok(());
        }
        for (tid, holds) in self.assign(&found) {
            if let Err(error) = visit(tid, &holds, &maps, done) {
                tracing::debug!(%error, pid, "a process does not let go");
                self.world.lost(tid);
                return self.kill(pid, tids, done);
            }
        }
        let left = self.finder(queues, |finder| finder.process(pid, tids))?;
        if left.is_empty() {
            return Ok(());
        }
        let cannot_run = |one: &Found| {
            one.hold != Hold::Whole
                && self.world.stopped(&one.tids).is_none()
                && self.world.holds(&one.tids)
        };
        if left.iter().all(cannot_run) {
            done.pending = done.pending.saturating_add(1);
            return Ok(());
        }
        self.kill(pid, tids, done)
    }

    /// Which thread lets go of what.
    fn assign(&self, found: &[Found]) -> BTreeMap<i32, Vec<Hold>> {
        let mut out: BTreeMap<i32, Vec<Hold>> = BTreeMap::new();
        for one in found {
            if let Some(tid) = self.world.stopped(&one.tids) {
                out.entry(tid).or_default().push(one.hold.clone());
            }
        }
        out
    }

    fn kill(&self, pid: i32, tids: &[i32], done: &mut Outcome) -> io::Result<()> {
        let Some(number) = Pid::from_raw(pid) else { return Ok(()) };
        let process = match rustix::process::pidfd_open(number, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            other => other?,
        };
        // A number that is not traced may have been given to a process outside meanwhile.
        let ours = self.world.holds(tids) || self.proc.family(self.init)?.contains_key(&pid);
        if ours {
            match rustix::process::pidfd_send_signal(&process, Signal::KILL) {
                Err(rustix::io::Errno::SRCH) => {}
                other => {
                    other?;
                    done.killed = done.killed.saturating_add(1);
                }
            }
        }
        Ok(())
    }
}

impl Outcome {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            descriptors: self.descriptors.saturating_add(other.descriptors),
            mappings: self.mappings.saturating_add(other.mappings),
            folders: self.folders.saturating_add(other.folders),
            killed: self.killed.saturating_add(other.killed),
            pending: self.pending.saturating_add(other.pending),
        }
    }
}

/// Makes one thread let go. Whether it did is seen afterwards from outside.
fn visit(tid: i32, holds: &[Hold], maps: &[Mapping], done: &mut Outcome) -> io::Result<()> {
    if holds.contains(&Hold::Whole) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut visit = Visit::begin(tid, maps)?;
    for hold in holds {
        match hold {
            Hold::Descriptor { number, close_on_exec } => {
                descriptor(&mut visit, *number, *close_on_exec)?;
                done.descriptors = done.descriptors.saturating_add(1);
            }
            Hold::Mapping(mapping) => {
                zero(&mut visit, mapping)?;
                done.mappings = done.mappings.saturating_add(1);
            }
            Hold::Folder => {
                let _ = visit.leave_folder()?;
                done.folders = done.folders.saturating_add(1);
            }
            Hold::Whole => {}
        }
    }
    visit.end()
}

/// An empty `epoll` object in the descriptor's place; where no descriptor can be had for it, the
/// number alone.
fn descriptor(visit: &mut Visit, number: i32, close_on_exec: bool) -> io::Result<()> {
    let number = u64::from(number.cast_unsigned());
    let flags = if close_on_exec { u64::from(libc::O_CLOEXEC.cast_unsigned()) } else { 0 };
    let close = u64::from(libc::EPOLL_CLOEXEC.cast_unsigned());
    if let Ok(empty) = visit.call(libc::SYS_epoll_create1, [close, 0, 0, 0, 0, 0])? {
        let placed = visit.call(libc::SYS_dup3, [empty, number, flags, 0, 0, 0])?;
        let _ = visit.call(libc::SYS_close, [empty, 0, 0, 0, 0, 0])?;
        if placed.is_ok() {
            return Ok(());
        }
    }
    // The number frees whatever the call reports (close(2)).
    visit.call(libc::SYS_close, [number, 0, 0, 0, 0, 0]).map(drop)
}

/// Zeroes in the mapping's place; where the process may not have so much memory, no access; where
/// not even that, nothing.
fn zero(visit: &mut Visit, mapping: &Mapping) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    for protection in [mapping.protection, libc::PROT_NONE] {
        let args = [
            mapping.start,
            mapping.length(),
            protection.cast_unsigned().into(),
            flags.cast_unsigned().into(),
            u64::MAX,
            0,
        ];
        if visit.call(libc::SYS_mmap, args)?.is_ok() {
            return Ok(());
        }
    }
    visit.call(libc::SYS_munmap, [mapping.start, mapping.length(), 0, 0, 0, 0]).map(drop)
}
