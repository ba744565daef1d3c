//! The tamper corpus: what somebody with write access to the log's folder can do, class by class.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Session, check, closed_log, eventually, fill, open};
use remit_audit::{
    AuditLog, Checkpoint, FindingKind, LogError, LogPaths, Report, Severity, VerifyOptions,
    checkpoint,
    merkle::{FullTile, Hash, Tree},
    note::NoteSigner,
    public_key,
    tile::{TileKind, TileName, encode_hashes, entries, push_entry},
    verify,
};
use remit_core::{AuditSink, Durability};
use tempfile::{TempDir, tempdir};

/// A closed log in its C2SP form alone, as an auditor gets it.
fn plain_log(count: u64) -> (TempDir, Session) {
    let home = tempdir().unwrap();
    let session = closed_log(home.path(), count);
    // Housekeeping may still be at work there.
    eventually("no segments", || {
        let folder = audit(&home).join("segment");
        fs::remove_dir_all(&folder).is_ok() || !folder.exists()
    });
    assert!(check(home.path()).findings.is_empty());
    (home, session)
}

fn audit(home: &TempDir) -> PathBuf {
    home.path().join("audit")
}

fn read_entries(audit: &Path) -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    for index in 0.. {
        let full = audit.join(TileName::full(TileKind::Entries, index).path());
        let folder = full.with_extension("p");
        let file = if full.exists() {
            full
        } else if let Ok(mut partial) = fs::read_dir(folder) {
            partial.next().unwrap().unwrap().path()
        } else {
            break;
        };
        list.extend(entries(&fs::read(file).unwrap()).map(|e| e.unwrap().1.to_vec()));
    }
    list
}

