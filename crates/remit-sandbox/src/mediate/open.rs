//! `open`, `openat`, `openat2`, `creat`.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsRawFd, OwnedFd},
};

use remit_core::{Action, FileKind};
use rustix::io::Errno;

use super::{
    elf, folder,
    place::{Class, join, path_of},
    start::{Begun, Link, Start, identity},
    sys::{self, CWD},
    threads::WaitsFor,
    turn::{Outcome, Reply, SET_ID, Stop, Turn, is, kind_of, open_path},
};

/// `O_LARGEFILE` of the kernel; the C library's is 0 on 64-bit machines.
#[cfg(target_arch = "x86_64")]
const O_LARGEFILE: u64 = 0o100_000;
#[cfg(target_arch = "aarch64")]
const O_LARGEFILE: u64 = 0o400_000;

pub(super) const O_CREAT: u64 = libc::O_CREAT as u64;
pub(super) const O_EXCL: u64 = libc::O_EXCL as u64;
pub(super) const O_TRUNC: u64 = libc::O_TRUNC as u64;
const O_CLOEXEC: u64 = libc::O_CLOEXEC as u64;
pub(super) const O_NOCTTY: u64 = libc::O_NOCTTY as u64;
const O_NONBLOCK: u64 = libc::O_NONBLOCK as u64;
const O_DIRECTORY: u64 = libc::O_DIRECTORY as u64;
pub(super) const O_NOFOLLOW: u64 = libc::O_NOFOLLOW as u64;
const O_PATH: u64 = libc::O_PATH as u64;
const O_ACCMODE: u64 = libc::O_ACCMODE as u64;
const O_TMPFILE: u64 = libc::O_TMPFILE as u64;
const O_TMPFILE_BIT: u64 = O_TMPFILE & !O_DIRECTORY;
/// Everything that `open` and `openat` take; they ignore other bits.
const KNOWN: u64 = O_ACCMODE
    | O_CREAT
    | O_EXCL
    | O_NOCTTY
    | O_TRUNC
    | O_NONBLOCK
    | O_LARGEFILE
    | O_DIRECTORY
    | O_NOFOLLOW
    | O_CLOEXEC
    | O_PATH
    | O_TMPFILE_BIT
    | (libc::O_APPEND | libc::O_SYNC | libc::O_DSYNC | libc::O_ASYNC | libc::O_DIRECT) as u64
    | libc::O_NOATIME as u64;
const ROOTED: u64 = libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT;
/// A file that comes and goes between our steps, so often before the agent sees `ENOENT`.
const MAX_RACES: usize = 16;
/// The kernel's limit of links in one walk.
const MAX_LINKS: usize = 40;

/// The session's own `/proc` has processes and nothing else. These are what runtimes and monitors
/// size themselves by (node counts processors in `stat` and `cpuinfo`); everybody may read them,
/// and they tell nothing of other processes.
const MACHINE_FACTS: [&CStr; 8] = [
    c"cpuinfo",
    c"loadavg",
    c"meminfo",
    c"stat",
    c"sys/kernel/osrelease",
    c"sys/vm/overcommit_memory",
    c"uptime",
    c"version",
];

/// What an open asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) flags: u64,
    pub(super) mode: u64,
    pub(super) resolve: u64,
}

impl How {
    /// As the kernel reads the arguments of `open` and `openat`.
    pub(super) const fn plain(flags: u64, mode: u64) -> Self {
        let flags = (flags & KNOWN) | O_LARGEFILE;
        let creates = flags & (O_CREAT | O_TMPFILE_BIT) != 0;
        Self { flags, mode: if creates { mode & 0o7777 } else { 0 }, resolve: 0 }
    }

    pub(super) const fn has(&self, flag: u64) -> bool {
        self.flags & flag == flag
    }

    fn writes(&self) -> bool {
        self.flags & O_ACCMODE != libc::O_RDONLY as u64 || self.has(O_TRUNC)
    }

    pub(super) fn action(&self) -> Action {
        if self.writes() { Action::WriteFile } else { Action::ReadFile }
    }

    /// Non-blocking while unknown: a FIFO or a leased file must not stop this thread. With
    /// `O_DIRECTORY` it can be neither.
    const fn is_guarded(&self) -> bool {
        !self.has(O_DIRECTORY) && !self.has(O_NONBLOCK)
    }

