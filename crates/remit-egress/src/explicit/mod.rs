//! The explicit proxy: CONNECT, absolute-form HTTP and SOCKS5 in front of the same pipeline.

mod connect;
pub(crate) mod socks;

use std::{
    io,
    net::{IpAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use tokio::{io::AsyncReadExt, net::TcpStream, runtime::Handle, task::JoinHandle, time::timeout};

use crate::{
    config::ExplicitConfig,
    engine::Engine,
    info::{ConnectionInfo, EgressSummary},
};

/// A running explicit proxy. Dropping it ends every connection.
pub struct ExplicitProxy {
    engine: Arc<Engine>,
    tasks: Vec<JoinHandle<()>>,
}

impl ExplicitProxy {
    /// Serves on `listener` from now on, on `runtime`.
    ///
    /// # Errors
    /// When the listener or the trusted roots cannot be used.
    pub fn serve(
        listener: TcpListener,
        config: ExplicitConfig,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let ExplicitConfig {
            guard,
            authority,
            trust,
            resolver,
            reach,
            policy_changed,
            egress_bytes,
            inspection,
        } = config;
        let _entered = runtime.enter();
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let engine =
            Engine::new(guard, authority, trust, resolver, reach, egress_bytes, inspection)?;
        let tasks = vec![
            runtime.spawn(accept(Arc::clone(&engine), listener)),
            runtime.spawn(Arc::clone(&engine).watch(policy_changed, || {})),
        ];
        Ok(Self { engine, tasks })
    }

    /// The connections open now.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.engine.live.connections()
    }

    /// Totals since the start.
    pub fn summary(&self) -> EgressSummary {
        self.engine.live.summary(self.engine.budget.total())
    }
}

impl Drop for ExplicitProxy {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.engine.shut_down();
    }
}

async fn accept(engine: Arc<Engine>, listener: tokio::net::TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(handle(Arc::clone(&engine), stream, peer.ip()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn handle(engine: Arc<Engine>, mut stream: TcpStream, peer: IpAddr) {
    let Some(place) = engine.places.take_for(peer) else {
        let _ = stream.set_zero_linger();
        return;
    };
    let _ = stream.set_nodelay(true);
    let mut seen = BytesMut::with_capacity(4096);
    let Ok(Ok(1..)) = timeout(FIRST, stream.read_buf(&mut seen)).await else { return };
    match seen.first() {
        Some(5) => socks::handle(engine, stream, seen, &place).await,
        _ => connect::handle(engine, stream, seen, place).await,
    }
}

const FIRST: Duration = Duration::from_secs(60);
