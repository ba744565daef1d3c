//! What is done although the log is locked, by a process that is stopped. It is on disk before it
//! is done, beside the log; whoever opens the log next takes it in.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use remit_core::Action;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{
    LogError, LogPaths,
    files::{INTENTS, create_folder, read_small, same_file, sync_folder},
};

/// One deed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) action: Action,
    pub(crate) resource: String,
    pub(crate) detail: String,
}

/// Writes down what is about to be done; returns the file. It is on disk then.
///
/// # Errors
/// [`LogError`] when it could not be written.
pub fn intend(
    paths: &LogPaths,
    action: Action,
    resource: &str,
    detail: &str,
) -> Result<PathBuf, LogError> {
    let folder = paths.audit.join(INTENTS);
    create_folder(&folder)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = format!("{:020}-{}", since.as_nanos(), std::process::id());
    let (unfinished, path) = (folder.join(format!(".{name}")), folder.join(name));
    let intent = Intent { action, resource: resource.into(), detail: detail.into() };
    let bytes = serde_json::to_vec(&intent)?;
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        // It has its name only when it is whole: nobody takes half of it in, and removes it.
        fs::rename(&unfinished, &path)
    };
    write().map_err(LogError::at(&path))?;
    sync_folder(&folder)?;
    Ok(path)
}

/// Hands each deed that was written down to `record`, and removes it when that is done. One that
/// another process is at just now is left to it.
pub(crate) fn take_in(
    audit: &Path,
    mut record: impl FnMut(Intent) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let folder = audit.join(INTENTS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(LogError::at(&folder)(error)),
    };
    let whole =
        entries.flatten().filter(|one| !one.file_name().as_encoded_bytes().starts_with(b"."));
    let mut names: Vec<PathBuf> = whole.map(|entry| entry.path()).collect();
    names.sort();
    for path in names.into_iter().take(MOST) {
        let Ok(file) = File::open(&path) else { continue };
        let mine = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !mine || !same_file(&file, &path) {
            continue;
        }
        let bytes = read_small(&path, LARGEST)?.unwrap_or_default();
        // One that cannot be read is not ours: whole ones alone have such a name.
        if let Ok(intent) = serde_json::from_slice(&bytes) {
            record(intent)?;
        }
        fs::remove_file(&path).map_err(LogError::at(&path))?;
    }
    Ok(())
}

/// So many are taken in at one time.
const MOST: usize = 1024;
const LARGEST: u64 = 64 << 10;