    /// The flags without effects, for opening what has not been decided on.
    const fn probing(&self) -> u64 {
        let guard = if self.is_guarded() { O_NONBLOCK } else { 0 };
        (self.flags & !(O_CREAT | O_EXCL | O_TRUNC)) | O_CLOEXEC | O_NOCTTY | guard
    }

    /// Bits that the kernel may find wrong before it looks at the path.
    fn is_odd(&self) -> bool {
        self.flags & !(KNOWN & !O_TMPFILE_BIT) != 0
            || self.flags & O_ACCMODE == O_ACCMODE
            || (self.has(O_CREAT) && self.has(O_DIRECTORY))
            || self.resolve != 0
            || (self.mode != 0 && !self.has(O_CREAT))
            || self.mode & !0o7777 != 0
    }
}

impl Turn<'_> {
    /// `openat2`: reads `struct open_how`, which may be of a later kernel.
    pub(super) fn open2(&mut self, dirfd: i32, path: u64, how: u64, size: u64) -> Outcome {
        const KNOWN_SIZE: usize = size_of::<libc::open_how>();
        let size = usize::try_from(size).map_err(|_| Errno::TOOBIG)?;
        if size < KNOWN_SIZE {
            return Err(Errno::INVAL.into());
        }
        if size > 4096 {
            return Err(Errno::TOOBIG.into());
        }
        let bytes = self.bytes(how, size)?;
        if bytes.get(KNOWN_SIZE..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0)) {
            return Err(Errno::TOOBIG.into());
        }
        let word = |at: usize| {
            let word = bytes.get(at..at.saturating_add(8)).and_then(|word| word.try_into().ok());
            u64::from_ne_bytes(word.unwrap_or_default())
        };
        self.open(dirfd, path, How { flags: word(0), mode: word(8), resolve: word(16) })
    }

    /// Opens for the caller.
    pub(super) fn open(&mut self, dirfd: i32, path: u64, how: How) -> Outcome {
        if how.has(O_PATH) {
            return Err(Stop::Continue);
        }
        if how.is_odd() {
            // The kernel's own opinion on the bits; an empty path is the error after those.
            match sys::openat2(CWD, c"", how.flags, how.mode, how.resolve) {
                Err(Errno::NOENT) | Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let path = self.path(path)?;
        if how.resolve & libc::RESOLVE_BENEATH != 0 && path.as_bytes().first() == Some(&b'/') {
            return Err(Errno::XDEV.into());
        }
        match self.start(dirfd, &path, how.resolve & ROOTED != 0)? {
            Begun::Object(link) => self.reopen(&link, how),
            Begun::Path(start) => {
                if let Some(fact) = machine_fact(&start, how) {
                    let proc = self.shared.view.proc.as_raw_fd();
                    return Ok(handed(sys::openat(proc, fact, libc::O_RDONLY)?, how));
                }
                if start.is_native() && !self.native_by_us(&start.lexical, how) {
                    self.absent_setting(&start, how.action());
                    return Err(Stop::Continue);
                }
                self.perform(start, how)
            }
        }
    }

    /// With a list of programs, files in system folders are opened here, so that a program that
    /// is not listed cannot be handed to the loader. Landlock refuses them natively then.
    fn native_by_us(&self, path: &[u8], how: How) -> bool {
        self.shared.view.list_mode
            && !how.writes()
            && !how.has(O_TMPFILE)
            && !path.starts_with(b"/proc")
            && !path.starts_with(b"/dev")
    }

    fn perform(&mut self, mut start: Start, how: How) -> Outcome {
        if how.writes() || how.has(O_CREAT) {
            self.keep_names_still();
        }
        if how.has(O_TMPFILE) {
            return self.unnamed(&start, how);
        }
        let mut links = 0_usize;
        for _ in 0..MAX_RACES.saturating_add(MAX_LINKS) {
            // With a final slash nothing is created nor opened; the kernel tells in `create`.
            let slash = start.path.as_bytes().last() == Some(&b'/');
            if !(how.has(O_CREAT) && (how.has(O_EXCL) || slash)) {
                match self.existing(&start, how) {
                    Err(Stop::Errno(Errno::NOENT)) if how.has(O_CREAT) => {}
                    // A creating walk may end at a link's text that others would follow.
                    Err(Stop::Errno(Errno::LOOP))
                        if how.has(O_CREAT) && !how.has(O_NOFOLLOW) && how.resolve == 0 => {}
                    // The same for a link whose text ends in a slash.
                    Err(Stop::Errno(Errno::NOTDIR))
                        if how.has(O_CREAT) && asks_for_folder(&start.path) =>
                    {
                        return Err(Errno::ISDIR.into());
                    }
                    Err(Stop::Errno(error @ (Errno::NOENT | Errno::LOOP))) => {
                        if how.resolve == 0
                            && !how.has(O_NOFOLLOW)
                            && links < MAX_LINKS
                            && let Some(begun) = self.behind_link(&start)?
                        {
                            links = links.saturating_add(1);
                            match begun {
                                Begun::Object(link) => return self.reopen(&link, how),
                                Begun::Path(next) if next.is_native() => {
                                    return Err(Stop::Continue);
                                }
                                Begun::Path(next) => {
                                    start = next;
                                    continue;
                                }
                            }
                        }
                        if error == Errno::NOENT {
                            self.absent(&start, how.action());
                            self.absent_setting(&start, how.action());
                        }
                        return Err(error.into());
                    }
                    outcome => return outcome,
                }
            }
            match self.create(&start, how)? {
                Created::Done(reply) => return Ok(reply),
                Created::Appeared => {}
                Created::Dangling(dir, target) => {
                    links = links.saturating_add(1);
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    sys::fchdir(dir.as_raw_fd())?;
                    match self.begin_here(&target)? {
                        Begun::Path(next) => start = next,
                        Begun::Object(link) => return self.reopen(&link, how),
                    }
                }
            }
        }
        Err(Errno::NOENT.into())
    }

    /// A path that starts in the thread's own directory.
    fn begin_here(&self, path: &CString) -> Result<Begun, Stop> {
        let absolute = if path.as_bytes().first() == Some(&b'/') {
            path.as_bytes().to_vec()
        } else {
            let here = rustix::process::getcwd(Vec::new())?;
            join(here.as_bytes(), path.as_bytes())
        };
        let absolute = CString::new(absolute).map_err(|_| Errno::INVAL)?;
        self.start(CWD, &absolute, false)
    }

    /// A final symlink to a magic name (`/tmp/log -> /dev/stdout`): our own `/proc/self` is not the
    /// caller's, so the kernel cannot follow it for us.
    fn behind_link(&self, start: &Start) -> Result<Option<Begun>, Stop> {
        let Ok(link) = open_path(&start.path, libc::O_NOFOLLOW, 0) else { return Ok(None) };
        let Ok(target) = sys::readlinkat(link.as_raw_fd(), c"") else { return Ok(None) };
        if !(target.starts_with(b"/proc/") || target.starts_with(b"/dev/")) {
            return Ok(None);
        }
        let target = CString::new(target).map_err(|_| Errno::INVAL)?;
        self.start(CWD, &target, false).map(Some)
    }

    /// Opens what is there, decides on what it turned out to be, hands it over.
    fn existing(&mut self, start: &Start, how: How) -> Outcome {
        if how.resolve == 0
            && let Some(fd) = folder::open(start, how.probing())
        {
            let stat = sys::fstat(fd.as_raw_fd())?;
            if stat.st_nlink == 0 {
                return Err(Errno::NOENT.into());
            }
            return self.settle(fd, &stat, &start.lexical, how);
        }
        let resolve = how.resolve | libc::RESOLVE_NO_MAGICLINKS;
        match sys::openat2(CWD, &start.path, how.probing(), 0, resolve) {
            Ok(fd) => {
                let stat = sys::fstat(fd.as_raw_fd())?;
                let path = self.name(&fd, &stat)?;
                folder::learn(start, &path);
                self.settle(fd, &stat, &path, how)
            }
            Err(Errno::NXIO | Errno::AGAIN) if !how.has(O_NONBLOCK) => {
                self.open_waiting(start, how)
            }
            Err(Errno::ROFS) => {
                // The mount refuses what the rule does not grant: the trail must show it.
                let object = self.object(start, !how.has(O_NOFOLLOW))?;
                if self.class(&object.path) == Class::Data {
                    let kind = kind_of(object.stat.st_mode);
                    let _permit = self.decide(self.about(how.action(), &object.path, kind))?;
                }
                Err(Errno::ROFS.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Decides on what is open here and hands it over. `path` is the kernel's name, not the
    /// caller's spelling: a file system may take other spellings too.
    fn settle(&mut self, fd: OwnedFd, stat: &libc::stat, path: &[u8], how: How) -> Outcome {
        if is(stat.st_mode, libc::S_IFDIR) && (how.has(O_CREAT) || how.has(O_TRUNC)) {
            return Err(Errno::ISDIR.into());
        }
        match self.class(path) {
            Class::Native if !self.native_by_us(path, how) => return Err(Stop::Continue),
            Class::Native => self.refuse_program(&fd, stat, path)?,
            Class::Scratch => self.refuse_to_loader(&fd, stat, path)?,
            Class::Data if self.is_skeleton(stat, how) => {}
            Class::Data => {
                self.refuse_to_loader(&fd, stat, path)?;
                let request = self.about(how.action(), path, kind_of(stat.st_mode));
                let _permit = self.decide(request)?;
            }
        }
        // A writer that got in has its reader; a reader waits for a writer.
        let reads = how.flags & O_ACCMODE == libc::O_RDONLY as u64;
        if is(stat.st_mode, libc::S_IFIFO) && !how.has(O_NONBLOCK) && reads {
            if !self.may_block {
                return Err(Stop::PoolHolding(fd));
            }
            return self.read_fifo(fd, stat, how);
        }
        if how.has(O_TRUNC) && is(stat.st_mode, libc::S_IFREG) {
            self.still_there()?;
            self.cut(&fd, how)?;
        }
        if how.is_guarded() {
            sys::set_status_flags(fd.as_raw_fd(), status_bits(how.flags))?;
        }
        Ok(handed(fd, how))
    }

    /// Folders of the read-only skeleton that holds the mounts: their names are the grants' own.
    fn is_skeleton(&self, stat: &libc::stat, how: How) -> bool {
        self.shared.skeleton == Some(stat.st_dev)
            && is(stat.st_mode, libc::S_IFDIR)
            && !how.writes()
    }

    fn cut(&self, fd: &OwnedFd, how: How) -> Result<(), Stop> {
        if !matches!(how.flags as i32 & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR) {
            // Opened for reading, `O_TRUNC` still cuts, by the right to write.
            sys::fchdir(self.shared.own.as_raw_fd())?;
            let name = rustix::path::DecInt::from_fd(fd);
            return Ok(sys::truncate(name.as_c_str(), 0)?);
        }
        Ok(sys::ftruncate(fd.as_raw_fd(), 0)?)
    }

    /// `/proc/self/fd/N` and its like: a new open of the same object, so a new decision. What has
    /// no path in the session (a pipe, a stream that the person passed) opens with no more than
    /// the descriptor's own rights.
    fn reopen(&mut self, link: &Link, how: How) -> Outcome {
        if how.has(O_NOFOLLOW) {
            return Err(Stop::Continue);
        }
        if how.has(O_CREAT) && (how.has(O_EXCL) || link.folder) {
            return Err(if link.folder { Errno::ISDIR } else { Errno::EXIST }.into());
        }
        let held = self.follow(link, 0)?;
        let stat = sys::fstat(held.as_raw_fd())?;
        if let Ok(object) = self.reached(held) {
            if self.class(&object.path) == Class::Native && !self.native_by_us(&object.path, how) {
                return Err(Stop::Continue);
            }
            if how.writes() {
                self.keep_names_still();
            }
            let shared = self.shared;
            let name = rustix::path::DecInt::from_fd(&object.fd);
            let flags = i32::try_from(how.probing()).map_err(|_| Errno::INVAL)?;
            return match sys::openat(shared.own.as_raw_fd(), name.as_c_str(), flags) {
                Ok(fd) => {
                    let stat = sys::fstat(fd.as_raw_fd())?;
                    let path = self.name(&fd, &stat)?;
                    self.settle(fd, &stat, &path, how)
                }
                Err(Errno::NXIO | Errno::AGAIN) if !how.has(O_NONBLOCK) => {
                    self.wait_for(&object, how)
                }
                Err(error) => Err(error.into()),
            };
        }
        let passed = is(stat.st_mode, libc::S_IFCHR)
            || (is(stat.st_mode, libc::S_IFREG) && self.shared.streams.contains(&identity(&stat)));
        if !passed {
            if let Some(file) = self.removed_here(link, &stat, how)? {
                if is(stat.st_mode, libc::S_IFIFO) && !how.has(O_NONBLOCK) && !self.may_block {
                    return Err(Stop::Pool);
                }
                return self.open_again(&file, how);
            }
            // Pipes and memory files are the session's own; Landlock refuses the rest.
            return Err(Stop::Continue);
        }
        let file = self.open_file(link)?;
        let has = sys::status_flags(file.as_raw_fd())?;
        let wanted = how.flags & O_ACCMODE;
        let given = has as u64 & O_ACCMODE;
        let covered = given == libc::O_RDWR as u64 || given == wanted;
        if has & libc::O_PATH != 0 || !covered || (how.has(O_TRUNC) && given == 0) {
            return Err(Errno::ACCESS.into());
        }
        self.open_again(&file, how)
    }

    /// Opens once more what a descriptor of ours holds.
    fn open_again(&mut self, file: &OwnedFd, how: How) -> Outcome {
        let name = rustix::path::DecInt::from_fd(file);
        let flags = (how.flags & !(O_CREAT | O_EXCL)) | O_NOCTTY;
        let flags = i32::try_from(flags).map_err(|_| Errno::INVAL)?;
        self.still_there()?;
        let own = self.shared.own.as_raw_fd();
        let opened =
            self.waiting_for(WaitsFor::Fifo, || sys::openat(own, name.as_c_str(), flags))?;
        Ok(handed(opened, how))
    }

    /// A file that has lost its name, decided on by the name it had.
    fn removed_here(
        &mut self,
        link: &Link,
        stat: &libc::stat,
        how: How,
    ) -> Result<Option<OwnedFd>, Stop> {
        if !is(stat.st_mode, libc::S_IFREG) && !is(stat.st_mode, libc::S_IFIFO) {
            return Ok(None);
        }
        let file = self.follow(link, 0)?;
        let Some(path) = self.former_name(&file)? else { return Ok(None) };
        match self.class(&path) {
            Class::Native => Ok(None),
            Class::Scratch => Ok(Some(file)),
            Class::Data => {
                let request = self.about(how.action(), &path, FileKind::File);
                let _permit = self.decide(request)?;
                Ok(Some(file))
            }
        }
    }

    /// `O_TMPFILE`: a file without a name. Whoever links it to a name is asked about that name.
    fn unnamed(&mut self, start: &Start, how: How) -> Outcome {
        let follow = if how.has(O_NOFOLLOW) { libc::O_NOFOLLOW } else { 0 };
        let dir = open_path(&start.path, libc::O_DIRECTORY | follow, how.resolve)?;
        let stat = sys::fstat(dir.as_raw_fd())?;
        let path = self.name(&dir, &stat)?;
        match self.class(&path) {
            Class::Native => return Err(Stop::Continue),
            Class::Scratch => {}
            Class::Data => {
                let request = self.about(Action::WriteFile, &path, FileKind::Folder);
                let _permit = self.decide(request)?;
            }
        }
        self.take_umask()?;
        self.still_there()?;
        let flags = how.flags | O_CLOEXEC;
        Ok(handed(sys::openat2(dir.as_raw_fd(), c".", flags, how.mode, 0)?, how))
    }

    /// Creates the last component, never through a link.
    fn create(&mut self, start: &Start, how: How) -> Result<Created, Stop> {
        if start.is_native() {
            return Err(Stop::Continue);
        }
        let parent = self.parent(start, how.resolve)?;
        let resolve = how.resolve & !ROOTED | libc::RESOLVE_NO_MAGICLINKS;
        let dir = parent.fd.as_raw_fd();
        if !parent.is_plain() || parent.slash {
            // `.`, `..`, `/` and names with a slash are never created: the kernel says why.
            let flags = how.flags | O_CLOEXEC;
            return match sys::openat2(dir, &parent.name, flags, how.mode, resolve) {
                Err(error) => Err(error.into()),
                Ok(_) => Err(Errno::ISDIR.into()),
            };
        }
        let there = sys::lstatat(dir, &parent.name);
        if there.is_ok() && how.has(O_EXCL) {
            return Err(Errno::EXIST.into());
        }
        if let Err(error) = there
            && error != Errno::NOENT
        {
            return Err(error.into());
        }
        let link = there.is_ok_and(|stat| is(stat.st_mode, libc::S_IFLNK));
        if link {
            if how.has(O_NOFOLLOW) || how.resolve & libc::RESOLVE_NO_SYMLINKS != 0 {
                return Err(Errno::LOOP.into());
            }
            if how.resolve & ROOTED != 0 {
                // Where a dangling link leads under another root, only the kernel knows.
                return Err(Errno::XDEV.into());
            }
            let target = sys::readlinkat(dir, &parent.name)?;
            let target = CString::new(target).map_err(|_| Errno::INVAL)?;
            return Ok(Created::Dangling(parent.fd, target));
        }
        match self.class(&parent.full) {
            Class::Native => return Err(Stop::Continue),
            Class::Scratch => {}
            Class::Data => {
                let request = self.about(Action::WriteFile, &parent.full, FileKind::File);
                let _permit = self.decide(request)?;
            }
        }
        self.take_umask()?;
        self.still_there()?;
        let flags = (how.flags & !O_TRUNC) | O_CREAT | O_EXCL | O_CLOEXEC;
        let mode = how.mode & !u64::from(SET_ID);
        match sys::openat2(dir, &parent.name, flags, mode, resolve) {
            Ok(fd) => Ok(Created::Done(handed(fd, how))),
            Err(Errno::EXIST) if !how.has(O_EXCL) => Ok(Created::Appeared),
            Err(error) => Err(error.into()),
        }
    }

    fn refuse_program(&mut self, fd: &OwnedFd, stat: &libc::stat, path: &[u8]) -> Result<(), Stop> {
        if is(stat.st_mode, libc::S_IFREG) && elf::is_program(fd) {
            self.listed_program(path)?;
        }
        Ok(())
    }
}

impl Turn<'_> {
    /// `ld.so FILE` starts a program that `execve` was never asked for. What the loader opens for a
    /// program that was started properly are libraries.
    fn refuse_to_loader(
        &mut self,
        fd: &OwnedFd,
        stat: &libc::stat,
        path: &[u8],
    ) -> Result<(), Stop> {
        let large_enough = stat.st_size >= elf::SMALLEST;
        if is(stat.st_mode, libc::S_IFREG)
            && large_enough
            && elf::is_program(fd)
            && self.caller_is_loader()?
        {
            self.listed_program(path)?;
        }
        Ok(())
    }

    fn caller_is_loader(&self) -> Result<bool, Stop> {
        let link = self.task_path("exe")?;
        let proc = self.shared.view.proc.as_raw_fd();
        let program = sys::as_tracer(|| sys::readlinkat(proc, &link));
        let loaders = &self.shared.view.loaders;
        match program {
            Ok(program) => Ok(loaders.contains(&path_of(&program))),
            // In doubt it is one: only the caller's own death or secrecy hides what it runs.
            Err(_) => Ok(true),
        }
    }
}

enum Created {
    Done(Reply),
    /// Somebody else created it meanwhile.
    Appeared,
    /// A link to nothing: the folder it is in, and its target.
    Dangling(OwnedFd, CString),
}

pub(super) fn handed(fd: OwnedFd, how: How) -> Reply {
    Reply::Descriptor { fd, close_on_exec: how.has(O_CLOEXEC) }
}

/// Whether the path's last component is a link that spells a folder.
fn asks_for_folder(path: &CStr) -> bool {
    open_path(path, libc::O_NOFOLLOW, 0)
        .and_then(|link| sys::readlinkat(link.as_raw_fd(), c""))
        .is_ok_and(|target| target.last() == Some(&b'/'))
}

/// The machine fact that a path names, for reading and nothing else.
fn machine_fact(start: &Start, how: How) -> Option<&'static CStr> {
    if !start.is_native() || how.writes() || how.has(O_CREAT) || how.has(O_DIRECTORY) {
        return None;
    }
    let name = start.lexical.strip_prefix(b"/proc/")?;
    // A final slash asks for a folder.
    let slash = start.path.as_bytes().last() == Some(&b'/');
    MACHINE_FACTS.into_iter().find(|fact| fact.to_bytes() == name).filter(|_| !slash)
}

/// The flags that `F_SETFL` may set, as the caller wants them.
pub(super) fn status_bits(flags: u64) -> i32 {
    let settable =
        libc::O_APPEND | libc::O_ASYNC | libc::O_DIRECT | libc::O_NOATIME | libc::O_NONBLOCK;
    i32::try_from(flags & settable as u64).unwrap_or(0)
}
