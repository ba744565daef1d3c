//! The Merkle tree of RFC 6962, section 2.1 (SHA-256), kept as the right edge of its tiles.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// Hashes in a full tile (C2SP tlog-tiles: height 8).
pub const TILE_WIDTH: usize = 256;

/// A SHA-256 hash of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The root of the tree without leaves: SHA-256 of nothing.
    pub fn empty_root() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash of an entry: `SHA-256(0x00 || entry)`.
    pub fn leaf(entry: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
    }

    /// The hash of two subtrees: `SHA-256(0x01 || left || right)`.
    pub fn node(left: &Self, right: &Self) -> Self {
        let hash = Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0);
        Self(hash.finalize().into())
    }

    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From standard base64; `None` unless it is the one spelling of 32 bytes.
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    /// Standard base64.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A tile that an added leaf completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullTile {
    /// 0 for leaf hashes; each hash of level L+1 is the root of a full tile of level L.
    pub level: u8,
    /// Which tile of that level.
    pub index: u64,
    /// Exactly [`TILE_WIDTH`] hashes.
    pub hashes: Vec<Hash>,
}

/// A tree that grows at its end. It remembers the unfinished tile of each level and nothing else,
/// at most 8 KiB a level.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    /// From the unfinished tiles, lowest level first; `None` when they do not belong to a tree of
    /// `size` leaves.
    pub fn from_edge(size: u64, edge: Vec<Vec<Hash>>) -> Option<Self> {
        let fits = (0..8).all(|level| {
            let want = size.checked_shr(level * 8).unwrap_or(0) % 256;
            let have = edge.get(level as usize).map_or(0, Vec::len) as u64;
            want == have
        });
        (fits && edge.len() <= 8).then_some(Self { size, edge })
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The unfinished tile of `level`.
    pub fn edge(&self, level: u8) -> &[Hash] {
        self.edge.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// The number of levels that ever held a hash.
    pub fn levels(&self) -> u8 {
        u8::try_from(self.edge.len()).unwrap_or(u8::MAX)
    }

    /// Adds a leaf; `completed` sees each tile that it fills, lowest level first.
    pub fn push(&mut self, leaf: Hash, mut completed: impl FnMut(FullTile)) {
        self.size = self.size.saturating_add(1);
        let mut hash = leaf;
        for level in 0u8..8 {
            if self.edge.len() <= usize::from(level) {
                self.edge.push(Vec::with_capacity(TILE_WIDTH));
            }
            let Some(tile) = self.edge.get_mut(usize::from(level)) else { return };
            tile.push(hash);
            if tile.len() < TILE_WIDTH {
                return;
            }
            let hashes = std::mem::replace(tile, Vec::with_capacity(TILE_WIDTH));
            hash = perfect_root(&hashes);
            let index = (self.size >> (u32::from(level) * 8 + 8)).saturating_sub(1);
            completed(FullTile { level, index, hashes });
        }
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        // From the right: each unfinished tile falls apart into perfect subtrees, one for each
        // bit of its width, the smallest rightmost.
        for tile in &self.edge {
            let mut rest = tile.as_slice();
            while !rest.is_empty() {
                let width = 1usize << rest.len().trailing_zeros();
                let (left, right) = rest.split_at(rest.len().saturating_sub(width));
                let subtree = perfect_root(right);
                root = Some(root.map_or(subtree, |all| Hash::node(&subtree, &all)));
                rest = left;
            }
        }
        root.unwrap_or_else(Hash::empty_root)
    }
}

/// The root over `hashes`, whose number is a power of two.
pub fn perfect_root(hashes: &[Hash]) -> Hash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(Hash::node(left, right)),
                _ => None,
            })
            .collect();
    }
    level.first().copied().unwrap_or_else(Hash::empty_root)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inputs and roots that certificate-transparency implementations share.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn roots_are_those_of_rfc_6962() {
        let mut tree = Tree::default();
        assert_eq!(
            tree.root().as_bytes().to_vec(),
            unhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
        for (leaf, root) in LEAVES.iter().zip(ROOTS) {
            tree.push(Hash::leaf(&unhex(leaf)), |_| ());
            assert_eq!(tree.root().as_bytes().to_vec(), unhex(root), "after {leaf:?}");
        }
    }

    #[test]
    fn tiles_complete_where_the_specification_says() {
        let mut tree = Tree::default();
        let mut full = Vec::new();
        for n in 0..70_000u64 {
            tree.push(Hash::leaf(&n.to_be_bytes()), |tile| full.push((tile.level, tile.index)));
        }
        // The example of C2SP tlog-tiles: 273 + 112, 1 + 17, 1.
        assert_eq!(full.iter().filter(|t| t.0 == 0).count(), 273);
        assert_eq!(full.iter().filter(|t| t.0 == 1).collect::<Vec<_>>(), [&(1, 0)]);
        assert_eq!([tree.edge(0).len(), tree.edge(1).len(), tree.edge(2).len()], [112, 17, 1]);
        let again = Tree::from_edge(tree.size(), tree.edge.clone()).unwrap();
        assert_eq!(again.root(), tree.root());
        assert!(Tree::from_edge(tree.size() + 1, tree.edge).is_none());
    }
}
