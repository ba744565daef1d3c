//! Measures the trail on this machine's disk.
//!
//! `cargo run --release -p remit-audit --example throughput -- [FOLDER] [RECORDS]`
//! With `--features sqlite-peer`, SQLite (WAL, synchronous=FULL) takes the same batches in the
//! same run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use remit_audit::{AuditLog, LogOptions, LogPaths, VerifyOptions, verify};
use remit_core::{
    Action, AuditSink, CorrelationId, Durability, EventId, Outcome, ReasonCode, Record, SessionId,
    Timestamp,
};

const BATCH: u64 = 1024;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let count: u64 = arguments.next().map_or(200_000, |n| n.parse().expect("a number"));
    let home = folder.join(format!("remit-audit-bench-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();

    let session = SessionId::from_random([7; 10]);
    let records: Vec<Record> = (1..=count).map(|n| record(&session, n)).collect();
    let size = serde_json::to_vec(&records[0]).unwrap().len();
    println!("records of {size} bytes, {count} of them, on {}", folder.display());

    caller_path(&home.join("path"), &records[..records.len().min(100_000)]);
    barriers(&home.join("barrier"), &records[..300]);
    opening(&home.join("open"), &records[..5000]);
    let rounds = if std::env::args().nth(3).is_some() { 1..=1 } else { 1..=3 };
    for round in rounds {
        println!("round {round}:");
        batches(&home.join(format!("batch{round}")), &records);
        free_running(&home.join(format!("free{round}")), &records);
        #[cfg(feature = "sqlite-peer")]
        sqlite(&home.join(format!("sqlite{round}")), &records);
    }
    verification(&home.join("free1/audit"), count);
    std::fs::remove_dir_all(&home).unwrap();
}

/// What an effect waits for.
fn caller_path(home: &Path, records: &[Record]) {
    let log = open(home);
    let mut times: Vec<Duration> = Vec::with_capacity(records.len());
    for (n, record) in records.iter().enumerate() {
        let start = Instant::now();
        log.append(record, Durability::Grouped).unwrap();
        times.push(start.elapsed());
        // About 10,000 a second: busy, but not a flood.
        if n % 100 == 99 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    report("append, 10k/s", &mut times);
}

fn barriers(home: &Path, records: &[Record]) {
    let log = open(home);
    let mut times = Vec::new();
    for record in records {
        let start = Instant::now();
        log.append(record, Durability::Barrier).unwrap();
        times.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(30));
    }
    report("barrier, alone", &mut times);
    let mut bare = Vec::new();
    let file = std::fs::File::create(home.join("bare")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0; 1 << 20], 0).unwrap();
    file.sync_all().unwrap();
    for n in 0..records.len() as u64 {
        let start = Instant::now();
        std::os::unix::fs::FileExt::write_all_at(&file, &[1; 600], n * 600).unwrap();
        file.sync_data().unwrap();
        bare.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(30));
    }
    report("bare write + fdatasync", &mut bare);
}

fn opening(home: &Path, records: &[Record]) {
    let log = open(home);
    for record in records {
        log.append(record, Durability::Grouped).unwrap();
    }
    drop(log);
    let (mut opens, mut closes) = (Vec::new(), Vec::new());
    for record in &records[..40] {
        let start = Instant::now();
        let log = open(home);
        opens.push(start.elapsed());
        log.append(record, Durability::Barrier).unwrap();
        let start = Instant::now();
        drop(log);
        closes.push(start.elapsed());
    }
    report("open a log of 5,000", &mut opens);
    report("close it", &mut closes);
}

/// 1,024 records, then wait until they are on disk.
fn batches(home: &Path, records: &[Record]) {
    let log = open(home);
    let start = start();
    for batch in records.chunks(BATCH as usize) {
        let (last, rest) = batch.split_last().unwrap();
        for record in rest {
            log.append(record, Durability::Grouped).unwrap();
        }
        log.append(last, Durability::Barrier).unwrap();
    }
    log.close().unwrap();
    rate("  1,024 a batch, synced, signed at the end", records.len(), start);
}

fn free_running(home: &Path, records: &[Record]) {
    let log = open(home);
    let start = start();
    for record in records {
        log.append(record, Durability::Grouped).unwrap();
    }
    log.close().unwrap();
    rate("  free running until synced and signed", records.len(), start);
}

fn verification(audit: &Path, count: u64) {
    let start = start();
    let found = verify(audit, &VerifyOptions::default()).unwrap();
    assert!(found.intact() && found.records == count, "{:?}", found.findings);
    rate("verify, one core", count as usize, start);
    let bytes: u64 = files(audit).iter().map(|(_, length)| length).sum();
    println!("bytes a record on disk: {}", bytes / count);
}

fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut list = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list.extend(files(&path));
        } else {
            let length = path.metadata().unwrap().len();
            list.push((path, length));
        }
    }
    list
}

#[cfg(feature = "sqlite-peer")]
fn sqlite(home: &Path, records: &[Record]) {
    std::fs::create_dir_all(home).unwrap();
    let mut db = rusqlite::Connection::open(home.join("peer.db")).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, record BLOB)", []).unwrap();
    let start = start();
    for batch in records.chunks(BATCH as usize) {
        let transaction = db.transaction().unwrap();
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO event (record) VALUES (?1)").unwrap();
            for record in batch {
                insert.execute([serde_json::to_vec(record).unwrap()]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
    rate("  SQLite WAL FULL, 1,024 a transaction", records.len(), start);
}

fn open(home: &Path) -> std::sync::Arc<AuditLog> {
    AuditLog::open(LogPaths::below(home), LogOptions::default()).unwrap()
}

fn record(session: &SessionId, number: u64) -> Record {
    Record {
        timestamp: Timestamp::from_unix_nanos(
            1_800_000_000_000_000_000 + i128::from(number) * 1_000_000,
        ),
        principal: "alice@acme.com".into(),
        agent_id: "com.acme.cowork-agent:1.2.3".into(),
        action: Action::ReadFile,
        resource: format!("/home/alice/work/project/src/module_{}/file_{number}.rs", number % 97),
        permission_manifest:
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        token_id: None,
        network_targets: Vec::new(),
        outcome: Outcome::Allowed,
        event_id: EventId::new(session.clone(), number),
        session_id: session.clone(),
        correlation_id: CorrelationId::new(session.clone(), number),
        approval_id: None,
        reason: ReasonCode::Granted,
        rule: None,
        suggestion: None,
        generation: 1,
        pid: Some(4242),
        detail: None,
        traffic: Vec::new(),
    }
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!("{what}: p50 {:?}, p90 {:?}, p99 {:?}, max {:?}", at(50), at(90), at(99), at(100));
}

/// `start` and the processor time until then.
type Start = (Instant, Duration);

fn start() -> Start {
    (Instant::now(), processor_time())
}

fn rate(what: &str, count: usize, start: Start) {
    let seconds = start.0.elapsed().as_secs_f64();
    let processor = (processor_time() - start.1).as_secs_f64() * 1e6 / count as f64;
    println!("{what}: {:.0} records/s, {processor:.1} µs of CPU a record", count as f64 / seconds);
}

/// Of all threads, user and system.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
