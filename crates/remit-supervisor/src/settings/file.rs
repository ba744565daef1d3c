//! Reading the operator's files: bounded, and only where nobody else can change or, with a secret
//! inside, read them.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use remit_egress::Secret;
use rustix::fs::{CWD, Mode, OFlags, openat};
use zeroize::Zeroizing;

use crate::RunError;

/// Whether others must not read a file either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Private {
    Yes,
    No,
}

/// The text of a file that may be missing.
pub(super) fn read_optional(path: &Path) -> Result<Option<Zeroizing<String>>, RunError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        _ => read(path, Private::No).map(Some),
    }
}

/// The text of a file.
pub(super) fn read(path: &Path, private: Private) -> Result<Zeroizing<String>, RunError> {
    let fail = |problem: String| RunError::settings(path, problem);
    // Not blocking: a FIFO would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty())
        .map_err(|error| fail(io::Error::from(error).to_string()))?;
    let file = File::from(file);
    let meta = file.metadata().map_err(|error| fail(error.to_string()))?;
    if !meta.is_file() {
        return Err(fail("not a regular file".into()));
    }
    if let Some(problem) = exposure(&meta, private) {
        return Err(fail(problem.into()));
    }
    let mut text = Zeroizing::new(String::new());
    let bounded = file.take(LARGEST.saturating_add(1)).read_to_string(&mut text);
    bounded.map_err(|error| fail(error.to_string()))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(fail(format!("larger than {} KiB", LARGEST >> 10)));
    }
    Ok(text)
}

/// A secret: the file's text without the end of its line.
pub(super) fn read_secret(path: &Path) -> Result<Secret, RunError> {
    let text = read(path, Private::Yes)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(RunError::settings(path, "the file is empty"));
    }
    Ok(Secret::new(line.to_owned()))
}

/// For a file that turned out to hold a secret.
pub(super) fn must_be_private(path: &Path) -> Result<(), RunError> {
    let meta = fs::metadata(path).map_err(|error| RunError::settings(path, error.to_string()))?;
    exposure(&meta, Private::Yes).map_or(Ok(()), |problem| Err(RunError::settings(path, problem)))
}

fn exposure(meta: &fs::Metadata, private: Private) -> Option<&'static str> {
    let trusted = [0, rustix::process::geteuid().as_raw()];
    if !trusted.contains(&meta.uid()) {
        Some("the file belongs to somebody else")
    } else if meta.mode() & 0o022 != 0 {
        Some("others can change the file (`chmod go-w`)")
    } else if private == Private::Yes && meta.mode() & 0o077 != 0 {
        Some("the file holds a secret, and others can read it (`chmod 600`)")
    } else {
        None
    }
}

/// Bundles of a whole company's roots are this large.
const LARGEST: u64 = 1 << 20;
