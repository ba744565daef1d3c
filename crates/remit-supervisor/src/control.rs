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

use remit_core::{ApprovalId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{ApprovalView, Desk, LifetimeChoice, RemitHome};

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
    Kill,
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
const FRESH: &str = "control.sock.new";
const INFO: &str = "session.json";

/// The session's folder with its socket; removed when dropped.
pub(crate) struct ControlSocket {
    folder: PathBuf,
    listener: Option<UnixListener>,
}

impl ControlSocket {
    pub(crate) fn open(home: &RemitHome, info: &SessionInfo) -> io::Result<Self> {
        let folder = home.sessions.join(info.session.as_str());
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let mut own = Self { folder, listener: None };
        fs::write(own.folder.join(INFO), serde_json::to_vec(info)?)?;
        // Named only when it listens: a socket that refuses connections is taken for one that a
        // dead session left behind.
        let fresh = own.folder.join(FRESH);
        own.listener = Some(with_short_path(&own.folder, FRESH, |path| UnixListener::bind(path))?);
        fs::rename(fresh, own.folder.join(SOCKET))?;
        Ok(own)
    }

    /// Answers calls in a thread of its own, until the process ends.
    pub(crate) fn serve(
        &mut self,
        info: SessionInfo,
        desk: Arc<Desk>,
        kill: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<()> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
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

fn answer(stream: UnixStream, info: &SessionInfo, desk: &Desk, kill: &dyn Fn()) -> io::Result<()> {
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
        Ok(Call::Kill) => {
            kill();
            Reply::Done
        }
        Err(error) => Reply::Failed { message: error.to_string() },
    };
    let mut bytes = serde_json::to_vec(&reply)?;
    bytes.push(b'\n');
    (&stream).write_all(&bytes)
}

/// The sessions that run now. Folders of sessions that died without cleaning up are removed.
///
/// # Errors
/// The operating system's, when the folder cannot be read.
pub fn sessions(home: &RemitHome) -> io::Result<Vec<SessionInfo>> {
    let entries = match fs::read_dir(&home.sessions) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        match Client::connect(&folder).and_then(|client| client.call(&Call::Info)) {
            Ok(Reply::Info(info)) => all.push(info),
            Err(ControlError::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let _ = fs::remove_dir_all(&folder);
            }
            _ => {}
        }
    }
    all.sort_by(|a, b| a.started.cmp(&b.started));
    Ok(all)
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
        let stream = with_short_path(folder, SOCKET, |path| UnixStream::connect(path))?;
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

/// Socket paths end at 108 bytes, folders do not: goes through the folder's descriptor.
fn with_short_path<T>(
    folder: &Path,
    name: &str,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let folder = fs::File::open(folder)?;
    act(Path::new(&format!("/proc/self/fd/{}/{name}", folder.as_raw_fd())))
}
