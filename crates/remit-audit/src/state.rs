//! The tree in memory: loaded from tiles, moved along by frames, written to tiles.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    LogError,
    files::{Care, HINT, exchange, read_small, replace},
    frame::Step,
    merkle::{FullTile, Hash, TILE_WIDTH, Tree, perfect_root},
    note::Checkpoint,
    segment::{FRAMES, Segment, list_segments, segment_path},
    tile::{TileKind, TileName, decode_hashes, encode_hashes, entries, push_entry},
};

/// The tree up to some entry, and where the next entry's frame lies.
pub(crate) struct State {
    pub(crate) tree: Tree,
    /// The entries of the unfinished bundle.
    bundle: Vec<u8>,
    /// Full tiles that are not written yet: a full disk must not lose them.
    unwritten: VecDeque<(TileKind, u64, Vec<u8>)>,
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: u64,
}

/// Whether tiles that are already there are believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Tiles of closed logs are read as they are; a wrong one shows in the root.
    Tiles,
    /// Tiles that segments can give again are made again, for they may have been lost with the
    /// machine's power.
    Segments,
}

impl State {
    /// The state at a checkpoint.
    pub(crate) fn load(
        audit: &Path,
        checkpoint: &Checkpoint,
        trust: Trust,
    ) -> Result<Self, LogError> {
        if trust == Trust::Tiles
            && let Some(state) = Self::from_partial_tiles(audit, checkpoint)?
        {
            return Ok(state);
        }
        Self::from_segments(audit, checkpoint)
    }

    /// Moves over all whole frames, writing the tiles that they complete. `open` opens the
    /// segment that begins with an entry.
    pub(crate) fn advance(
        &mut self,
        audit: &Path,
        limit: u64,
        open: &dyn Fn(u64) -> Result<Arc<Segment>, LogError>,
    ) -> Result<(), LogError> {
        loop {
            let segment = Arc::clone(&self.segment);
            let mut frames = segment.frames(self.offset, self.tree.size());
            let closed = loop {
                if self.unwritten.len() > MANY {
                    self.write_full_tiles(audit)?;
                }
                if self.tree.size() >= limit {
                    return self.write_full_tiles(audit);
                }
                match frames.step().map_err(LogError::at(&segment.path))? {
                    Step::Entry { entry, .. } => self.push(entry),
                    Step::Closed => break true,
                    Step::End | Step::Torn { .. } => break false,
                }
                self.offset = frames.position().0;
            };
            let next = segment_path(audit, self.tree.size());
            if !closed || !next.exists() {
                return self.write_full_tiles(audit);
            }
            segment.sync(self.offset)?;
            self.segment = open(self.tree.size())?;
            self.offset = FRAMES;
        }
    }

    /// Writes the unfinished tiles, so that the log is whole without its segments, and removes
    /// their predecessors.
    pub(crate) fn write_partial(&self, audit: &Path) -> Result<(), LogError> {
        let size = self.tree.size();
        for level in 0..self.tree.levels() {
            let hashes = self.tree.edge(level);
            let index = size.checked_shr(u32::from(level) * 8 + 8).unwrap_or(0);
            let Some(width) = u8::try_from(hashes.len()).ok().filter(|width| *width > 0) else {
                continue;
            };
            let kind = TileKind::Hashes(level);
            write_only_partial(audit, kind, index, width, &encode_hashes(hashes))?;
            if level == 0 {
                write_only_partial(audit, TileKind::Entries, index, width, &self.bundle)?;
            }
        }
        Ok(())
    }

    /// Notes where the next frame goes, so that the next opening need not walk there.
    pub(crate) fn write_hint(&self, audit: &Path) -> Result<(), LogError> {
        let hint = hint(&self.segment, self.tree.size(), self.offset);
        exchange(&audit.join(HINT), hint.as_bytes(), Care::Kernel)
    }

    fn push(&mut self, entry: &[u8]) {
        push_entry(&mut self.bundle, entry);
        let (bundle, unwritten) = (&mut self.bundle, &mut self.unwritten);
        self.tree.push(Hash::leaf(entry), |FullTile { level, index, hashes }| {
            if level == 0 {
                unwritten.push_back((TileKind::Entries, index, std::mem::take(bundle)));
            }
            unwritten.push_back((TileKind::Hashes(level), index, encode_hashes(&hashes)));
        });
    }

