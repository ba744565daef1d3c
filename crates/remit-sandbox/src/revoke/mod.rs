//! Ends of file grants in a running session: what the agent's processes still hold open dies in
//! place, and the program lives on.
//!
//! Names go by unmounting and by policy; this module takes what names do not govern any more:
//! descriptors, mappings and working directories, in every process of the session. All threads of
//! the session are stopped (`ptrace(2)`, `PTRACE_SEIZE`), what they hold is read from `/proc`, and
//! the holding process itself is made to run the system calls that let go: a descriptor becomes an
//! empty `epoll` object (reads and writes fail with `EINVAL`, and the number is not given out
//! again by accident), a mapping becomes zeroes, a working directory becomes `/`. Interrupted
//! calls restart. A process that still holds on after that (one that sealed its mappings, filtered
//! its own system calls or cannot be read) is killed and counted.
//!
//! **What is recognised.** A file belongs to an ended place if it was opened through a mount that
//! stands at or below the place: the mount's number (`mnt_id`) sticks to a descriptor through
//! renames, removals and the unmount itself. A place inside a wider mount is recognised by the
//! file's present path. Mappings carry no mount number: while the place is mounted they are
//! recognised by path, later by device and by not being part of the session's tree.
//!
//! **The window.** A descriptor that lies in a Unix socket's queue (`SCM_RIGHTS`) is held by no
//! process, and so is one that a call decided just before the end is about to bring. Call
//! [`Revoker::sweep`] every 250 ms as long as something has ended: it finds both once a process
//! holds them, and from one second after the end it looks into the queues too and makes the
//! sockets dead that carry an ended file (or carry what cannot be looked at: descriptors sent over
//! a connection that nobody has accepted). Until then such a descriptor works. A thread that
//! cannot stop (waiting for a person's answer, or for its `vfork` child) cannot use anything
//! either; it is kept under trace and dealt with before it runs another instruction.
//!
//! Not covered: `inotify` watches go on telling names of an ended folder.

mod find;
mod maps;
mod place;
mod proc;
mod queue;
mod regs;
mod sys;
mod visit;
mod work;
mod world;

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::mpsc::{Sender, SyncSender, channel, sync_channel},
    thread::JoinHandle,
};

use remit_core::FileMode;
use rustix::process::Pid;

use work::Worker;

/// The session as a revoker needs it.
#[derive(Debug)]
pub struct Session {
    /// `O_PATH` of the session's root directory.
    pub root: OwnedFd,
    /// The `/proc` of the supervisor's own pid namespace, `O_PATH | O_DIRECTORY`.
    pub proc: OwnedFd,
    /// The session's first process, in the supervisor's view. It is trusted and left alone.
    pub init: Pid,
}

/// Which rights end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// All: nothing of the place may stay open.
    All,
    /// Writing; what is open for reading alone stays open.
    Write,
}

/// A place inside an ended one that has a right of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// A file, or a folder with everything below it.
    pub path: PathBuf,
    /// What is still allowed there.
    pub mode: FileMode,
}

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Descriptors made dead, duplicates counted one by one.
    pub descriptors: usize,
    /// Mappings replaced by zeroes.
    pub mappings: usize,
    /// Working directories moved to `/`.
    pub folders: usize,
    /// Processes killed because they would not let go.
    pub killed: usize,
    /// Processes that still hold something and cannot run before they have been dealt with.
    pub pending: usize,
}

enum Command {
    TakeAway(PathBuf, Rights, Vec<Kept>, SyncSender<io::Result<Outcome>>),
    AllowAgain(Kept),
    Sweep(SyncSender<io::Result<Outcome>>),
}

/// Takes away what a session's processes hold. One thread of its own does all the work, because
/// a traced thread belongs to the thread that traces it.
pub struct Revoker {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Revoker {
    /// A revoker for one session. Needs the user namespace that owns the session's, as the
    /// supervisor has it.
    ///
    /// # Errors
    /// The kernel's, when no thread can be started.
    pub fn new(session: Session) -> io::Result<Self> {
        let (commands, inbox) = channel();
        let mut worker = Worker::new(session);
        let thread = std::thread::Builder::new()
            .name("remit-revoke".into())
            .stack_size(512 << 10)
            .spawn(move || worker.run(&inbox))?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// Ends `what` at and below `path` in all processes of the session, except where `kept` says
    /// otherwise. Call it when the policy refuses already and **before** the place is unmounted.
    /// The place is remembered for [`Revoker::sweep`].
    ///
    /// # Errors
    /// The kernel's. Nothing is assumed to be taken away then; try again or end the session.
    pub fn take_away(&self, path: &Path, what: Rights, kept: &[Kept]) -> io::Result<Outcome> {
        let (answer, result) = sync_channel(1);
        self.send(Command::TakeAway(path.to_owned(), what, kept.to_vec(), answer))?;
        result.recv().map_err(|_| gone())?
    }

    /// Searches once more for all that has ended so far. Cheap when nothing is found: nobody is
    /// stopped.
    ///
    /// # Errors
    /// The kernel's.
    pub fn sweep(&self) -> io::Result<Outcome> {
        let (answer, result) = sync_channel(1);
        self.send(Command::Sweep(answer))?;
        result.recv().map_err(|_| gone())?
    }

    /// A new right at a place that had ended, or at one that contains or lies inside such a place.
    /// Call it before the new right takes effect.
    ///
    /// # Errors
    /// When the revoker's thread is gone.
    pub fn allow_again(&self, path: &Path, mode: FileMode) -> io::Result<()> {
        self.send(Command::AllowAgain(Kept { path: path.to_owned(), mode }))
    }

    fn send(&self, command: Command) -> io::Result<()> {
        let commands = self.commands.as_ref().ok_or_else(gone)?;
        commands.send(command).map_err(|_| gone())
    }
}

impl Drop for Revoker {
    fn drop(&mut self) {
        // The thread ends when nobody can command it; the kernel then lets go of what it traces.
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::BrokenPipe)
}
