//! A log's ordinary life: open, append, close, look up, prove, verify.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use common::{Session, check, closed_log, eventually, fill, open, record, small};
use remit_audit::{
    AuditLog, Filter, LogError, LogPaths, ProofError, VerifyOptions, checkpoint, find, prove,
    public_key, query, summarise, verify, verify_proof,
};
use remit_core::{Action, AuditSink, Durability, EventId, Outcome};
use tempfile::tempdir;

#[test]
fn what_goes_in_comes_out_in_order() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    let records: Vec<_> = (0..3000).map(|_| session.read()).collect();
    for record in &records {
        log.append(record, Durability::Grouped).unwrap();
    }
    // Also while the newest are not signed yet.
    let audit = home.path().join("audit");
    let read = |filter: Filter| {
        query(&audit, filter).unwrap().map(|found| found.unwrap()).collect::<Vec<_>>()
    };
    let live = read(Filter::default());
    assert_eq!(live.len(), 3000);
    log.close().unwrap();
    drop(log);
    let all = read(Filter::default());
    assert_eq!(all.iter().map(|f| f.record().unwrap()).collect::<Vec<_>>(), records);
    assert!(all.iter().enumerate().all(|(n, f)| f.seq == n as u64 && !f.pending));
    let line: serde_json::Value = serde_json::from_str(&all[7].line()).unwrap();
    assert_eq!(line["seq"], 7);
    assert_eq!(line["event_id"], records[7].event_id.to_string());
    // Everything of the contract's example is there.
    for key in [
        "timestamp",
        "principal",
        "agent_id",
        "action",
        "resource",
        "permission_manifest",
        "token_id",
        "network_targets",
        "outcome",
        "correlation_id",
        "session_id",
        "reason",
    ] {
        assert!(line.get(key).is_some(), "{key}");
    }
    let report = check(home.path());
    assert!(report.intact() && report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.records, report.signed, report.pending), (3000, 3000, 0));
}

#[test]
fn filters_let_through_what_they_say() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let (mut one, mut two) = (Session::new(1), Session::new(2));
    for n in 0..600 {
        log.append(&one.read(), Durability::Grouped).unwrap();
        if n % 3 == 0 {
            log.append(&two.record(Action::Connect, Outcome::Denied), Durability::Grouped).unwrap();
        }
    }
    log.close().unwrap();
    let audit = home.path().join("audit");
    let count = |filter: Filter| query(&audit, filter).unwrap().map(Result::unwrap).count();
    assert_eq!(count(Filter::default()), 800);
    assert_eq!(count(Filter { session: Some(two.id.clone()), ..Filter::default() }), 200);
    assert_eq!(count(Filter { action: Some(Action::ReadFile), ..Filter::default() }), 600);
    assert_eq!(count(Filter { outcome: Some(Outcome::Denied), ..Filter::default() }), 200);
    assert_eq!(count(Filter { limit: Some(5), ..Filter::default() }), 5);
    assert_eq!(count(Filter { from_seq: 790, ..Filter::default() }), 10);
    let tenth = record(&one.id, 10, Action::ReadFile, Outcome::Allowed).timestamp;
    let session = Some(one.id.clone());
    assert_eq!(
        count(Filter { since: Some(tenth), session: session.clone(), ..Filter::default() }),
        591
    );
    assert_eq!(count(Filter { until: Some(tenth), session, ..Filter::default() }), 9);
    let event = EventId::new(two.id.clone(), 150);
    let found = find(&audit, &event).unwrap().unwrap();
    assert_eq!(found.record().unwrap().event_id, event);
    assert!(find(&audit, &EventId::new(two.id.clone(), 201)).unwrap().is_none());
    let records: Vec<_> =
        query(&audit, Filter::default()).unwrap().map(|f| f.unwrap().record().unwrap()).collect();
    let summary = summarise(records.iter().map(|record| (record, false)));
    assert_eq!(summary.actions[&Action::ReadFile].allowed, 600);
    assert_eq!(summary.actions[&Action::Connect].denied, 200);
    assert_eq!((summary.total.allowed, summary.total.denied, summary.unsigned), (600, 200, 0));
}

