//! A person's side: what waits, what is in it, and the decision.

use std::{fs, io, sync::Arc, time::Duration};

use remit_audit::{AuditLog, LogError, LogOptions, LogPaths};
use remit_core::{
    Action, AuditError, AuditSink as _, Clock as _, CorrelationId, Durability, EventId, Outcome,
    ReasonCode, Record, Timestamp,
};
use remit_egress::Excerpt;
use serde::Serialize;

use super::{
    Ticket,
    item::{Files, HeldItem, ItemState},
    seal::SealKey,
    shelf::Inside,
};
use crate::{RemitHome, SystemClock};

/// Why something in quarantine could not be shown or decided on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// There is no such item (any more).
    #[error("nothing is held under `{0}`")]
    Unknown(Ticket),
    /// It cannot be read or written.
    #[error("quarantine cannot be used: {0}")]
    Io(#[from] io::Error),
    /// The trail cannot take the decision: it is none then.
    #[error("{0}")]
    Log(#[from] LogError),
    /// As [`QuarantineError::Log`].
    #[error("{0}")]
    Audit(#[from] AuditError),
}

/// What a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It may pass once, within this time.
    Release(Duration),
    /// It may not pass.
    Reject,
}

/// Everything that is held, oldest first.
///
/// # Errors
/// [`QuarantineError::Io`].
pub fn list(home: &RemitHome) -> Result<Vec<HeldItem>, QuarantineError> {
    let entries = match fs::read_dir(&home.quarantine) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let now = SystemClock.now();
    let mut all = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let ticket = name.to_str().and_then(|name| name.strip_suffix(".json"));
        let Some(Ok(ticket)) = ticket.map(str::parse) else { continue };
        // One that goes meanwhile, or is being written, is not there.
        if let Ok(Some(item)) = Files::of(&home.quarantine, &ticket).read()
            && item.expires > now
        {
            all.push(item);
        }
    }
    all.sort_by_key(|item| item.held);
    Ok(all)
}

/// A held payload, opened.
#[derive(Clone, Debug, Serialize)]
pub struct Opened {
    /// What is known of it.
    #[serde(flatten)]
    pub item: HeldItem,
    /// Method with target, then headers; none where it was rejected.
    pub head: Vec<(String, String)>,
    /// Findings with what stands around them; the findings themselves are their classes.
    pub findings: Vec<Excerpt>,
}

/// Opens one item.
///
/// # Errors
/// [`QuarantineError`].
pub fn show(home: &RemitHome, ticket: &Ticket) -> Result<Opened, QuarantineError> {
    let item = find(home, ticket)?;
    let files = Files::of(&home.quarantine, ticket);
    let sealed = match fs::read(&files.sealed) {
        Ok(sealed) => sealed,
        // What was rejected is kept as a fact only.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Opened { item, head: Vec::new(), findings: Vec::new() });
        }
        Err(error) => return Err(error.into()),
    };
    let plain = SealKey::load_or_create(&home.config)?.open(ticket, &sealed)?;
    let Inside { head, excerpts: findings } = inside(&plain)?;
    Ok(Opened { item, head, findings })
}

fn inside(plain: &[u8]) -> io::Result<Inside> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "the held payload is broken");
    let (length, rest) = plain.split_at_checked(4).ok_or_else(broken)?;
    let length: [u8; 4] = length.try_into().map_err(|_| broken())?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| broken())?;
    Ok(serde_json::from_slice(rest.get(..length).ok_or_else(broken)?)?)
}

fn find(home: &RemitHome, ticket: &Ticket) -> Result<HeldItem, QuarantineError> {
    let item = Files::of(&home.quarantine, ticket).read()?;
    let live = item.filter(|item| item.expires > SystemClock.now());
    live.ok_or_else(|| QuarantineError::Unknown(ticket.clone()))
}

/// Decides; the decision is in the trail, on disk, before it takes effect.
///
/// # Errors
/// [`QuarantineError`]; nothing has changed then.
pub fn decide(
    home: &RemitHome,
    ticket: &Ticket,
    decided: Decided,
    by: &str,
) -> Result<HeldItem, QuarantineError> {
    let mut item = find(home, ticket)?;
    let now = SystemClock.now();
    let until = match decided {
        Decided::Release(span) => Some(now.after(span)),
        Decided::Reject => None,
    };
    record(home, &item, until, by, now)?;
    let files = Files::of(&home.quarantine, ticket);
    item.decided_by = Some(by.to_owned());
    match until {
        Some(until) => {
            item.state = ItemState::Released;
            item.expires = until;
        }
        None => item.state = ItemState::Rejected,
    }
    files.write(&item)?;
    if until.is_none() {
        let _ = fs::remove_file(&files.sealed);
    }
    Ok(item)
}

fn record(
    home: &RemitHome,
    item: &HeldItem,
    until: Option<Timestamp>,
    by: &str,
    now: Timestamp,
) -> Result<(), QuarantineError> {
    let paths = LogPaths { audit: home.audit.clone(), keys: home.config.clone() };
    let log = AuditLog::open(paths, LogOptions::default())?;
    // Numbers of the session's own are its supervisor's to give.
    let own = crate::plan::session_id()?;
    let (ticket, (outcome, reason, how)) = (
        &item.ticket,
        match until {
            Some(until) => {
                (Outcome::Allowed, ReasonCode::DataReleased, format!("released once until {until}"))
            }
            None => (Outcome::Denied, ReasonCode::DataRejected, "rejected".to_owned()),
        },
    );
    let record = Record {
        timestamp: now,
        principal: item.principal.clone().into(),
        agent_id: item.agent.clone().into(),
        action: Action::QuarantineDecision,
        resource: item.resource.clone(),
        permission_manifest: item.manifest.clone().into(),
        token_id: None,
        network_targets: Vec::new(),
        outcome,
        event_id: EventId::new(own.clone(), 1),
        session_id: item.session.clone(),
        correlation_id: CorrelationId::new(own, 1),
        approval_id: None,
        reason,
        rule: item.rule.clone().map(Arc::new),
        suggestion: None,
        generation: 0,
        pid: Some(std::process::id()),
        detail: Some(format!("{ticket}: {how} by {by}")),
        traffic: Vec::new(),
    };
    log.append(&record, Durability::Barrier)?;
    log.close()?;
    Ok(())
}
