//! Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2), made from tiles and
//! checked as in RFC 9162, sections 2.1.3.2 and 2.1.4.2.

use crate::merkle::{Hash, perfect_root};

/// Where the hashes of tiles come from.
pub trait TileSource {
    /// What goes wrong.
    type Error;

    /// The first `width` hashes (1 to 256) of a tile.
    ///
    /// # Errors
    /// Whatever keeps them from being read; fewer hashes must be an error too.
    fn tile(&self, level: u8, index: u64, width: usize) -> Result<Vec<Hash>, Self::Error>;
}

/// The hashes that lead from leaf `index` to the root of the first `size` leaves, leaf side
/// first. Empty when `index` is not among them.
///
/// # Errors
/// Those of `tiles`.
pub fn inclusion<S: TileSource>(tiles: &S, index: u64, size: u64) -> Result<Vec<Hash>, S::Error> {
    let mut path = Vec::new();
    if index >= size {
        return Ok(path);
    }
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range(tiles, middle, high)?);
            high = middle;
        } else {
            path.push(range(tiles, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show that the tree of `size` leaves begins with the tree of `old` leaves.
/// Empty when `old` is 0 or not smaller.
///
/// # Errors
/// Those of `tiles`.
pub fn consistency<S: TileSource>(tiles: &S, old: u64, size: u64) -> Result<Vec<Hash>, S::Error> {
    let mut path = Vec::new();
    if old == 0 || old >= size {
        return Ok(path);
    }
    let (mut low, mut high, mut whole) = (0, size, true);
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(range(tiles, middle, high)?);
            high = middle;
        } else {
            path.push(range(tiles, low, middle)?);
            low = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(range(tiles, low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `path` leads from `leaf` at `index` to `root` over `size` leaves.
pub fn includes(path: &[Hash], leaf: Hash, index: u64, size: u64, root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for step in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = Hash::node(step, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = Hash::node(&hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Whether `path` shows that the tree (`size`, `root`) begins with the tree (`old`, `old_root`).
pub fn extends(path: &[Hash], old: u64, old_root: Hash, size: u64, root: Hash) -> bool {
    if old == size {
        return path.is_empty() && old_root == root;
    }
    if old == 0 {
        // Every tree begins with the empty one; there is nothing to show.
        return path.is_empty() && old_root == Hash::empty_root();
    }
    if old > size {
        return false;
    }
    let mut steps = path.iter();
    let first = if old.is_power_of_two() { Some(&old_root) } else { steps.next() };
    let Some(&first) = first else { return false };
    let (mut node, mut last) = (old - 1, size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut older, mut newer) = (first, first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            older = Hash::node(step, &older);
            newer = Hash::node(step, &newer);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            newer = Hash::node(&newer, step);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && older == old_root && newer == root
}

/// The largest power of two smaller than `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// The root over leaves `low..high`, a range that occurs in the tree's own recursion, so that
/// `low` is a multiple of every split.
fn range<S: TileSource>(tiles: &S, low: u64, high: u64) -> Result<Hash, S::Error> {
    let width = high - low;
    if width.is_power_of_two() {
        return perfect(tiles, width.ilog2(), low);
    }
    let middle = low + split(width);
    Ok(Hash::node(&range(tiles, low, middle)?, &range(tiles, middle, high)?))
}

/// The root over the 2^`height` leaves from `low` on.
fn perfect<S: TileSource>(tiles: &S, height: u32, low: u64) -> Result<Hash, S::Error> {
    let level = height / 8;
    let width = 1usize << (height % 8);
    let position = low >> (level * 8);
    let offset = usize::try_from(position % 256).unwrap_or(0);
    let needed = offset + width;
    let hashes = tiles.tile(u8::try_from(level).unwrap_or(u8::MAX), position / 256, needed)?;
    Ok(perfect_root(hashes.get(offset..needed).unwrap_or(&[])))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::merkle::Tree;

    /// All hashes of all levels in memory.
    struct Memory(Vec<Vec<Hash>>);

    impl Memory {
        fn new(leaves: &[Hash]) -> Self {
            let mut levels = vec![leaves.to_vec()];
            while levels.last().unwrap().len() >= 256 {
                let next = levels.last().unwrap().chunks_exact(256).map(perfect_root).collect();
                levels.push(next);
            }
            Self(levels)
        }
    }

    impl TileSource for Memory {
        type Error = Infallible;
        fn tile(&self, level: u8, index: u64, width: usize) -> Result<Vec<Hash>, Infallible> {
            let start = index as usize * 256;
            Ok(self.0[level as usize][start..start + width].to_vec())
        }
    }

    #[test]
    fn proofs_hold_and_foreign_ones_do_not() {
        let leaves: Vec<Hash> = (0..600u32).map(|n| Hash::leaf(&n.to_be_bytes())).collect();
        let mut roots = vec![Hash::empty_root()];
        let mut tree = Tree::default();
        for leaf in &leaves {
            tree.push(*leaf, |_| ());
            roots.push(tree.root());
        }
        let tiles = Memory::new(&leaves);
        for size in [1u64, 2, 3, 7, 8, 255, 256, 257, 511, 600] {
            let root = roots[size as usize];
            for index in (0..size).step_by(if size > 50 { 13 } else { 1 }) {
                let leaf = leaves[index as usize];
                let path = inclusion(&tiles, index, size).unwrap();
                assert!(includes(&path, leaf, index, size, root), "{index} in {size}");
                assert!(!includes(&path, leaf, index + 1, size, root));
                assert!(!includes(&path, Hash::node(&leaf, &leaf), index, size, root));
                if let Some((_, rest)) = path.split_last() {
                    assert!(!includes(rest, leaf, index, size, root));
                }
            }
            for old in 1..size {
                let path = consistency(&tiles, old, size).unwrap();
                let old_root = roots[old as usize];
                assert!(extends(&path, old, old_root, size, root), "{old} to {size}");
                assert!(!extends(&path, old, root, size, old_root));
                assert!(!extends(&path, old, roots[old as usize - 1], size, root));
            }
        }
    }
}
