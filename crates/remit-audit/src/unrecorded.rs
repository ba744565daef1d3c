//! Events whose records could not be written. Their effects were refused; once the log takes
//! records again it says which numbers are missing, so that a verifier can tell refusal from
//! suppression.

use std::collections::BTreeMap;

use remit_core::{EventId, SessionId};

/// `resource` of the log's own records about unrecorded events.
pub(crate) const RESOURCE: &str = "unrecorded events";

/// Numbers by session, as closed ranges.
#[derive(Debug, Default)]
pub(crate) struct Unrecorded(BTreeMap<SessionId, Vec<(u64, u64)>>);

impl Unrecorded {
    /// Remembers one event. Beyond [`MAX_RANGES`] a session's events go unexplained.
    pub(crate) fn add(&mut self, event: &EventId) {
        let ranges = self.0.entry(event.session().clone()).or_default();
        let number = event.number();
        if let Some((_, last)) = ranges.last_mut()
            && last.checked_add(1) == Some(number)
        {
            *last = number;
        } else if ranges.len() < MAX_RANGES {
            ranges.push((number, number));
        }
    }

    /// One session and the text that explains its missing numbers.
    pub(crate) fn first(&self) -> Option<(SessionId, String)> {
        let (session, ranges) = self.0.first_key_value()?;
        let list: Vec<String> = ranges
            .iter()
            .map(|(low, high)| if low == high { low.to_string() } else { format!("{low}-{high}") })
            .collect();
        Some((session.clone(), format!("{session} {}", list.join(","))))
    }

    /// Forgets a session.
    pub(crate) fn remove(&mut self, session: &SessionId) {
        self.0.remove(session);
    }
}

/// Reads an explanation back: the session and closed ranges of numbers.
pub(crate) fn parse(detail: &str) -> Option<(&str, Vec<(u64, u64)>)> {
    let (session, list) = detail.split_once(' ')?;
    let ranges = list.split(',').map(|part| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some((low.parse().ok()?, high.parse().ok()?))
    });
    Some((session, ranges.collect::<Option<_>>()?))
}

const MAX_RANGES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_round_trip() {
        let session = SessionId::from_random([3; 10]);
        let mut unrecorded = Unrecorded::default();
        for number in [4, 5, 6, 9, 12, 13] {
            unrecorded.add(&EventId::new(session.clone(), number));
        }
        let (first, detail) = unrecorded.first().unwrap();
        assert_eq!(first, session);
        assert_eq!(parse(&detail), Some((session.as_str(), vec![(4, 6), (9, 9), (12, 13)])));
        unrecorded.remove(&session);
        assert!(unrecorded.first().is_none());
    }
}
