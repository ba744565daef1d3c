//! How other terminals reach a running session: one JSON line each way over a Unix socket in the
//! session's folder, which no session can see.

use std::{
    fs, io,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use remit_core::{Action, ApprovalId, Guard, Outcome, ReasonCode, Resource, SessionId, Timestamp};
use remit_egress::{ConnectionInfo, Egress, EgressSummary};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with,
    sockopt::{Timeout, set_socket_timeout},
};
use serde::{Deserialize, Serialize};

use crate::{
    ApprovalView, Desk, LifetimeChoice, RemitHome,
    folders::{SessionFolder, sweep},
    running,
};

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
    /// What goes out, and where to?
    Egress,
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
    /// To [`Call::Egress`].
    Egress(EgressView),
    /// It is done.
    Done,
    /// It is not.
    Failed {
        /// Why.
        message: String,
    },
}

/// A session's network traffic at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EgressView {
    /// Totals, also by host.
    pub summary: EgressSummary,
    /// Connections open now, the newest first; no more than [`MOST_CONNECTIONS`].
    pub connections: Vec<ConnectionInfo>,
}

/// Connections that one answer tells of.
pub const MOST_CONNECTIONS: usize = 512;

impl EgressView {
    fn of(egress: &Egress) -> Self {
        let mut connections = egress.connections();
        connections.sort_by_key(|one| std::cmp::Reverse(one.since));
        connections.truncate(MOST_CONNECTIONS);
        Self { summary: egress.summary(), connections }
    }
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

/// The session's folder with its socket; removed when dropped.
pub(crate) struct ControlSocket {
    _folder: SessionFolder,
    listener: Option<UnixListener>,
}

impl ControlSocket {
    /// Makes the folder, and removes what killed supervisors have left of theirs.
    pub(crate) fn open(home: &RemitHome, info: &SessionInfo) -> io::Result<Self> {
        if let Err(error) = sweep(home) {
            tracing::warn!(%error, "leftovers of dead sessions could not be looked for");
        }
        // A folder that has its name also listens.
        let listen =
            |folder: &Path| with_short_path(folder, SOCKET, |path| UnixListener::bind(path));
        let (folder, listener) = SessionFolder::make(home, info, listen)?;
        Ok(Self { _folder: folder, listener: Some(listener) })
    }

    /// Answers calls in a thread of its own, until the process ends.
    pub(crate) fn serve(
        &mut self,
        info: SessionInfo,
        desk: Arc<Desk>,
        egress: Weak<Egress>,
        guard: Arc<Guard>,
        kill: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<()> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let kill = move |by: &str| {
            let resource = Resource::Other(running::what(&guard.session().id));
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
                if let Err(error) = answer(stream, &info, &desk, &egress, &kill) {
                    tracing::debug!(%error, "control call failed");
                }
            }
        };
        std::thread::Builder::new().name("control".into()).spawn(serve).map(drop)
    }
}

fn answer(
    stream: UnixStream,
    info: &SessionInfo,
    desk: &Desk,
    egress: &Weak<Egress>,
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
        // A session that has just ended sends nothing any more.
        Ok(Call::Egress) => Reply::Egress(
            egress.upgrade().map_or_else(EgressView::default, |egress| EgressView::of(&egress)),
        ),
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

    pub(crate) fn connect(folder: &Path) -> Result<Self, ControlError> {
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
