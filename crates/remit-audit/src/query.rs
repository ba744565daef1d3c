//! Looking things up. Answers come from the entries themselves; `verify` says whether to believe
//! them.

use std::path::Path;

use memchr::memmem::Finder;
use remit_core::{Action, EventId, Outcome, Record, SessionId, Timestamp};
use serde::Deserialize;

use crate::{
    LogError,
    files::CHECKPOINT,
    reader::{Batch, Reader},
};

/// What to look for; every condition that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this session.
    pub session: Option<SessionId>,
    /// With this action.
    pub action: Option<Action>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// This event.
    pub event: Option<EventId>,
    /// Not earlier than this.
    pub since: Option<Timestamp>,
    /// Earlier than this.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<usize>,
    /// From this number on.
    pub from_seq: u64,
}

/// One record with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its index in the log.
    pub seq: u64,
    /// Whether it is still outside the newest signed checkpoint.
    pub pending: bool,
    /// The record as it is stored.
    pub json: String,
}

impl Found {
    /// The record.
    ///
    /// # Errors
    /// When the entry is not a record; a newer version may have written it.
    pub fn record(&self) -> Result<Record, serde_json::Error> {
        serde_json::from_str(&self.json)
    }

    /// The record as one line of JSON, with `seq` added, and `pending` where it is.
    pub fn line(&self) -> String {
        let pending = if self.pending { ",\"pending\":true" } else { "" };
        match self.json.strip_suffix('}') {
            Some(open) => format!("{open},\"seq\":{}{pending}}}", self.seq),
            None => self.json.clone(),
        }
    }
}

/// The records that a filter lets through, oldest first, read as they are asked for.
pub struct Query {
    reader: Reader,
    filter: Filter,
    needle: Option<Finder<'static>>,
    batch: Option<Batch>,
    position: usize,
    number: u64,
    left: usize,
    failed: bool,
}

/// Starts a query over the log in a folder, live or copied.
///
/// # Errors
/// [`LogError`] when there is no readable log.
pub fn query(audit: &Path, filter: Filter) -> Result<Query, LogError> {
    let reader = Reader::open(audit, None)?;
    // Most entries of a large log are told apart by one substring, without parsing.
    let needle = match (&filter.event, &filter.session) {
        (Some(event), _) => Some(format!("\"{event}\"")),
        (None, Some(session)) => Some(format!("\"{session}\"")),
        (None, None) => filter.action.map(|action| format!("\"{}\"", action.as_str())),
    };
    let needle = needle.map(|text| Finder::new(text.as_bytes()).into_owned());
    let (number, left) = (filter.from_seq, filter.limit.unwrap_or(usize::MAX));
    Ok(Query { reader, filter, needle, batch: None, position: 0, number, left, failed: false })
}

/// The record of an event, if the log has it.
///
/// # Errors
/// [`LogError`] when there is no readable log.
pub fn find(audit: &Path, event: &EventId) -> Result<Option<Found>, LogError> {
    let filter = Filter { event: Some(event.clone()), limit: Some(1), ..Filter::default() };
    query(audit, filter)?.next().transpose()
}

/// The newest signed checkpoint, as it stands in the folder, checked against the log's key.
///
/// # Errors
/// [`LogError`] when it is missing or not signed by the log's key.
pub fn checkpoint(audit: &Path) -> Result<String, LogError> {
    let reader = Reader::open(audit, None)?;
    String::from_utf8(reader.note).map_err(|_| LogError::Note {
        path: audit.join(CHECKPOINT),
        source: crate::note::NoteError::Malformed,
    })
}

impl Iterator for Query {
    type Item = Result<Found, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 && !self.failed {
            match self.next_entry() {
                Ok(Some(found)) => {
                    self.left -= 1;
                    return Some(Ok(found));
                }
                Ok(None) if self.batch.is_none() => return None,
                Ok(None) => {}
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl Query {
    /// Looks at the rest of the current batch, or loads the next. `None` with a batch: go on.
    fn next_entry(&mut self) -> Result<Option<Found>, LogError> {
        let Some(batch) = &self.batch else {
            self.batch = self.reader.batch(self.number)?;
            self.position = 0;
            return Ok(None);
        };
        let Some(range) = batch.ranges.get(self.position) else {
            self.batch = self.reader.batch(self.number)?;
            self.position = 0;
            return Ok(None);
        };
        let entry = batch.bytes.get(range.clone()).unwrap_or(&[]);
        let seq = self.number;
        self.position += 1;
        self.number = seq.saturating_add(1);
        let candidate = self.needle.as_ref().is_none_or(|needle| needle.find(entry).is_some());
        if !candidate || !self.filter.matches(entry) {
            return Ok(None);
        }
        let pending = seq >= self.reader.checkpoint.size;
        Ok(Some(Found { seq, pending, json: String::from_utf8_lossy(entry).into_owned() }))
    }
}

impl Filter {
    fn matches(&self, entry: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Part<'a> {
            timestamp: &'a str,
            action: &'a str,
            outcome: &'a str,
            event_id: &'a str,
            session_id: &'a str,
        }
        let Ok(part) = serde_json::from_slice::<Part<'_>>(entry) else {
            // What cannot be read is shown when nothing in particular is asked for.
            return self.is_open();
        };
        let in_time = || {
            if self.since.is_none() && self.until.is_none() {
                return true;
            }
            part.timestamp.parse::<Timestamp>().is_ok_and(|time| {
                self.since.is_none_or(|since| time >= since)
                    && self.until.is_none_or(|until| time < until)
            })
        };
        self.session.as_ref().is_none_or(|session| session.as_str() == part.session_id)
            && self.event.as_ref().is_none_or(|event| event.to_string() == part.event_id)
            && self.action.is_none_or(|action| action.as_str() == part.action)
            && self.outcome.is_none_or(|outcome| outcome.as_str() == part.outcome)
            && in_time()
    }

    const fn is_open(&self) -> bool {
        self.session.is_none()
            && self.event.is_none()
            && self.action.is_none()
            && self.outcome.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }
}
