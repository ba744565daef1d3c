//! The transparent form: names and listeners inside a session.

use std::{io, net::Ipv4Addr, sync::Arc};

use remit_core::Host;
use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    config::EgressConfig,
    engine::Engine,
    info::{ConnectionInfo, EgressSummary},
    names::{Directory, serve_names},
};

/// The running enforcement point of one session. Dropping it ends every connection.
pub struct Egress {
    engine: Arc<Engine>,
    directory: Arc<Directory>,
    tasks: Vec<JoinHandle<()>>,
    runtime: Handle,
}

impl Egress {
    /// Binds `198.18.0.1:53` in the session and serves from then on, on `runtime`.
    ///
    /// # Errors
    /// When the sockets cannot be made, or the trusted roots cannot be used.
    pub fn start(config: EgressConfig, runtime: &Handle) -> io::Result<Self> {
        let EgressConfig {
            guard,
            net,
            authority,
            trust,
            resolver,
            reach,
            policy_changed,
            egress_bytes,
            inspection,
        } = config;
        let _entered = runtime.enter();
        let engine =
            Engine::new(guard, authority, trust, resolver, reach, egress_bytes, inspection)?;
        let directory = Directory::new(Arc::clone(&engine), Arc::clone(&net));
        let mut tasks = serve_names(&directory, &*net)?;
        let on_policy = {
            let directory = Arc::clone(&directory);
            move || directory.review()
        };
        tasks.push(runtime.spawn(Arc::clone(&engine).watch(policy_changed, on_policy)));
        Ok(Self { engine, directory, tasks, runtime: runtime.clone() })
    }

    /// Listens at a fixed address that stands for `host`: for a literal address that the policy
    /// lists, or for `localhost`, which programs never look up. The session must route the address
    /// to itself.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open_at(&self, host: &Host, address: Ipv4Addr, ports: &[u16]) -> io::Result<()> {
        let _entered = self.runtime.enter();
        self.directory.open_at(host, address, ports)
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

impl Drop for Egress {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.directory.close();
        self.engine.shut_down();
    }
}
