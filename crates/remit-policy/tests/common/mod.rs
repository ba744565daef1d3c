//! A manifest, a machine and a clock to decide with.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs, unreachable_pub)]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use remit_core::{
    AccessRequest, Action, ApprovalId, Clock, CorrelationId, Decision, FileKind, GrantId, Host,
    PathScope, Pdp, Resource, SessionId, Timestamp,
};
use remit_manifest::{Manifest, ManifestSource, Variables};
use remit_policy::{Grant, GrantScope, Lifetime, Policy, PolicyEnv, PolicyStore};

pub struct FakeClock(Mutex<Timestamp>);

impl FakeClock {
    pub fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(Mutex::new(time(text))))
    }

    pub fn set(&self, text: &str) {
        *self.0.lock().unwrap() = time(text);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub fn time(text: &str) -> Timestamp {
    format!("2026-01-01T{text}Z").parse().unwrap()
}

pub fn env() -> PolicyEnv {
    PolicyEnv {
        entry_programs: vec!["/opt/agent/bin/agent".into(), "/p/entry.sh".into()],
        system_dirs: vec![PathScope::new("/usr").unwrap()],
        own: vec![PathScope::new("/p/my-manifest.json").unwrap()],
        hidden: vec![PathScope::new("/p/state").unwrap()],
    }
}

pub fn manifest(text: &str) -> Manifest {
    let variables = Variables { home: "/home/a".into(), workdir: "/p".into() };
    Manifest::parse(&ManifestSource::from_text("m", text), &variables).unwrap()
}

pub fn text(permissions: &str, rest: &str) -> String {
    format!("{{\"agent\": \"a.b\", \"permissions\": {{{permissions}}}{rest}}}")
}

pub fn store_of(text: &str, clock: Arc<FakeClock>) -> PolicyStore {
    PolicyStore::new(Policy::new(&manifest(text), env()).unwrap(), clock)
}

pub fn store(permissions: &str) -> PolicyStore {
    store_of(&text(permissions, ""), FakeClock::at("00:00:00"))
}

pub fn session() -> SessionId {
    SessionId::from_random([1; 10])
}

pub fn correlation(number: u64) -> CorrelationId {
    CorrelationId::new(session(), number)
}

pub fn grant(number: u64, scope: GrantScope, lifetime: Lifetime) -> Grant {
    Grant {
        id: GrantId::new(session(), number),
        scope,
        lifetime,
        approval: ApprovalId::new(session(), number),
        rule: None,
    }
}

pub fn ask(store: &PolicyStore, request: &AccessRequest) -> Decision {
    store.decide(request, &correlation(0))
}

/// `permit`, `ask`, or the reason of a denial.
pub fn word(decision: &Decision) -> &'static str {
    match decision.effect {
        remit_core::Effect::Permit => "permit",
        remit_core::Effect::Ask => "ask",
        remit_core::Effect::Deny => decision.reason.as_str(),
    }
}

pub fn read(path: &str) -> AccessRequest {
    AccessRequest::new(Action::ReadFile, Resource::File(path.into()))
}

pub fn write(path: &str) -> AccessRequest {
    AccessRequest::new(Action::WriteFile, Resource::File(path.into())).of_kind(FileKind::File)
}

pub fn delete(path: &str) -> AccessRequest {
    AccessRequest::new(Action::DeleteFile, Resource::File(path.into()))
}

pub fn run(path: &str) -> AccessRequest {
    run_pinned(path, None)
}

pub fn run_pinned(path: &str, sha256: Option<[u8; 32]>) -> AccessRequest {
    AccessRequest::new(Action::Execute, Resource::Program { path: PathBuf::from(path), sha256 })
}

pub fn resolve(host: &str) -> AccessRequest {
    AccessRequest::new(Action::ResolveName, Resource::Name(Host::parse(host).unwrap()))
}

pub fn connect(host: &str, port: u16) -> AccessRequest {
    let host = Host::parse(host).unwrap();
    AccessRequest::new(Action::Connect, Resource::Endpoint { host, port })
}

pub fn address(address: &str, port: u16) -> AccessRequest {
    let address = address.parse().unwrap();
    AccessRequest::new(Action::Connect, Resource::Address { address, port })
}

pub fn http(method: &str, host: &str, port: u16, path: &str) -> AccessRequest {
    AccessRequest::new(
        Action::HttpRequest,
        Resource::Http {
            host: Host::parse(host).unwrap(),
            port,
            method: method.to_owned(),
            path: path.to_owned(),
        },
    )
}
