//! Values that are sent in parts, one request after another.
//!
//! Each request's short values are kept under the names they had and under their place; values of
//! the same name are joined in the order they came, and what the joined text holds that no part
//! held alone is found. Time comes from the caller.

use std::{collections::VecDeque, ops::Range, time::Duration};

use crate::{
    Decoder, Found, Scanner,
    text::{byte, is_word, part, run, run_back},
};

/// Parts count together for so long.
const SPAN: Duration = Duration::from_secs(600);
/// A value has so many parts at most.
const PARTS: usize = 8;
/// A part is no longer; what is longer is found by itself.
const LONGEST: usize = 512;
/// Names whose values are kept; the oldest goes first.
const NAMES: usize = 48;
/// Values of one request that are looked at.
const VALUES: usize = 64;
/// Bytes of a name that are kept.
const NAME: usize = 32;

/// The short values of a session's latest requests; holds less than 64 KB.
#[derive(Debug)]
pub struct SessionWindow {
    scanner: Scanner,
    lanes: VecDeque<Lane>,
    held: usize,
}

/// The values that had one name.
#[derive(Debug)]
struct Lane {
    name: Vec<u8>,
    parts: VecDeque<(Duration, Vec<u8>)>,
}

/// All parts together.
const HELD: usize = 48 * 1024;

impl SessionWindow {
    /// Nothing sent yet.
    #[must_use]
    pub fn new(scanner: Scanner) -> Self {
        Self { scanner, lanes: VecDeque::new(), held: 0 }
    }

    /// A request was sent at `now` (since any fixed moment): values that it completes, with the
    /// range of their last part in `request`.
    pub fn push(&mut self, now: Duration, request: &[u8]) -> Vec<Found> {
        self.forget(now);
        let mut found: Vec<Found> = Vec::new();
        for (name, range) in values(request) {
            let value = part(request, range.clone());
            for one in self.join(now, name, value) {
                let place = Found { range: range.clone(), ..one };
                if !found
                    .iter()
                    .any(|other| other.class == place.class && other.range == place.range)
                {
                    found.push(place);
                }
            }
        }
        found.sort_by_key(|found| found.range.start);
        found
    }

    /// Adds a part, and looks at what it makes with the ones before.
    fn join(&mut self, now: Duration, name: Vec<u8>, value: &[u8]) -> Vec<Found> {
        let place = self.lanes.iter().position(|lane| lane.name == name);
        let mut lane = place
            .and_then(|place| self.lanes.remove(place))
            .unwrap_or_else(|| Lane { name, parts: VecDeque::new() });
        let mut found = Vec::new();
        let parts: Vec<&[u8]> =
            lane.parts.iter().map(|(_, part)| part.as_slice()).chain([value]).collect();
        for count in 2..=PARTS.min(parts.len()) {
            let joined = parts.get(parts.len() - count..).unwrap_or_default();
            let first = joined.first().map_or(0, |part| part.len());
            let text = joined.concat();
            let last = text.len() - value.len();
            // Only what starts in the first part and ends in this one: the rest was seen before.
            let spans = self
                .scanner
                .scan(&text)
                .into_iter()
                .filter(|one| one.range.start < first && one.range.end > last);
            found.extend(spans.map(|mut one| {
                one.via.insert(0, Decoder::Split);
                one
            }));
        }
        // A request that is sent again is no further part.
        if lane.parts.back().is_none_or(|(_, last)| last.as_slice() != value) {
            self.held += value.len();
            lane.parts.push_back((now, value.to_vec()));
        }
        if lane.parts.len() >= PARTS
            && let Some((_, gone)) = lane.parts.pop_front()
        {
            self.held -= gone.len();
        }
        self.lanes.push_back(lane);
        while self.lanes.len() > NAMES || self.held > HELD {
            let Some(gone) = self.lanes.pop_front() else { break };
            self.held -= gone.parts.iter().map(|(_, part)| part.len()).sum::<usize>();
        }
        found
    }

    fn forget(&mut self, now: Duration) {
        for lane in &mut self.lanes {
            while let Some((time, part)) = lane.parts.front() {
                if now.saturating_sub(*time) <= SPAN {
                    break;
                }
                self.held -= part.len();
                lane.parts.pop_front();
            }
        }
        self.lanes.retain(|lane| !lane.parts.is_empty());
    }
}

