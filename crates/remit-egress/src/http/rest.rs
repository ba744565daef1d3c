//! What a program still sends of a request that was refused.
//!
//! Most programs read no answer before all of their body is sent. Were the connection ended under
//! them, they would show a broken pipe in place of the reason (RFC 9112, 9.6).

use std::{future::poll_fn, pin::pin, time::Duration};

use bytes::Buf as _;
use http::{Request, Version, header};
use http_body::Body;

/// How a request's body is to be taken when the answer does not depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    comes: bool,
}

impl Rest {
    /// Who expects a `100 Continue` sends nothing without it, and to read would be to say it.
    pub(crate) fn of<B: Body>(request: &Request<B>) -> Self {
        let waits =
            request.version() != Version::HTTP_2 && request.headers().contains_key(header::EXPECT);
        Self { comes: !waits && !request.body().is_end_stream() }
    }

    /// Reads and forgets what comes, within bounds; beyond them the connection ends.
    pub(crate) fn forget<B>(self, body: B)
    where
        B: Body + Send + 'static,
        B::Data: Send,
    {
        if self.comes {
            tokio::spawn(tokio::time::timeout(LONGEST, forgotten(body)));
        }
    }
}

async fn forgotten<B: Body>(body: B) {
    let mut body = pin!(body);
    let mut left = MOST;
    while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let size = frame.data_ref().map_or(0, |data| data.remaining());
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Larger than what programs upload in one request, and nothing that is kept.
const MOST: usize = 256 << 20;
const LONGEST: Duration = Duration::from_secs(60);
