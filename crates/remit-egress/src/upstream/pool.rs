//! Kept connections to servers, by name, port, address and protocol. A pool belongs to one
//! session: connections are never shared between sessions.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use remit_core::{Denial, Host};

use super::dial::{Dialer, ServerStream, Target};
use crate::{http::Payload, live::lock};

/// What two uses must have in common to share a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    host: Host,
    address: SocketAddr,
    tls: bool,
}

/// A way to send requests to one server.
pub(crate) enum PooledSender {
    H1(http1::SendRequest<Payload>, Key),
    H2(http2::SendRequest<Payload>),
}

/// Idle HTTP/1 and shared HTTP/2 connections.
#[derive(Default)]
pub(crate) struct Pool {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    h1: HashMap<Key, Vec<(Instant, http1::SendRequest<Payload>)>>,
    h2: HashMap<Key, (Instant, http2::SendRequest<Payload>)>,
    /// One dial at a time towards servers that may speak HTTP/2, so that a burst of first
    /// streams makes one connection.
    turns: HashMap<Key, Arc<tokio::sync::Mutex<()>>>,
}

impl Pool {
    /// A sender to `target`: a kept one, or a new one. `h2` says that HTTP/2 may be used.
    pub(crate) async fn sender(
        &self,
        dialer: &Dialer,
        target: &Target,
        tls: bool,
        h2: bool,
    ) -> Result<PooledSender, Denial> {
        let addresses = dialer.vetted(target).await?;
        let keys: Vec<Key> = addresses
            .iter()
            .map(|address| Key { host: target.host.clone(), address: *address, tls })
            .collect();
        if let Some(sender) = self.kept(&keys, h2).await {
            return Ok(sender);
        }
        if !(h2 && tls) {
            return self.fresh(dialer, target, tls, false).await;
        }
        let turn = keys.first().map(|key| self.turn(key));
        let _held = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        match self.kept(&keys, h2).await {
            Some(sender) => Ok(sender),
            None => self.fresh(dialer, target, tls, true).await,
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
        inner.h2.retain(|_, (when, sender)| when.elapsed() < KEPT && !sender.is_closed());
        inner.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
    }

    async fn kept(&self, keys: &[Key], h2: bool) -> Option<PooledSender> {
        for key in keys {
            if h2 {
                let mut inner = lock(&self.inner);
                if let Some((when, sender)) = inner.h2.get_mut(key)
                    && !sender.is_closed()
                {
                    *when = Instant::now();
                    return Some(PooledSender::H2(sender.clone()));
                }
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

    async fn fresh(
        &self,
        dialer: &Dialer,
        target: &Target,
        tls: bool,
        h2: bool,
    ) -> Result<PooledSender, Denial> {
        let dialled = dialer.http(target, tls, h2).await?;
        let key = Key { host: target.host.clone(), address: dialled.address, tls };
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
            .max_header_list_size(MOST_HEADER_BYTES)
            .handshake(TokioIo::new(dialled.stream))
            .await
            .map_err(|error| dialer.failed(target, &error.to_string()))?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        lock(&self.inner).h2.insert(key, (Instant::now(), sender.clone()));
        Ok(PooledSender::H2(sender))
    }

    fn turn(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.inner).turns.entry(key.clone()).or_default())
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
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
const MOST_HEADER_BYTES: u32 = 256 << 10;
const MOST_HEADERS: usize = 256;
const MOST_BUFFERED: usize = 256 << 10;
