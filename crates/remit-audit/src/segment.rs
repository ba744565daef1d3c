//! Segments: preallocated files that take entries as they come, until tiles hold them.
//!
//! The space is there before the first entry, so that writing one cannot fail for lack of it;
//! where there was time it is zeroed too, so that a sync has no metadata to write. The file's name
//! is the number of its first entry.
//!
//! ```text
//! 0   "remit segment 1\n"
//! 16  nonce
//! 32  CRC-32 of the 32 bytes before, u32 big-endian
//! 36  zeros
//! 64  frames
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{CWD, FallocateFlags, RenameFlags, fallocate, fstat, renameat_with},
    io::Errno,
};

use crate::{
    LogError,
    files::{Locked, SEGMENTS, same_file},
    frame::{FrameReader, HEADER, Nonce, seal},
};

/// Where frames begin.
pub(crate) const FRAMES: u64 = 64;

/// The name of a prepared segment that no entry has reached yet.
const SPARE: &str = "spare";

/// One open segment.
pub(crate) struct Segment {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) nonce: Nonce,
    /// Number of its first entry.
    pub(crate) first: u64,
    /// Size in bytes; never changes.
    pub(crate) capacity: u64,
    /// How far it is written, as far as this process knows.
    written: AtomicU64,
    /// How far it is on disk, as far as this process knows.
    synced: Mutex<Synced>,
    broken: AtomicBool,
}

#[derive(Default)]
struct Synced {
    /// Up to here.
    end: u64,
    /// Whether its name is on disk too.
    named: bool,
    /// The segment before it, while that may not be whole on disk.
    before: Option<Arc<Segment>>,
}

impl Segment {
    /// Opens a segment to read and write.
    pub(crate) fn open(path: &Path) -> Result<Self, LogError> {
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(LogError::at(path))?;
        Self::from_file(file, path)
    }

