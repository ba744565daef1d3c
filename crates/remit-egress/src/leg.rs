//! One TCP leg of a connection: counts bytes, and is reset instead of closed when the connection
//! was ended by force.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{budget::Budget, live::Live};

/// Which way a leg faces.
pub(crate) enum Side {
    /// Towards the program.
    Agent(Arc<Live>),
    /// Towards a program whose connection was refused.
    Refused,
    /// Towards the server; what is written here leaves the machine.
    Server(Arc<Budget>),
}

/// A TCP stream with its duties.
pub(crate) struct Leg {
    stream: TcpStream,
    side: Side,
}

impl Leg {
    pub(crate) fn new(stream: TcpStream, side: Side) -> Self {
        // Small messages wait for nothing; a failure only costs time.
        let _ = stream.set_nodelay(true);
        Self { stream, side }
    }

    fn read(&self, bytes: usize) {
        if let Side::Agent(live) = &self.side {
            live.sent_up(bytes);
        }
    }

    fn wrote(&self, bytes: usize) {
        if let Side::Agent(live) = &self.side {
            live.sent_down(bytes);
        }
    }

    fn may_write(&self, bytes: usize) -> io::Result<()> {
        match &self.side {
            Side::Agent(_) | Side::Refused => Ok(()),
            Side::Server(budget) => budget.spend(bytes),
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        let forced = match &self.side {
            Side::Agent(live) => live.is_ended(),
            Side::Server(budget) => budget.is_spent(),
            Side::Refused => false,
        };
        if forced {
            // An ended connection must look cut to both ends, not complete.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Leg {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.read(buf.filled().len().saturating_sub(before));
        result
    }
}

impl AsyncWrite for Leg {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.may_write(buf.len())?;
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.settle(buf.len(), &result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = bufs.iter().map(|buf| buf.len()).fold(0, usize::saturating_add);
        self.may_write(offered)?;
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.settle(offered, &result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Leg {
    /// Gives back what was reserved and not written.
    fn settle(&self, offered: usize, result: &Poll<io::Result<usize>>) {
        let written = match result {
            Poll::Ready(Ok(written)) => *written,
            _ => 0,
        };
        self.wrote(written);
        if let Side::Server(budget) = &self.side {
            budget.give_back(offered.saturating_sub(written));
        }
    }
}
