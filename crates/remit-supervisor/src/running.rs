//! What runs now on this machine, and its end.

use std::{io, os::fd::OwnedFd, time::Duration};

use remit_audit::{AuditLog, LogOptions, LogPaths, intend};
use remit_core::{Action, SessionId};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde::Serialize;

use crate::{
    Call, Client, ControlError, RemitHome, Reply, SessionInfo,
    folders::{Saved, is_held, process_start, saved, sweep},
};

/// How long a supervisor may take to die, and the log to take a record.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a kill waits for its record.
const SOON: Duration = Duration::from_secs(2);

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
    for folder in sweep(home)? {
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
    let folder = home.sessions.join(session.as_str());
    let (reached, error) = match Client::connect(&folder) {
        Ok(client) => match client.call(&Call::Kill { by: by.to_owned() }) {
            Ok(reply) => return Ok(reply),
            Err(error) => (true, error),
        },
        Err(error) => (false, error),
    };
    match (is_held(&folder), saved(&folder)) {
        (Some(true), Some(saved)) => {
            let Some(supervisor) = supervisor(&saved) else { return Err(error) };
            kill_and_record(home, &supervisor, &saved.info, by)?;
            Ok(Reply::Done)
        }
        (Some(true), None) => Err(error),
        // One that was reached and is gone has ended as it was told to.
        _ if reached => Ok(Reply::Done),
        _ => Err(ControlError::NotRunning(session.to_string())),
    }
}

/// The process that a folder names, and no other that has its number by now.
fn supervisor(saved: &Saved) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(saved.info.pid).ok()?)?;
    // The descriptor first: it stays with the one process whose start is looked at then.
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    (process_start(saved.info.pid) == Some(saved.process_start)).then_some(process)
}

/// Kills a supervisor and records who did, in its place. The record comes first: in the log where
/// that is open to us soon; else, where the one that is stopped may hold the log's lock, in a file
/// beside it that whoever opens the log next takes in. An end that a person wants comes also when
/// nothing can be written at all.
fn kill_and_record(
    home: &RemitHome,
    supervisor: &OwnedFd,
    info: &SessionInfo,
    by: &str,
) -> io::Result<()> {
    let paths = LogPaths { audit: home.audit.clone(), keys: home.config.clone() };
    let (resource, detail) = (what(&info.session), format!("killed by {by}"));
    let intended = intend(&paths, Action::Contain, &resource, &detail);
    if let Err(error) = &intended {
        tracing::error!(%error, "the session's killing could not be written down before");
    }
    let (done, noted) = std::sync::mpsc::channel();
    // In a thread, for the log may be locked. Opening it takes in what is written down.
    std::thread::spawn(move || {
        let noted = AuditLog::open(paths, LogOptions::default()).and_then(|log| {
            if intended.is_err() {
                log.note(Action::Contain, &resource, detail)?;
            }
            log.close()
        });
        let _ = done.send(noted.map_err(|error| error.to_string()));
    });
    let first = noted.recv_timeout(SOON);
    pidfd_send_signal(supervisor, Signal::KILL)?;
    let wait = Timespec::try_from(PATIENCE).ok();
    let _ = poll(&mut [PollFd::new(supervisor, PollFlags::IN)], wait.as_ref());
    let noted = first.or_else(|_| noted.recv_timeout(PATIENCE)).map_err(|error| error.to_string());
    if let Err(error) = noted.and_then(|noted| noted) {
        tracing::error!(%error, "the session's killing is not in the log yet");
    }
    Ok(())
}

/// How the trail names a session that somebody ended.
pub(crate) fn what(session: &SessionId) -> String {
    format!("session {session}")
}
