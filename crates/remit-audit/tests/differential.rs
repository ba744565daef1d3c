//! The same answers as other implementations of the same specifications.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::{fs, path::PathBuf};

use common::closed_log;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use remit_audit::{
    Filter,
    merkle::{Hash, Tree},
    proof::{extends, includes},
    query,
};
use signed_note::{NoteError, StandardVerifier, VerifierList};
use tempfile::tempdir;
use tlog_tiles::{Checkpoint, Tile, TileHashReader, TileReader};

/// A log's folder as the foreign library wants to read it.
struct Folder(PathBuf);

impl TileReader for Folder {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        Ok(tiles.iter().map(|tile| fs::read(self.0.join(c2sp_path(tile))).unwrap()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// The library speaks of Go's paths, with the height in them: `tile/8/<L>/<N>`.
fn c2sp_path(tile: &Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1).replacen("tile/data/", "tile/entries/", 1)
}

#[test]
fn foreign_library_reads_our_checkpoint_tiles_and_proofs() {
    let home = tempdir().unwrap();
    closed_log(home.path(), 1300);
    let audit = home.path().join("audit");
    let vkey = fs::read_to_string(audit.join("log.pub")).unwrap();
    let verifier = StandardVerifier::new(vkey.trim()).unwrap();
    let note = signed_note::Note::from_bytes(&fs::read(audit.join("checkpoint")).unwrap()).unwrap();
    let verified = note.verify(&VerifierList::new(vec![Box::new(verifier)]));
    assert_eq!(verified.unwrap().0.len(), 1);
    let checkpoint = Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!(checkpoint.size(), 1300);
    let folder = Folder(audit.clone());
    let reader = TileHashReader::new(1300, *checkpoint.hash(), &folder);
    let hash = |foreign: &tlog_tiles::Hash| Hash::from_bytes(foreign.0);
    let root = hash(checkpoint.hash());
    for found in query(&audit, Filter::default()).unwrap().step_by(37) {
        let found = found.unwrap();
        let leaf = tlog_tiles::record_hash(found.json.as_bytes());
        let proof = tlog_tiles::prove_record(1300, found.seq, &reader).unwrap();
        tlog_tiles::check_record(&proof, 1300, *checkpoint.hash(), found.seq, leaf).unwrap();
        let path: Vec<Hash> = proof.iter().map(hash).collect();
        assert!(includes(&path, hash(&leaf), found.seq, 1300, root));
    }
    let mut tree = Tree::default();
    for found in query(&audit, Filter::default()).unwrap() {
        tree.push(Hash::leaf(found.unwrap().json.as_bytes()), |_| ());
        let old = tree.size();
        if old % 41 == 0 && old < 1300 {
            let proof = tlog_tiles::prove_tree(1300, old, &reader).unwrap();
            let path: Vec<Hash> = proof.iter().map(hash).collect();
            assert!(extends(&path, old, tree.root(), 1300, root), "{old}");
        }
    }
}

#[test]
fn foreign_library_refuses_our_forged_notes_too() {
    let home = tempdir().unwrap();
    closed_log(home.path(), 10);
    let audit = home.path().join("audit");
    let vkey = fs::read_to_string(audit.join("log.pub")).unwrap();
    let mut note = fs::read(audit.join("checkpoint")).unwrap();
    let place = note.len() - 20;
    note[place] = if note[place] == b'A' { b'B' } else { b'A' };
    let list = VerifierList::new(vec![Box::new(StandardVerifier::new(vkey.trim()).unwrap())]);
    let opened = signed_note::Note::from_bytes(&note).map(|note| note.verify(&list).is_ok());
    assert!(!matches!(opened, Ok::<bool, NoteError>(true)));
}

#[test]
fn roots_and_proofs_are_those_of_ct_merkle() {
    let mut ours = Tree::default();
    let mut theirs = MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    for n in 0..1100u64 {
        let entry = n.to_be_bytes().repeat(1 + (n % 5) as usize);
        ours.push(Hash::leaf(&entry), |_| ());
        theirs.push(entry);
        let root: [u8; 32] = theirs.root().as_bytes().as_slice().try_into().unwrap();
        assert_eq!(ours.root(), Hash::from_bytes(root), "{n}");
    }
    for index in (0..1100u64).step_by(29) {
        let proof = theirs.prove_inclusion(usize::try_from(index).unwrap());
        let (hashes, rest) = proof.as_bytes().as_chunks::<32>();
        assert!(rest.is_empty());
        let path: Vec<Hash> = hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect();
        let entry = index.to_be_bytes().repeat(1 + (index % 5) as usize);
        assert!(includes(&path, Hash::leaf(&entry), index, 1100, ours.root()));
    }
}
