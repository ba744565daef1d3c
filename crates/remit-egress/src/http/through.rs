//! A body on its way through stages.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use remit_core::{Direction, ReasonCode};

use tokio::time::{Sleep, sleep};

use super::payload::{BodyError, Tail, conclude};
use crate::body::{Chain, Exchange, Inspector, Stop};

/// The peer's body; what comes out is what its stages let go on.
pub(crate) struct Through {
    body: Incoming,
    chain: Chain,
    exchange: Arc<Exchange>,
    direction: Direction,
    inspector: Arc<dyn Inspector>,
    /// Let through and not yet sent.
    ready: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    state: State,
    /// What is still to be given out, where that is known from the beginning.
    pub(crate) left: Option<u64>,
    pub(crate) tail: Option<Box<Tail>>,
    /// When what is kept need not wait any longer.
    idle: Option<Pin<Box<Sleep>>>,
}

#[derive(PartialEq, Eq)]
enum State {
    Running,
    Over,
    Stopped,
}

impl Through {
    /// `begun` is what was read of the body already.
    pub(crate) fn new(
        body: Incoming,
        begun: Vec<Bytes>,
        mut chain: Chain,
        (exchange, direction): (Arc<Exchange>, Direction),
        inspector: Arc<dyn Inspector>,
    ) -> Result<Self, Stop> {
        let mut ready = VecDeque::new();
        for part in begun {
            ready.extend(chain.push(part)?);
        }
        let (trailers, state, tail) = (None, State::Running, None);
        Ok(Self {
            body,
            chain,
            exchange,
            direction,
            inspector,
            ready,
            trailers,
            state,
            left: None,
            tail,
            idle: None,
        })
    }

    /// Whether everything was given out.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over && self.ready.is_empty() && self.trailers.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if self.state == State::Stopped {
                return Poll::Ready(Some(Err(BodyError::Stopped)));
            }
            if let Some(part) = self.ready.pop_front() {
                self.left = self.left.map(|left| left.saturating_sub(part.len() as u64));
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            if self.state == State::Over {
                if let Some(trailers) = self.trailers.take() {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                conclude(&mut self.tail);
                return Poll::Ready(None);
            }
            let polled = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(polled) => {
                    self.idle = None;
                    polled
                }
                Poll::Pending => {
                    ready!(self.poll_idle(cx));
                    match self.chain.idle() {
                        Ok(parts) => self.ready.extend(parts),
                        Err(stop) => self.stop(stop),
                    }
                    continue;
                }
            };
            let passed = match polled {
                Some(Err(error)) => {
                    self.state = State::Stopped;
                    return Poll::Ready(Some(Err(error.into())));
                }
                None => self.end(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(part) => self.chain.push(part),
                    Err(frame) => self.end(frame.into_trailers().ok()),
                },
            };
            match passed {
                Ok(parts) => self.ready.extend(parts),
                Err(stop) => self.stop(stop),
            }
        }
    }

    /// Ready when nothing has come for a while and something is kept.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.chain.waits() {
            return Poll::Pending;
        }
        let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(IDLE)));
        ready!(idle.as_mut().poll(cx));
        self.idle = None;
        Poll::Ready(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<Vec<Bytes>, Stop> {
        self.state = State::Over;
        if let Some(mut trailers) = trailers {
            self.inspector.trailers(&self.exchange, self.direction, &mut trailers)?;
            self.trailers = Some(trailers);
        }
        self.chain.finish()
    }

    fn stop(&mut self, stop: Stop) {
        self.state = State::Stopped;
        self.ready.clear();
        let stop = match stop {
            // A part of it has left already: the rest cannot wait.
            Stop::Held(held) => {
                let detail = format!("{}; too large to be held", held.found);
                let reason = ReasonCode::DataBlocked;
                self.exchange.refuse(self.direction, reason, held.rule, &held.found, detail)
            }
            refused @ Stop::Refused(_) => refused,
        };
        self.exchange.stop(stop);
    }
}

/// How long bytes wait that may begin a finding, while nothing more comes.
const IDLE: Duration = Duration::from_millis(100);
