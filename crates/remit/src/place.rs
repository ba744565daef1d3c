//! Where things are for the person who calls.

use std::{
    fs,
    path::{Path, PathBuf},
};

use remit_supervisor::RemitHome;
pub(crate) use remit_supervisor::{login_name as login, person_home as person};

use crate::failure::Failure;

/// Remit's own folders.
pub(crate) fn home() -> RemitHome {
    RemitHome::from_environment(&person())
}

/// The log's folder: the one named, else the person's own. A folder that holds an `audit` folder
/// (a whole `REMIT_HOME`) stands for that.
///
/// # Errors
/// [`Failure::NoLog`] when there is none.
pub(crate) fn log(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let folder = named.unwrap_or_else(|| home().audit);
    let is_log =
        |folder: &Path| folder.join("log.pub").exists() || folder.join("checkpoint").exists();
    let inner = folder.join("audit");
    if !is_log(&folder) && is_log(&inner) {
        return Ok(inner);
    }
    let filled = fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
    if filled { Ok(folder) } else { Err(Failure::NoLog(folder)) }
}
