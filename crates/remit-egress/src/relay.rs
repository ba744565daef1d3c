//! Bytes relayed as they are, in both directions, until either end or the permission ends.

use std::io;

use remit_core::Effect;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes};

use crate::{
    engine::{Admission, Engine},
    live::Effecting,
};

/// Leave to relay bytes that nobody reads. It is there only while the policy permits every request
/// to the host and port: what is not read could be any of them.
pub(crate) struct Unread {
    _held: Effecting,
}

impl Unread {
    /// `None` where a rule restricts what may be asked of the host.
    pub(crate) fn new(engine: &Engine, admission: &Admission) -> Option<Self> {
        let question = admission.target.any_request();
        let decision = engine.guard.peek(&question);
        let permitted = decision.effect == Effect::Permit;
        permitted.then(|| Self { _held: admission.registered.relaying(question, decision.until) })
    }
}

/// Relays between the program and the server; `first` was read from the program already.
///
/// # Errors
/// The first error of either leg.
pub(crate) async fn relay<A, S>(
    _leave: &Unread,
    agent: &mut A,
    server: &mut S,
    first: &[u8],
) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    server.write_all(first).await?;
    server.flush().await?;
    copy_bidirectional_with_sizes(agent, server, BUFFER, BUFFER).await.map(drop)
}

const BUFFER: usize = 32 << 10;
