//! Tiles on disk against the hashes and entries that were computed.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::finding::{FindingKind, Severity};
use crate::{
    LogError,
    files::read_small,
    merkle::{Hash, TILE_WIDTH},
    reader::BUNDLE_LIMIT,
    tile::{TileKind, TileName, encode_hashes},
};

/// The tile files of a log, and which of them have been accounted for.
pub(super) struct Tiles<'a> {
    audit: &'a Path,
    unseen: BTreeMap<(TileKind, u64), Vec<Option<u8>>>,
    /// Files whose name is no tile's.
    pub(super) odd: Vec<PathBuf>,
}

impl<'a> Tiles<'a> {
    /// Lists the files below `tile/`.
    pub(super) fn list(audit: &'a Path) -> Result<Self, LogError> {
        let mut tiles = Self { audit, unseen: BTreeMap::new(), odd: Vec::new() };
        tiles.walk(&PathBuf::from("tile"), 0)?;
        Ok(tiles)
    }

    /// The bytes of a full bundle.
    pub(super) fn bundle(&mut self, index: u64) -> Result<Option<Vec<u8>>, LogError> {
        let name = TileName::full(TileKind::Entries, index);
        self.read(name)
    }

    /// The bytes of the widest unfinished bundle.
    pub(super) fn partial_bundle(&mut self, index: u64) -> Result<Option<(u8, Vec<u8>)>, LogError> {
        let widths = self.unseen.get(&(TileKind::Entries, index));
        let Some(width) = widths.and_then(|widths| widths.iter().flatten().max().copied()) else {
            return Ok(None);
        };
        let bytes = self.read(TileName::partial(TileKind::Entries, index, width))?;
        Ok(bytes.map(|bytes| (width, bytes)))
    }

    /// Whether any later bundle is there.
    pub(super) fn bundles_after(&self, index: u64) -> bool {
        self.unseen.range((TileKind::Entries, index.saturating_add(1))..).next().is_some()
    }

    /// Compares the files of one tile with its computed hashes. `must`: how bad it is when the
    /// full form is due and not there.
    pub(super) fn check_hashes(
        &mut self,
        level: u8,
        index: u64,
        hashes: &[Hash],
        must: Option<Severity>,
        report: &mut dyn FnMut(Severity, FindingKind, Option<u64>, PathBuf, Option<u64>),
    ) -> Result<(), LogError> {
        let kind = TileKind::Hashes(level);
        let widths = self.unseen.remove(&(kind, index)).unwrap_or_default();
        if let Some(severity) = must
            && hashes.len() == TILE_WIDTH
            && !widths.contains(&None)
        {
            let file = TileName::full(kind, index).path();
            report(severity, FindingKind::TileMissing, None, file, None);
        }
        for width in widths {
            let name = TileName { kind, index, width };
            let wanted = hashes.get(..width.map_or(TILE_WIDTH, usize::from)).map(encode_hashes);
            let have = read_small(&self.audit.join(name.path()), BUNDLE_LIMIT)?;
            let Some(have) = have.or_else(|| width.is_none().then(Vec::new)) else {
                // A live log replaces unfinished tiles by full ones.
                continue;
            };
            if wanted.as_ref() == Some(&have) {
                continue;
            }
            let wanted = wanted.unwrap_or_default();
            let same = wanted.iter().zip(&have).take_while(|(a, b)| a == b).count() as u64;
            let seq = index.saturating_mul(TILE_WIDTH as u64).saturating_add(same / 32);
            let (kind, seq) = match level {
                // A hash that differs: the record or the tile was changed, the root says which.
                0 if have.len() == wanted.len() => (FindingKind::EntryMismatch, Some(seq)),
                _ => (FindingKind::TileMismatch, None),
            };
            report(Severity::Tampering, kind, seq, name.path(), Some(same));
        }
        Ok(())
    }

    /// Compares unfinished bundles with the beginning of the computed one. `ends` are the offsets
    /// behind each entry.
    pub(super) fn check_partial_bundles(
        &mut self,
        index: u64,
        bundle: &[u8],
        ends: &[usize],
        report: &mut dyn FnMut(Severity, FindingKind, Option<u64>, PathBuf, Option<u64>),
    ) -> Result<(), LogError> {
        let widths = self.unseen.remove(&(TileKind::Entries, index)).unwrap_or_default();
        for width in widths.into_iter().flatten() {
            let name = TileName::partial(TileKind::Entries, index, width);
            let end = ends.get(usize::from(width).saturating_sub(1)).copied();
            let wanted = end.and_then(|end| bundle.get(..end));
            let Some(have) = read_small(&self.audit.join(name.path()), BUNDLE_LIMIT)? else {
                continue;
            };
            if wanted == Some(have.as_slice()) {
                continue;
            }
            let same = bundle.iter().zip(&have).take_while(|(a, b)| a == b).count();
            let within = ends.iter().take_while(|end| **end <= same).count() as u64;
            let seq = index.saturating_mul(TILE_WIDTH as u64).saturating_add(within);
            let (file, offset) = (name.path(), Some(same as u64));
            report(Severity::Tampering, FindingKind::CopyMismatch, Some(seq), file, offset);
        }
        Ok(())
    }

    /// Marks the full form of a bundle as accounted for.
    pub(super) fn saw_bundle(&mut self, index: u64) {
        if let Some(widths) = self.unseen.get_mut(&(TileKind::Entries, index)) {
            widths.retain(Option::is_some);
        }
    }

    /// Files that nothing accounted for: they claim records that are not there.
    pub(super) fn left(self) -> impl Iterator<Item = PathBuf> {
        self.unseen.into_iter().flat_map(|((kind, index), widths)| {
            widths.into_iter().map(move |width| TileName { kind, index, width }.path())
        })
    }

    fn read(&self, name: TileName) -> Result<Option<Vec<u8>>, LogError> {
        let known = self.unseen.get(&(name.kind, name.index));
        if !known.is_some_and(|widths| widths.contains(&name.width)) {
            return Ok(None);
        }
        read_small(&self.audit.join(name.path()), BUNDLE_LIMIT)
    }

    fn walk(&mut self, folder: &Path, depth: u8) -> Result<(), LogError> {
        let path = self.audit.join(folder);
        let list = match fs::read_dir(&path) {
            Ok(list) => list,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(LogError::at(&path)(error)),
        };
        for entry in list {
            let entry = entry.map_err(LogError::at(&path))?;
            let name = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(LogError::at(&path))?;
            if kind.is_dir() && depth < MAX_DEPTH {
                self.walk(&name, depth.saturating_add(1))?;
            } else if let Some(tile) = TileName::parse(&name).filter(|_| kind.is_file()) {
                self.unseen.entry((tile.kind, tile.index)).or_default().push(tile.width);
            } else {
                self.odd.push(name);
            }
        }
        Ok(())
    }
}

/// `tile`, kind, seven groups of digits, the folder of unfinished forms.
const MAX_DEPTH: u8 = 10;