#[test]
fn proofs_verify_offline_and_forged_ones_do_not() {
    let home = tempdir().unwrap();
    let session = closed_log(home.path(), 1500);
    let audit = home.path().join("audit");
    let key = public_key(&audit).unwrap();
    for number in [1u64, 2, 256, 257, 1024, 1499, 1500] {
        let event = EventId::new(session.id.clone(), number);
        let text = prove(&audit, &event).unwrap();
        let proven = verify_proof(&text, &key).unwrap();
        assert_eq!(proven.seq, number - 1);
        assert_eq!(proven.checkpoint.size, 1500);
        let record: remit_core::Record = serde_json::from_slice(&proven.entry).unwrap();
        assert_eq!(record.event_id, event);
        let mut accepted = 0;
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            accepted += u32::from(
                String::from_utf8(bytes).is_ok_and(|text| verify_proof(&text, &key).is_ok()),
            );
        }
        assert_eq!(accepted, 0);
    }
    let event = EventId::new(session.id.clone(), 1501);
    assert!(matches!(prove(&audit, &event), Err(LogError::NoSuchEvent(_))));
    assert_eq!(verify_proof("", &key), Err(ProofError::Malformed));
}

#[test]
fn a_log_goes_on_after_closing_and_its_old_checkpoint_is_extended() {
    let home = tempdir().unwrap();
    let audit = home.path().join("audit");
    let mut kept = Vec::new();
    for count in [1, 254, 1, 1, 255, 700, 2, 3000, 5] {
        closed_log(home.path(), count);
        kept.push(checkpoint(&audit).unwrap());
    }
    for old in &kept {
        let options = VerifyOptions { checkpoint: Some(old.as_bytes()), key: None };
        let report = verify(&audit, &options).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!(report.records, 4219);
    }
}

#[test]
fn a_copy_verifies_elsewhere_even_without_segments() {
    let home = tempdir().unwrap();
    closed_log(home.path(), 1000);
    let copy = tempdir().unwrap();
    let status =
        Command::new("cp").arg("-r").arg(home.path().join("audit")).arg(copy.path()).status();
    assert!(status.unwrap().success());
    assert!(check(copy.path()).findings.is_empty());
    fs::remove_dir_all(copy.path().join("audit/segment")).unwrap();
    let report = check(copy.path());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.records, 1000);
    let found = query(&copy.path().join("audit"), Filter::default()).unwrap().count();
    assert_eq!(found, 1000);
}

#[test]
fn grouped_records_are_signed_within_the_window() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    log.append(&session.read(), Durability::Grouped).unwrap();
    let start = Instant::now();
    eventually("the record is signed", || check(home.path()).signed == 1);
    // Generous, for the machine may be busy with other tests.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn two_logs_in_one_process_and_many_threads_share_one_log() {
    let home = tempdir().unwrap();
    let (a, b) = (open(home.path()), open(home.path()));
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let log = if thread % 2 == 0 { &a } else { &b };
            scope.spawn(move || {
                let mut session = Session::new(100 + thread);
                fill(log, &mut session, 500);
            });
        }
    });
    assert_eq!(a.close().unwrap(), 4000);
    assert_eq!(b.close().unwrap(), 4000);
    let report = check(home.path());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.records, report.sessions, report.unclosed.len()), (4000, 8, 0));
}

#[test]
fn too_large_records_are_refused_and_explained() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    log.append(&session.record(Action::SessionStart, Outcome::Allowed), Durability::Barrier)
        .unwrap();
    let mut large = session.read();
    large.resource = "x".repeat(70_000);
    assert!(log.append(&large, Durability::Grouped).is_err());
    log.append(&session.record(Action::SessionEnd, Outcome::Allowed), Durability::Barrier).unwrap();
    log.close().unwrap();
    let report = check(home.path());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.records, 3);
}

