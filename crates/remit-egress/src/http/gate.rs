//! The strict reader in front of the HTTP/1 parser: only heads that passed [`read_head`], and the
//! bodies that belong to them, get through.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::{
    io::{AsyncRead as _, AsyncReadExt, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{
    chunks::Chunks,
    head::{Framing, HeadError, Target, encode_query, read_head},
    serve::IDLE,
    wire::{Upgrade, Wire},
};
use crate::{refusal::Fault, tls::AgentStream};

/// The agent's stream as hyper sees it.
pub(crate) struct Gate {
    stream: AgentStream,
    wire: Arc<Wire>,
    buffer: BytesMut,
    /// Bytes at the front of the buffer that may pass.
    cleared: usize,
    state: State,
    /// Whether the buffer was judged as far as it can be.
    judged: bool,
    ended: bool,
    /// When the head that is awaited began; the first one begins with the connection.
    begun: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

enum State {
    Head,
    Length(u64),
    Chunked(Chunks),
    /// An upgrade was asked for.
    Waiting,
    /// The stream is no longer HTTP.
    Open,
    /// A head was refused: nothing passes any more.
    Refused,
    /// A body was refused.
    Broken,
}

impl Gate {
    pub(crate) fn new(stream: AgentStream, wire: Arc<Wire>) -> Self {
        Self {
            stream,
            wire,
            buffer: BytesMut::new(),
            cleared: 0,
            state: State::Head,
            judged: true,
            ended: false,
            begun: Some(Instant::now()),
            timer: None,
        }
    }

    /// Clears what is sound at the front of the buffer. Called with nothing cleared.
    fn judge(&mut self) {
        self.judged = true;
        match &mut self.state {
            State::Head => match read_head(&self.buffer) {
                Ok(head) if matches!(head.target, Target::Tunnel(_)) => {
                    self.refuse(Fault::malformed("CONNECT inside a connection"));
                }
                Ok(head) => {
                    self.cleared = head.length;
                    if head.raw_query {
                        let rest = self.buffer.split_off(head.length);
                        self.buffer = encode_query(&self.buffer);
                        self.cleared = self.buffer.len();
                        self.buffer.extend_from_slice(&rest);
                    }
                    self.begun = None;
                    self.wire.pass_head(head.upgrade);
                    self.judged = false;
                    self.state = match head.framing {
                        _ if head.upgrade => State::Waiting,
                        Framing::Length(0) => State::Head,
                        Framing::Length(length) => State::Length(length),
                        Framing::Chunked => State::Chunked(Chunks::Size),
                    };
                }
                Err(HeadError::Incomplete) => {}
                Err(HeadError::Fault(fault)) => self.refuse(fault),
            },
            State::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                self.cleared = here;
                *left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                if *left == 0 {
                    self.judged = false;
                    self.state = State::Head;
                }
            }
            State::Chunked(chunks) => match chunks.advance(&self.buffer) {
                Ok(sound) => {
                    self.cleared = sound;
                    if *chunks == Chunks::End {
                        self.judged = false;
                        self.state = State::Head;
                    }
                }
                Err(fault) => {
                    self.wire.break_body(fault);
                    self.state = State::Broken;
                }
            },
            State::Open => self.cleared = self.buffer.len(),
            State::Waiting | State::Refused | State::Broken => {}
        }
    }

    fn refuse(&mut self, fault: Fault) {
        self.wire.refuse_head(fault);
        self.state = State::Refused;
        self.buffer = BytesMut::from(PLACEHOLDER);
        self.cleared = self.buffer.len();
    }

    fn poll_clear(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.cleared > 0 {
                return Poll::Ready(Ok(true));
            }
            match self.state {
                // The answer to the placeholder closes the connection.
                State::Refused => return Poll::Pending,
                State::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                State::Waiting => match self.wire.upgrade(cx) {
                    Upgrade::Asked => return self.poll_gone(cx),
                    Upgrade::Done => self.state = State::Open,
                    Upgrade::None => self.state = State::Head,
                },
                _ => {}
            }
            if !self.judged || (matches!(self.state, State::Open) && !self.buffer.is_empty()) {
                self.judge();
                continue;
            }
            if self.ended {
                return Poll::Ready(Ok(false));
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => self.judged = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(self.poll_deadline(cx));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
    }

    /// Bytes wait until the upgrade is settled, but the end of the program's side ends it, too.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while !self.ended && self.buffer.len() < MOST_WAITING {
            self.judged = false;
            self.ended = ready!(self.poll_fill(cx))? == 0;
        }
        if self.ended { Poll::Ready(Ok(false)) } else { Poll::Pending }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if matches!(self.state, State::Head) {
            return self.poll_fill_head(cx);
        }
        self.buffer.reserve(READ);
        // The future keeps no state of its own, so a new one may be polled each time.
        let mut reading = pin!(self.stream.read_buf(&mut self.buffer));
        reading.as_mut().poll(cx)
    }

    /// Most connections wait for a head most of their time: they hold no memory meanwhile.
    fn poll_fill_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [0; READ_HEAD];
        let mut read = ReadBuf::new(&mut room);
        if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            self.buffer.extend_from_slice(read.filled());
            return Poll::Ready(done.map(|()| read.filled().len()));
        }
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Poll::Pending
    }

    /// Only heads have a time: bodies may be as slow as the program likes, and answers as slow as
    /// the server.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.state, State::Head) {
            return Poll::Pending;
        }
        let mut due = self.due();
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        // A timer that was set earlier is moved only when it fires or is too late.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            let Some(timer) = self.timer.as_mut() else { return Poll::Pending };
            ready!(timer.as_mut().poll(cx));
            let fired = timer.deadline();
            due = self.due();
            if fired >= due {
                return Poll::Ready(());
            }
            if let Some(timer) = self.timer.as_mut() {
                timer.as_mut().reset(due);
            }
        }
    }

    /// When the next head must be there, or when to look again while a request is answered:
    /// nobody tells the gate when that is over.
    fn due(&mut self) -> Instant {
        let now = Instant::now();
        let Some(idle) = self.wire.idle_since() else { return now + IDLE };
        if !self.buffer.is_empty() {
            self.begun.get_or_insert(now);
        }
        self.begun.map_or(idle + IDLE, |begun| begun + FIRST_HEAD)
    }
}

impl Read for Gate {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if ready!(this.poll_clear(cx))? {
            let count = this.cleared.min(cursor.remaining());
            if let Some(part) = this.buffer.get(..count) {
                cursor.put_slice(part);
            }
            this.buffer.advance(count);
            this.cleared = this.cleared.saturating_sub(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Gate {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }
}

/// What hyper gets to see of a refused head; the flow knows by its number that it is none.
const PLACEHOLDER: &[u8] = b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";
const READ: usize = 16 << 10;
const READ_HEAD: usize = 4 << 10;
const MOST_WAITING: usize = 16 << 10;
const FIRST_HEAD: Duration = Duration::from_secs(30);
