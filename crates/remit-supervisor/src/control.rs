//! How other terminals reach a running session: one JSON line each way over a Unix socket in the
//! session's folder, which no session can see.

use std::{
    fs, io,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::DirBuilderExt as _,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use remit_core::{Action, ApprovalId, Guard, Outcome, ReasonCode, Resource, SessionId, Timestamp};
use rustix::{
    fs::{FlockOperation, flock},
    io::{Errno, retry_on_intr},
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};

use crate::{ApprovalView, Desk, LifetimeChoice, RemitHome, limits};

/// A running session, as others see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its id.
    pub session: SessionId,
    /// `agent:version`.
    pub agent: String,
    /// The person.
    pub principal: String,
    /// The manifest's file.
    pub manifest: String,
    /// When it started.
    pub started: Timestamp,
    /// The supervisor's process.
    pub pid: u32,
    /// The program.
    pub program: String,
}

/// What is asked of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "call")]
pub enum Call {
    /// Who are you?
    Info,
    /// Which questions wait?
    Approvals,
    /// Yes.
    Approve {
        /// To which question.
        id: ApprovalId,
        /// For how long.
        lifetime: LifetimeChoice,
        /// Who says so.
        by: String,
    },
    /// No.
    Deny {
        /// To which question.
        id: ApprovalId,
        /// Who says so.
        by: String,
    },
    /// End at once.
    Kill {
        /// Who says so.
        #[serde(default)]
        by: String,
    },
}

/// What a session answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reply")]
pub enum Reply {
    /// To [`Call::Info`].
    Info(SessionInfo),
    /// To [`Call::Approvals`].
    Approvals {
        /// Oldest first.
        waiting: Vec<ApprovalView>,
    },
    /// It is done.
    Done,
    /// It is not.
    Failed {
        /// Why.
        message: String,
    },
}

/// Why a session could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No such session runs.
    #[error("no session `{0}` is running")]
    NotRunning(String),
    /// The connection failed.
    #[error("the session does not answer: {0}")]
    Io(#[from] io::Error),
    /// The answer makes no sense.
    #[error("the session answered in an unknown way: {0}")]
    Reply(#[from] serde_json::Error),
}

/// Longest line on either side.
const MOST_BYTES: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(5);
const SOCKET: &str = "control.sock";
const INFO: &str = "session.json";
/// Held by the supervisor as long as it lives, however it dies (flock(2)).
const LOCK: &str = "lock";

/// What a session's folder says, also when its supervisor does not answer.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(flatten)]
    info: SessionInfo,
    /// When the supervisor's process started, in clock ticks since boot: with its number this names
    /// one process, also after the number is used again.
    process_start: u64,
}

/// The session's folder with its socket; removed when dropped.
pub(crate) struct ControlSocket {
    folder: PathBuf,
    listener: Option<UnixListener>,
    _lock: fs::File,
}

