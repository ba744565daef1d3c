//! Counts what passes on its way to the trail, for the words at a session's end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use remit_core::{Action, AuditError, AuditSink, Durability, Outcome, Record};

/// An audit sink that counts and passes on.
pub struct Tally {
    next: Arc<dyn AuditSink>,
    counts: Mutex<Counts>,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    pub(crate) asked: u64,
    /// Denied resources with how often, the first few only.
    pub(crate) denials: BTreeMap<(Action, String), (u64, Record)>,
}

const MOST_DENIALS: usize = 64;

impl Tally {
    pub(crate) fn new(next: Arc<dyn AuditSink>) -> Self {
        Self { next, counts: Mutex::default() }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl AuditSink for Tally {
    fn append(&self, record: &Record, durability: Durability) -> Result<(), AuditError> {
        self.next.append(record, durability)?;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match record.outcome {
            Outcome::Allowed => counts.allowed += 1,
            Outcome::Asked => counts.asked += 1,
            Outcome::Denied => {
                counts.denied += 1;
                let full = counts.denials.len() >= MOST_DENIALS;
                let key = (record.action, record.resource.clone());
                if let Some((times, _)) = counts.denials.get_mut(&key) {
                    *times += 1;
                } else if !full {
                    counts.denials.insert(key, (1, record.clone()));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
