//! JSON lines.

use bytes::BytesMut;

use super::{MAX_EVENT, turn::Turn};

/// One JSON text a line; a line that is none goes on as it is.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    passing: bool,
}

impl Lines {
    pub(super) fn push(&mut self, turn: &mut Turn, bytes: &[u8], out: &mut BytesMut) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() > MAX_EVENT && !std::mem::replace(&mut self.passing, true) {
                turn.unread();
            }
            let ended = piece.ends_with(b"\n");
            if self.passing {
                out.extend_from_slice(&std::mem::take(&mut self.line));
                self.passing = !ended;
            } else if ended {
                self.pass(turn, false, out);
            }
        }
    }

    pub(super) fn finish(&mut self, turn: &mut Turn, out: &mut BytesMut) {
        self.pass(turn, true, out);
    }

    fn pass(&mut self, turn: &mut Turn, last: bool, out: &mut BytesMut) {
        let line = std::mem::take(&mut self.line);
        let blank = line.iter().all(u8::is_ascii_whitespace);
        let (before, json) = match blank {
            true if last => (turn.end(), None),
            true => (Vec::new(), None),
            false => {
                let step = turn.event(&[], &line, last);
                (step.before, step.json)
            }
        };
        for made in before {
            out.extend_from_slice(&made.json);
            out.extend_from_slice(b"\n");
        }
        out.extend_from_slice(json.as_deref().unwrap_or(&line));
    }
}
