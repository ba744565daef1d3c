//! Hands of the supervisor inside the session: threads that have entered its network or mount
//! namespace and do one kind of work there. No helper process is needed, because the supervisor
//! lives in the user namespace that owns both.

use std::{
    io,
    net::{SocketAddrV4, TcpListener, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use crate::setup::{cover, sys};

type Job = Box<dyn FnOnce() + Send>;

/// A thread in another namespace that runs jobs one after the other.
struct Inside {
    jobs: Sender<Job>,
}

impl Inside {
    fn enter(
        name: &str,
        enter: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, inbox): (Sender<Job>, Receiver<Job>) = channel();
        let (ready, entered): (SyncSender<io::Result<()>>, _) = sync_channel(1);
        thread::Builder::new().name(name.into()).stack_size(256 << 10).spawn(move || {
            let result = enter();
            let failed = result.is_err();
            let _ = ready.send(result);
            if !failed {
                inbox.iter().for_each(|job| job());
            }
        })?;
        entered.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))??;
        Ok(Self { jobs })
    }

    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (answer, result) = sync_channel(1);
        self.jobs
            .send(Box::new(move || {
                let _ = answer.send(job());
            }))
            .map_err(|_| gone())?;
        result.recv().map_err(|_| gone())?
    }
}

/// Makes sockets inside the session's network namespace.
pub struct NetworkInside(Inside);

impl NetworkInside {
    /// Enters the namespace.
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(network: OwnedFd) -> io::Result<Self> {
        Inside::enter("net-inside", move || sys::setns(network.as_fd(), libc::CLONE_NEWNET))
            .map(Self)
    }

    /// A listening TCP socket.
    ///
    /// # Errors
    /// The kernel's, `AddrInUse` for example.
    pub fn listen(&self, at: SocketAddrV4) -> io::Result<TcpListener> {
        self.0.run(move || TcpListener::bind(at))
    }

    /// A bound UDP socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn datagram(&self, at: SocketAddrV4) -> io::Result<UdpSocket> {
        self.0.run(move || UdpSocket::bind(at))
    }
}

/// Changes mounts inside a running session.
pub struct MountsInside(Inside);

impl MountsInside {
    /// Enters the mount namespace and its root.
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(mounts: OwnedFd) -> io::Result<Self> {
        Inside::enter("mounts-inside", move || {
            sys::unshare(libc::CLONE_FS)?;
            sys::setns(mounts.as_fd(), libc::CLONE_NEWNS)
        })
        .map(Self)
    }

    /// Takes the mount at `path` away, with everything below it. Descriptors stay open.
    ///
    /// # Errors
    /// The kernel's; EINVAL where nothing is mounted.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        use rustix::mount::UnmountFlags;
        let path: PathBuf = path.to_owned();
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        self.0.run(move || changing(|| Ok(rustix::mount::unmount(&path, flags)?)))
    }

    /// Covers `path` with something empty that cannot be changed. The mounts at `kept`, below
    /// `path`, stay reachable under their names, and stay the same mounts. Nothing happens where
    /// there is nothing at `path`.
    ///
    /// # Errors
    /// The kernel's. Nothing is covered then, or not everything that is kept is reachable.
    pub fn cover(&self, path: &Path, kept: &[PathBuf]) -> io::Result<()> {
        let (path, kept) = (path.to_owned(), kept.to_vec());
        self.0.run(move || changing(|| cover::cover(&path, kept)))
    }

    /// Lets the program mounted at `path` run, or no longer.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_runnable(&self, path: &Path, runnable: bool) -> io::Result<()> {
        let path: PathBuf = path.to_owned();
        self.0.run(move || {
            use rustix::fs::{CWD, Mode, OFlags};
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let at = rustix::fs::openat(CWD, &path, flags, Mode::empty())?;
            let (set, clear) = if runnable { (0, sys::NO_EXEC) } else { (sys::NO_EXEC, 0) };
            sys::mount_setattr(at.as_fd(), set, clear, false)
        })
    }
}

/// How often this process has changed what lies where inside a session.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// A number that is another one after each change of mounts. While one is under way too.
pub(crate) fn mounts_changed() -> u64 {
    CHANGES.load(Ordering::SeqCst)
}

fn changing<T>(change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    CHANGES.fetch_add(1, Ordering::SeqCst);
    let done = change();
    CHANGES.fetch_add(1, Ordering::SeqCst);
    done
}
