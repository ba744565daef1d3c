//! Folders of running sessions: who holds which, and what killed supervisors have left.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use remit_core::SessionId;
use rustix::{
    fs::{FlockOperation, flock},
    io::{Errno, retry_on_intr},
};
use serde::{Deserialize, Serialize};

use crate::{RemitHome, SessionInfo, groups};

const INFO: &str = "session.json";
/// Held by the supervisor as long as it lives, however it dies (flock(2)).
const LOCK: &str = "lock";
/// More than any description of a session has.
const MOST_BYTES: u64 = 1 << 20;

/// What a session's folder says, also when its supervisor does not answer.
#[derive(Serialize, Deserialize)]
pub(crate) struct Saved {
    #[serde(flatten)]
    pub(crate) info: SessionInfo,
    /// When the supervisor's process started, in clock ticks since boot: with its number this names
    /// one process, also after the number is used again.
    pub(crate) process_start: u64,
}

/// The folder of this process's session; removed when dropped.
pub(crate) struct SessionFolder {
    path: PathBuf,
    _lock: fs::File,
}

impl SessionFolder {
    /// Makes the folder. It gets its name only when it is whole: locked, described, and filled.
    pub(crate) fn make<T>(
        home: &RemitHome,
        info: &SessionInfo,
        fill: impl FnOnce(&Path) -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        let fresh = home.sessions.join(format!(".{}", info.session));
        let path = home.sessions.join(info.session.as_str());
        fs::DirBuilder::new().mode(0o700).create(&fresh)?;
        let make = || {
            let lock = fs::File::create_new(fresh.join(LOCK))?;
            // Waits only for somebody who looks whether it is held.
            retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive))?;
            let process_start = process_start(info.pid).unwrap_or_default();
            let saved = Saved { info: info.clone(), process_start };
            fs::write(fresh.join(INFO), serde_json::to_vec(&saved)?)?;
            let filled = fill(&fresh)?;
            fs::rename(&fresh, &path)?;
            Ok((lock, filled))
        };
        match make() {
            Ok((lock, filled)) => Ok((Self { path, _lock: lock }, filled)),
            Err(error) => {
                let _ = fs::remove_dir_all(&fresh);
                Err(error)
            }
        }
    }
}

impl Drop for SessionFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what killed supervisors have left, folders and control groups, and returns the folders
/// that are held.
pub(crate) fn sweep(home: &RemitHome) -> io::Result<Vec<PathBuf>> {
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
            Some(true) if fresh.is_none() => held.push(folder),
            Some(true) => {}
            // One under construction takes its lock within moments.
            _ if fresh.is_some() && !is_old(&folder) => {}
            _ => {
                // The folder last: while it is there, the next sweep tries again.
                if groups::remove_left(&session) {
                    let _ = fs::remove_dir_all(&folder);
                }
            }
        }
    }
    Ok(held)
}

/// Whether a supervisor lives that holds this folder; `None` without a lock to ask.
pub(crate) fn is_held(folder: &Path) -> Option<bool> {
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

/// What stands in a session's folder.
pub(crate) fn saved(folder: &Path) -> Option<Saved> {
    let file = fs::File::open(folder.join(INFO)).ok()?;
    serde_json::from_reader(file.take(MOST_BYTES)).ok()
}

/// Field 22 of proc_pid_stat(5).
pub(crate) fn process_start(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}
