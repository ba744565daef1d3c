//! Refusals that the HTTP/2 library makes by itself: a malformed stream or connection never
//! becomes a request that could be refused, but its refusal belongs on the trail like any other.
//!
//! They are read off the frames that are written to the agent (RFC 9113, 4.1): those are our own,
//! and so always sound.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{refusal::Fault, tls::AgentStream};

/// The agent's stream, with an eye on what is refused on it.
pub(crate) struct Watched<F> {
    stream: AgentStream,
    frames: Frames,
    refused: F,
}

impl<F: FnMut(Fault)> Watched<F> {
    /// Calls `refused` for every stream or connection that ends with an error of the agent's.
    pub(crate) fn new(stream: AgentStream, refused: F) -> Self {
        Self { stream, frames: Frames::default(), refused }
    }
}

/// Where in the row of frames the writing is.
#[derive(Default)]
struct Frames {
    /// The frame's head and the first bytes of its payload, as far as they are written.
    begun: Vec<u8>,
    /// Bytes of the payload that say nothing here.
    skip: usize,
}

impl Frames {
    /// Follows what was written; returns a fault for each frame that announces one.
    fn written(&mut self, mut bytes: &[u8], mut fault: impl FnMut(Fault)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip = self.skip.saturating_sub(skipped);
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((byte, rest)) = bytes.split_first() else { return };
            self.begun.push(*byte);
            bytes = rest;
            let [a, b, c, kind, ..] = *self.begun.as_slice() else { continue };
            if self.begun.len() < HEAD {
                continue;
            }
            let payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            // Where in the payload its error code ends.
            let wanted = match kind {
                RST_STREAM => 4,
                GOAWAY => 8,
                _ => 0,
            };
            if self.begun.len() < wanted.min(payload).saturating_add(HEAD) {
                continue;
            }
            let code = self.begun.last_chunk::<4>().map(|code| u32::from_be_bytes(*code));
            if let Some(found) = code.filter(|_| wanted > 0).and_then(|code| judge(kind, code)) {
                fault(found);
            }
            self.skip = payload.saturating_sub(wanted);
            self.begun.clear();
        }
    }
}

/// The fault that an error code (RFC 9113, 7) lays to the agent.
const fn judge(kind: u8, code: u32) -> Option<Fault> {
    let detail = match (kind, code) {
        (_, 1) => "HTTP/2 message or frame that is malformed",
        (_, 3) => "HTTP/2 flow control was not kept to",
        (_, 6) => "HTTP/2 frame of a wrong size",
        (_, 9) => "HTTP/2 header compression is broken",
        (_, 11) => "HTTP/2 peer causes too much work",
        // A stream that is closed may get frames that crossed its end; a connection may not.
        (GOAWAY, 5) => "HTTP/2 frame on a closed stream",
        (GOAWAY, 4) => "HTTP/2 settings were not acknowledged",
        _ => return None,
    };
    Some(Fault::malformed(detail))
}

const HEAD: usize = 9;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

impl<F: Unpin> AsyncRead for Watched<F> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<F: FnMut(Fault) + Unpin> AsyncWrite for Watched<F> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = polled {
            this.frames.written(buf.get(..count).unwrap_or_default(), &mut this.refused);
        }
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(mut left)) = polled {
            for buf in bufs {
                let part = buf.get(..left.min(buf.len())).unwrap_or_default();
                this.frames.written(part, &mut this.refused);
                left = left.saturating_sub(part.len());
            }
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_seen_however_the_frames_are_cut() {
        let frames = [
            // SETTINGS, DATA that looks like a reset, RST_STREAM, PING, GOAWAY with a word, DATA.
            &b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x01"[..],
            b"\0\0\x0d\0\0\0\0\0\x01\0\0\x04\x03\0\0\0\0\x01\0\0\0\x01",
            b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x01",
            b"\0\0\x04\x03\0\0\0\0\x03\0\0\0\x08",
            b"\0\0\x08\x06\0\0\0\0\0abcdefgh",
            b"\0\0\0\0\x01\0\0\0\x05",
            b"\0\0\x0a\x07\0\0\0\0\0\0\0\0\x05\0\0\0\x0bhi",
            b"\0\0\x01\0\0\0\0\0\x07x",
        ]
        .concat();
        for size in [1, 2, 7, 9, 13, frames.len()] {
            let (mut state, mut found) = (Frames::default(), Vec::new());
            for part in frames.chunks(size) {
                state.written(part, |fault| found.push(fault.detail));
            }
            let expected =
                ["HTTP/2 message or frame that is malformed", "HTTP/2 peer causes too much work"];
            assert_eq!(found, expected, "{size}");
        }
    }
}
