//! Kept connections to servers, by name, port, address and protocol. A pool belongs to one
//! session: connections are never shared between sessions.
//!
//! An HTTP/2 connection serves the streams of one agent connection at a time, and only so many
//! that all of them can stall without taking the connection's window from another: whoever does
//! not read what came stops nobody else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use remit_core::{Denial, Host};

use super::{
    dial::{Dialer, Target},
    reach::End,
    road::ServerStream,
};
use crate::{http::Payload, live::lock};

/// What two uses must have in common to share a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    host: Host,
    port: u16,
    end: End,
    tls: bool,
}

impl Key {
    fn new(target: &Target, end: End, tls: bool) -> Self {
        Self { host: target.host.clone(), port: target.port, end, tls }
    }
}

/// A way to send requests to one server.
pub(crate) enum PooledSender {
    H1(http1::SendRequest<Payload>, Key),
    H2(http2::SendRequest<Payload>, Lease),
}

/// A stream's share of an HTTP/2 connection; held by both bodies as long as they run.
pub(crate) type Lease = Arc<Stream>;

/// Counts for one, however many hold it.
pub(crate) struct Stream {
    _counted: Arc<()>,
}

/// An HTTP/2 connection.
struct Shared {
    /// The agent connection that it serves, or served last.
    owner: u64,
    used: Instant,
    sender: http2::SendRequest<Payload>,
    counted: Arc<()>,
}

impl Shared {
    fn streams(&self) -> usize {
        Arc::strong_count(&self.counted).saturating_sub(1)
    }

    fn is_worth_keeping(&self) -> bool {
        !self.sender.is_closed() && (self.streams() > 0 || self.used.elapsed() < KEPT)
    }

    fn take(&mut self, owner: u64) -> PooledSender {
        self.owner = owner;
        self.used = Instant::now();
        let lease = Arc::new(Stream { _counted: Arc::clone(&self.counted) });
        PooledSender::H2(self.sender.clone(), lease)
    }
}

/// Idle HTTP/1 and shared HTTP/2 connections.
#[derive(Default)]
pub(crate) struct Pool {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    h1: HashMap<Key, Vec<(Instant, http1::SendRequest<Payload>)>>,
    h2: HashMap<Key, Vec<Shared>>,
    /// One dial at a time for an agent connection towards servers that may speak HTTP/2, so that
    /// a burst of first streams makes one connection.
    turns: HashMap<(u64, Key), Arc<tokio::sync::Mutex<()>>>,
}

impl Pool {
    /// A sender to `target`: a kept one, or a new one; and whether it was kept. `h2` names the
    /// agent connection whose streams may share an HTTP/2 connection, where that may be spoken.
    pub(crate) async fn sender(
        &self,
        dialer: &Dialer,
        target: &Target,
        tls: bool,
        h2: Option<u64>,
    ) -> Result<(PooledSender, bool), Denial> {
        let ends = dialer.vetted(target).await?;
        let keys: Vec<Key> = ends.iter().map(|end| Key::new(target, *end, tls)).collect();
        if let Some(sender) = self.kept(&keys, h2).await {
            return Ok((sender, true));
        }
        let Some(owner) = h2.filter(|_| tls) else {
            return Ok((self.fresh(dialer, target, tls, None).await?, false));
        };
        let turn = keys.first().map(|key| self.turn(owner, key));
        let _held = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        match self.kept(&keys, h2).await {
            Some(sender) => Ok((sender, true)),
            None => Ok((self.fresh(dialer, target, tls, Some(owner)).await?, false)),
        }
    }

