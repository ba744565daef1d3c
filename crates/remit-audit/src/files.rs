//! Where things lie, and the few ways in which files are written.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with},
    io::{Errno, retry_on_intr},
};

use crate::LogError;

/// The two folders of a log. A copy of `audit` verifies elsewhere; `keys` stays at home.
#[derive(Clone, Debug)]
pub struct LogPaths {
    /// The log: entries, tiles, checkpoint, public key.
    pub audit: PathBuf,
    /// The private key and the last checkpoint that it signed.
    pub keys: PathBuf,
}

impl LogPaths {
    /// Below `REMIT_HOME`: `audit/` and `config/`.
    pub fn below(home: &Path) -> Self {
        Self { audit: home.join("audit"), keys: home.join("config") }
    }
}

/// File names below the log's folder.
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const PUBLIC_KEY: &str = "log.pub";
pub(crate) const COMMIT_LOCK: &str = "lock";
pub(crate) const LIVE_LOCK: &str = "live";
pub(crate) const INTENTS: &str = "intents";
pub(crate) const SEGMENTS: &str = "segment";
pub(crate) const BOOT: &str = "segment/boot";
pub(crate) const HINT: &str = "segment/hint";

/// Extension of the file that [`exchange`] takes turns with.
pub(crate) const OTHER: &str = "other";

/// File names below the folder of keys.
pub(crate) const SECRET_KEY: &str = "audit.key";
pub(crate) const HEAD: &str = "audit.head";

/// Creates a folder and its parents, readable by the owner only.
pub(crate) fn create_folder(path: &Path) -> Result<(), LogError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(LogError::at(path))
}

/// A file's bytes, at most `limit`; `None` when there is no such file.
pub(crate) fn read_small(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, LogError> {
    use io::Read as _;
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => {
            file.take(limit).read_to_end(&mut bytes).map_err(LogError::at(path))?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::at(path)(error)),
    }
}

/// How far a replaced file must be before its new content counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// The kernel has it.
    Kernel,
    /// The content is on disk before the name points to it, so that a power cut leaves either
    /// the old or the new content.
    Disk,
}

/// Gives `path` a new content in one step. Only one caller at a time may do so for one path.
pub(crate) fn replace(path: &Path, bytes: &[u8], care: Care) -> Result<(), LogError> {
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        if care == Care::Disk {
            file.sync_data()?;
        }
        fs::rename(&temporary, path)
    };
    write().map_err(LogError::at(path))
}

/// Gives a small file (less than a disk sector) that changes often a new content in one step, by
/// turns in two files that change names. Unlike [`replace`] this allocates nothing, so that a
/// sync has no metadata to write. After a power cut the name stands for the old or the new file;
/// both are whole. A reader may see a file change under its eyes and must look again.
pub(crate) fn exchange(path: &Path, bytes: &[u8], care: Care) -> Result<(), LogError> {
    let other = path.with_extension(OTHER);
    let write = || {
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&other)?;
        file.write_all_at(bytes, 0)?;
        if file.metadata()?.len() != bytes.len() as u64 {
            file.set_len(bytes.len() as u64)?;
        }
        if care == Care::Disk {
            file.sync_data()?;
        }
        match renameat_with(CWD, &other, CWD, path, RenameFlags::EXCHANGE) {
            // The first time, or a file system that cannot exchange names.
            Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                fs::rename(&other, path)
            }
            done => done.map_err(Into::into),
        }
    };
    write().map_err(LogError::at(path))
}

/// Gives the file that [`exchange`] takes turns with the newest content too, at the end of a log's
/// use: an older signed note that stayed there would let a copy be rolled back to it, and nothing in
/// the copy would show that.
pub(crate) fn settle(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let other = path.with_extension(OTHER);
    let write = || {
        let file = match OpenOptions::new().write(true).open(&other) {
            Ok(file) => file,
            // Nothing was ever exchanged.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        file.write_all_at(bytes, 0)?;
        file.set_len(bytes.len() as u64)
    };
    write().map_err(LogError::at(&other))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), LogError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(LogError::at(path))
}

/// A lock that the kernel gives back when its holder dies, however it dies.
pub(crate) struct FileLock {
    path: PathBuf,
    file: File,
}

impl FileLock {
    /// Opens (creates) the file to lock.
    pub(crate) fn open(path: PathBuf) -> Result<Self, LogError> {
        let file = lock_file(&path).map_err(LogError::at(&path))?;
        Ok(Self { path, file })
    }

    /// Waits until nobody else holds it. A file that was removed or replaced meanwhile is made
    /// anew, so that all look at the same one.
    pub(crate) fn exclusive(&mut self) -> Result<Locked<'_>, LogError> {
        loop {
            Locked::exclusive(&self.file).map_err(LogError::at(&self.path))?.keep();
            if same_file(&self.file, &self.path) {
                return Ok(Locked(Some(&self.file)));
            }
            self.file = lock_file(&self.path).map_err(LogError::at(&self.path))?;
        }
    }

    /// Takes it alone if nobody else holds it, else together with the others. `true`: alone.
    /// Held until dropped.
    pub(crate) fn alone_or_shared(&self) -> Result<bool, LogError> {
        match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => {
                self.share()?;
                Ok(false)
            }
            Err(error) => Err(LogError::at(&self.path)(error.into())),
        }
    }

    /// From alone to shared.
    pub(crate) fn share(&self) -> Result<(), LogError> {
        retry_on_intr(|| flock(&self.file, FlockOperation::LockShared))
            .map_err(|error| LogError::at(&self.path)(error.into()))
    }
}

/// An exclusive lock while it lives.
pub(crate) struct Locked<'f>(Option<&'f File>);

impl<'f> Locked<'f> {
    pub(crate) fn exclusive(file: &'f File) -> io::Result<Self> {
        retry_on_intr(|| flock(file, FlockOperation::LockExclusive))?;
        Ok(Self(Some(file)))
    }

    /// Leaves it locked; the file's end of life unlocks it.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            // Unlocking an open file cannot fail.
            let _ = flock(file, FlockOperation::Unlock);
        }
    }
}

/// Whether the path still leads to this very file.
pub(crate) fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