    fn write_full_tiles(&mut self, audit: &Path) -> Result<(), LogError> {
        while let Some((kind, index, bytes)) = self.unwritten.front() {
            write_full(audit, *kind, *index, bytes)?;
            self.unwritten.pop_front();
        }
        Ok(())
    }

    /// The quick way, after a log was closed.
    fn from_partial_tiles(audit: &Path, head: &Checkpoint) -> Result<Option<Self>, LogError> {
        let mut edge = Vec::new();
        let mut rest = head.size;
        while rest > 0 {
            let width = u8::try_from(rest % 256).unwrap_or(0);
            rest /= 256;
            let level = u8::try_from(edge.len()).unwrap_or(u8::MAX);
            edge.push(match width {
                0 => Vec::new(),
                _ => match read_hashes(
                    audit,
                    TileName::partial(TileKind::Hashes(level), rest, width),
                )? {
                    Some(hashes) if hashes.len() == usize::from(width) => hashes,
                    _ => return Ok(None),
                },
            });
        }
        let bundle = match u8::try_from(head.size % 256).unwrap_or(0) {
            0 => Vec::new(),
            width => {
                let name = TileName::partial(TileKind::Entries, head.size / 256, width);
                match read_small(&audit.join(name.path()), BUNDLE_LIMIT)? {
                    Some(bundle)
                        if entries(&bundle).filter(Result::is_ok).count() == usize::from(width) =>
                    {
                        bundle
                    }
                    _ => return Ok(None),
                }
            }
        };
        let Some(tree) = Tree::from_edge(head.size, edge).filter(|tree| tree.root() == head.root)
        else {
            return Ok(None);
        };
        let first = list_segments(audit)?.into_iter().rfind(|first| *first <= head.size);
        let Some(first) = first else { return Ok(None) };
        let mut segment = Segment::open(&segment_path(audit, first))?;
        if first < head.size {
            segment = segment.known();
        }
        let segment = Arc::new(segment);
        if let Some(offset) = read_hint(audit, &segment, head.size)? {
            return Ok(Some(Self { tree, bundle, unwritten: VecDeque::new(), segment, offset }));
        }
        let mut frames = segment.frames(FRAMES, first);
        while frames.position().1 < head.size {
            if !matches!(frames.step().map_err(LogError::at(&segment.path))?, Step::Entry { .. }) {
                return Err(short(&segment.path));
            }
        }
        let offset = frames.position().0;
        Ok(Some(Self { tree, bundle, unwritten: VecDeque::new(), segment, offset }))
    }

    /// The thorough way: full tiles up to the oldest segment, then entry by entry.
    fn from_segments(audit: &Path, head: &Checkpoint) -> Result<Self, LogError> {
        let first = list_segments(audit)?.first().copied().filter(|first| *first <= head.size);
        let first = first.ok_or_else(|| short(audit))?;
        let base = first.next_multiple_of(TILE_WIDTH as u64);
        let tree = tree_of_full_tiles(audit, base)?;
        let segment = Arc::new(Segment::open(&segment_path(audit, first))?);
        let mut state =
            Self { tree, bundle: Vec::new(), unwritten: VecDeque::new(), segment, offset: FRAMES };
        state.skip_to(audit, first, base)?;
        state.advance(audit, head.size, &|first| {
            Segment::open(&segment_path(audit, first)).map(Arc::new)
        })?;
        if state.tree.size() != head.size {
            return Err(short(&state.segment.path));
        }
        if state.tree.root() != head.root {
            return Err(LogError::Inconsistent { path: audit.to_owned(), what: "another root" });
        }
        Ok(state)
    }

    /// From the first frame of the oldest segment to entry `base`, over as many segments as that
    /// takes.
    fn skip_to(&mut self, audit: &Path, first: u64, base: u64) -> Result<(), LogError> {
        let mut number = first;
        while number < base {
            let segment = Arc::clone(&self.segment);
            let mut frames = segment.frames(self.offset, number);
            match frames.step().map_err(LogError::at(&segment.path))? {
                Step::Entry { .. } => (self.offset, number) = frames.position(),
                Step::Closed => {
                    self.segment = Arc::new(Segment::open(&segment_path(audit, number))?);
                    self.offset = FRAMES;
                }
                Step::End | Step::Torn { .. } => return Err(short(&segment.path)),
            }
        }
        Ok(())
    }
}