/// The request's short values with their names; and its last word, its longest, and itself.
fn values(request: &[u8]) -> Vec<(Vec<u8>, Range<usize>)> {
    let mut values = Vec::new();
    let value = |byte: u8| {
        is_word(byte)
            || matches!(
                byte,
                b'-' | b'_' | b'.' | b'+' | b'/' | b'=' | b'@' | b'%' | b'~' | b'$' | b'!'
            )
    };
    let mut at = 0;
    let mut longest: Range<usize> = 0..0;
    let mut last: Range<usize> = 0..0;
    while at < request.len() && values.len() < VALUES {
        let start = run(request, at, request.len(), |byte| !value(byte));
        let end = run(request, start, request.len(), value);
        at = end.max(start + 1);
        // `q=VALUE`: the value alone.
        let equals =
            memchr::memchr(b'=', part(request, start..end)).filter(|place| start + place + 1 < end);
        let from = equals.map_or(start, |place| start + place + 1);
        if from >= end || end - from > LONGEST {
            continue;
        }
        let name = match equals {
            Some(place) => part(request, start..start + place).to_vec(),
            None => name(request, from),
        };
        if !name.is_empty() {
            let kept = name.len().saturating_sub(NAME);
            values.push((name.get(kept..).unwrap_or_default().to_vec(), from..end));
        }
        if end - from > longest.len() {
            longest = from..end;
        }
        last = from..end;
    }
    values.extend(
        [(b"\0longest".to_vec(), longest), (b"\0last".to_vec(), last)]
            .into_iter()
            .filter(|(_, range)| !range.is_empty()),
    );
    let whole = request.trim_ascii();
    if !whole.is_empty() && whole.len() <= LONGEST {
        let start = request.len() - request.trim_ascii_start().len();
        values.push((b"\0all".to_vec(), start..start + whole.len()));
    }
    values
}

/// The name before a value: `"name": "`.
fn name(text: &[u8], at: usize) -> Vec<u8> {
    let end = run_back(text, at, 6, |byte| matches!(byte, b'"' | b'\'' | b' ' | b'\\'));
    if !matches!(end.checked_sub(1).map(|place| byte(text, place)), Some(b':' | b'=')) {
        return Vec::new();
    }
    let end = run_back(text, end - 1, 4, |byte| matches!(byte, b'"' | b'\'' | b' ' | b'\\'));
    let start =
        run_back(text, end, NAME, |byte| is_word(byte) || matches!(byte, b'_' | b'-' | b'.'));
    part(text, start..end).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of a known format, made up here so that no scanner takes this file for a leak.
    fn key() -> String {
        format!("{}{}", "AKIA", "Q7RT2MZX4KPLW9VB")
    }

    #[test]
    fn a_key_in_parts_of_several_requests_is_found() {
        let key = key();
        for parts in 2..=8 {
            let mut window = SessionWindow::new(Scanner::new());
            let size = key.len().div_ceil(parts);
            let mut found = Vec::new();
            for (turn, part) in key.as_bytes().chunks(size).enumerate() {
                let part = String::from_utf8_lossy(part);
                let request = format!("{{\"turn\": {turn}, \"data\": \"{part}\"}}");
                let now = Duration::from_secs(60 * u64::try_from(turn).expect("small"));
                found.extend(window.push(now, request.as_bytes()));
            }
            assert_eq!(
                found.iter().filter(|found| found.class.as_str() == "API_KEY").count(),
                1,
                "{parts}: {found:?}"
            );
            assert_eq!(
                found.first().map(|found| found.via.first().copied()),
                Some(Some(Decoder::Split))
            );
        }
    }

    #[test]
    fn parts_of_an_hour_apart_are_not_joined_and_little_is_held() {
        let key = key();
        let mut window = SessionWindow::new(Scanner::new());
        assert!(window.push(Duration::ZERO, &key.as_bytes()[..10]).is_empty());
        assert!(window.push(Duration::from_secs(3600), &key.as_bytes()[10..]).is_empty());
        for turn in 0..2000_u64 {
            let value = format!("{{\"field{turn}\": \"{}\"}}", "value".repeat(100));
            window.push(Duration::from_secs(turn), value.as_bytes());
        }
        let held: usize = window
            .lanes
            .iter()
            .map(|lane| {
                lane.name.len()
                    + 64
                    + lane.parts.iter().map(|(_, part)| part.len() + 48).sum::<usize>()
            })
            .sum();
        assert!(held < 64 * 1024, "{held}");
    }
}
