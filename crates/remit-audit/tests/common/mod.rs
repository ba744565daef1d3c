//! Records and logs for tests.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

use std::{path::Path, sync::Arc, time::Duration};

use remit_audit::{AuditLog, LogOptions, LogPaths, Report, VerifyOptions, verify};
use remit_core::{
    Action, AuditSink, CorrelationId, Durability, EventId, Outcome, ReasonCode, Record, SessionId,
    Timestamp,
};

/// A session that numbers its events.
pub struct Session {
    pub id: SessionId,
    next: u64,
}

impl Session {
    pub fn new(seed: u8) -> Self {
        Self { id: SessionId::from_random([seed; 10]), next: 0 }
    }

    pub fn unique() -> Self {
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes).unwrap();
        Self { id: SessionId::from_random(bytes), next: 0 }
    }

    pub fn record(&mut self, action: Action, outcome: Outcome) -> Record {
        self.next += 1;
        record(&self.id, self.next, action, outcome)
    }

    pub fn read(&mut self) -> Record {
        self.record(Action::ReadFile, Outcome::Allowed)
    }

    pub fn skip(&mut self) {
        self.next += 1;
    }
}

pub fn record(id: &SessionId, number: u64, action: Action, outcome: Outcome) -> Record {
    Record {
        timestamp: Timestamp::from_unix_nanos(
            1_800_000_000_000_000_000 + i128::from(number) * 1_000_000,
        ),
        principal: "alice@acme.com".into(),
        agent_id: "com.acme.cowork-agent:1.2.3".into(),
        action,
        resource: format!("/home/alice/work/project/src/module_{}/file_{number}.rs", number % 97),
        permission_manifest:
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        token_id: None,
        network_targets: Vec::new(),
        outcome,
        event_id: EventId::new(id.clone(), number),
        session_id: id.clone(),
        correlation_id: CorrelationId::new(id.clone(), number),
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

/// Small segments, so that they rotate and retire within a test.
pub fn small() -> LogOptions {
    LogOptions {
        segment_bytes: 256 << 10,
        largest_segment_bytes: 256 << 10,
        reserve_bytes: 64 << 10,
        ..LogOptions::default()
    }
}

pub fn open(home: &Path) -> Arc<AuditLog> {
    AuditLog::open(LogPaths::below(home), small()).unwrap()
}

/// A closed log with one whole session of `count` events.
pub fn closed_log(home: &Path, count: u64) -> Session {
    let log = open(home);
    let mut session = Session::unique();
    fill(&log, &mut session, count);
    log.close().unwrap();
    session
}

/// A whole session of `count` events.
pub fn fill(log: &AuditLog, session: &mut Session, count: u64) {
    for n in 0..count {
        let action = match n {
            0 => Action::SessionStart,
            n if n + 1 == count => Action::SessionEnd,
            _ => Action::ReadFile,
        };
        log.append(&session.record(action, Outcome::Allowed), Durability::Grouped).unwrap();
    }
}

pub fn check(home: &Path) -> Report {
    verify(&home.join("audit"), &VerifyOptions::default()).unwrap()
}

/// Waits until a condition holds; panics after ten seconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never happened: {what}");
}
