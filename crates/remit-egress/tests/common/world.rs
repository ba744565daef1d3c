//! A running enforcement point with a policy, a trail and an outside world.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

use remit_egress::{
    Authority, DataInspector, Egress, EgressConfig, ExplicitConfig, ExplicitProxy, Inspection,
    Reach, Resolver, SessionNet, UpstreamTrust,
};
use tokio::sync::watch;

use remit_core::DataRules;

use super::{
    data::{Shelf, Values},
    origin::World509,
    policy::{FakeClock, Policy, Rule, Trail, guard},
};

pub struct World {
    pub policy: Arc<Policy>,
    pub trail: Arc<Trail>,
    pub clock: Arc<FakeClock>,
    pub outside: World509,
    pub authority: Arc<Authority>,
    pub changed: watch::Sender<u64>,
    pub hosts: tempfile::NamedTempFile,
    pub limit: Option<u64>,
    pub reach: Mutex<Reach>,
    /// Rules and values that are looked for.
    pub data: Option<(DataRules, Arc<Values>)>,
    pub quarantine: Arc<Shelf>,
    /// Whom to trust; the outside's authority without it.
    pub trust: Option<UpstreamTrust>,
    runtime: tokio::runtime::Handle,
    _stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl World {
    pub fn new() -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (give, take) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            give.send(runtime.handle().clone()).unwrap();
            let _ = runtime.block_on(stopped);
        });
        Self { _stop: Some(stop), ..Self::on(take.recv().unwrap()) }
    }

    /// A world whose enforcement point runs on the caller's runtime, and by its clock.
    pub fn on(runtime: tokio::runtime::Handle) -> Self {
        Self {
            policy: Arc::default(),
            trail: Arc::default(),
            clock: Arc::default(),
            outside: World509::new(),
            authority: Arc::new(Authority::new("test").unwrap()),
            changed: watch::channel(0).0,
            hosts: tempfile::NamedTempFile::new().unwrap(),
            limit: None,
            reach: Mutex::new(Reach::Anywhere(None)),
            data: None,
            quarantine: Arc::default(),
            trust: None,
            runtime,
            _stop: None,
        }
    }

    /// Names that the hosts file knows.
    pub fn names(&self, lines: &str) {
        std::fs::write(self.hosts.path(), lines).unwrap();
    }

    /// Replaces the policy and tells the enforcement point.
    pub fn rules(&self, rules: Vec<Rule>) {
        let generation = self.policy.set(rules);
        self.changed.send_replace(generation);
    }

    pub fn explicit(&self) -> (ExplicitProxy, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = ExplicitConfig {
            guard: guard(&self.policy, &self.trail, &self.clock),
            authority: Arc::clone(&self.authority),
            trust: self.trusted(),
            resolver: Resolver::with_hosts_file(self.hosts.path()),
            reach: self.take_reach(),
            policy_changed: self.changed.subscribe(),
            egress_bytes: self.limit,
            inspection: self.inspection(),
        };
        (ExplicitProxy::serve(listener, config, &self.runtime).unwrap(), address)
    }

    pub fn transparent(&self, net: Arc<dyn SessionNet>) -> Egress {
        let config = EgressConfig {
            guard: guard(&self.policy, &self.trail, &self.clock),
            net,
            authority: Arc::clone(&self.authority),
            trust: self.trusted(),
            resolver: Resolver::with_hosts_file(self.hosts.path()),
            reach: self.take_reach(),
            policy_changed: self.changed.subscribe(),
            egress_bytes: self.limit,
            inspection: self.inspection(),
        };
        Egress::start(config, &self.runtime).unwrap()
    }

    fn trusted(&self) -> UpstreamTrust {
        let outside = || UpstreamTrust::none().with_pem(&self.outside.pem).unwrap();
        self.trust.clone().unwrap_or_else(outside)
    }

    fn take_reach(&self) -> Reach {
        std::mem::replace(&mut *self.reach.lock().unwrap(), Reach::Anywhere(None))
    }

    fn inspection(&self) -> Option<Inspection> {
        let (rules, values) = self.data.clone()?;
        let quarantine = Arc::clone(&self.quarantine) as Arc<dyn remit_egress::Quarantine>;
        let inspector = Arc::new(DataInspector::new(
            rules,
            values,
            Arc::new(remit_egress::model::Vault::new(&[7; 32])),
        ));
        Some(Inspection { inspector, quarantine: Some(quarantine) })
    }

    /// Runs `work` on the thread that runs the enforcement point.
    pub fn on_proxy_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (give, take) = std::sync::mpsc::channel();
        self.runtime.spawn(async move {
            let _ = give.send(work());
        });
        take.recv().unwrap()
    }

    pub fn ca(&self) -> &str {
        self.authority.ca_pem()
    }
}
