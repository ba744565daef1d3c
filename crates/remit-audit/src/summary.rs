//! What a session did, in numbers, for the report at its end.

use std::collections::BTreeMap;

use remit_core::{Action, Outcome, Record, Timestamp};

/// How often one action was attempted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Let through, whole or redacted.
    pub allowed: u64,
    /// Refused.
    pub denied: u64,
    /// Put to a person.
    pub asked: u64,
    /// Failed, or held in quarantine.
    pub other: u64,
}

/// A session in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionSummary {
    /// By action, in the order of the contract.
    pub actions: BTreeMap<Action, Counts>,
    /// All actions together.
    pub total: Counts,
    /// Time of the earliest record.
    pub first: Option<Timestamp>,
    /// Time of the latest record.
    pub last: Option<Timestamp>,
    /// Records that no signed checkpoint covers yet.
    pub unsigned: u64,
}

/// Counts records; the flag says whether a record is still unsigned.
pub fn summarise<'a>(records: impl IntoIterator<Item = (&'a Record, bool)>) -> SessionSummary {
    let mut summary = SessionSummary::default();
    for (record, unsigned) in records {
        for counts in [summary.actions.entry(record.action).or_default(), &mut summary.total] {
            let count = match record.outcome {
                Outcome::Allowed | Outcome::Redacted => &mut counts.allowed,
                Outcome::Denied => &mut counts.denied,
                Outcome::Asked => &mut counts.asked,
                _ => &mut counts.other,
            };
            *count = count.saturating_add(1);
        }
        let time = record.timestamp;
        summary.first = Some(summary.first.map_or(time, |first| first.min(time)));
        summary.last = Some(summary.last.map_or(time, |last| last.max(time)));
        summary.unsigned = summary.unsigned.saturating_add(u64::from(unsigned));
    }
    summary
}
