//! Bytes relayed as they are, in both directions, until either end or the permission ends. Where
//! something must not leave, what goes to the server is looked at as it stands.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use remit_core::{Direction, Effect, ReasonCode};
use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes,
        split,
    },
    time::timeout,
};

use crate::{
    body::{Chain, Exchange, Stages, Stop, Watch},
    engine::{Admission, Engine},
    live::Effecting,
};

/// Leave to relay bytes that nobody reads. It is there only while the policy permits every request
/// to the host and port: what is not read could be any of them.
pub(crate) struct Unread {
    _held: Effecting,
    looked_at: Option<(Arc<Exchange>, Arc<crate::Inspection>)>,
}

impl Unread {
    /// `None` where a rule restricts what may be asked of the host.
    pub(crate) fn new(engine: &Engine, admission: &Admission) -> Option<Self> {
        let question = admission.target.any_request();
        let decision = engine.guard.peek(&question);
        let permitted = decision.effect == Effect::Permit;
        let target = &admission.target;
        let watched = engine.inspection.as_ref().filter(|inspection| {
            let watch = inspection.inspector.watches(Direction::Output, &target.host, None);
            watch != Watch::Nothing
        });
        let looked_at = watched.map(|inspection| {
            let guard = Arc::clone(&engine.guard);
            let endpoint = (target.host.clone(), target.port);
            let exchange = Exchange::raw(guard, target.question(None), endpoint);
            (Arc::new(exchange), Arc::clone(inspection))
        });
        permitted.then(|| Self {
            _held: admission.registered.relaying(question, decision.until),
            looked_at,
        })
    }

    /// The bytes are TLS: there is nothing to look at.
    pub(crate) fn encrypted(self) -> Self {
        Self { looked_at: None, ..self }
    }
}

/// Relays between the program and the server; `first` was read from the program already.
///
/// # Errors
/// The first error of either leg.
pub(crate) async fn relay<A, S>(
    leave: &Unread,
    agent: &mut A,
    server: &mut S,
    first: &[u8],
) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some((exchange, inspection)) = &leave.looked_at else {
        server.write_all(first).await?;
        server.flush().await?;
        return copy_bidirectional_with_sizes(agent, server, BUFFER, BUFFER).await.map(drop);
    };
    let stages = inspection.inspector.raw(exchange);
    let whose = Arc::clone(exchange);
    let chain = Chain::new(whose, Direction::Output, &[], stages, Stages::default());
    let (mut from_agent, mut to_agent) = split(agent);
    let (mut from_server, mut to_server) = split(server);
    let up = look(chain, &mut from_agent, &mut to_server, first, exchange);
    let down = async {
        tokio::io::copy(&mut from_server, &mut to_agent).await?;
        to_agent.shutdown().await
    };
    tokio::try_join!(up, down).map(drop)
}

/// Passes on what may go on. An end that is forced ends the other direction, too.
async fn look<R, W>(
    mut chain: Chain,
    from: &mut R,
    to: &mut W,
    first: &[u8],
    exchange: &Exchange,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::from(first);
    let mut over = false;
    loop {
        let part = buffer.split().freeze();
        let passed = match (over, part.is_empty()) {
            (true, _) => chain.finish(),
            (false, true) => chain.idle(),
            (false, false) => chain.push(part),
        };
        for part in passed.map_err(|stop| stopped(exchange, stop))? {
            to.write_all(&part).await?;
        }
        to.flush().await?;
        if over {
            return to.shutdown().await;
        }
        buffer.reserve(BUFFER);
        let read = from.read_buf(&mut buffer);
        over = match chain.waits() {
            // Who waits for an answer to these bytes must get it.
            true => timeout(IDLE, read).await.unwrap_or(Ok(1))? == 0,
            false => read.await? == 0,
        };
    }
}

fn stopped(exchange: &Exchange, stop: Stop) -> io::Error {
    if let Stop::Held(held) = stop {
        let detail = format!("{}; a stream of bytes cannot be held", held.found);
        let reason = ReasonCode::DataBlocked;
        exchange.refuse(Direction::Output, reason, held.rule, &held.found, detail);
    }
    io::ErrorKind::PermissionDenied.into()
}

const BUFFER: usize = 32 << 10;
/// How long bytes wait that may begin a finding.
const IDLE: Duration = Duration::from_millis(100);
