//! Restoring values in what comes from a model, while it arrives.

mod array;
mod deltas;
mod frames;
mod lines;
mod restore;
mod sse;
mod text;
mod turn;

use std::sync::Arc;

use bytes::BytesMut;
use remit_core::ModelApi;

use super::Vault;
pub(crate) use turn::Turn;

/// Restores one answer: bytes in, bytes out.
///
/// What is not changed comes out as it went in. What cannot be read comes out as it went in too,
/// and is counted: towards the agent nothing can leak, it has the real values. Of each text at most
/// [`LENGTH`](super::LENGTH) − 1 bytes are held back, of a stream otherwise the event that has not
/// ended.
#[derive(Debug)]
pub struct Unmasker {
    turn: Turn,
    framing: Framing,
}

/// What was done to an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Pseudonyms that became values again.
    pub restored: u64,
    /// Pseudonyms that the model changed; they stay as they are.
    pub mangled: u64,
    /// Pseudonyms of good form that this session never gave out.
    pub unknown: u64,
    /// Events, documents and frames that could not be read and went through as they were.
    pub unread: u64,
}

#[derive(Debug)]
enum Framing {
    /// `text/event-stream`.
    Sse(sse::Sse),
    /// `application/json`, also an array that grows (Gemini).
    Json(array::Json),
    /// One JSON text a line.
    Lines(lines::Lines),
    /// `application/vnd.amazon.eventstream`.
    Frames(frames::Frames),
    /// Any other text.
    Text(text::Text),
    /// Nothing to restore in.
    Other,
    /// Not known before the first byte.
    Unknown,
}

impl Unmasker {
    pub(crate) fn new(vault: Arc<Vault>, api: ModelApi, content_type: Option<&str>) -> Self {
        Self { turn: Turn::new(vault, api), framing: Framing::of(content_type) }
    }

    /// Takes the next bytes and appends to `out` what may go on.
    pub fn push(&mut self, bytes: &[u8], out: &mut BytesMut) {
        if matches!(self.framing, Framing::Unknown) {
            self.framing = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => return out.extend_from_slice(bytes),
                Some(b'{' | b'[') => Framing::Lines(lines::Lines::default()),
                Some(_) => Framing::Other,
            };
        }
        match &mut self.framing {
            Framing::Sse(sse) => sse.push(&mut self.turn, bytes, out),
            Framing::Json(json) => json.push(&mut self.turn, bytes, out),
            Framing::Lines(lines) => lines.push(&mut self.turn, bytes, out),
            Framing::Frames(frames) => frames.push(&mut self.turn, bytes, out),
            Framing::Text(text) => text.push(&mut self.turn, bytes, out),
            Framing::Other | Framing::Unknown => out.extend_from_slice(bytes),
        }
    }

    /// The answer has ended: appends what was held.
    pub fn finish(&mut self, out: &mut BytesMut) {
        match &mut self.framing {
            Framing::Sse(sse) => sse.finish(&mut self.turn, out),
            Framing::Json(json) => json.finish(&mut self.turn, out),
            Framing::Lines(lines) => lines.finish(&mut self.turn, out),
            Framing::Frames(frames) => frames.finish(&mut self.turn, out),
            Framing::Text(text) => text.finish(&mut self.turn, out),
            Framing::Other | Framing::Unknown => {}
        }
    }

    /// What was done so far.
    pub fn restored(&self) -> Restored {
        self.turn.counts()
    }

    /// The most bytes of a text that are held back at the moment.
    pub fn held(&self) -> usize {
        match &self.framing {
            Framing::Text(text) => text.held(),
            _ => self.turn.held(),
        }
    }
}

impl Framing {
    fn of(content_type: Option<&str>) -> Self {
        let Some(content_type) = content_type else { return Self::Unknown };
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "" | "application/octet-stream" | "binary/octet-stream" => Self::Unknown,
            "text/event-stream" => Self::Sse(sse::Sse::default()),
            "application/vnd.amazon.eventstream" => Self::Frames(frames::Frames::default()),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines" => Self::Lines(lines::Lines::default()),
            "application/json" | "text/json" => Self::Json(array::Json::default()),
            _ if kind.ends_with("+json") => Self::Json(array::Json::default()),
            "application/xml" | "application/javascript" => Self::Text(text::Text::default()),
            _ if kind.starts_with("text/") || kind.ends_with("+xml") => {
                Self::Text(text::Text::default())
            }
            _ => Self::Other,
        }
    }
}

/// Larger events, documents, lines and frames go through unread.
const MAX_EVENT: usize = 32 << 20;
