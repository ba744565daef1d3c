//! Server-sent events (WHATWG HTML, section 9.2), put together from whatever pieces they come in.

use bytes::BytesMut;

use super::{
    MAX_EVENT,
    turn::{Step, Turn},
};

/// The events of one stream. Lines end in LF, CR or both; an event ends with an empty line.
#[derive(Debug, Default)]
pub(super) struct Sse {
    /// The event that has not ended.
    event: Vec<u8>,
    /// How much of it was looked at.
    seen: usize,
    /// Whether the current line has bytes.
    in_line: bool,
    /// Whether the last byte was a CR, to which a LF may belong.
    after_cr: bool,
    /// Whether the event is too long and goes through unread.
    passing: bool,
}

impl Sse {
    pub(super) fn push(&mut self, turn: &mut Turn, bytes: &[u8], out: &mut BytesMut) {
        let mut buffer = std::mem::take(&mut self.event);
        buffer.extend_from_slice(bytes);
        let mut rest = buffer.as_slice();
        while let Some((event, behind)) =
            self.next_end(rest).and_then(|end| rest.split_at_checked(end))
        {
            self.seen = 0;
            rest = behind;
            if std::mem::take(&mut self.passing) {
                out.extend_from_slice(event);
            } else {
                pass(turn, event, false, out);
            }
        }
        if rest.len() > MAX_EVENT || self.passing {
            if !std::mem::replace(&mut self.passing, true) {
                turn.unread();
            }
            out.extend_from_slice(rest);
            rest = &[];
            self.seen = 0;
        }
        let done = buffer.len().saturating_sub(rest.len());
        buffer.drain(..done);
        self.event = buffer;
    }

    pub(super) fn finish(&mut self, turn: &mut Turn, out: &mut BytesMut) {
        let event = std::mem::take(&mut self.event);
        self.seen = 0;
        if event.is_empty() {
            for made in turn.end() {
                write(&made.frame, &made.json, b"\n", out);
            }
        } else {
            pass(turn, &event, true, out);
        }
    }

    /// The end of the first event of `bytes`, behind its empty line.
    fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let rest = bytes.get(self.seen..)?;
            let first = *rest.first()?;
            if self.after_cr && first == b'\n' {
                // The second half of a line end.
                self.after_cr = false;
                self.seen = self.seen.saturating_add(1);
                if self.seen == 1 && !self.in_line {
                    // The event ended with the CR: this byte is the last of it.
                    return Some(1);
                }
                continue;
            }
            self.after_cr = false;
            match memchr::memchr2(b'\n', b'\r', rest) {
                None => {
                    self.in_line = true;
                    self.seen = bytes.len();
                    return None;
                }
                Some(at) => {
                    let empty = at == 0 && !self.in_line;
                    self.after_cr = rest.get(at) == Some(&b'\r');
                    self.seen = self.seen.saturating_add(at).saturating_add(1);
                    self.in_line = false;
                    if empty {
                        return Some(self.seen);
                    }
                }
            }
        }
    }
}

/// Sends one whole event on.
fn pass(turn: &mut Turn, event: &[u8], last: bool, out: &mut BytesMut) {
    let mut frame = Vec::new();
    let mut data: Option<Vec<u8>> = None;
    for line in Lines(event) {
        if let Some((_, value)) = line.data() {
            match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            }
        } else if line.text.starts_with(b"event") {
            frame.extend_from_slice(line.text);
            frame.extend_from_slice(line.end);
        }
    }
    let end = Lines(event).next().map_or(b"\n".as_slice(), |line| line.end);
    let end = if end.is_empty() { b"\n" } else { end };
    let step = match data {
        // The end of Chat streams.
        Some(data) if data == b"[DONE]" => Step { before: turn.end(), json: None },
        Some(data) => turn.event(&frame, &data, last),
        None if last => Step { before: turn.end(), json: None },
        None => Step::default(),
    };
    for made in step.before {
        write(&made.frame, &made.json, end, out);
    }
    let Some(json) = step.json else {
        return out.extend_from_slice(event);
    };
    let mut written = false;
    for line in Lines(event) {
        let Some((name, _)) = line.data() else {
            out.extend_from_slice(line.text);
            out.extend_from_slice(line.end);
            continue;
        };
        if !std::mem::replace(&mut written, true) {
            write_data(name, &json, line.end, out);
        }
    }
}

/// Writes an event of our own.
fn write(frame: &[u8], json: &[u8], end: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(frame);
    write_data(b"data: ", json, end, out);
    out.extend_from_slice(end);
}

/// Writes a text as data, line by line as it came.
fn write_data(name: &[u8], json: &[u8], end: &[u8], out: &mut BytesMut) {
    for line in json.split(|byte| *byte == b'\n') {
        out.extend_from_slice(name);
        out.extend_from_slice(line);
        out.extend_from_slice(end);
    }
}

/// The lines of an event.
struct Lines<'a>(&'a [u8]);

struct Line<'a> {
    text: &'a [u8],
    /// LF, CR, both, or nothing at the end of a stream.
    end: &'a [u8],
}

impl<'a> Line<'a> {
    /// `data: value`: the name with what follows it, and the value.
    fn data(&self) -> Option<(&'a [u8], &'a [u8])> {
        let rest = self.text.strip_prefix(b"data")?;
        let name = match rest {
            [b':', b' ', ..] => 6,
            [b':', ..] => 5,
            [] => 4,
            _ => return None,
        };
        self.text.split_at_checked(name)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let at = memchr::memchr2(b'\n', b'\r', self.0).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at_checked(at)?;
        let length = match rest {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        let (end, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Line { text, end })
    }
}