/// Writes all tiles for these entries, as the real log would, and signs if there is a key.
fn rewrite(audit: &Path, list: &[Vec<u8>], signer: Option<&NoteSigner>) {
    fs::remove_dir_all(audit.join("tile")).unwrap();
    let put = |name: TileName, bytes: &[u8]| {
        let path = audit.join(name.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut tree = Tree::default();
    let mut bundle = Vec::new();
    for entry in list {
        push_entry(&mut bundle, entry);
        tree.push(Hash::leaf(entry), |FullTile { level, index, hashes }| {
            if level == 0 {
                put(TileName::full(TileKind::Entries, index), &bundle);
                bundle.clear();
            }
            put(TileName::full(TileKind::Hashes(level), index), &encode_hashes(&hashes));
        });
    }
    for level in 0..tree.levels() {
        let Ok(width @ 1..) = u8::try_from(tree.edge(level).len()) else { continue };
        let index = tree.size() >> (8 * u32::from(level) + 8);
        put(
            TileName::partial(TileKind::Hashes(level), index, width),
            &encode_hashes(tree.edge(level)),
        );
        if level == 0 {
            put(TileName::partial(TileKind::Entries, index, width), &bundle);
        }
    }
    if let Some(signer) = signer {
        let origin = signer.verifier().name().to_owned();
        let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() };
        fs::write(audit.join("checkpoint"), checkpoint.sign(signer)).unwrap();
    }
}

fn stolen_key(home: &TempDir) -> NoteSigner {
    let text = fs::read_to_string(home.path().join("config/audit.key")).unwrap();
    NoteSigner::from_secret_text(text.trim()).unwrap()
}

fn tampered(report: &Report, wanted: impl Fn(&FindingKind) -> bool) {
    assert!(!report.intact());
    let found =
        report.findings.iter().any(|f| f.severity == Severity::Tampering && wanted(&f.kind));
    assert!(found, "{:#?}", report.findings);
}

#[test]
fn edited_entry_is_named() {
    let (home, _) = plain_log(700);
    let path = audit(&home).join("tile/entries/001");
    let bundle = fs::read(&path).unwrap();
    let (offset, entry) = entries(&bundle).nth(44).unwrap().unwrap();
    let text = String::from_utf8(entry.to_vec()).unwrap().replace("alice", "carol");
    let mut edited = bundle.clone();
    edited[offset + 2..offset + 2 + entry.len()].copy_from_slice(text.as_bytes());
    fs::write(&path, edited).unwrap();
    let report = check(home.path());
    tampered(&report, |kind| *kind == FindingKind::EntryMismatch);
    assert!(report.findings.iter().any(|f| f.seq == Some(300)), "{:?}", report.findings);
    tampered(&report, |kind| matches!(kind, FindingKind::RootMismatch { size: 700 }));
}

#[test]
fn deleted_inserted_reordered_and_duplicated_entries_are_found() {
    type Change = fn(&mut Vec<Vec<u8>>);
    let changes: [(&str, Change); 5] = [
        ("delete", |list| drop(list.remove(300))),
        ("delete first", |list| drop(list.remove(0))),
        ("insert", |list| {
            let copy = String::from_utf8(list[3].clone()).unwrap().replace("read_file", "execute");
            list.insert(300, copy.into_bytes());
        }),
        ("reorder", |list| list.swap(300, 301)),
        ("duplicate", |list| list.insert(301, list[300].clone())),
    ];
    for (name, change) in changes {
        let (home, _) = plain_log(700);
        let mut list = read_entries(&audit(&home));
        change(&mut list);
        // All hashes done again, but the attacker has no key.
        rewrite(&audit(&home), &list, None);
        let report = check(home.path());
        assert!(!report.intact(), "{name}");
        tampered(&report, |kind| {
            matches!(kind, FindingKind::RootMismatch { .. } | FindingKind::Truncated { .. })
        });
    }
}

#[test]
fn stolen_key_cannot_hide_from_a_checkpoint_kept_elsewhere() {
    let (home, _) = plain_log(700);
    let kept = checkpoint(&audit(&home)).unwrap();
    let signer = stolen_key(&home);
    let options = VerifyOptions { checkpoint: Some(kept.as_bytes()), key: None };
    let mut list = read_entries(&audit(&home));
    let text = String::from_utf8(list[300].clone()).unwrap().replace("alice", "carol");
    list[300] = text.into_bytes();
    rewrite(&audit(&home), &list, Some(&signer));
    let report = verify(&audit(&home), &options).unwrap();
    tampered(&report, |kind| matches!(kind, FindingKind::NotExtending { trusted: 700 }));
    // Shorter than what was signed before.
    list.truncate(650);
    rewrite(&audit(&home), &list, Some(&signer));
    let report = verify(&audit(&home), &options).unwrap();
    tampered(&report, |kind| matches!(kind, FindingKind::RolledBack { have: 650, trusted: 700 }));
}

#[test]
fn stolen_key_that_drops_or_repeats_an_event_leaves_a_hole_in_its_session() {
    let (home, session) = plain_log(700);
    let signer = stolen_key(&home);
    let list = read_entries(&audit(&home));
    let mut without = list.clone();
    without.drain(300..303);
    rewrite(&audit(&home), &without, Some(&signer));
    let report = check(home.path());
    let hole = FindingKind::MissingEvents { session: session.id, numbers: vec![(301, 303)] };
    tampered(&report, |kind| *kind == hole);
    let mut twice = list;
    twice.push(twice[5].clone());
    rewrite(&audit(&home), &twice, Some(&signer));
    tampered(&check(home.path()), |kind| matches!(kind, FindingKind::DuplicateEvent { .. }));
}

#[test]
fn truncation_is_found_against_the_stored_checkpoint() {
    let (home, _) = plain_log(700);
    let list = read_entries(&audit(&home));
    for keep in [0, 1, 255, 256, 600, 699] {
        rewrite_or_empty(&audit(&home), &list[..keep]);
        let report = check(home.path());
        let wanted = FindingKind::Truncated { have: keep as u64, signed: 700 };
        tampered(&report, |kind| *kind == wanted);
    }
}

fn rewrite_or_empty(audit: &Path, list: &[Vec<u8>]) {
    fs::create_dir_all(audit.join("tile")).unwrap();
    rewrite(audit, list, None);
}

/// Bypass class: the log itself keeps an older signed note, to which a copy can be cut.
#[test]
fn a_closed_log_leaves_no_older_note_to_roll_back_to() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    for count in [1, 2, 3] {
        log.append(&session.read(), Durability::Grouped).unwrap();
        assert_eq!(log.flush().unwrap(), count);
    }
    log.append(&session.read(), Durability::Barrier).unwrap();
    log.close().unwrap();
    let key = public_key(&audit(&home)).unwrap();
    let mut sizes = Vec::new();
    for folder in ["audit", "audit/segment", "config"] {
        for file in fs::read_dir(home.path().join(folder)).unwrap() {
            let note = fs::read(file.unwrap().path()).unwrap_or_default();
            sizes.extend(Checkpoint::open(&note, &key).ok().map(|checkpoint| checkpoint.size));
        }
    }
    // The checkpoint and the head, each with the file that it takes turns with.
    assert_eq!(sizes, [4; 4]);
    // What was closed goes on.
    drop(log);
    closed_log(home.path(), 3);
    assert!(check(home.path()).findings.is_empty());
}