/// Where entry `number` goes in this segment, if it was noted and still holds. A wrong note makes
/// a gap, which verification finds like any other damage.
fn read_hint(audit: &Path, segment: &Segment, number: u64) -> Result<Option<u64>, LogError> {
    let Some(bytes) = read_small(&audit.join(HINT), 256)? else { return Ok(None) };
    let offset = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.split(' ').nth(1))
        .and_then(|offset| offset.parse().ok())
        .filter(|offset| hint(segment, number, *offset).as_bytes() == bytes);
    let Some(offset) = offset else { return Ok(None) };
    let mut frames = segment.frames(offset, number);
    let next = frames.step().map_err(LogError::at(&segment.path))?;
    Ok((!matches!(next, Step::Torn { begun: false })).then_some(offset))
}

fn hint(segment: &Segment, number: u64, offset: u64) -> String {
    let nonce = u128::from_be_bytes(segment.nonce);
    let text = format!("{number} {offset} {} {nonce:032x}", segment.first);
    format!("{text} {:08x}\n", crc32fast::hash(text.as_bytes()))
}

/// The tree of the first `base` entries (a multiple of 256) out of full tiles.
fn tree_of_full_tiles(audit: &Path, base: u64) -> Result<Tree, LogError> {
    let mut edge = vec![Vec::new()];
    let mut below = base / 256;
    while below > 0 {
        let level = u8::try_from(edge.len().saturating_sub(1)).unwrap_or(u8::MAX);
        let begin = below - below % 256;
        let mut hashes = Vec::new();
        for index in begin..below {
            let name = TileName::full(TileKind::Hashes(level), index);
            let tile = read_hashes(audit, name)?.filter(|tile| tile.len() == TILE_WIDTH);
            let tile = tile.ok_or_else(|| LogError::Inconsistent {
                path: audit.join(name.path()),
                what: "missing or cut tile",
            })?;
            hashes.push(perfect_root(&tile));
        }
        edge.push(hashes);
        below /= 256;
    }
    Tree::from_edge(base, edge).ok_or_else(|| short(audit))
}

fn read_hashes(audit: &Path, name: TileName) -> Result<Option<Vec<Hash>>, LogError> {
    let bytes = read_small(&audit.join(name.path()), 8193)?;
    Ok(bytes.and_then(|bytes| decode_hashes(&bytes)))
}

/// Writes a full tile unless it is there, and drops its unfinished forms. Only the holder of the
/// commit lock does this.
fn write_full(audit: &Path, kind: TileKind, index: u64, bytes: &[u8]) -> Result<(), LogError> {
    let name = TileName::full(kind, index);
    let path = audit.join(name.path());
    let there = fs::metadata(&path).is_ok_and(|file| file.len() == bytes.len() as u64)
        && read_small(&path, BUNDLE_LIMIT)?.is_some_and(|there| there == bytes);
    if !there {
        write_tile(&path, bytes)?;
    }
    let partial = partial_folder(audit, kind, index);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(LogError::at(&partial))?;
    }
    Ok(())
}

fn write_only_partial(
    audit: &Path,
    kind: TileKind,
    index: u64,
    width: u8,
    bytes: &[u8],
) -> Result<(), LogError> {
    let path = audit.join(TileName::partial(kind, index, width).path());
    if read_small(&path, BUNDLE_LIMIT)?.is_none_or(|there| there != bytes) {
        write_tile(&path, bytes)?;
    }
    let folder = partial_folder(audit, kind, index);
    for entry in fs::read_dir(&folder).map_err(LogError::at(&folder))? {
        let old = entry.map_err(LogError::at(&folder))?.path();
        if old != path {
            fs::remove_file(&old).map_err(LogError::at(&old))?;
        }
    }
    Ok(())
}

fn write_tile(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    match replace(path, bytes, Care::Kernel) {
        Err(LogError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            crate::files::create_folder(path.parent().unwrap_or(path))?;
            replace(path, bytes, Care::Kernel)
        }
        done => done,
    }
}

fn partial_folder(audit: &Path, kind: TileKind, index: u64) -> PathBuf {
    let mut path = audit.join(TileName::partial(kind, index, 1).path());
    path.pop();
    path
}

fn short(path: &Path) -> LogError {
    LogError::Inconsistent { path: path.to_owned(), what: "fewer entries than were signed" }
}

/// So many tiles wait at most before they are written, also when there is much to catch up.
const MANY: usize = 64;

/// A bundle holds 256 entries of at most 65,535 bytes and their lengths.
const BUNDLE_LIMIT: u64 = 256 * (65_535 + 2) + 1;
