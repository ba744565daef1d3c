//! One notification's way from arrival to answer, and what all of them share.

use std::{
    collections::HashSet,
    ffi::CString,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    path::Path,
    sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use remit_core::{
    AccessRequest, Action, FileKind, Guard, Obligation, Pending, Permit, ReasonCode, Resource,
    Verdict,
};
use rustix::io::Errno;

use super::{
    Programs, View,
    absent::Seen,
    place::{Class, Places, path_of},
    sys::{self, CWD, Notification},
    threads::WaitsFor,
};

/// What every thread of a mediator uses.
pub(super) struct Shared {
    pub(super) listener: OwnedFd,
    pub(super) view: View,
    pub(super) places: Places,
    pub(super) guard: Arc<Guard>,
    pub(super) programs: Arc<dyn Programs>,
    /// The supervisor's own `/proc/self/fd`, to name our descriptors by.
    pub(super) own: OwnedFd,
    /// Device number of the session's root when it is a tmpfs skeleton: its folders may be listed.
    pub(super) skeleton: Option<u64>,
    /// Device and inode of the streams that the person passed on.
    pub(super) streams: Vec<(u64, u64)>,
    /// Held for reading while a name or content in the agent's reach is changed, for writing while
    /// a whole folder moves or a judged file is put in place.
    names: RwLock<()>,
    /// Refused attempts on absent paths and addresses, recorded once each.
    pub(super) seen: Mutex<Seen>,
}

impl Shared {
    pub(super) fn new(
        listener: OwnedFd,
        view: View,
        guard: Arc<Guard>,
        programs: Arc<dyn Programs>,
    ) -> io::Result<Self> {
        const TMPFS_MAGIC: u64 = 0x0102_1994;
        let own = sys::openat(view.proc.as_raw_fd(), c"self/fd", libc::O_PATH | libc::O_DIRECTORY)?;
        let kind = rustix::fs::fstatfs(&view.root)?.f_type;
        let root = sys::fstat(view.root.as_raw_fd())?;
        let skeleton = (u64::try_from(kind) == Ok(TMPFS_MAGIC)).then_some(root.st_dev);
        let streams = (0..=2)
            .filter_map(|fd| sys::fstat(fd).ok())
            .map(|stat| (stat.st_dev, stat.st_ino))
            .collect();
        sys::wake_synchronously(listener.as_raw_fd());
        Ok(Self {
            places: Places::new(&view.native, &view.scratch, &view.granted),
            listener,
            view,
            guard,
            programs,
            own,
            skeleton,
            streams,
            names: RwLock::new(()),
            seen: Mutex::new(HashSet::new()),
        })
    }

    /// Canonical path of one of our descriptors, as the agent sees it.
    pub(super) fn canonical(&self, fd: &OwnedFd) -> sys::Result<Vec<u8>> {
        let name = rustix::path::DecInt::from_fd(fd);
        sys::readlinkat(self.own.as_raw_fd(), name.as_c_str())
    }

    fn changing(&self) -> RwLockReadGuard<'_, ()> {
        self.names.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn moving(&self) -> RwLockWriteGuard<'_, ()> {
        self.names.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn listener(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

/// How a call ends well.
pub(super) enum Reply {
    /// With a number.
    Value(i64),
    /// With a new descriptor in the task.
    Descriptor { fd: OwnedFd, close_on_exec: bool },
}

/// Why a call is not carried out here and now.
pub(super) enum Stop {
    /// The agent sees this error.
    Errno(Errno),
    /// Nothing was decided; the kernel carries it out natively.
    Continue,
    /// A person is asked; again afterwards, in the pool.
    Wait(Box<(AccessRequest, Pending)>),
    /// It may block or take long; again in the pool.
    Pool,
    /// The same, and what was opened stays open until then: the other side has seen it.
    PoolHolding(OwnedFd),
    /// The task's memory is closed to us.
    Opaque,
    /// The task is dead.
    Gone,
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

pub(super) type Outcome = Result<Reply, Stop>;

/// The work on one notification in one thread.
pub(super) struct Turn<'a> {
    pub(super) shared: &'a Shared,
    pub(super) call: Notification,
    /// What has been permitted for this very call, when it runs a second time.
    pub(super) granted: &'a mut Vec<(AccessRequest, Permit)>,
    /// Whether this thread may block.
    pub(super) may_block: bool,
    /// What an earlier attempt of this call has opened.
    pub(super) held: Option<&'a OwnedFd>,
    /// Held while the call may change names or content; see [`Turn::keep_names_still`].
    pub(super) names: Option<RwLockReadGuard<'a, ()>>,
    /// Told when this call begins and ends to wait.
    pub(super) waits: &'a dyn Fn(Option<WaitsFor>),
}

impl Turn<'_> {
    /// From here to the end of the call no folder is moved and no judged file put in place. Taken
    /// once, also where one step leads to another: a second reader behind a waiting writer would
    /// wait for itself.
    pub(super) fn keep_names_still(&mut self) {
        if self.names.is_none() {
            self.names = Some(self.shared.changing());
        }
    }

    /// Waits for another process. Nothing of the call may have been done yet.
    pub(super) fn waiting_for<T>(
        &mut self,
        what: WaitsFor,
        wait: impl FnOnce() -> sys::Result<T>,
    ) -> sys::Result<T> {
        self.let_names_go();
        (self.waits)(Some(what));
        let done = wait();
        (self.waits)(None);
        done
    }

    /// Before a call waits: for whatever it waits, others must be able to go on.
    pub(super) fn let_names_go(&mut self) {
        self.names = None;
    }

    pub(super) fn class(&self, path: &[u8]) -> Class {
        self.shared.places.class(path)
    }

    /// A question about a file by this task.
    pub(super) fn about(&self, action: Action, path: &[u8], kind: FileKind) -> AccessRequest {
        AccessRequest::new(action, Resource::File(path_of(path))).by(self.call.tid).of_kind(kind)
    }

    /// Decides and records. A denial is `EACCES`; a question sends the call to the pool, which
    /// comes back with the permit in `granted`.
    pub(super) fn decide(&mut self, request: AccessRequest) -> Result<Permit, Stop> {
        if let Some((_, permit)) = self.granted.iter().find(|(known, _)| *known == request) {
            return known_duties(permit.clone());
        }
        match self.shared.guard.check(request.clone()) {
            Verdict::Permit(permit) => {
                self.granted.push((request, permit.clone()));
                known_duties(permit)
            }
            Verdict::Deny(_) => Err(Errno::ACCESS.into()),
            Verdict::Pending(pending) => Err(Stop::Wait(Box::new((request, pending)))),
        }
    }

    /// Records a refusal of our own.
    pub(super) fn refuse(&self, request: &AccessRequest, reason: ReasonCode) -> Stop {
        let _ = self.shared.guard.refuse(request, reason);
        Errno::ACCESS.into()
    }

    /// Before any effect: the caller still waits, so all that was read about it was its own.
    pub(super) fn still_there(&self) -> Result<(), Stop> {
        if sys::still_waits(self.shared.listener(), self.call.id) {
            Ok(())
        } else {
            Err(Stop::Gone)
        }
    }

    /// Takes the caller's umask for this thread's next creation.
    pub(super) fn take_umask(&self) -> Result<(), Stop> {
        let path = self.task_path("status")?;
        let status = sys::openat(self.shared.view.proc.as_raw_fd(), &path, libc::O_RDONLY)
            .map_err(|_| Stop::Gone)?;
        let mut buffer = [0; 512];
        let count = rustix::io::read(&status, &mut buffer[..]).map_err(|_| Stop::Gone)?;
        let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
        let umask = text
            .lines()
            .find_map(|line| line.strip_prefix("Umask:"))
            .and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok())
            .ok_or(Stop::Gone)?;
        rustix::process::umask(rustix::fs::Mode::from_bits_retain(umask));
        Ok(())
    }

    /// `<tid>/<rest>`, below the host's `/proc`.
    pub(super) fn task_path(&self, rest: &str) -> Result<CString, Stop> {
        CString::new(format!("{}/{rest}", self.call.tid)).map_err(|_| Errno::INVAL.into())
    }

    /// Argument as the C `int` that the kernel takes it for.
    pub(super) fn int(&self, index: usize) -> i32 {
        self.arg(index) as u32 as i32
    }

    pub(super) fn arg(&self, index: usize) -> u64 {
        self.call.args.get(index).copied().unwrap_or(0)
    }
}

/// An enforcement point that does not know a duty refuses.
fn known_duties(permit: Permit) -> Result<Permit, Stop> {
    if permit.obligations.iter().all(|duty| *duty == Obligation::JudgeConfig) {
        Ok(permit)
    } else {
        Err(Errno::ACCESS.into())
    }
}

/// Set-user-id and set-group-id. Inside they have no effect (`nosuid`); outside, a file with them
/// would run as the person for every other user of the machine. No file gets them.
pub(super) const SET_ID: u32 = libc::S_ISUID | libc::S_ISGID;

/// The object's kind by its mode bits.
pub(super) fn kind_of(mode: libc::mode_t) -> FileKind {
    match mode & libc::S_IFMT {
        libc::S_IFREG => FileKind::File,
        libc::S_IFDIR => FileKind::Folder,
        libc::S_IFLNK => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

pub(super) fn is(mode: libc::mode_t, kind: libc::mode_t) -> bool {
    mode & libc::S_IFMT == kind
}

/// The calling thread enters the session's view for good: own directories, the session's root, no
/// capability in effect. One stays permitted, for [`sys::as_tracer`].
pub(super) fn enter_view(view: &View) -> io::Result<()> {
    sys::separate_directories()?;
    sys::fchdir(view.root.as_raw_fd())?;
    rustix::process::chroot(Path::new("."))?;
    rustix::thread::set_capabilities(
        None,
        rustix::thread::CapabilitySets {
            effective: rustix::thread::CapabilitySet::empty(),
            permitted: rustix::thread::CapabilitySet::SYS_PTRACE,
            inheritable: rustix::thread::CapabilitySet::empty(),
        },
    )?;
    Ok(())
}

/// An object by path in the thread's directory, without rights to its contents.
pub(super) fn open_path(path: &std::ffi::CStr, flags: i32, resolve: u64) -> sys::Result<OwnedFd> {
    let flags = (libc::O_PATH | libc::O_CLOEXEC | flags) as u64;
    sys::openat2(CWD, path, flags, 0, resolve | libc::RESOLVE_NO_MAGICLINKS)
}