impl ControlSocket {
    /// Makes the folder, and removes what killed supervisors have left of theirs.
    pub(crate) fn open(home: &RemitHome, info: &SessionInfo) -> io::Result<Self> {
        if let Err(error) = sweep(home) {
            tracing::warn!(%error, "leftovers of dead sessions could not be looked for");
        }
        // Named only when it is whole: locked, described, and listening.
        let fresh = home.sessions.join(format!(".{}", info.session));
        let folder = home.sessions.join(info.session.as_str());
        fs::DirBuilder::new().mode(0o700).create(&fresh)?;
        let made = (|| {
            let lock = fs::File::create_new(fresh.join(LOCK))?;
            // Waits only for somebody who looks whether it is held.
            retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive))?;
            let process_start = process_start(info.pid).unwrap_or_default();
            let saved = Saved { info: info.clone(), process_start };
            fs::write(fresh.join(INFO), serde_json::to_vec(&saved)?)?;
            let listener = with_short_path(&fresh, SOCKET, |path| UnixListener::bind(path))?;
            fs::rename(&fresh, &folder)?;
            Ok((lock, listener))
        })();
        match made {
            Ok((lock, listener)) => Ok(Self { folder, listener: Some(listener), _lock: lock }),
            Err(error) => {
                let _ = fs::remove_dir_all(&fresh);
                Err(error)
            }
        }
    }

    /// Answers calls in a thread of its own, until the process ends.
    pub(crate) fn serve(
        &mut self,
        info: SessionInfo,
        desk: Arc<Desk>,
        guard: Arc<Guard>,
        kill: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<()> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let kill = move |by: &str| {
            let resource = Resource::Other("session".into());
            let (outcome, reason) = (Outcome::Allowed, ReasonCode::SessionLife);
            let detail = Some(format!("killed by {by}"));
            // An end that a person wants comes whether or not it can be written.
            if let Err(error) = guard.note(Action::Contain, resource, outcome, reason, detail) {
                tracing::error!(%error, "the session's killing could not be recorded");
            }
            kill();
        };
        let serve = move || {
            for stream in listener.incoming().flatten() {
                if let Err(error) = answer(stream, &info, &desk, &kill) {
                    tracing::debug!(%error, "control call failed");
                }
            }
        };
        std::thread::Builder::new().name("control".into()).spawn(serve).map(drop)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn answer(
    stream: UnixStream,
    info: &SessionInfo,
    desk: &Desk,
    kill: &dyn Fn(&str),
) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    if peer.uid != rustix::process::geteuid() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(MOST_BYTES)).read_line(&mut line)?;
    let done = |result: Result<(), crate::approvals::AnswerError>| match result {
        Ok(()) => Reply::Done,
        Err(error) => Reply::Failed { message: error.to_string() },
    };
    let reply = match serde_json::from_str(&line) {
        Ok(Call::Info) => Reply::Info(info.clone()),
        Ok(Call::Approvals) => Reply::Approvals { waiting: desk.list() },
        Ok(Call::Approve { id, lifetime, by }) => done(desk.approve(&id, lifetime, &by)),
        Ok(Call::Deny { id, by }) => done(desk.deny(&id, &by)),
        Ok(Call::Kill { by }) => {
            kill(&by);
            Reply::Done
        }
        Err(error) => Reply::Failed { message: error.to_string() },
    };
    let mut bytes = serde_json::to_vec(&reply)?;
    bytes.push(b'\n');
    (&stream).write_all(&bytes)
}

/// A session that runs now.
#[derive(Clone, Debug, Serialize)]
pub struct Running {
    /// What it is.
    #[serde(flatten)]
    pub info: SessionInfo,
    /// Whether its supervisor answers. One that is stopped does not, and still holds the session.
    pub reachable: bool,
}

/// The sessions that run now. What killed supervisors have left is removed.
///
/// # Errors
/// The operating system's, when the folder cannot be read.
pub fn sessions(home: &RemitHome) -> io::Result<Vec<Running>> {
    let mut all = Vec::new();
    for (_, folder) in sweep(home)? {
        let answer = Client::connect(&folder).and_then(|client| client.call(&Call::Info));
        match answer {
            Ok(Reply::Info(info)) => all.push(Running { info, reachable: true }),
            // It has ended meanwhile where nothing can be read.
            _ => {
                let saved =
                    saved(&folder).map(|saved| Running { info: saved.info, reachable: false });
                all.extend(saved);
            }
        }
    }
    all.sort_by_key(|one| one.info.started);
    Ok(all)
}

