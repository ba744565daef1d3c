//! Bodies: streamed through frame by frame, or a short text of ours.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1::SendRequest};

use super::{headers, wire::UnderWay};
use crate::{
    engine::Engine,
    live::Effecting,
    upstream::{Lease, Pool, PoolKey},
};

/// A request's or response's body.
pub(crate) enum Payload {
    /// Ours, whole.
    Full(Option<Bytes>),
    /// The peer's, as it comes.
    Stream {
        body: Incoming,
        /// What is let go when the body is over.
        tail: Option<Box<Tail>>,
    },
}

/// Held as long as a body runs.
#[derive(Default)]
pub(crate) struct Tail {
    /// The request's permission is in use: by both bodies, since an upload may outlast the answer.
    pub(crate) effecting: Option<Arc<Effecting>>,
    /// The stream's share of a connection.
    pub(crate) lease: Option<Lease>,
    /// The connection that goes back into the pool.
    pub(crate) kept: Option<(Arc<Engine>, SendRequest<Payload>, PoolKey)>,
    /// The agent's connection waits for the rest.
    pub(crate) under_way: Option<UnderWay>,
}

impl Payload {
    pub(crate) const fn full(bytes: Bytes) -> Self {
        Self::Full(Some(bytes))
    }

    /// A request's body, whose permission is `effecting`.
    pub(crate) fn request(body: Incoming, effecting: &Arc<Effecting>) -> Self {
        let effecting = Some(Arc::clone(effecting));
        Self::Stream { body, tail: Some(Box::new(Tail { effecting, ..Tail::default() })) }
    }

    /// Keeps the stream's share of a connection to the end of the body.
    pub(crate) fn on(&mut self, lease: &Lease) {
        if let Self::Stream { tail: Some(tail), .. } = self {
            tail.lease = Some(Arc::clone(lease));
        }
    }

    /// Keeps `under_way` to the end of the body; a short text of ours is as good as sent.
    pub(crate) fn until_its_end(&mut self, under_way: Option<UnderWay>) {
        if let Self::Stream { tail: Some(tail), .. } = self {
            tail.under_way = under_way;
        }
    }
}

/// The strict reader refuses such trailers on HTTP/1; on HTTP/2 they are dropped here.
fn without_head_fields(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::clean_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

fn conclude(tail: &mut Option<Box<Tail>>) {
    if let Some(tail) = tail.take() {
        let Tail { effecting, lease, kept, under_way } = *tail;
        drop((effecting, lease, under_way));
        if let Some((engine, sender, key)) = kept {
            let pool: &Pool = &engine.pool;
            pool.give_back(sender, key);
        }
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        // Whoever writes the body stops asking once it knows the end.
        if let Self::Stream { body, tail } = self
            && body.is_end_stream()
        {
            conclude(tail);
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream { body, tail } => {
                let polled = Pin::new(&mut *body).poll_frame(cx);
                if matches!(polled, Poll::Ready(None)) {
                    conclude(tail);
                }
                polled.map_ok(without_head_fields)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream { body, .. } => body.size_hint(),
        }
    }
}