    /// A connection of its own for an upgrade; it never comes back.
    pub(crate) async fn dedicated(
        &self,
        dialer: &Dialer,
        target: &Target,
        tls: bool,
    ) -> Result<http1::SendRequest<Payload>, Denial> {
        let dialled = dialer.http(target, tls, false).await?;
        let (sender, connection) = handshake_h1(dialled.stream)
            .await
            .map_err(|error| dialer.failed(target, &error.to_string()))?;
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    /// Takes back a sender whose last response was read to its end.
    pub(crate) fn give_back(&self, sender: http1::SendRequest<Payload>, key: Key) {
        if sender.is_closed() {
            return;
        }
        let mut inner = lock(&self.inner);
        let kept = inner.h1.entry(key).or_default();
        kept.retain(|(when, sender)| when.elapsed() < KEPT && !sender.is_closed());
        if kept.len() < MOST_KEPT {
            kept.push((Instant::now(), sender));
        }
    }

    /// Drops every kept connection.
    pub(crate) fn clear(&self) {
        let mut inner = lock(&self.inner);
        inner.h1.clear();
        inner.h2.clear();
        inner.turns.clear();
    }

    /// Drops what was not used for a while.
    pub(crate) fn sweep(&self) {
        let mut inner = lock(&self.inner);
        inner.h1.retain(|_, kept| {
            kept.retain(|(when, sender)| when.elapsed() < KEPT && !sender.is_closed());
            !kept.is_empty()
        });
        inner.h2.retain(|_, shared| {
            shared.retain(Shared::is_worth_keeping);
            !shared.is_empty()
        });
        inner.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
    }

    async fn kept(&self, keys: &[Key], h2: Option<u64>) -> Option<PooledSender> {
        for key in keys {
            if let Some(owner) = h2
                && let Some(sender) = self.shared(key, owner)
            {
                return Some(sender);
            }
            loop {
                let popped = lock(&self.inner).h1.get_mut(key).and_then(Vec::pop);
                let Some((when, mut sender)) = popped else { break };
                if when.elapsed() >= KEPT {
                    continue;
                }
                // The connection's task may still have to notice that the last response ended.
                let ready = tokio::time::timeout(READY_PATIENCE, sender.ready()).await;
                if matches!(ready, Ok(Ok(()))) {
                    return Some(PooledSender::H1(sender, key.clone()));
                }
            }
        }
        None
    }

    /// The agent connection's own HTTP/2 connection with room, or one that nobody uses now.
    fn shared(&self, key: &Key, owner: u64) -> Option<PooledSender> {
        let mut inner = lock(&self.inner);
        let all = inner.h2.get_mut(key)?;
        all.retain(Shared::is_worth_keeping);
        let own = |shared: &Shared| shared.owner == owner && shared.streams() < MOST_STREAMS;
        let at = all.iter().position(own);
        let at = at.or_else(|| all.iter().position(|shared| shared.streams() == 0))?;
        all.get_mut(at).map(|shared| shared.take(owner))
    }

    /// A new connection, kept ones or not.
    pub(crate) async fn fresh(
        &self,
        dialer: &Dialer,
        target: &Target,
        tls: bool,
        h2: Option<u64>,
    ) -> Result<PooledSender, Denial> {
        let dialled = dialer.http(target, tls, tls && h2.is_some()).await?;
        let key = Key::new(target, dialled.end, tls);
        if !dialled.h2 {
            let (sender, connection) = handshake_h1(dialled.stream)
                .await
                .map_err(|error| dialer.failed(target, &error.to_string()))?;
            tokio::spawn(async move {
                let _ = connection.await;
            });
            return Ok(PooledSender::H1(sender, key));
        }
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(MOST_HEADER_BYTES)
            .handshake(TokioIo::new(dialled.stream))
            .await
            .map_err(|error| dialer.failed(target, &error.to_string()))?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let owner = h2.unwrap_or_default();
        let mut shared = Shared { owner, used: Instant::now(), sender, counted: Arc::default() };
        let taken = shared.take(owner);
        let mut inner = lock(&self.inner);
        let all = inner.h2.entry(key).or_default();
        if all.len() < MOST_KEPT {
            all.push(shared);
        }
        Ok(taken)
    }

    fn turn(&self, owner: u64, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.inner).turns.entry((owner, key.clone())).or_default())
    }
}

async fn handshake_h1(
    stream: ServerStream,
) -> hyper::Result<(http1::SendRequest<Payload>, http1::Connection<TokioIo<ServerStream>, Payload>)>
{
    http1::Builder::new()
        .max_headers(MOST_HEADERS)
        .max_buf_size(MOST_BUFFERED)
        .handshake(TokioIo::new(stream))
        .await
}

const KEPT: Duration = Duration::from_secs(30);
const MOST_KEPT: usize = 32;
const READY_PATIENCE: Duration = Duration::from_millis(20);
/// Streams of one HTTP/2 connection. Their windows together are the connection's.
const MOST_STREAMS: usize = 16;
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 8 << 20;
const SEND_BUFFER: usize = 64 << 10;
const MOST_HEADER_BYTES: u32 = 256 << 10;
const MOST_HEADERS: usize = 256;
const MOST_BUFFERED: usize = 128 << 10;