#[test]
fn segments_retire_once_tiles_hold_their_entries() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    let segments = || {
        let list = fs::read_dir(home.path().join("audit/segment")).unwrap();
        list.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "seg")).count()
    };
    fill(&log, &mut session, 6000);
    eventually("old segments are gone", || {
        log.flush().unwrap();
        segments() <= 2
    });
    assert!(check(home.path()).findings.is_empty());
    drop(log);
    assert_eq!(check(home.path()).records, 6000);
}

#[test]
fn foreign_and_missing_keys_are_refused() {
    let home = tempdir().unwrap();
    closed_log(home.path(), 3);
    let paths = LogPaths::below(home.path());
    fs::rename(paths.keys.join("audit.key"), paths.keys.join("away")).unwrap();
    assert!(matches!(AuditLog::open(paths.clone(), small()), Err(LogError::KeyMissing { .. })));
    let other = tempdir().unwrap();
    closed_log(other.path(), 3);
    fs::copy(other.path().join("config/audit.key"), paths.keys.join("audit.key")).unwrap();
    assert!(matches!(AuditLog::open(paths, small()), Err(LogError::ForeignKey { .. })));
}

#[test]
fn private_key_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempdir().unwrap();
    closed_log(home.path(), 3);
    let mode =
        |name: &str| fs::metadata(home.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("config/audit.key"), mode("config"), mode("audit")), (0o600, 0o700, 0o700));
}

/// A verification that runs beside busy sessions sees entries half written and segments turn over,
/// and takes none of that for tampering.
#[test]
fn a_log_that_is_being_written_verifies_at_every_moment() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut session = Session::unique();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    log.append(&session.read(), Durability::Grouped).unwrap();
                }
            });
        }
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < Duration::from_secs(3) || rounds < 20 {
            let report = check(home.path());
            rounds += 1;
            if !report.intact() {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                panic!("round {rounds}: {:?}", report.findings);
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// A log that refuses now and then, among records that it takes, is not taken for a tampered one.
#[test]
fn hundreds_of_holes_are_all_explained() {
    let home = tempdir().unwrap();
    // Nothing is signed meanwhile, so all is explained at the session's end.
    let options = remit_audit::LogOptions { signing: Duration::from_secs(60), ..small() };
    let log = AuditLog::open(LogPaths::below(home.path()), options).unwrap();
    let mut session = Session::unique();
    log.append(&session.record(Action::SessionStart, Outcome::Allowed), Durability::Grouped)
        .unwrap();
    for _ in 0..600 {
        let mut refused = session.read();
        refused.resource = "x".repeat(70_000);
        log.append(&refused, Durability::Grouped).unwrap_err();
        log.append(&session.read(), Durability::Grouped).unwrap();
    }
    log.append(&session.record(Action::SessionEnd, Outcome::Allowed), Durability::Grouped).unwrap();
    log.close().unwrap();
    let report = check(home.path());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// Somebody holds the log's lock and does not go on. What is done meanwhile is written down first,
/// and in the log once that can be opened again: once, whoever opens it.
#[test]
fn what_was_done_while_the_log_was_locked_is_taken_in() {
    let home = tempdir().unwrap();
    let paths = LogPaths { audit: home.path().join("audit"), keys: home.path().join("config") };
    open(home.path()).close().unwrap();
    let lock = fs::File::open(paths.audit.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let detail = "killed by alice";
    let written = remit_audit::intend(&paths, Action::Contain, "session x", detail).unwrap();
    // One that was never finished: nothing was done.
    fs::write(paths.audit.join("intents/0"), "{\"action\":\"conta").unwrap();
    let path = home.path().to_owned();
    let opening = std::thread::spawn(move || open(&path).close().unwrap());
    std::thread::sleep(Duration::from_millis(100));
    assert!(written.exists() && !opening.is_finished());
    drop(lock);
    opening.join().unwrap();
    open(home.path()).close().unwrap();
    assert_eq!(fs::read_dir(paths.audit.join("intents")).unwrap().count(), 0);
    let all: Vec<_> = query(&paths.audit, Filter::default())
        .unwrap()
        .map(|found| found.unwrap().record().unwrap())
        .filter(|record| record.action == Action::Contain)
        .collect();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].resource.as_str(), all[0].detail.as_deref()), ("session x", Some(detail)));
    check(home.path());
}