    /// Opens a segment to read only.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, LogError> {
        Self::from_file(File::open(path).map_err(LogError::at(path))?, path)
    }

    fn from_file(file: File, path: &Path) -> Result<Self, LogError> {
        let mut header = [0u8; FRAMES as usize];
        let damaged =
            || LogError::Inconsistent { path: path.to_owned(), what: "damaged segment header" };
        file.read_exact_at(&mut header, 0).map_err(|_| damaged())?;
        let nonce = read_header(&header).ok_or_else(damaged)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let first = segment_number(&name).ok_or_else(damaged)?;
        let capacity = file.metadata().map_err(LogError::at(path))?.len();
        Ok(Self {
            file,
            path: path.to_owned(),
            nonce,
            first,
            capacity,
            written: AtomicU64::new(FRAMES),
            synced: Mutex::default(),
            broken: AtomicBool::new(false),
        })
    }

    /// Whether a spare segment is ready.
    pub(crate) fn has_spare(audit: &Path) -> bool {
        audit.join(SEGMENTS).join(SPARE).exists()
    }

    /// Prepares a spare segment, on disk and zeroed, unless there is one.
    pub(crate) fn prepare_spare(audit: &Path, capacity: u64) -> Result<(), LogError> {
        if Self::has_spare(audit) {
            return Ok(());
        }
        let folder = audit.join(SEGMENTS);
        let spare = folder.join(SPARE);
        make(&folder, capacity, Fill::Zeros, |new| {
            // Never over a spare that somebody is turning into a segment just now.
            match renameat_with(CWD, new, CWD, &spare, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => fs::remove_file(new).map_err(LogError::at(new)),
                done => done.map_err(|error| LogError::at(&spare)(error.into())),
            }
        })
    }

    /// Makes the segment that begins with entry `first`, out of the spare where there is one. The
    /// caller holds the lock under which segments follow one another; `before_naming` runs when
    /// nothing can fail for lack of space any more.
    pub(crate) fn create(
        audit: &Path,
        first: u64,
        capacity: u64,
        before_naming: impl FnOnce() -> Result<(), LogError>,
    ) -> Result<Self, LogError> {
        let path = segment_path(audit, first);
        if Self::has_spare(audit) {
            let spare = audit.join(SEGMENTS).join(SPARE);
            before_naming()?;
            fs::rename(&spare, &path).map_err(LogError::at(&path))?;
        } else {
            make(&audit.join(SEGMENTS), capacity, Fill::Space, |new| {
                before_naming()?;
                fs::rename(new, &path).map_err(LogError::at(&path))
            })?;
        }
        Self::open(&path)
    }

    /// This one comes after `before`, which its own syncs then include: the log on disk is always
    /// a beginning of the log in memory.
    pub(crate) fn after(self, before: Arc<Self>) -> Self {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner).before = Some(before);
        self
    }

    /// Notes that entries of this segment have been signed, so its name is on disk.
    pub(crate) fn known(self) -> Self {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner).named = true;
        self
    }

    /// Keeps every other writer out while it lives.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, LogError> {
        Locked::exclusive(&self.file).map_err(LogError::at(&self.path))
    }

    /// Fails when the file was removed or cut, or an earlier sync failed.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        let stat = fstat(&self.file).map_err(|error| LogError::at(&self.path)(error.into()))?;
        if stat.st_nlink == 0 || u64::try_from(stat.st_size).ok() != Some(self.capacity) {
            return Err(LogError::Removed);
        }
        if self.broken.load(Ordering::Relaxed) { Err(LogError::Broken) } else { Ok(()) }
    }

    /// Fails when the log's folder no longer holds this file: what is written here would not be
    /// found again. A segment that was replaced by tiles is well gone.
    pub(crate) fn check_place(&self) -> Result<(), LogError> {
        let folder_is_there = self.path.parent().is_some_and(Path::exists);
        if same_file(&self.file, &self.path) || (folder_is_there && !self.path.exists()) {
            Ok(())
        } else {
            Err(LogError::Removed)
        }
    }

    /// Reads frames from a known place on.
    pub(crate) const fn frames(&self, offset: u64, number: u64) -> FrameReader<'_> {
        FrameReader::new(&self.file, self.nonce, offset, number)
    }

    /// Notes that the segment is written up to `end`.
    pub(crate) fn wrote(&self, end: u64) {
        self.written.fetch_max(end, Ordering::Release);
    }

    /// Returns when everything up to `end` is on disk. Callers at the same time share one sync.
    pub(crate) fn sync(&self, end: u64) -> Result<(), LogError> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if synced.end >= end {
            return Ok(());
        }
        if self.broken.load(Ordering::Relaxed) {
            return Err(LogError::Broken);
        }
        // Elders first, one after the other: a chain of them can be long.
        let mut elders = Vec::new();
        let mut before = synced.before.take();
        while let Some(elder) = before {
            let mut its = elder.synced.lock().unwrap_or_else(PoisonError::into_inner);
            before = its.before.take();
            drop(its);
            elders.push(elder);
        }
        let target = self.written.load(Ordering::Acquire).max(end);
        let folder = self.path.parent().unwrap_or(&self.path);
        let named = synced.named;
        let sync = || -> io::Result<()> {
            for elder in elders.iter().rev() {
                elder.file.sync_data()?;
            }
            if !named {
                File::open(folder)?.sync_all()?;
            }
            self.file.sync_data()
        };
        sync().map_err(|error| {
            // After a failed sync the kernel may have dropped the pages; a later success would
            // prove nothing.
            self.broken.store(true, Ordering::Relaxed);
            LogError::at(&self.path)(error)
        })?;
        (synced.end, synced.named) = (target, true);
        Ok(())
    }

    /// Writes the frame that closes the segment.
    pub(crate) fn close(&self, end: u64, number: u64) -> Result<(), LogError> {
        let mut closing = [0u8; HEADER];
        seal(&mut closing, &self.nonce, number);
        self.file.write_all_at(&closing, end).map_err(LogError::at(&self.path))?;
        self.wrote(end.saturating_add(HEADER as u64));
        Ok(())
    }

    /// Zeroes everything from `offset` on.
    pub(crate) fn wipe(&self, offset: u64) -> Result<(), LogError> {
        zero(&self.file, offset, self.capacity).map_err(LogError::at(&self.path))
    }
}

