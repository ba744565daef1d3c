//! Mediation: the session's own opens, creations, renames, links, removals, programs and sockets
//! are performed *for* it by the supervisor (seccomp user notification).
//!
//! A notified call is resolved once, on descriptors; its canonical path is decided and recorded by
//! the [`Guard`]; then the very object that was resolved is acted upon, and a descriptor handed
//! over. Nothing the agent does meanwhile (swapping paths in memory, links on disk, descriptors)
//! can change what was decided, because nothing is looked up twice.
//!
//! `SECCOMP_USER_NOTIF_FLAG_CONTINUE` lets the kernel do the call from the agent's memory, which
//! may have changed. It is used only for what needs no decision; whatever a racing thread puts in
//! the call's place then meets Landlock, which gives the agent no right at all on granted folders
//! and scratch. Mediation without that Landlock domain protects nothing.
//!
//! Threads: one loop in `NOTIF_RECV`, helpers when it cannot keep up, and a bounded pool for calls
//! that wait (a person, a FIFO, a connection). All are chrooted into the session's view and
//! without capabilities, so they act with the agent's rights. **They call the guard's ports**: a
//! `Pdp`, `AuditSink` or `Approver` must not open files by path in the calling thread.

mod absent;
mod attr;
mod awake;
mod config;
mod create;
mod dispatch;
mod elf;
mod exec;
mod fifo;
mod folder;
mod link;
mod memory;
mod net;
mod open;
mod place;
mod proc_status;
mod rename;
mod start;
mod sys;
mod table;
mod threads;
mod tree;
mod turn;

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use remit_core::Guard;

pub use table::{ArgTest, NotifyRule, notify_syscalls};

/// What the agent sees, as the mediator needs it.
#[derive(Debug)]
pub struct View {
    /// `O_PATH` of the session's root directory, opened inside its mount namespace.
    pub root: OwnedFd,
    /// The host's `/proc`, of the supervisor's own pid namespace, `O_PATH | O_DIRECTORY`.
    pub proc: OwnedFd,
    /// Prefixes that the kernel serves natively under Landlock: system folders, `/proc`, `/dev`.
    pub native: Vec<PathBuf>,
    /// Prefixes that are the session's own and thrown away: `/tmp`, the home, `/dev/shm`.
    /// Performed without asking and without a record.
    pub scratch: Vec<PathBuf>,
    /// Granted places of the host, always decided on, also below a scratch prefix. The folders
    /// that lead to them cannot be renamed: a grant under another name would look like scratch.
    pub granted: Vec<PathBuf>,
    /// `O_PATH` of the host's root directory, to tell "does not exist" from "is not granted" for
    /// the record. The agent sees `ENOENT` for both.
    pub host_root: Option<OwnedFd>,
    /// Programs are limited to a list: files in native folders are opened by the mediator, which
    /// refuses programs that are not listed (`ld.so PROGRAM`, copies read for execution).
    pub list_mode: bool,
    /// Canonical paths of the ELF loaders. A program that is handed to one of them is started, by
    /// another way than `execve`.
    pub loaders: Vec<PathBuf>,
}

/// Whether a program may now be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// Go on.
    Ready,
    /// Somebody else's start goes first; ask where waiting is possible.
    Later,
    /// Somebody else's start went first; decide again.
    Again,
    /// The program cannot be made executable; the agent sees `EACCES`.
    Refused,
}

/// Who starts a program.
#[derive(Clone, Copy, Debug)]
pub struct Starter {
    /// The thread.
    pub thread: u32,
    /// Its call. A script and its interpreters belong to one.
    pub call: u64,
    /// Whether the answer may take seconds; else it must be quick.
    pub may_wait: bool,
}

/// Told about each program right before the kernel starts it.
pub trait Programs: Send + Sync {
    /// `path` is canonical, permitted and recorded. Called in a mediator thread (chrooted, no
    /// capabilities).
    fn before_exec(&self, path: &Path, by: Starter) -> Prepared;
}

/// Programs need no preparation.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsTheyAre;

impl Programs for AsTheyAre {
    fn before_exec(&self, _path: &Path, _by: Starter) -> Prepared {
        Prepared::Ready
    }
}

/// A running mediator.
#[derive(Debug)]
pub struct Mediator(threads::Threads);

impl Mediator {
    /// Starts serving `listener`, the descriptor of a seccomp filter that notifies for
    /// [`notify_syscalls`]. Must run with `CAP_SYS_CHROOT` in the caller's user namespace.
    ///
    /// # Errors
    /// The operating system's, when a thread cannot be set up; nothing is served then.
    pub fn start(
        listener: OwnedFd,
        view: View,
        guard: Arc<Guard>,
        programs: Arc<dyn Programs>,
    ) -> io::Result<Self> {
        threads::Threads::start(turn::Shared::new(listener, view, guard, programs)?).map(Self)
    }

    /// Ends service and waits for its threads. Calls that still wait are answered by the kernel
    /// (`ENOSYS`) once the listener is closed.
    pub fn stop(self) {
        self.0.stop();
    }
}
