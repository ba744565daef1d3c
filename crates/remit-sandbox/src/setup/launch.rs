//! The supervisor's side of a session's start.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    process::{Pid, PidfdFlags, WaitOptions},
};

pub use super::init::Standard;
use super::{
    init::{self, Order, Report},
    sys,
};
use crate::{
    plan::SessionPlan,
    report::{At as _, Layer, LayerError},
};

/// A session whose tree and namespaces stand; nothing of the agent runs yet.
pub struct Launched {
    /// Its first process, in the supervisor's view.
    pub init: Pid,
    /// The same as a descriptor.
    pub pidfd: OwnedFd,
    /// The root of its tree (`O_PATH`).
    pub root: OwnedFd,
    /// Its mount namespace.
    pub mounts: OwnedFd,
    /// Its network namespace.
    pub network: OwnedFd,
    control: OwnedFd,
}

/// How a session's program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It could not be started: errno of `execve`.
    NotStarted(i32),
    /// Exit status, or 128 + signal.
    Exited(i32),
}

/// A session under construction, in a process of its own.
pub struct Forked {
    init: Pid,
    control: OwnedFd,
}

/// Forks the session's first process into its own namespaces. The caller may start threads from
/// here on, while the inside builds its walls.
///
/// The process must be in its own user namespace
/// ([`enter_supervisor_namespace`](super::enter_supervisor_namespace)).
///
/// # Errors
/// [`LayerError`] when the process has more than one thread (a fork would copy locks that nobody
/// releases), or the kernel refuses the namespaces.
pub fn fork_session(plan: &SessionPlan, standard: &Standard) -> Result<Forked, LayerError> {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .at("process", "connect", "")?;
    let flags = libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    let threads = std::fs::read_dir("/proc/self/task").at("process", "count threads", "")?.count();
    if threads != 1 {
        return Err(LayerError {
            layer: "process".into(),
            step: "fork".into(),
            subject: String::new(),
            cause: format!("{threads} threads are running; there must be one"),
            errno: libc::EINVAL,
        });
    }
    // SAFETY: this thread is the only one, and so nobody can start another.
    let pid = match unsafe { sys::fork_into(flags) }.at("namespaces", "create", "")? {
        sys::Fork::Child => {
            drop(ours);
            init::run(plan, standard, theirs)
        }
        sys::Fork::Parent(pid) => pid,
    };
    let init = Pid::from_raw(pid)
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        .at("process", "fork", "")?;
    Ok(Forked { init, control: ours })
}

impl Forked {
    /// Waits until the tree and the namespaces stand.
    ///
    /// # Errors
    /// [`LayerError`] of the layer that could not be built; nothing is left behind.
    pub fn built(self) -> Result<Launched, LayerError> {
        match next(&self.control)? {
            (Report::Built, _) => {}
            (Report::Failed(error), _) => return Err(error),
            _ => return Err(surprising()),
        }
        let pid = self.init.as_raw_nonzero();
        let open = |name: &str, flags: OFlags| {
            let path = format!("/proc/{pid}/{name}");
            rustix::fs::openat(CWD, &path, flags | OFlags::CLOEXEC, Mode::empty()).at(
                "namespaces",
                "open",
                &path,
            )
        };
        let pidfd = rustix::process::pidfd_open(self.init, PidfdFlags::empty());
        Ok(Launched {
            init: self.init,
            pidfd: pidfd.at("process", "open", "")?,
            root: open("root", OFlags::PATH | OFlags::DIRECTORY)?,
            mounts: open("ns/mnt", OFlags::RDONLY)?,
            network: open("ns/net", OFlags::RDONLY)?,
            control: self.control,
        })
    }
}

impl Launched {
    /// Lets the inside put its last layers in force, beside whatever the caller does meanwhile.
    /// What is to hold for all of the session (a control group, its terminal) must be there.
    ///
    /// # Errors
    /// [`LayerError`] when the inside is gone.
    pub fn begin_enforcing(&self) -> Result<(), LayerError> {
        init::send(&self.control, &Order::Enforce, None).at("process", "order", "")
    }

    /// Waits until they are. Returns what is in force, and the notification descriptor on which
    /// the program's mediated calls will arrive.
    ///
    /// # Errors
    /// [`LayerError`] of the layer that could not be put in force; nothing ran.
    pub fn enforced(&self) -> Result<(Vec<Layer>, OwnedFd), LayerError> {
        match next(&self.control)? {
            (Report::Enforced(layers), Some(listener)) => Ok((layers, listener)),
            (Report::Failed(error), _) => Err(error),
            _ => Err(surprising()),
        }
    }

    /// Starts the program. Someone must be answering its mediated calls by now.
    ///
    /// # Errors
    /// [`LayerError`] when the inside is gone.
    pub fn start(&self) -> Result<(), LayerError> {
        init::send(&self.control, &Order::Start, None).at("process", "order", "")
    }

    /// Sends a signal to the program.
    pub fn signal(&self, number: i32) {
        let _ = init::send(&self.control, &Order::Signal(number), None);
    }

    /// Ends everything in the session at once.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
    }

    /// Waits until the program has ended and nothing of the session is left.
    ///
    /// # Errors
    /// The kernel's, when the first process cannot be waited for.
    pub fn wait(&self) -> io::Result<Ending> {
        let mut ending = None;
        while let Ok((report, _)) = next(&self.control) {
            match report {
                Report::NotStarted(errno) => ending = Some(Ending::NotStarted(errno)),
                Report::Ended(status) => ending = ending.or(Some(Ending::Exited(status))),
                _ => {}
            }
        }
        let status = rustix::process::waitpid(Some(self.init), WaitOptions::empty())?;
        let code = status.map_or(125, |(_, status)| init::exit_code(status));
        Ok(ending.unwrap_or(Ending::Exited(code)))
    }

    /// A copy of the handle that only signals and kills, for other threads.
    ///
    /// # Errors
    /// The kernel's, when descriptors run out.
    pub fn remote(&self) -> io::Result<Remote> {
        Ok(Remote { control: self.control.try_clone()?, pidfd: self.pidfd.try_clone()? })
    }
}

/// Signals and kills a session from another thread.
pub struct Remote {
    control: OwnedFd,
    pidfd: OwnedFd,
}

impl Remote {
    /// Sends a signal to the program.
    pub fn signal(&self, number: i32) {
        let _ = init::send(&self.control, &Order::Signal(number), None);
    }

    /// Ends everything in the session at once.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
    }
}

fn next(control: &OwnedFd) -> Result<(Report, Option<OwnedFd>), LayerError> {
    let mut buffer = [0u8; 8192];
    let (got, fd) = sys::receive_with_fd(control.as_fd(), &mut buffer).at("process", "hear", "")?;
    let bytes = buffer.get(..got).unwrap_or_default();
    let report = serde_json::from_slice(bytes).map_err(|_| surprising())?;
    Ok((report, fd))
}

fn surprising() -> LayerError {
    LayerError {
        layer: "process".into(),
        step: "start".into(),
        subject: String::new(),
        cause: "the session's first process ended early".into(),
        errno: 0,
    }
}