/// Removes what killed processes left half prepared. Nobody else may have the log open.
pub(crate) fn remove_leftovers(audit: &Path) -> Result<(), LogError> {
    let folder = audit.join(SEGMENTS);
    for entry in fs::read_dir(&folder).map_err(LogError::at(&folder))? {
        let entry = entry.map_err(LogError::at(&folder))?;
        if entry.file_name().to_string_lossy().starts_with("new-") {
            fs::remove_file(entry.path()).map_err(LogError::at(&folder))?;
        }
    }
    Ok(())
}

/// The path of the segment that begins with entry `first`.
pub(crate) fn segment_path(audit: &Path, first: u64) -> PathBuf {
    audit.join(SEGMENTS).join(segment_name(first))
}

/// First numbers of all segments, ascending. A missing folder has none.
pub(crate) fn list_segments(audit: &Path) -> Result<Vec<u64>, LogError> {
    let folder = audit.join(SEGMENTS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LogError::at(&folder)(error)),
    };
    let mut list = Vec::new();
    for entry in entries {
        let entry = entry.map_err(LogError::at(&folder))?;
        list.extend(segment_number(&entry.file_name().to_string_lossy()));
    }
    list.sort_unstable();
    Ok(list)
}

/// The first number in a segment's file name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let first = name.strip_suffix(".seg")?.parse().ok()?;
    (segment_name(first) == name).then_some(first)
}

fn segment_name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// How a new segment's space is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// Zeroed and on disk: slow now, quick later.
    Zeros,
    /// Reserved: quick now; later syncs have metadata to write.
    Space,
}

/// Makes an empty segment under a name of its own and hands it to `name`, which gives it its
/// real one.
fn make(
    folder: &Path,
    capacity: u64,
    fill: Fill,
    name: impl FnOnce(&Path) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let count = PREPARED.fetch_add(1, Ordering::Relaxed);
    let new = folder.join(format!("new-{}-{count}", std::process::id()));
    let fill = || -> io::Result<()> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let reserved = fallocate(&file, FallocateFlags::empty(), 0, capacity);
        if matches!(reserved, Err(Errno::NOSPC | Errno::FBIG | Errno::DQUOT)) {
            return Ok(reserved?);
        }
        // Not every file system can reserve; writing zeros reserves everywhere.
        if fill == Fill::Zeros || reserved.is_err() {
            zero(&file, 0, capacity)?;
        }
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce)?;
        file.write_all_at(&write_header(&nonce), 0)?;
        if fill == Fill::Zeros { file.sync_all() } else { Ok(()) }
    };
    fill().map_err(LogError::at(&new)).and_then(|()| name(&new)).inspect_err(|_| {
        // What is there of it only takes space, which may be what is missing.
        let _ = fs::remove_file(&new);
    })
}

fn write_header(nonce: &Nonce) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(nonce);
    header.extend_from_slice(&crc32fast::hash(&header).to_be_bytes());
    header.resize(FRAMES as usize, 0);
    header
}

fn read_header(header: &[u8]) -> Option<Nonce> {
    let nonce: Nonce = header.get(16..32)?.try_into().ok()?;
    (write_header(&nonce) == header).then_some(nonce)
}

fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = [0u8; 64 << 10];
    let mut offset = from;
    while offset < to {
        let count = usize::try_from(to - offset).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all_at(zeros.get(..count).unwrap_or(&[]), offset)?;
        offset = offset.saturating_add(count as u64);
    }
    Ok(())
}

/// Makes the names of half-prepared segments differ.
static PREPARED: AtomicU64 = AtomicU64::new(0);

const MAGIC: &[u8; 16] = b"remit segment 1\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_one_spelling() {
        let header = write_header(&[9; 16]);
        assert_eq!(read_header(&header), Some([9; 16]));
        for bit in 0..header.len() * 8 {
            let mut flipped = header.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_header(&flipped), None, "bit {bit}");
        }
        assert_eq!(segment_number(&segment_name(77)), Some(77));
        assert_eq!(segment_number("77.seg"), None);
    }
}