#[test]
fn rollback_to_an_older_snapshot_is_found_and_not_continued() {
    let home = tempdir().unwrap();
    closed_log(home.path(), 300);
    let snapshot = tempdir().unwrap();
    copy(&audit(&home), &snapshot.path().join("audit"));
    closed_log(home.path(), 200);
    let kept = checkpoint(&audit(&home)).unwrap();
    fs::remove_dir_all(audit(&home)).unwrap();
    copy(&snapshot.path().join("audit"), &audit(&home));
    // In itself the snapshot is sound; only memory elsewhere can tell.
    assert!(check(home.path()).intact());
    let options = VerifyOptions { checkpoint: Some(kept.as_bytes()), key: None };
    let report = verify(&audit(&home), &options).unwrap();
    tampered(&report, |kind| matches!(kind, FindingKind::RolledBack { have: 300, trusted: 500 }));
    // The machine remembers what it signed and does not sign something else.
    let opened = AuditLog::open(LogPaths::below(home.path()), common::small());
    assert!(matches!(opened, Err(LogError::RolledBack { have: 300, signed: 500 })), "{opened:?}");
}

#[test]
fn vanished_log_is_replaced_by_one_that_says_so() {
    let home = tempdir().unwrap();
    closed_log(home.path(), 30);
    let old = public_key(&audit(&home)).unwrap();
    fs::remove_dir_all(audit(&home)).unwrap();
    drop(open(home.path()));
    let new = public_key(&audit(&home)).unwrap();
    assert_ne!(old.name(), new.name());
    let first = remit_audit::query(&audit(&home), remit_audit::Filter::default());
    let first = first.unwrap().next().unwrap().unwrap().record().unwrap();
    let said = format!("the log {} with 30 records is missing", old.name());
    assert_eq!(first.detail.as_deref(), Some(said.as_str()));
    let options = VerifyOptions { checkpoint: None, key: Some(&old) };
    tampered(&verify(&audit(&home), &options).unwrap(), |kind| *kind == FindingKind::ForeignKey);
}

#[test]
fn foreign_key_and_bad_signature_are_found() {
    let (home, _) = plain_log(300);
    let key = public_key(&audit(&home)).unwrap();
    let foreign = NoteSigner::from_seed(key.name(), &[9; 32]).unwrap();
    let list = read_entries(&audit(&home));
    rewrite(&audit(&home), &list[..200], Some(&foreign));
    tampered(&check(home.path()), |kind| matches!(kind, FindingKind::CheckpointInvalid(_)));
    // Replacing the public key too makes it whole in itself, but not for who knows the key.
    fs::write(audit(&home).join("log.pub"), format!("{}\n", foreign.verifier())).unwrap();
    let options = VerifyOptions { checkpoint: None, key: Some(&key) };
    let report = verify(&audit(&home), &options).unwrap();
    tampered(&report, |kind| *kind == FindingKind::ForeignKey);
    tampered(&report, |kind| matches!(kind, FindingKind::CheckpointInvalid(_)));
}

#[test]
fn removed_swapped_and_lengthened_files_are_found() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 14] = [
        ("bundle removed", |a| fs::remove_file(a.join("tile/entries/001")).unwrap()),
        ("last bundle removed", |a| fs::remove_dir_all(a.join("tile/entries/002.p")).unwrap()),
        ("tile removed", |a| fs::remove_file(a.join("tile/0/001")).unwrap()),
        ("checkpoint removed", |a| fs::remove_file(a.join("checkpoint")).unwrap()),
        ("checkpoint emptied", |a| fs::write(a.join("checkpoint"), "").unwrap()),
        ("bundle emptied", |a| fs::write(a.join("tile/entries/000"), "").unwrap()),
        ("tiles swapped", |a| swap(&a.join("tile/0/000"), &a.join("tile/0/001"))),
        ("bundles swapped", |a| swap(&a.join("tile/entries/000"), &a.join("tile/entries/001"))),
        ("bundle lengthened", |a| lengthen(&a.join("tile/entries/000"))),
        ("partial bundle lengthened", |a| lengthen(&a.join("tile/entries/002.p/188"))),
        ("tile lengthened", |a| lengthen(&a.join("tile/0/001"))),
        ("checkpoint lengthened", |a| lengthen(&a.join("checkpoint"))),
        ("bundle added", |a| {
            fs::copy(a.join("tile/entries/000"), a.join("tile/entries/003")).unwrap();
        }),
        ("strange tile added", |a| fs::write(a.join("tile/entries/0001"), "x").unwrap()),
    ];
    for (name, change) in changes {
        let (home, _) = plain_log(700);
        change(&audit(&home));
        let report = check(home.path());
        assert!(!report.intact(), "{name}: {:?}", report.findings);
    }
}

