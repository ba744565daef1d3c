//! Death at any moment: what was acknowledged is there, and the log still verifies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use common::{Session, check, fill, open};
use remit_audit::{AuditLog, Filter, FindingKind, Severity, query};
use remit_core::{Action, AuditSink, Durability, Outcome};
use tempfile::tempdir;

const HELPER: &str = "REMIT_AUDIT_TEST_HOME";

/// Not a test by itself: the process that the tests kill. It acknowledges on standard output each
/// event that the log has taken.
#[test]
fn helper() {
    let Ok(home) = std::env::var(HELPER) else { return };
    let log = open(Path::new(&home));
    let mut session = Session::unique();
    let mut out = std::io::stdout();
    let start = session.record(Action::SessionStart, Outcome::Allowed);
    log.append(&start, Durability::Barrier).unwrap();
    for n in 0u32.. {
        let record = session.read();
        let durability = if n % 100 == 99 { Durability::Barrier } else { Durability::Grouped };
        log.append(&record, durability).unwrap();
        out.write_all(format!("\n{}\n", record.event_id).as_bytes()).unwrap();
    }
}

struct Victim {
    child: Child,
    out: BufReader<ChildStdout>,
    acknowledged: Vec<String>,
}

impl Victim {
    fn start(home: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "helper", "--nocapture"])
            .env(HELPER, home)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, acknowledged: Vec::new() }
    }

    /// Waits for so many acknowledgements.
    fn wait(&mut self, count: usize) {
        while self.acknowledged.len() < count {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "the helper died by itself");
            self.take(&line);
        }
    }

    /// Kills it and reads what it had acknowledged before.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        // A line without its end was not wholly acknowledged.
        let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
        whole.lines().for_each(|line| self.take(line));
        self.acknowledged
    }

    fn take(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with("e-") {
            self.acknowledged.push(line.to_owned());
        }
    }
}

fn events(home: &Path) -> HashSet<String> {
    let all = query(&home.join("audit"), Filter::default()).unwrap();
    all.map(|found| found.unwrap().record().unwrap().event_id.to_string()).collect()
}

#[test]
fn killed_at_random_points_two_hundred_times_nothing_acknowledged_is_lost() {
    let mut random = 12345u64;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let mut total = 0;
    for _ in 0..20 {
        let home = tempdir().unwrap();
        let mut acknowledged = Vec::new();
        for round in 0..10 {
            // Every other round two sessions write at once, and one outlives the other.
            let mut one = Victim::start(home.path());
            let two = (round % 2 == 0).then(|| Victim::start(home.path()));
            one.wait(next(400) as usize);
            std::thread::sleep(Duration::from_micros(next(15_000)));
            acknowledged.extend(one.kill());
            if let Some(mut two) = two {
                two.wait(next(200) as usize);
                acknowledged.extend(two.kill());
            }
            // As it lies there, before anybody repairs anything.
            let report = check(home.path());
            assert!(report.intact(), "{:?}", report.findings);
        }
        drop(open(home.path()));
        let report = check(home.path());
        assert!(report.intact() && report.pending == 0, "{:?}", report.findings);
        let there = events(home.path());
        let lost: Vec<_> = acknowledged.iter().filter(|event| !there.contains(*event)).collect();
        assert!(lost.is_empty(), "{} of {} lost", lost.len(), acknowledged.len());
        total += acknowledged.len();
    }
    assert!(total > 10_000, "{total}");
}

#[test]
fn recovery_is_written_down_once() {
    let home = tempdir().unwrap();
    let mut victim = Victim::start(home.path());
    victim.wait(50);
    victim.kill();
    let before = check(home.path());
    let log = open(home.path());
    log.close().unwrap();
    drop(log);
    drop(open(home.path()));
    let filter = Filter { action: Some(Action::ConfigChange), ..Filter::default() };
    let said: Vec<_> = query(&home.path().join("audit"), filter)
        .unwrap()
        .map(|found| found.unwrap().record().unwrap().detail.unwrap())
        .collect();
    if before.pending > 0 {
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with(&format!("recovered {} records", before.pending)), "{said:?}");
    }
    let report = check(home.path());
    assert_eq!((report.pending, report.unclosed.len()), (0, 1));
}

/// Finds where the frames of the only segment end.
fn tail(home: &Path) -> (fs::File, u64) {
    let path = home.join("audit/segment/00000000000000000000.seg");
    let bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    (fs::OpenOptions::new().write(true).open(path).unwrap(), end)
}

