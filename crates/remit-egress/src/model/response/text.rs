//! Text of no known form.

use bytes::BytesMut;

use super::turn::{Part, Turn};
use crate::model::json::splice;

/// A text that arrives in pieces, which may cut characters.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// The end that may begin a pseudonym.
    held: String,
    /// Whether values stand in JSON strings.
    escaped: bool,
}

impl Text {
    /// A JSON text that is too large to be read.
    pub(super) fn in_strings() -> Self {
        Self { held: String::new(), escaped: true }
    }

    pub(super) fn push(&mut self, turn: &mut Turn, bytes: &[u8], out: &mut BytesMut) {
        // Pseudonyms are ASCII: whatever is not goes by in between, cut or not.
        for run in bytes.chunk_by(|a, b| a.is_ascii() == b.is_ascii()) {
            match std::str::from_utf8(run) {
                Ok(text) if run.is_ascii() => self.part(turn, text, false, out),
                _ => {
                    self.part(turn, "", true, out);
                    out.extend_from_slice(run);
                }
            }
        }
    }

    pub(super) fn finish(&mut self, turn: &mut Turn, out: &mut BytesMut) {
        self.part(turn, "", true, out);
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    fn part(&mut self, turn: &mut Turn, text: &str, last: bool, out: &mut BytesMut) {
        let held = std::mem::take(&mut self.held);
        let part = Part { text, times: u8::from(self.escaped), last };
        let (edits, rest) = turn.part(&held, &part);
        let mut restored = Vec::with_capacity(text.len());
        splice(text.as_bytes(), &edits, &mut restored);
        out.extend_from_slice(&restored);
        self.held = rest;
    }
}
