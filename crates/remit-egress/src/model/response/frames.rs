//! AWS event streams: binary frames with checksums.
//!
//! A frame is a prelude (total length, length of the headers, CRC-32 of both), headers, payload and
//! the CRC-32 of everything before it; all numbers are big-endian ("Amazon event stream encoding",
//! AWS documentation of `vnd.amazon.eventstream`).

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;

use super::turn::{Event, Turn};
use crate::model::json::{Kind, Tape};

/// The frames of one answer.
#[derive(Debug, Default)]
pub(super) struct Frames {
    frame: Vec<u8>,
    /// Something was no frame; the rest goes through unread.
    broken: bool,
}

impl Frames {
    pub(super) fn push(&mut self, turn: &mut Turn, bytes: &[u8], out: &mut BytesMut) {
        let mut buffer = std::mem::take(&mut self.frame);
        buffer.extend_from_slice(bytes);
        let mut rest = buffer.as_slice();
        while !self.broken {
            match Frame::read(rest) {
                Ok(None) => break,
                Ok(Some((frame, behind))) => {
                    pass(turn, &frame, out);
                    rest = behind;
                }
                Err(Broken) => {
                    self.broken = true;
                    turn.unread();
                }
            }
        }
        if self.broken {
            out.extend_from_slice(rest);
            rest = &[];
        }
        let done = buffer.len().saturating_sub(rest.len());
        buffer.drain(..done);
        self.frame = buffer;
    }

    pub(super) fn finish(&mut self, turn: &mut Turn, out: &mut BytesMut) {
        for made in turn.end() {
            write_made(&made, out);
        }
        out.extend_from_slice(&std::mem::take(&mut self.frame));
    }
}

struct Frame<'a> {
    raw: &'a [u8],
    headers: &'a [u8],
    payload: &'a [u8],
}

/// These bytes are no frame.
struct Broken;

impl<'a> Frame<'a> {
    /// The frame at the beginning and what is behind it; nothing when it has not come whole.
    fn read(bytes: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, Broken> {
        let Some((prelude, rest)) = bytes.split_at_checked(PRELUDE) else { return Ok(None) };
        let number = |at: usize| -> Option<u32> {
            Some(u32::from_be_bytes(*prelude.get(at..)?.first_chunk()?))
        };
        let (Some(total), Some(headers), Some(crc)) = (number(0), number(4), number(8)) else {
            return Err(Broken);
        };
        let checked = prelude.get(..8).unwrap_or_default();
        let (total, headers) = (total as usize, headers as usize);
        let inside = total.checked_sub(PRELUDE + CRC).ok_or(Broken)?;
        if crc32fast::hash(checked) != crc || headers > inside || total > MAX_FRAME {
            return Err(Broken);
        }
        let Some((raw, behind)) = bytes.split_at_checked(total) else { return Ok(None) };
        let (inner, _) = rest.split_at_checked(inside).ok_or(Broken)?;
        let (headers, payload) = inner.split_at_checked(headers).ok_or(Broken)?;
        let (covered, crc) = raw.split_last_chunk::<CRC>().ok_or(Broken)?;
        if crc32fast::hash(covered) != u32::from_be_bytes(*crc) {
            return Err(Broken);
        }
        Ok(Some((Self { raw, headers, payload }, behind)))
    }
}

fn pass(turn: &mut Turn, frame: &Frame<'_>, out: &mut BytesMut) {
    if frame.payload.is_empty() {
        return out.extend_from_slice(frame.raw);
    }
    let wrapped = Wrapped::read(frame.payload);
    let json = wrapped.as_ref().map_or(frame.payload, |wrapped| &wrapped.json);
    let kind = if wrapped.is_some() { WRAPPED } else { PLAIN };
    let step = turn.event(&[&[kind], frame.headers].concat(), json, false);
    for made in &step.before {
        write_made(made, out);
    }
    match (step.json, wrapped) {
        (None, _) => out.extend_from_slice(frame.raw),
        (Some(json), None) => write(frame.headers, &json, out),
        (Some(json), Some(wrapped)) => {
            let text = STANDARD.encode(json);
            let payload = [wrapped.before, text.as_bytes(), wrapped.after].concat();
            write(frame.headers, &payload, out);
        }
    }
}

/// `{"bytes": "…"}`: a model's own event in base64 (`InvokeModelWithResponseStream`).
struct Wrapped<'a> {
    before: &'a [u8],
    json: Vec<u8>,
    after: &'a [u8],
}

impl<'a> Wrapped<'a> {
    fn read(payload: &'a [u8]) -> Option<Self> {
        let tape = Tape::read(payload).ok()?;
        let node = tape.node(tape.member(0, "bytes")?)?;
        if node.kind != Kind::String {
            return None;
        }
        let json = STANDARD.decode(tape.raw(node)).ok()?;
        let before = payload.get(..node.range().start)?;
        let after = payload.get(node.range().end..)?;
        Some(Self { before, json, after })
    }
}

/// Writes an event of our own, under the headers of the one whose shape it has.
fn write_made(made: &Event, out: &mut BytesMut) {
    match made.frame.split_first() {
        Some((&WRAPPED, headers)) => {
            let payload = format!(r#"{{"bytes":"{}"}}"#, STANDARD.encode(&made.json));
            write(headers, payload.as_bytes(), out);
        }
        Some((_, headers)) => write(headers, &made.json, out),
        None => {}
    }
}

fn write(headers: &[u8], payload: &[u8], out: &mut BytesMut) {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let total = (PRELUDE + CRC).saturating_add(headers.len()).saturating_add(payload.len());
    let mut frame = Vec::with_capacity(total);
    frame.extend_from_slice(&length(total));
    frame.extend_from_slice(&length(headers.len()));
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    out.extend_from_slice(&frame);
}

const PRELUDE: usize = 12;
const CRC: usize = 4;
/// The service's own limit is 16 MiB of payload.
const MAX_FRAME: usize = 24 << 20;
const PLAIN: u8 = 0;
const WRAPPED: u8 = 1;
