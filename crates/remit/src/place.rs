//! Where things are for the person who calls.

use std::{
    fs,
    path::{Path, PathBuf},
};

use remit_supervisor::RemitHome;

use crate::failure::Failure;

/// Remit's own folders.
pub(crate) fn home() -> RemitHome {
    RemitHome::from_environment(&person())
}

/// The person's home folder; `/nonexistent` where the environment names none.
pub(crate) fn person() -> PathBuf {
    let own = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    own.unwrap_or_else(|| PathBuf::from("/nonexistent"))
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

/// The login name of the calling person, from the user database; the user id where it has none.
pub(crate) fn login() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let database = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = database.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    let plain = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    own.filter(plain).unwrap_or_else(|| format!("u{uid}"))
}
