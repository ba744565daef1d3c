//! Reading a log as it lies in its folder, live or copied, without any lock.
//!
//! The checkpoint is read first and the segments are opened after it. A segment goes only when
//! full bundles hold its entries, so whatever the checkpoint covers is found in one of the two.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    LogError,
    files::{CHECKPOINT, PUBLIC_KEY, read_small},
    frame::Step,
    keys,
    merkle::{Hash, TILE_WIDTH},
    note::{Checkpoint, VerifierKey},
    proof::TileSource,
    segment::{FRAMES, Segment, list_segments, segment_path},
    tile::{TileKind, TileName, decode_hashes, entries},
};

/// A log's folder, opened to read.
pub(crate) struct Reader {
    pub(crate) audit: PathBuf,
    /// The newest signed note and what it says.
    pub(crate) note: Vec<u8>,
    pub(crate) checkpoint: Checkpoint,
    segments: Vec<Segment>,
}

impl Reader {
    /// Opens a log. The key is the log's own unless one is given.
    pub(crate) fn open(audit: &Path, key: Option<&VerifierKey>) -> Result<Self, LogError> {
        let key = match key {
            Some(key) => key.clone(),
            None => public_key(audit)?,
        };
        let path = audit.join(CHECKPOINT);
        let (note, checkpoint) = read_checkpoint(audit, &key)?
            .ok_or_else(|| LogError::at(&path)(std::io::ErrorKind::NotFound.into()))?;
        Ok(Self { audit: audit.to_owned(), note, checkpoint, segments: open_segments(audit)? })
    }

    /// Calls `visit` with each entry from `from` on, signed or not, until it returns `false`.
    pub(crate) fn entries(
        &self,
        from: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), LogError> {
        let mut number = from;
        while let Some(batch) = self.batch(number)? {
            for entry in batch.ranges.iter().filter_map(|range| batch.bytes.get(range.clone())) {
                if !visit(number, entry) {
                    return Ok(());
                }
                number = number.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Entries from `number` on, at most to the end of their bundle; `None` when there are none.
    pub(crate) fn batch(&self, number: u64) -> Result<Option<Batch>, LogError> {
        let index = number / TILE_WIDTH as u64;
        let skip = usize::try_from(number % TILE_WIDTH as u64).unwrap_or(0);
        let full = TileName::full(TileKind::Entries, index);
        if let Some(batch) = self.bundle(full, skip)? {
            return Ok(Some(batch));
        }
        if let Some(batch) = self.segment_batch(number)? {
            return Ok(Some(batch));
        }
        let width = u8::try_from(self.checkpoint.size % TILE_WIDTH as u64).unwrap_or(0);
        if index == self.checkpoint.size / TILE_WIDTH as u64 && width > 0 {
            return self.bundle(TileName::partial(TileKind::Entries, index, width), skip);
        }
        Ok(None)
    }

    fn bundle(&self, name: TileName, skip: usize) -> Result<Option<Batch>, LogError> {
        let path = self.audit.join(name.path());
        let Some(bytes) = read_small(&path, BUNDLE_LIMIT)? else { return Ok(None) };
        let mut ranges = Vec::with_capacity(TILE_WIDTH);
        for entry in entries(&bytes).skip(skip) {
            let (offset, entry) = entry
                .map_err(|_| LogError::Inconsistent { path: path.clone(), what: "a cut entry" })?;
            let start = offset.saturating_add(2);
            ranges.push(start..start.saturating_add(entry.len()));
        }
        Ok((!ranges.is_empty()).then_some(Batch { bytes, ranges }))
    }

    fn segment_batch(&self, number: u64) -> Result<Option<Batch>, LogError> {
        let Some(segment) = self.segments.iter().rfind(|segment| segment.first <= number) else {
            return Ok(None);
        };
        // The whole rest of the segment at once: finding an entry means walking to it.
        let mut frames = segment.frames(FRAMES, segment.first);
        let mut batch = Batch { bytes: Vec::new(), ranges: Vec::new() };
        while let Step::Entry { number: at, entry, .. } =
            frames.step().map_err(LogError::at(&segment.path))?
        {
            if at >= number {
                let start = batch.bytes.len();
                batch.bytes.extend_from_slice(entry);
                batch.ranges.push(start..batch.bytes.len());
            }
        }
        Ok((!batch.ranges.is_empty()).then_some(batch))
    }
}

/// Some consecutive entries.
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ranges: Vec<Range<usize>>,
}

/// Tiles from files where they are complete, from entries where they are not.
impl TileSource for Reader {
    type Error = LogError;

    fn tile(&self, level: u8, index: u64, width: usize) -> Result<Vec<Hash>, LogError> {
        let name = TileName::full(TileKind::Hashes(level), index);
        let full = read_small(&self.audit.join(name.path()), 8193)?;
        if let Some(hashes) = full.as_deref().and_then(decode_hashes)
            && hashes.len() >= width
        {
            return Ok(hashes);
        }
        let mut hashes = Vec::with_capacity(width);
        if level == 0 {
            let first = index.saturating_mul(TILE_WIDTH as u64);
            self.entries(first, &mut |_, entry| {
                hashes.push(Hash::leaf(entry));
                hashes.len() < width
            })?;
        } else {
            for child in 0..width as u64 {
                let child = index.saturating_mul(TILE_WIDTH as u64).saturating_add(child);
                hashes.push(crate::merkle::perfect_root(&self.tile(
                    level - 1,
                    child,
                    TILE_WIDTH,
                )?));
            }
        }
        if hashes.len() < width {
            return Err(LogError::Inconsistent {
                path: self.audit.join(name.path()),
                what: "missing entries",
            });
        }
        Ok(hashes)
    }
}

/// The public key that lies in a log's folder.
///
/// # Errors
/// [`LogError`] when it is missing or malformed.
pub fn public_key(audit: &Path) -> Result<VerifierKey, LogError> {
    let path = audit.join(PUBLIC_KEY);
    let bytes = read_small(&path, 64 << 10)?
        .ok_or_else(|| LogError::at(&path)(std::io::ErrorKind::NotFound.into()))?;
    keys::parse_public(&bytes).map_err(|source| LogError::Note { path, source })
}

/// The signed checkpoint in a log's folder; `None` when there is none.
pub(crate) fn read_checkpoint(
    audit: &Path,
    key: &VerifierKey,
) -> Result<Option<(Vec<u8>, Checkpoint)>, LogError> {
    let path = audit.join(CHECKPOINT);
    let mut tries = 0;
    loop {
        let Some(note) = read_small(&path, 64 << 10)? else { return Ok(None) };
        match Checkpoint::open(&note, key) {
            Ok(checkpoint) => return Ok(Some((note, checkpoint))),
            // A live log may have changed the file while it was read.
            Err(_) if tries < 3 => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Err(source) => return Err(LogError::Note { path, source }),
        }
    }
}

fn open_segments(audit: &Path) -> Result<Vec<Segment>, LogError> {
    let mut segments = Vec::new();
    for first in list_segments(audit)? {
        match Segment::open_to_read(&segment_path(audit, first)) {
            Ok(segment) => segments.push(segment),
            // Retired between the listing and now: bundles hold its entries.
            Err(LogError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(segments)
}

/// A bundle holds 256 entries of at most 65,535 bytes and their lengths.
pub(crate) const BUNDLE_LIMIT: u64 = 256 * (65_535 + 2) + 1;
