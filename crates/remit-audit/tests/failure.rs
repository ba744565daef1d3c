//! Disks that are full or gone: effects are refused, nothing acknowledged is lost, work goes on
//! when space returns.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use common::{Session, check, eventually, fill, open, small};
use remit_audit::{AuditLog, Filter, LogPaths, query};
use remit_core::{Action, AuditSink, Durability, Outcome};
use tempfile::tempdir;

const HELPER: &str = "REMIT_AUDIT_TEST_MOUNT";

/// Runs one of the helpers below on a small file system of its own, unprivileged.
fn on_small_disk(test: &str, mebibytes: u32) {
    let folder = tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size={mebibytes}m remit-test \"$0\" && exec \"$1\" --exact {test} --nocapture"
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .env(HELPER, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn mounted() -> Option<PathBuf> {
    std::env::var(HELPER).ok().map(PathBuf::from)
}

#[test]
fn full_disk_refuses_effects_keeps_refusals_and_recovers() {
    on_small_disk("full_disk", 4);
}

/// Helper of the test above.
#[test]
fn full_disk() {
    let Some(home) = mounted() else { return };
    let filler = home.join("filler");
    fs::write(&filler, vec![1; 2 << 20]).unwrap();
    let log = open(&home);
    let mut session = Session::unique();
    let mut acknowledged = Vec::new();
    let mut append = |record: remit_core::Record| {
        let taken = log.append(&record, Durability::Grouped).is_ok();
        if taken {
            acknowledged.push(record.event_id);
        }
        taken
    };
    assert!(append(session.record(Action::SessionStart, Outcome::Allowed)));
    let start = Instant::now();
    while append(session.read()) {
        assert!(start.elapsed() < Duration::from_secs(60), "the disk never fills");
    }
    // Refusals still find room in the reserve, some hundred of them with segments this small.
    let mut refusals = 0;
    for _ in 0..80 {
        refusals += u32::from(append(session.record(Action::ReadFile, Outcome::Denied)));
        assert!(!append(session.read()));
    }
    assert_eq!(refusals, 80);
    // What is there verifies, although it could not all be signed.
    assert!(check(&home).intact(), "{:?}", check(&home).findings);
    fs::remove_file(&filler).unwrap();
    eventually("records are taken again", || append(session.read()));
    assert!(append(session.record(Action::SessionEnd, Outcome::Allowed)));
    eventually("everything is signed", || log.flush().is_ok());
    log.close().unwrap();
    let report = check(&home);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.pending, report.unclosed.len()), (0, 0));
    let there: std::collections::HashSet<_> = query(&home.join("audit"), Filter::default())
        .unwrap()
        .map(|found| found.unwrap().record().unwrap().event_id)
        .collect();
    assert!(acknowledged.iter().all(|event| there.contains(event)));
}

#[test]
fn full_disk_at_opening_is_an_error() {
    on_small_disk("full_at_opening", 1);
}

/// Helper of the test above.
#[test]
fn full_at_opening() {
    let Some(home) = mounted() else { return };
    fs::write(home.join("filler"), vec![1; 900 << 10]).unwrap();
    assert!(AuditLog::open(LogPaths::below(&home), small()).is_err());
    fs::remove_file(home.join("filler")).unwrap();
    // Nothing half-made stands in the way.
    let log = open(&home);
    fill(&log, &mut Session::unique(), 10);
    log.close().unwrap();
    assert!(check(&home).findings.is_empty());
}

#[test]
fn read_only_disk_is_an_error() {
    on_small_disk("read_only", 4);
}

/// Helper of the test above.
#[test]
fn read_only() {
    let Some(home) = mounted() else { return };
    common::closed_log(&home, 10);
    let status = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&home).status().unwrap();
    assert!(status.success());
    assert!(AuditLog::open(LogPaths::below(&home), small()).is_err());
    assert!(check(&home).findings.is_empty());
}

#[test]
fn removed_log_refuses_barriers_at_once_and_the_rest_soon() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    fill(&log, &mut session, 10);
    remove(&home.path().join("audit"));
    assert!(log.append(&session.read(), Durability::Barrier).is_err());
    std::thread::sleep(Duration::from_millis(20));
    assert!(log.append(&session.read(), Durability::Grouped).is_err());
}

/// The worker may be writing there just now.
fn remove(folder: &Path) {
    eventually("the folder is gone", || fs::remove_dir_all(folder).is_ok() || !folder.exists());
}

#[test]
fn renamed_log_is_noticed() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    fill(&log, &mut session, 10);
    fs::rename(home.path().join("audit"), home.path().join("elsewhere")).unwrap();
    assert!(log.append(&session.read(), Durability::Barrier).is_err());
    eventually("grouped records are refused too", || {
        log.append(&session.read(), Durability::Grouped).is_err()
    });
}

#[test]
fn removed_lock_file_is_made_again() {
    let home = tempdir().unwrap();
    let (a, b) = (open(home.path()), open(home.path()));
    let mut session = Session::unique();
    fill(&a, &mut session, 10);
    a.flush().unwrap();
    fs::remove_file(home.path().join("audit/lock")).unwrap();
    for _ in 0..10 {
        a.append(&session.read(), Durability::Grouped).unwrap();
        b.append(&session.read(), Durability::Grouped).unwrap();
        a.flush().unwrap();
        b.flush().unwrap();
    }
    drop((a, b));
    let report = check(home.path());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.records, 30);
}
