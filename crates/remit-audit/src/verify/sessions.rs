//! Whether each session's events are all there: their numbers run from 1 without holes.

use std::collections::{BTreeMap, HashMap};

use remit_core::SessionId;
use serde::Deserialize;

use super::finding::{Finding, FindingKind, Severity};
use crate::unrecorded;

/// The sessions that occur in a log.
#[derive(Default)]
pub(super) struct Sessions(HashMap<Box<str>, Session>);

#[derive(Default)]
struct Session {
    seen: Ranges,
    explained: Vec<(u64, u64)>,
    started: bool,
    ended: bool,
}

/// What an entry must have; the rest is not looked at, for speed.
#[derive(Deserialize)]
struct Part<'a> {
    event_id: &'a str,
    action: &'a str,
}

#[derive(Deserialize)]
struct Explanation {
    resource: String,
    detail: String,
}

impl Sessions {
    /// Looks at one entry.
    pub(super) fn see(&mut self, entry: &[u8]) -> Result<(), FindingKind> {
        let part: Part<'_> = serde_json::from_slice(entry).map_err(|_| FindingKind::NotARecord)?;
        let (tail, number) = part
            .event_id
            .strip_prefix("e-")
            .and_then(|id| id.split_once('-'))
            .and_then(|(tail, number)| Some((tail, number.parse::<u64>().ok()?)))
            .filter(|(tail, number)| tail.len() == 16 && *number > 0)
            .ok_or(FindingKind::NotARecord)?;
        if part.action == "config_change" {
            self.explain(entry);
        }
        let session = self.session(tail);
        match part.action {
            "session_start" => session.started = true,
            "session_end" => session.ended = true,
            _ => {}
        }
        if session.seen.insert(number) {
            Ok(())
        } else {
            Err(FindingKind::DuplicateEvent { event: part.event_id.to_owned() })
        }
    }

    /// How many sessions there are, the log's own records not counted.
    pub(super) fn count(&self) -> u64 {
        self.0.values().filter(|session| session.started).count() as u64
    }

    /// Sessions that began and did not end: they run, or were killed.
    pub(super) fn unclosed(&self) -> Vec<SessionId> {
        let open = self.0.iter().filter(|(_, session)| session.started && !session.ended);
        let mut list: Vec<SessionId> = open.filter_map(|(tail, _)| id(tail)).collect();
        list.sort();
        list
    }

    /// Holes. In a session that ended they were made; in one that did not, its process may have
    /// died between numbering an event and recording it.
    pub(super) fn holes(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (tail, session) in &self.0 {
            let numbers = session.seen.holes(&session.explained);
            if let Some(id) = id(tail)
                && !numbers.is_empty()
            {
                let ended = session.ended || !session.started;
                findings.push(Finding {
                    severity: if ended { Severity::Tampering } else { Severity::Notice },
                    kind: FindingKind::MissingEvents { session: id, numbers },
                    seq: None,
                    file: None,
                    offset: None,
                });
            }
        }
        findings
    }

    fn explain(&mut self, entry: &[u8]) {
        if let Ok(part) = serde_json::from_slice::<Explanation>(entry)
            && part.resource == unrecorded::RESOURCE
            && let Some((session, ranges)) = unrecorded::parse(&part.detail)
            && let Some(tail) = session.strip_prefix("s-")
        {
            self.session(tail).explained.extend(ranges);
        }
    }

    fn session(&mut self, tail: &str) -> &mut Session {
        if !self.0.contains_key(tail) {
            self.0.insert(tail.into(), Session::default());
        }
        self.0.entry(tail.into()).or_default()
    }
}

fn id(tail: &str) -> Option<SessionId> {
    format!("s-{tail}").parse().ok()
}

/// A set of numbers, kept as closed ranges: start to end.
#[derive(Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// `false` when the number was there already.
    fn insert(&mut self, number: u64) -> bool {
        let before = self.0.range(..=number).next_back().map(|(low, high)| (*low, *high));
        if before.is_some_and(|(_, high)| number <= high) {
            return false;
        }
        let low = match before {
            Some((low, high)) if high.checked_add(1) == Some(number) => low,
            _ => number,
        };
        let after = number.checked_add(1).and_then(|next| self.0.remove(&next));
        self.0.insert(low, after.unwrap_or(number));
        true
    }

    /// Ranges between 1 and the highest number that are neither here nor explained.
    fn holes(&self, explained: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut covered: Vec<(u64, u64)> = self.0.iter().map(|(low, high)| (*low, *high)).collect();
        let highest = covered.last().map_or(0, |(_, high)| *high);
        covered.extend_from_slice(explained);
        covered.sort_unstable();
        let mut holes = Vec::new();
        let mut next = 1u64;
        for (low, high) in covered {
            if low > next && next <= highest {
                holes.push((next, low.saturating_sub(1).min(highest)));
            }
            next = next.max(high.saturating_add(1));
        }
        holes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_named_unless_explained() {
        let mut ranges = Ranges::default();
        for number in [2, 1, 5, 4, 9, 12] {
            assert!(ranges.insert(number));
        }
        assert!(!ranges.insert(4) && !ranges.insert(5) && !ranges.insert(12));
        assert_eq!(ranges.holes(&[]), [(3, 3), (6, 8), (10, 11)]);
        assert_eq!(ranges.holes(&[(6, 7), (10, 11), (20, 30)]), [(3, 3), (8, 8)]);
        assert!(ranges.insert(3));
        assert_eq!(ranges.holes(&[(6, 11)]), []);
    }
}