#[test]
fn torn_last_frame_is_a_notice_and_is_cut() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    fill(&log, &mut session, 100);
    drop(log);
    // The beginning of frame 100, as a killed writer leaves it.
    let (file, end) = tail(home.path());
    let mut torn = vec![0xf5, 0x52, 2, 0, 1, 2, 3, 4];
    torn.extend_from_slice(&100u64.to_be_bytes());
    torn.extend_from_slice(b"{\"timestamp\":\"2026-");
    file.write_all_at(&torn, end).unwrap();
    let report = check(home.path());
    assert!(report.intact());
    let notice = |kind: &FindingKind| {
        report.findings.iter().any(|f| f.severity == Severity::Notice && f.kind == *kind)
    };
    assert!(notice(&FindingKind::TornTail), "{:?}", report.findings);
    let log = open(home.path());
    log.append(&session.read(), Durability::Barrier).unwrap();
    drop(log);
    let report = check(home.path());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    // The cut is written down.
    assert_eq!(report.records, 102);
}

#[test]
fn torn_frame_of_a_dead_neighbour_is_overwritten_by_the_living() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    fill(&log, &mut session, 20);
    log.flush().unwrap();
    let (file, end) = tail(home.path());
    file.write_all_at(&[0xf5, 0x52, 2, 0, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 20, b'x'], end).unwrap();
    for _ in 0..5 {
        log.append(&session.read(), Durability::Barrier).unwrap();
    }
    drop(log);
    let report = check(home.path());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.records, 25);
}

#[test]
fn tiles_lost_with_the_power_are_made_again() {
    let home = tempdir().unwrap();
    let log = open(home.path());
    let mut session = Session::unique();
    fill(&log, &mut session, 400);
    drop(log);
    let audit = home.path().join("audit");
    // Tiles were never synced; the segment was.
    fs::remove_dir_all(audit.join("tile")).unwrap();
    fs::write(audit.join("segment/boot"), "another boot").unwrap();
    let report = check(home.path());
    assert!(report.intact(), "{:?}", report.findings);
    drop(open(home.path()));
    let report = check(home.path());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    fs::remove_dir_all(audit.join("segment")).unwrap();
    assert_eq!(check(home.path()).records, 400);
}

#[test]
fn barrier_records_are_in_the_file_when_the_call_returns() {
    // What a barrier acknowledged is in the segment's file, not in the process.
    let home = tempdir().unwrap();
    let log: std::sync::Arc<AuditLog> = open(home.path());
    let mut session = Session::unique();
    for n in 1..=20 {
        log.append(&session.record(Action::Grant, Outcome::Allowed), Durability::Barrier).unwrap();
        let report = check(home.path());
        assert_eq!(report.records, n);
    }
}

/// A log whose second segment is not signed yet, as it is when the power goes in heavy use.
fn two_segments(home: &Path) -> (std::path::PathBuf, u64, Vec<u8>) {
    // Signed nothing but the beginning: the checkpoint is put back to what it was.
    let log = open(home);
    let mut session = Session::unique();
    fill(&log, &mut session, 10);
    log.flush().unwrap();
    let audit = home.join("audit");
    let [checkpoint, head] = [audit.join("checkpoint"), home.join("config/audit.head")]
        .map(|path| (fs::read(&path).unwrap(), path));
    for _ in 0..450 {
        log.append(&session.read(), Durability::Grouped).unwrap();
    }
    drop(log);
    for (bytes, path) in [checkpoint, head] {
        fs::write(path, bytes).unwrap();
    }
    let second = fs::read_dir(audit.join("segment"))
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().to_str()?.strip_suffix(".seg")?.parse::<u64>().ok()
        })
        .max()
        .unwrap();
    assert!(second > 200);
    fs::remove_dir_all(audit.join("tile")).unwrap();
    fs::write(audit.join("segment/boot"), "another boot").unwrap();
    let first = audit.join("segment/00000000000000000000.seg");
    let bytes = fs::read(&first).unwrap();
    (first, second, bytes)
}

#[test]
fn closing_frame_lost_with_the_power_loses_nothing() {
    let home = tempdir().unwrap();
    let (first, _, mut bytes) = two_segments(home.path());
    let end = bytes.iter().rposition(|byte| *byte == b'}').unwrap() + 1;
    bytes[end..].fill(0);
    fs::write(&first, bytes).unwrap();
    assert!(check(home.path()).intact(), "{:?}", check(home.path()).findings);
    drop(open(home.path()));
    let report = check(home.path());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.records, 461);
}

#[test]
fn hole_left_by_the_power_cuts_what_is_behind_it_and_says_so() {
    let home = tempdir().unwrap();
    let (first, _, mut bytes) = two_segments(home.path());
    // A page in the middle of the unsigned part never reached the disk.
    let hole = bytes.len() / 2 / 4096 * 4096;
    bytes[hole..hole + 4096].fill(0);
    fs::write(&first, bytes).unwrap();
    drop(open(home.path()));
    let report = check(home.path());
    assert!(report.intact(), "{:?}", report.findings);
    assert!(report.records > 100 && report.records < 400, "{}", report.records);
    let filter = Filter { action: Some(Action::ConfigChange), ..Filter::default() };
    let said = query(&home.path().join("audit"), filter).unwrap().next().unwrap().unwrap();
    let detail = said.record().unwrap().detail.unwrap();
    assert!(detail.contains("cut"), "{detail}");
}