#[test]
fn segment_that_differs_from_signed_entries_is_found() {
    let home = tempdir().unwrap();
    closed_log(home.path(), 300);
    let segment = audit(&home).join("segment/00000000000000000000.seg");
    let sound = fs::read(&segment).unwrap();
    let end = sound.iter().rposition(|byte| *byte != 0).unwrap();
    let mut step = 0;
    for bit in (0..(end + 1) * 8).step_by(997) {
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&segment, flipped).unwrap();
        assert!(!check(home.path()).intact(), "bit {bit}");
        step += 1;
    }
    assert!(step > 1000);
    let mut trailing = sound;
    trailing[end + 5000] = 1;
    fs::write(&segment, trailing).unwrap();
    tampered(&check(home.path()), |kind| *kind == FindingKind::TrailingBytes);
    fs::write(&segment, b"").unwrap();
    tampered(&check(home.path()), |kind| *kind == FindingKind::SegmentDamaged);
    // A log that does not fit its checkpoint is not continued.
    assert!(AuditLog::open(LogPaths::below(home.path()), common::small()).is_err());
}

#[test]
fn flipped_bits_anywhere_are_found() {
    let (home, _) = plain_log(290);
    let mut files = Vec::new();
    list_files(&audit(&home).join("tile"), &mut files);
    files.push(audit(&home).join("checkpoint"));
    files.push(audit(&home).join("log.pub"));
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move |below: usize| {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let (mut tried, mut accepted) = (0u32, Vec::new());
    for round in 0..3000 {
        // The small files in full proportion, for they matter as much.
        let path = &files[round % files.len()];
        let sound = fs::read(path).unwrap();
        let bit = next(sound.len() * 8);
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, flipped).unwrap();
        let report = verify(&audit(&home), &VerifyOptions::default());
        if report.is_ok_and(|report| report.intact()) {
            accepted.push((path.clone(), bit));
        }
        fs::write(path, sound).unwrap();
        tried += 1;
    }
    assert_eq!((tried, accepted), (3000, Vec::new()));
    assert!(check(home.path()).findings.is_empty());
}

#[test]
fn unusable_input_is_an_error_not_a_verdict() {
    let home = tempdir().unwrap();
    let none = home.path().join("nothing");
    assert!(verify(&none, &VerifyOptions::default()).is_err());
    assert!(verify(home.path(), &VerifyOptions::default()).is_err());
    closed_log(home.path(), 3);
    let options = VerifyOptions { checkpoint: Some(b"not a checkpoint"), key: None };
    assert!(verify(&audit(&home), &options).is_err());
}

#[test]
fn live_removal_of_the_checkpoint_is_repaired_and_its_exchange_noticed() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    fill(&log, &mut session, 300);
    log.flush().unwrap();
    let old = fs::read(audit(&home).join("checkpoint")).unwrap();
    fs::remove_file(audit(&home).join("checkpoint")).unwrap();
    log.append(&session.read(), Durability::Barrier).unwrap();
    log.flush().unwrap();
    assert_eq!(check(home.path()).signed, 301);
    fs::write(audit(&home).join("checkpoint"), old).unwrap();
    assert!(matches!(log.flush(), Err(LogError::RolledBack { have: 300, signed: 301 })));
}

fn swap(a: &Path, b: &Path) {
    let (x, y) = (fs::read(a).unwrap(), fs::read(b).unwrap());
    fs::write(a, y).unwrap();
    fs::write(b, x).unwrap();
}

fn lengthen(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes.extend_from_slice(&[0, 2, b'{', b'}']);
    fs::write(path, bytes).unwrap();
}

fn list_files(folder: &Path, list: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { list_files(&path, list) } else { list.push(path) }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { assert!(fs::copy(&path, &target).is_ok()) }
    }
}
