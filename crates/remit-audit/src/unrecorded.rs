//! Events whose records could not be written. Their effects were refused; once the log takes
//! records again it says which numbers are missing, so that a verifier can tell refusal from
//! suppression.

use std::collections::BTreeMap;

use remit_core::{EventId, SessionId};

/// `resource` of the log's own records about unrecorded events.
pub(crate) const RESOURCE: &str = "unrecorded events";

/// Numbers by session, as closed ranges. At most [`MAX_RANGES`] for a session: beyond that the
/// nearest are taken together, over what was recorded between them, so that none goes unexplained.
#[derive(Debug, Default)]
pub(crate) struct Unrecorded(BTreeMap<SessionId, Vec<(u64, u64)>>);

impl Unrecorded {
    /// Remembers one event.
    pub(crate) fn add(&mut self, event: &EventId) {
        let ranges = self.0.entry(event.session().clone()).or_default();
        let number = event.number();
        if let Some((_, last)) = ranges.last_mut()
            && last.checked_add(1) == Some(number)
        {
            *last = number;
            return;
        }
        ranges.push((number, number));
        if ranges.len() > MAX_RANGES {
            join_nearest(ranges);
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

/// Puts ranges in order and makes one of the two that are nearest to each other.
fn join_nearest(ranges: &mut Vec<(u64, u64)>) {
    // Threads may report out of order.
    ranges.sort_unstable();
    let gaps = ranges.windows(2).map(|pair| match pair {
        [(_, end), (begin, _)] => begin.saturating_sub(*end),
        _ => u64::MAX,
    });
    let Some((at, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) else { return };
    let (_, next) = ranges.remove(at.saturating_add(1));
    if let Some((_, end)) = ranges.get_mut(at) {
        *end = next.max(*end);
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

    #[test]
    fn many_ranges_become_covering_ones() {
        let session = SessionId::from_random([4; 10]);
        let mut unrecorded = Unrecorded::default();
        // Wide gaps between pairs, narrow ones inside; some out of order.
        let numbers: Vec<u64> = (0..1000u64).flat_map(|n| [n * 10 + 3, n * 10 + 1]).collect();
        for number in &numbers {
            unrecorded.add(&EventId::new(session.clone(), *number));
        }
        let (_, detail) = unrecorded.first().unwrap();
        let (_, ranges) = parse(&detail).unwrap();
        assert!(ranges.len() <= MAX_RANGES && ranges.len() > MAX_RANGES / 2, "{}", ranges.len());
        let explained = |number: u64| ranges.iter().any(|(a, b)| (*a..=*b).contains(&number));
        assert!(numbers.iter().all(|number| explained(*number)));
        assert!(!explained(0) && !explained(9_994));
    }
}
