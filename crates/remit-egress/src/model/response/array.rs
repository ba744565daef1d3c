//! JSON documents; an array at the top is read element by element, as Gemini sends answers.

use bytes::BytesMut;

use super::{MAX_EVENT, text::Text, turn::Turn};

/// One body of JSON.
#[derive(Debug, Default)]
pub(super) struct Json {
    shape: Shape,
    /// The document or the element that has not ended.
    text: Vec<u8>,
    depth: u32,
    in_string: bool,
    after_backslash: bool,
}

#[derive(Debug, Default)]
enum Shape {
    /// Nothing but space so far.
    #[default]
    Unknown,
    /// One value, read when it has ended.
    Document,
    /// Elements.
    Array,
    /// Too large to be kept: as text, whose values stand in strings.
    Large(Text),
}

impl Json {
    pub(super) fn push(&mut self, turn: &mut Turn, bytes: &[u8], out: &mut BytesMut) {
        let mut rest = bytes;
        if matches!(self.shape, Shape::Unknown) {
            let at = rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len());
            let (space, text) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            out.extend_from_slice(space);
            rest = text;
            match rest.first() {
                None => return,
                Some(b'[') => self.shape = Shape::Array,
                Some(_) => self.shape = Shape::Document,
            }
        }
        match &mut self.shape {
            Shape::Array => self.elements(turn, rest, out),
            Shape::Large(text) => text.push(turn, rest, out),
            Shape::Document | Shape::Unknown => {
                self.text.extend_from_slice(rest);
                if self.text.len() > MAX_EVENT {
                    self.too_large(turn, out);
                }
            }
        }
    }

    pub(super) fn finish(&mut self, turn: &mut Turn, out: &mut BytesMut) {
        if let Shape::Large(text) = &mut self.shape {
            text.finish(turn, out);
        } else if matches!(self.shape, Shape::Document) {
            let step = turn.event(&[], &self.text, true);
            out.extend_from_slice(step.json.as_deref().unwrap_or(&self.text));
        } else {
            // A stream that broke off: what was held goes nowhere else.
            for made in turn.end() {
                out.extend_from_slice(b",\n");
                out.extend_from_slice(&made.json);
            }
            out.extend_from_slice(&self.text);
        }
        self.text.clear();
    }

    fn too_large(&mut self, turn: &mut Turn, out: &mut BytesMut) {
        turn.unread();
        let mut text = Text::in_strings();
        text.push(turn, &std::mem::take(&mut self.text), out);
        self.shape = Shape::Large(text);
    }

    /// Bytes of an array: everything between elements goes on as it is.
    fn elements(&mut self, turn: &mut Turn, bytes: &[u8], out: &mut BytesMut) {
        for (at, byte) in bytes.iter().enumerate() {
            let outside = self.depth <= 1 && !self.in_string;
            self.follow(*byte);
            if outside && *byte == b']' {
                for made in turn.end() {
                    out.extend_from_slice(b",\n");
                    out.extend_from_slice(&made.json);
                }
            }
            if outside && self.depth <= 1 && !self.in_string {
                out.extend_from_slice(&[*byte]);
                continue;
            }
            self.text.push(*byte);
            if self.depth <= 1 && !self.in_string {
                let element = std::mem::take(&mut self.text);
                let step = turn.event(&[], &element, false);
                for made in step.before {
                    out.extend_from_slice(&made.json);
                    out.extend_from_slice(b",\n");
                }
                out.extend_from_slice(step.json.as_deref().unwrap_or(&element));
            } else if self.text.len() > MAX_EVENT {
                self.too_large(turn, out);
                let rest = bytes.get(at.saturating_add(1)..).unwrap_or_default();
                return self.push(turn, rest, out);
            }
        }
    }

    /// Keeps track of brackets and strings.
    fn follow(&mut self, byte: u8) {
        if self.in_string {
            if std::mem::take(&mut self.after_backslash) {
                return;
            }
            match byte {
                b'\\' => self.after_backslash = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}
