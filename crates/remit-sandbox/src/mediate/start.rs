//! Where a path starts, and what its spelling says: the task's directory, a descriptor, or one of
//! the `/proc` names that mean "whatever this task has there".

use std::{
    ffi::{CStr, CString},
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::io::Errno;

use super::{
    place::{Class, join, normal},
    sys::{self, CWD},
    turn::{Stop, Turn, is, open_path},
};

/// Magic names may lead to magic names so often.
const MAX_MAGIC: usize = 8;

/// A path that resolves in this thread: absolute, or from the thread's directory, which
/// [`Turn::start`] has set to the task's.
#[derive(Debug)]
pub(super) struct Start {
    /// What the kernel walks.
    pub(super) path: CString,
    /// Absolute lexical form.
    pub(super) lexical: Vec<u8>,
    /// The spelling has `..`, so the lexical form may be wrong.
    pub(super) parents: bool,
    /// Class of the lexical form.
    pub(super) class: Class,
}

impl Start {
    /// Whether the kernel serves this path and nothing about it needs a decision.
    pub(super) fn is_native(&self) -> bool {
        self.class == Class::Native && !self.parents
    }
}

/// What a path begins with.
#[derive(Debug)]
pub(super) enum Begun {
    /// A walk.
    Path(Start),
    /// The very object behind a magic link, such as `/proc/self/fd/3`.
    Object(Link),
}

/// A link below some task's `/proc` folder.
#[derive(Clone, Debug)]
pub(super) struct Link {
    whose: Whose,
    tail: CString,
    /// The descriptor's number, if it is one.
    number: Option<i32>,
    /// Spelled with a final slash: only a folder will do.
    pub(super) folder: bool,
}

#[derive(Clone, Debug)]
enum Whose {
    /// The caller.
    Own,
    /// Another process, by its number inside the session.
    Other(Vec<u8>),
}

enum Magic {
    Root(Vec<u8>),
    Below(Link, Vec<u8>),
    Exactly(Link),
}

impl Turn<'_> {
    /// Begins a path. With `rooted` (openat2's `RESOLVE_BENEATH`, `RESOLVE_IN_ROOT`) even an
    /// absolute path starts at `dirfd` and its spelling says nothing.
    pub(super) fn start(&self, dirfd: i32, path: &CStr, rooted: bool) -> Result<Begun, Stop> {
        let mut path = path.to_owned();
        let mut base = if rooted || path.as_bytes().first() != Some(&b'/') {
            Some(self.enter(dirfd)?)
        } else {
            None
        };
        for _ in 0..MAX_MAGIC {
            let whole = match &base {
                Some(base) => join(base, path.as_bytes()),
                None => path.as_bytes().to_vec(),
            };
            let (lexical, parents) = normal(&whole);
            let class = self.class(&lexical);
            let start = |path| Start { path, lexical: lexical.clone(), parents, class };
            if rooted {
                return Ok(Begun::Path(Start { parents: true, ..start(path) }));
            }
            if class != Class::Native
                || !(lexical.starts_with(b"/proc/") || lexical.starts_with(b"/dev/"))
            {
                return Ok(Begun::Path(start(path)));
            }
            let found = if parents {
                magic_before_parent(&whole)
            } else {
                magic(&lexical, path.as_bytes())
            };
            match found {
                // The kernel knows whose `/proc/self` this is; Landlock guards where it leads.
                None if parents => return Err(Stop::Continue),
                None => return Ok(Begun::Path(start(path))),
                Some(Magic::Exactly(link)) => return Ok(Begun::Object(link)),
                Some(Magic::Root(rest)) => {
                    base = None;
                    path = CString::new(rest).map_err(|_| Errno::INVAL)?;
                }
                Some(Magic::Below(link, rest)) => {
                    let dir = self.follow(&link, libc::O_DIRECTORY)?;
                    base = Some(here(&dir)?);
                    path = CString::new(rest).map_err(|_| Errno::INVAL)?;
                }
            }
        }
        Err(Errno::LOOP.into())
    }

    /// Makes the task's directory behind `dirfd` this thread's; returns its canonical path.
    pub(super) fn enter(&self, dirfd: i32) -> Result<Vec<u8>, Stop> {
        let dir = self.directory(dirfd)?;
        here(&dir)
    }

    fn directory(&self, dirfd: i32) -> Result<OwnedFd, Stop> {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let proc = self.shared.view.proc.as_raw_fd();
        if dirfd == CWD {
            let path = self.task_path("cwd")?;
            let cwd = sys::as_tracer(|| sys::openat(proc, &path, flags));
            return cwd.map_err(|_| Stop::Gone);
        }
        if dirfd < 0 {
            return Err(Errno::BADF.into());
        }
        match sys::openat(proc, &self.task_path(&format!("fd/{dirfd}"))?, flags) {
            Ok(dir) => Ok(dir),
            Err(Errno::NOENT) => Err(Errno::BADF.into()),
            // A non-dumpable process: its `/proc` entries are root's, its descriptors still ours.
            Err(Errno::ACCESS | Errno::PERM) => {
                let fd = self.grab(dirfd)?;
                let stat = sys::fstat(fd.as_raw_fd())?;
                if is(stat.st_mode, libc::S_IFDIR) { Ok(fd) } else { Err(Errno::NOTDIR.into()) }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The task's own open file, shared with it.
    pub(super) fn grab(&self, fd: i32) -> Result<OwnedFd, Stop> {
        if fd < 0 {
            return Err(Errno::BADF.into());
        }
        sys::grab(self.call.tid, fd).map_err(|error| match error {
            Errno::BADF => Errno::BADF.into(),
            Errno::SRCH => Stop::Gone,
            _ => Stop::Opaque,
        })
    }

    /// What a magic link leads to, without rights to its contents.
    pub(super) fn follow(&self, link: &Link, flags: i32) -> Result<OwnedFd, Stop> {
        let folder = if link.folder { libc::O_DIRECTORY } else { 0 };
        let flags = libc::O_PATH | flags | folder;
        match &link.whose {
            Whose::Own => {
                let path = self.task_path(&link.tail.to_string_lossy())?;
                let proc = self.shared.view.proc.as_raw_fd();
                match (sys::openat(proc, &path, flags), link.number) {
                    (Err(Errno::ACCESS | Errno::PERM), Some(number)) => self.grab(number),
                    (result, _) => Ok(result?),
                }
            }
            Whose::Other(number) => {
                let path = [b"/proc/", number.as_slice(), b"/", link.tail.as_bytes()].concat();
                let path = CString::new(path).map_err(|_| Errno::INVAL)?;
                Ok(sys::openat(CWD, &path, flags)?)
            }
        }
    }

    /// The open file behind a magic link of the caller, for its access mode.
    pub(super) fn open_file(&self, link: &Link) -> Result<OwnedFd, Stop> {
        match (&link.whose, link.number) {
            (Whose::Own, Some(number)) => self.grab(number),
            _ => Err(Stop::Continue),
        }
    }

    /// An object that is decided on by its canonical path, reached through `start`.
    pub(super) fn object(&self, start: &Start, follow: bool) -> Result<Object, Stop> {
        let flags = if follow { 0 } else { libc::O_NOFOLLOW };
        self.identify(open_path(&start.path, flags, 0)?)
    }

    /// The same for any path argument, magic links included.
    pub(super) fn find(&self, dirfd: i32, path: &CStr, follow: bool) -> Result<Object, Stop> {
        match self.start(dirfd, path, false)? {
            Begun::Path(start) if start.is_native() => Err(Stop::Continue),
            Begun::Path(start) => self.object(&start, follow),
            Begun::Object(_) if !follow => Err(Stop::Continue),
            Begun::Object(link) => {
                let fd = self.follow(&link, 0)?;
                self.reached(fd)
            }
        }
    }

    /// An object that came as a descriptor: only if its path leads to it in the session's view.
    pub(super) fn reached(&self, fd: OwnedFd) -> Result<Object, Stop> {
        let object = self.identify(fd)?;
        if self.is_attached(&object.fd, &object.path)? {
            Ok(object)
        } else {
            Err(Errno::NOENT.into())
        }
    }

    /// Whether the kernel's path of a descriptor is its path in the session. It is, if the mount
    /// that the object was reached through is attached there: a folder whose grant has ended, or
    /// one of the host, is another mount or none. Compared at the nearest place that can be
    /// looked up; folders on the way may be closed or gone.
    fn is_attached(&self, file: &OwnedFd, path: &[u8]) -> Result<bool, Stop> {
        let mount = sys::mount_of(file.as_raw_fd())?;
        let mut place = path;
        loop {
            let name = if place.is_empty() { b"/" } else { place };
            let name = CString::new(name).map_err(|_| Errno::NOENT)?;
            match open_path(&name, libc::O_NOFOLLOW, 0) {
                Ok(there) => return Ok(sys::mount_of(there.as_raw_fd())? == mount),
                Err(Errno::NOENT | Errno::ACCESS) if !place.is_empty() => {}
                Err(_) => return Ok(false),
            }
            let end = place.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            place = place.get(..end).unwrap_or_default();
        }
    }

    /// The name that a removed file had, if the mount it was in is still the session's.
    pub(super) fn former_name(&self, file: &OwnedFd) -> Result<Option<Vec<u8>>, Stop> {
        let mut path = self.shared.canonical(file)?;
        let Some(length) = path.strip_suffix(b" (deleted)").map(<[u8]>::len) else {
            return Ok(None);
        };
        path.truncate(length);
        let absolute = path.first() == Some(&b'/');
        Ok((absolute && self.is_attached(file, &path)?).then_some(path))
    }

    fn identify(&self, fd: OwnedFd) -> Result<Object, Stop> {
        let stat = sys::fstat(fd.as_raw_fd())?;
        let path = self.name(&fd, &stat)?;
        Ok(Object { fd, stat, path })
    }

    /// Canonical path of what was reached by a walk. Removed objects have none.
    pub(super) fn name(&self, fd: &OwnedFd, stat: &libc::stat) -> Result<Vec<u8>, Stop> {
        let path = self.shared.canonical(fd)?;
        if path.first() != Some(&b'/') || stat.st_nlink == 0 {
            return Err(Errno::NOENT.into());
        }
        if path.ends_with(b" (deleted)") {
            // Either its true name, or the kernel's mark on a name that is gone.
            let there = CString::new(path.clone()).map_err(|_| Errno::NOENT)?;
            let there = sys::lstatat(CWD, &there)?;
            if identity(&there) != identity(stat) {
                return Err(Errno::NOENT.into());
            }
        }
        Ok(path)
    }
}

/// Something that exists, held.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) fd: OwnedFd,
    pub(super) stat: libc::stat,
    /// Canonical.
    pub(super) path: Vec<u8>,
}

pub(super) fn identity(stat: &libc::stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Enters `dir`; a directory outside the session's view (a revoked grant, an inherited
/// descriptor) has no path here and is not there.
fn here(dir: &OwnedFd) -> Result<Vec<u8>, Stop> {
    sys::fchdir(dir.as_raw_fd())?;
    let path = rustix::process::getcwd(Vec::with_capacity(256))?.into_bytes();
    // The kernel marks such directories "(unreachable)".
    if path.first() == Some(&b'/') { Ok(path) } else { Err(Errno::NOENT.into()) }
}

/// The same when `..` follows: what comes before the first one must be a magic folder.
fn magic_before_parent(whole: &[u8]) -> Option<Magic> {
    let at = whole.windows(3).position(|window| window == b"/..")?;
    let (head, tail) = whole.split_at_checked(at)?;
    let tail = tail.strip_prefix(b"/")?;
    Some(match magic(&normal(head).0, head)? {
        Magic::Exactly(link) => Magic::Below(link, tail.to_vec()),
        Magic::Below(link, rest) => Magic::Below(link, join(&rest, tail)),
        Magic::Root(rest) => Magic::Root(join(&rest, tail)),
    })
}

/// Recognises the names below `/proc` and `/dev` that mean something of a task.
fn magic(lexical: &[u8], spelled: &[u8]) -> Option<Magic> {
    let slash = spelled.ends_with(b"/");
    let mut parts = lexical.split(|byte| *byte == b'/').skip(1);
    let (whose, what) = match (parts.next()?, parts.next()?) {
        (b"dev", b"stdin") => return standard(0, parts),
        (b"dev", b"stdout") => return standard(1, parts),
        (b"dev", b"stderr") => return standard(2, parts),
        (b"dev", b"fd") => (Whose::Own, b"fd".as_slice()),
        (b"proc", b"self" | b"thread-self") => (Whose::Own, parts.next()?),
        (b"proc", number) if is_number(number) => (Whose::Other(number.to_vec()), parts.next()?),
        _ => return None,
    };
    let (whose, what) = match (what, whose) {
        (b"task", _) => {
            let number = parts.next().filter(|number| is_number(number))?;
            (Whose::Other(number.to_vec()), parts.next()?)
        }
        (what, whose) => (whose, what),
    };
    let (tail, number) = match what {
        b"fd" => {
            let number = parts.next().filter(|number| is_number(number))?;
            let number: i32 = std::str::from_utf8(number).ok()?.parse().ok()?;
            (format!("fd/{number}"), Some(number))
        }
        b"cwd" => ("cwd".to_owned(), None),
        b"root" => ("root".to_owned(), None),
        b"exe" => ("exe".to_owned(), None),
        _ => return None,
    };
    let mut rest = parts.collect::<Vec<_>>().join(&b'/');
    if !rest.is_empty() {
        // A final slash or dot asks for a folder, and for the right to enter it.
        let tail: &[u8] = if slash {
            b"/"
        } else if spelled.ends_with(b"/.") {
            b"/."
        } else {
            b""
        };
        rest.extend_from_slice(tail);
    }
    if what == b"root" {
        rest.insert(0, b'/');
        return Some(Magic::Root(rest));
    }
    let folder = slash && rest.is_empty();
    let link = Link { whose, tail: CString::new(tail).ok()?, number, folder };
    if rest.is_empty() && spelled.ends_with(b"/.") {
        return Some(Magic::Below(link, b".".to_vec()));
    }
    Some(if rest.is_empty() { Magic::Exactly(link) } else { Magic::Below(link, rest) })
}

fn standard<'p>(number: i32, mut rest: impl Iterator<Item = &'p [u8]>) -> Option<Magic> {
    if rest.next().is_some() {
        return None;
    }
    let tail = CString::new(format!("fd/{number}")).ok()?;
    Some(Magic::Exactly(Link { whose: Whose::Own, tail, number: Some(number), folder: false }))
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.len() <= 10 && text.iter().all(u8::is_ascii_digit)
}