/// Ends a session at once: asks its supervisor, which records who did it, and kills a supervisor
/// that does not answer, with which everything of the session ends.
///
/// # Errors
/// [`ControlError`]; the session may then still run.
pub fn kill_session(
    home: &RemitHome,
    session: &SessionId,
    by: &str,
) -> Result<Reply, ControlError> {
    let call = Call::Kill { by: by.to_owned() };
    let folder = home.sessions.join(session.as_str());
    let gone = || ControlError::NotRunning(session.to_string());
    let (reached, error) = match Client::connect(&folder) {
        Ok(client) => match client.call(&call) {
            Ok(reply) => return Ok(reply),
            Err(error) => (true, error),
        },
        Err(error) => (false, error),
    };
    if is_held(&folder) != Some(true) {
        // One that was reached and is gone has ended as it was told to.
        return if reached { Ok(Reply::Done) } else { Err(gone()) };
    }
    let saved = saved(&folder).ok_or(error)?;
    let pid = i32::try_from(saved.info.pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    // The descriptor first: it stays with the one process whose start is looked at then.
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from)?;
    if process_start(saved.info.pid) != Some(saved.process_start) {
        return Err(gone());
    }
    pidfd_send_signal(&process, Signal::KILL).map_err(io::Error::from)?;
    Ok(Reply::Done)
}

/// Removes what killed supervisors have left, folders and control groups, and returns the others.
fn sweep(home: &RemitHome) -> io::Result<Vec<(SessionId, PathBuf)>> {
    let entries = match fs::read_dir(&home.sessions) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut held = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let fresh = name.strip_prefix('.');
        let Ok(session) = fresh.unwrap_or(name).parse::<SessionId>() else { continue };
        let folder = entry.path();
        match is_held(&folder) {
            Some(true) if fresh.is_none() => held.push((session, folder)),
            Some(true) => {}
            // One under construction takes its lock within moments.
            _ if fresh.is_some() && !is_old(&folder) => {}
            _ => {
                // The folder last: while it is there, the next sweep tries again.
                if limits::remove_left(&session) {
                    let _ = fs::remove_dir_all(&folder);
                }
            }
        }
    }
    Ok(held)
}

/// Whether a supervisor lives that holds this folder; `None` without a lock to ask.
fn is_held(folder: &Path) -> Option<bool> {
    let lock = fs::File::open(folder.join(LOCK)).ok()?;
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Some(false),
        Err(Errno::WOULDBLOCK) => Some(true),
        // What cannot be judged is left alone.
        Err(_) => Some(true),
    }
}

fn is_old(folder: &Path) -> bool {
    let changed = fs::metadata(folder).and_then(|meta| meta.modified());
    changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > Duration::from_secs(60)))
}

fn saved(folder: &Path) -> Option<Saved> {
    let file = fs::File::open(folder.join(INFO)).ok()?;
    serde_json::from_reader(file.take(MOST_BYTES)).ok()
}

/// Field 22 of proc_pid_stat(5).
fn process_start(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// A connection to one session, for one call.
#[derive(Debug)]
pub struct Client(UnixStream);

impl Client {
    /// Reaches the session with this id.
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] when there is none.
    pub fn reach(home: &RemitHome, session: &SessionId) -> Result<Self, ControlError> {
        Self::connect(&home.sessions.join(session.as_str()))
            .map_err(|_| ControlError::NotRunning(session.to_string()))
    }

    fn connect(folder: &Path) -> Result<Self, ControlError> {
        let stream = with_short_path(folder, SOCKET, connect)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// Makes the call and waits for its answer.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn call(self, call: &Call) -> Result<Reply, ControlError> {
        let mut bytes = serde_json::to_vec(call)?;
        bytes.push(b'\n');
        (&self.0).write_all(&bytes)?;
        let mut line = String::new();
        BufReader::new((&self.0).take(MOST_BYTES)).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// Connects, but waits no longer than [`PATIENCE`] for a supervisor that takes no calls
/// (`SO_SNDTIMEO`, unix(7)).
fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

/// Socket paths end at 108 bytes, folders do not: goes through the folder's descriptor.
fn with_short_path<T>(
    folder: &Path,
    name: &str,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let folder = fs::File::open(folder)?;
    act(Path::new(&format!("/proc/self/fd/{}/{name}", folder.as_raw_fd())))
}
