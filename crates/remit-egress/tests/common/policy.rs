//! A small policy and a trail in memory.

use std::{
    net::IpAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use remit_core::{
    AccessRequest, AddressRule, AuditError, AuditSink, Clock, CorrelationId, Decision, Durability,
    Guard, GuardPorts, HostPattern, ModelApi, NoApprover, Obligation, Outcome, Pdp, ReasonCode,
    Record, Resource, RuleRef, RuleSource, SessionContext, SessionId, Timestamp, TlsMode,
};

#[derive(Clone, Debug)]
pub struct Rule {
    pub pattern: String,
    pub ports: Vec<u16>,
    pub tls: TlsMode,
    pub networks: Vec<String>,
    pub public: bool,
    pub private: bool,
    pub methods: Option<Vec<String>>,
    pub paths: Option<Vec<String>>,
    pub until: Option<Timestamp>,
    pub model: Option<ModelApi>,
}

impl Rule {
    pub fn new(pattern: &str, ports: &[u16]) -> Self {
        Self {
            pattern: pattern.to_owned(),
            ports: ports.to_vec(),
            tls: TlsMode::Intercept,
            networks: vec!["127.0.0.0/8".to_owned()],
            public: true,
            private: false,
            methods: None,
            paths: None,
            until: None,
            model: None,
        }
    }

    pub fn model(mut self, api: ModelApi) -> Self {
        self.model = Some(api);
        self
    }

    pub fn paths(mut self, paths: &[&str]) -> Self {
        self.paths = Some(paths.iter().map(ToString::to_string).collect());
        self
    }

    pub fn methods(mut self, methods: &[&str]) -> Self {
        self.methods = Some(methods.iter().map(ToString::to_string).collect());
        self
    }

    pub fn networks(mut self, networks: &[&str]) -> Self {
        self.networks = networks.iter().map(ToString::to_string).collect();
        self
    }

    pub fn passthrough(mut self) -> Self {
        self.tls = TlsMode::Passthrough;
        self
    }
}

#[derive(Default)]
pub struct Policy {
    pub rules: Mutex<Vec<Rule>>,
    generation: AtomicU64,
}

impl Policy {
    fn rule_for(&self, host: &remit_core::Host) -> Option<Rule> {
        let rules = self.rules.lock().unwrap();
        rules.iter().find(|r| HostPattern::parse(&r.pattern).unwrap().matches(host)).cloned()
    }

    pub fn set(&self, rules: Vec<Rule>) -> u64 {
        *self.rules.lock().unwrap() = rules;
        self.generation.fetch_add(1, Ordering::SeqCst) + 1
    }
}

pub struct FakePdp {
    pub policy: Arc<Policy>,
    pub clock: Arc<FakeClock>,
}

fn reference(pointer: &str) -> Option<Arc<RuleRef>> {
    Some(Arc::new(RuleRef {
        pointer: pointer.to_owned(),
        line: 7,
        column: 3,
        source: RuleSource::Manifest,
    }))
}

impl Pdp for FakePdp {
    fn decide(&self, request: &AccessRequest, _: &CorrelationId) -> Decision {
        let generation = self.policy.generation.load(Ordering::SeqCst);
        let deny = |reason| {
            Decision::deny(reason, reference("/permissions/network"), generation)
                .suggesting("/permissions/network/egressHosts/-", "\"more\"")
        };
        let host = match &request.resource {
            Resource::Name(host)
            | Resource::Endpoint { host, .. }
            | Resource::Http { host, .. } => host,
            _ => return deny(ReasonCode::NoGrant),
        };
        let Some(rule) = self.policy.rule_for(host) else {
            return deny(ReasonCode::HostNotListed);
        };
        if rule.until.is_some_and(|until| until <= self.clock.now()) {
            return deny(ReasonCode::Expired);
        }
        let mut decision = Decision::permit(
            ReasonCode::Granted,
            reference("/permissions/network/egressHosts/0"),
            generation,
        )
        .ending(rule.until);
        match &request.resource {
            Resource::Name(_) => decision = decision.with(Obligation::Ports(rule.ports.into())),
            Resource::Endpoint { port, .. } => {
                if !rule.ports.contains(port) {
                    return deny(ReasonCode::PortNotListed);
                }
                decision = decision.with(Obligation::Tls(rule.tls)).with(Obligation::Addresses(
                    AddressRule {
                        networks: rule.networks.iter().map(|n| n.parse().unwrap()).collect(),
                        public: rule.public,
                        private: rule.private,
                        local_only: false,
                    },
                ));
                if let Some(api) = rule.model {
                    decision = decision.with(Obligation::Model(api));
                }
            }
            Resource::Http { port, method, path, .. } => {
                if !rule.ports.contains(port) {
                    return deny(ReasonCode::PortNotListed);
                }
                if rule.methods.is_some_and(|methods| !methods.contains(method)) {
                    return deny(ReasonCode::MethodNotListed);
                }
                let fits = |pattern: &String| match pattern.strip_suffix('*') {
                    Some(prefix) => path.starts_with(prefix) && path.len() > prefix.len(),
                    None => pattern == path,
                };
                if rule.paths.is_some_and(|paths| !paths.iter().any(fits)) {
                    return deny(ReasonCode::PathNotListed);
                }
            }
            _ => {}
        }
        decision
    }

    fn judge_config(&self, _: &Path, _: Option<&[u8]>, _: &[u8]) -> Decision {
        Decision::deny(ReasonCode::UnsafeConfig, None, 0)
    }
}

#[derive(Default)]
pub struct FakeClock {
    ahead: AtomicI64,
}

impl FakeClock {
    pub fn advance(&self, span: Duration) {
        self.ahead.fetch_add(span.as_secs() as i64, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i128;
        let ahead = i128::from(self.ahead.load(Ordering::SeqCst)) * 1_000_000_000;
        Timestamp::from_unix_nanos(real + ahead)
    }
}

#[derive(Default)]
pub struct Trail {
    pub records: Mutex<Vec<Record>>,
    pub broken: AtomicBool,
    /// Records with this reason cannot be written.
    pub refuses: Mutex<Option<ReasonCode>>,
}

impl AuditSink for Trail {
    fn append(&self, record: &Record, _: Durability) -> Result<(), AuditError> {
        if self.broken.load(Ordering::SeqCst)
            || *self.refuses.lock().unwrap() == Some(record.reason)
        {
            return Err(AuditError { cause: "full".into() });
        }
        self.records.lock().unwrap().push(record.clone());
        Ok(())
    }
}

impl Trail {
    pub fn all(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    pub fn denied(&self) -> Vec<Record> {
        self.all().into_iter().filter(|r| r.outcome == Outcome::Denied).collect()
    }

    pub fn has(&self, reason: ReasonCode) -> bool {
        self.all().iter().any(|record| record.reason == reason)
    }

    /// Waits until a record satisfies `wanted`.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Record) -> bool) -> Record {
        for _ in 0..200 {
            if let Some(record) = self.all().into_iter().find(|record| wanted(record)) {
                return record;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("no record of {what}; trail: {:#?}", self.lines());
    }

    pub fn lines(&self) -> Vec<String> {
        self.all()
            .iter()
            .map(|r| {
                format!(
                    "{} {} {} {} {:?}",
                    r.action.as_str(),
                    r.resource,
                    r.outcome.as_str(),
                    r.reason.as_str(),
                    r.detail
                )
            })
            .collect()
    }
}

pub fn guard(policy: &Arc<Policy>, trail: &Arc<Trail>, clock: &Arc<FakeClock>) -> Arc<Guard> {
    let session = SessionContext {
        id: SessionId::from_random([9; 10]),
        principal: "alice".into(),
        agent_id: "org.test:1".into(),
        manifest: "sha256:00".into(),
    };
    let pdp = FakePdp { policy: Arc::clone(policy), clock: Arc::clone(clock) };
    let ports = GuardPorts {
        pdp: Arc::new(pdp),
        audit: Arc::clone(trail) as Arc<dyn AuditSink>,
        approver: Arc::new(NoApprover),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
    };
    Guard::new(session, ports, Duration::from_secs(5))
}

pub fn loopback() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}
