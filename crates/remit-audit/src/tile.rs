//! Files of C2SP tlog-tiles: paths, tiles of hashes, bundles of entries.

use std::path::{Path, PathBuf};

use crate::merkle::{Hash, TILE_WIDTH};

/// The longest entry that a bundle can hold, in bytes.
pub const MAX_ENTRY: usize = 0xffff;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of this level.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// The name of a tile: kind, index, and width where it is unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileName {
    /// What it holds.
    pub kind: TileKind,
    /// Which of its kind.
    pub index: u64,
    /// 1 to 255 when it is unfinished.
    pub width: Option<u8>,
}

impl TileName {
    /// A full tile.
    pub const fn full(kind: TileKind, index: u64) -> Self {
        Self { kind, index, width: None }
    }

    /// An unfinished tile.
    pub const fn partial(kind: TileKind, index: u64, width: u8) -> Self {
        Self { kind, index, width: Some(width) }
    }

    /// Its path below the log's folder: `tile/0/x001/234`, `tile/entries/000.p/17`.
    pub fn path(&self) -> PathBuf {
        let mut path = PathBuf::from("tile");
        match self.kind {
            TileKind::Hashes(level) => path.push(level.to_string()),
            TileKind::Entries => path.push("entries"),
        }
        let mut groups = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        if self.width.is_some()
            && let Some(last) = groups.first_mut()
        {
            last.push_str(".p");
        }
        path.extend(groups.iter().rev());
        if let Some(width) = self.width {
            path.push(width.to_string());
        }
        path
    }

    /// The name that a path below the log's folder stands for; `None` unless it is the one
    /// spelling of it.
    pub fn parse(path: &Path) -> Option<Self> {
        let parts: Vec<&str> =
            path.components().map(|part| part.as_os_str().to_str()).collect::<Option<_>>()?;
        let (kind, rest) = match parts.as_slice() {
            ["tile", "entries", rest @ ..] => (TileKind::Entries, rest),
            ["tile", level, rest @ ..] => (TileKind::Hashes(level.parse().ok()?), rest),
            _ => return None,
        };
        let (groups, width) = match rest {
            [groups @ .., last, width] if last.ends_with(".p") => {
                let groups = groups.iter().copied().chain([last.strip_suffix(".p")?]).collect();
                (groups, Some(width.parse().ok().filter(|width| *width > 0)?))
            }
            groups => (groups.to_vec(), None),
        };
        let mut index: u64 = 0;
        for group in &groups {
            let digits: u64 = group.trim_start_matches('x').parse().ok()?;
            index = index.checked_mul(1000)?.checked_add(digits)?;
        }
        let name = Self { kind, index, width };
        (name.path() == path).then_some(name)
    }
}

/// The bytes of a tile of hashes.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.as_bytes()).copied().collect()
}

/// The hashes in a tile's bytes; `None` when a hash is cut or there are more than 256.
pub fn decode_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && hashes.len() <= TILE_WIDTH)
        .then(|| hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect())
}

/// Appends an entry to a bundle: its length in two bytes, big-endian, and its bytes. Nothing is
/// appended and `false` returned when it is longer than [`MAX_ENTRY`].
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// The entries of a bundle, in order. An entry that is cut ends the iteration with an error that
/// gives its offset.
pub fn entries(bundle: &[u8]) -> Entries<'_> {
    Entries { bundle, offset: 0, failed: false }
}

/// See [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bundle: &'a [u8],
    offset: usize,
    failed: bool,
}

/// An entry that its bundle ends within, at this byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the entry at byte {0} is cut")]
pub struct CutEntry(pub usize);

impl<'a> Iterator for Entries<'a> {
    /// Byte offset and bytes.
    type Item = Result<(usize, &'a [u8]), CutEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest =
            self.bundle.get(self.offset..).filter(|rest| !rest.is_empty() && !self.failed)?;
        let entry = rest
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| rest.get(..usize::from(u16::from_be_bytes(*length))));
        let offset = self.offset;
        match entry {
            Some(entry) => {
                self.offset = offset.saturating_add(2).saturating_add(entry.len());
                Some(Ok((offset, entry)))
            }
            None => {
                self.failed = true;
                Some(Err(CutEntry(offset)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let name = TileName::full(TileKind::Hashes(0), 1_234_067);
        assert_eq!(name.path(), Path::new("tile/0/x001/x234/067"));
        let name = TileName::partial(TileKind::Entries, 0, 7);
        assert_eq!(name.path(), Path::new("tile/entries/000.p/7"));
        for odd in [
            "tile/0/1",
            "tile/0/x000/001",
            "tile/00/001",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/07",
            "tile/0/x1/001",
            "tile/0/001/",
            "other/0/001",
            "tile/0",
            "tile/0/xx01/001",
        ] {
            let parsed = TileName::parse(Path::new(odd));
            assert!(parsed.is_none() || odd.ends_with('/'), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn names_round_trip(level in 0u8..7, index: u64, width in proptest::option::of(1u8..)) {
            for kind in [TileKind::Entries, TileKind::Hashes(level)] {
                let name = TileName { kind, index, width };
                prop_assert_eq!(TileName::parse(&name.path()), Some(name));
            }
        }

        #[test]
        fn bundles_round_trip(list in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..40)) {
            let mut bundle = Vec::new();
            for entry in &list {
                prop_assert!(push_entry(&mut bundle, entry));
            }
            let read: Vec<Vec<u8>> = entries(&bundle).map(|e| e.unwrap().1.to_vec()).collect();
            prop_assert_eq!(&read, &list);
            if !bundle.is_empty() {
                bundle.pop();
                prop_assert!(entries(&bundle).any(|e| e.is_err()) || list.last().unwrap().is_empty());
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let covered: usize = entries(&bytes).filter_map(Result::ok).map(|e| e.1.len() + 2).sum();
            prop_assert!(covered <= bytes.len());
        }
    }
}
