//! What a decision costs: `cargo run --release -p remit-policy --example decide_cost`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::{hint::black_box, sync::Arc, time::Instant};

use remit_core::{
    AccessRequest, Action, Clock, CorrelationId, Effect, FileKind, Host, Pdp, Resource, SessionId,
    Timestamp,
};
use remit_manifest::{Manifest, ManifestSource, Variables};
use remit_policy::{Policy, PolicyEnv, PolicyStore};

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Timestamp::from_unix_nanos(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
    }
}

fn main() {
    let rules: Vec<String> = (0..19)
        .map(|n| format!("{{\"path\": \"/home/alice/data/set{n}/in\", \"mode\": \"read\"}}"))
        .collect();
    let text = format!(
        "{{\"agent\": \"a.b\", \"expiry\": \"2099-01-01T00:00:00Z\", \"permissions\": {{\"fileAccess\": [{},
          {{\"path\": \"/home/alice/project\", \"mode\": \"write\"}}], \"network\": {{\"egressHosts\": [\"*.acme.org\"]}}}}}}",
        rules.join(",")
    );
    let variables = Variables { home: "/home/alice".into(), workdir: "/w".into() };
    let manifest = Manifest::parse(&ManifestSource::from_text("m", &text), &variables).unwrap();
    let compile = (0..100).map(|_| {
        let start = Instant::now();
        black_box(Policy::new(black_box(&manifest), PolicyEnv::default()).unwrap());
        start.elapsed().as_secs_f64() * 1e6
    });
    println!("compiling the policy: best {:.0} µs", compile.fold(f64::MAX, f64::min));
    let policy = Policy::new(&manifest, PolicyEnv::default()).unwrap();
    let store = PolicyStore::new(policy, Arc::new(WallClock));
    let correlation = CorrelationId::new(SessionId::from_random([1; 10]), 1);
    let file = |action, path: &str| {
        AccessRequest::new(action, Resource::File(path.into())).of_kind(FileKind::File)
    };
    let host = Host::parse("a.b.acme.org").unwrap();
    let cases = [
        ("read, 20 rules", file(Action::ReadFile, "/home/alice/data/set7/in/2026/01/report.csv")),
        ("write, 20 rules", file(Action::WriteFile, "/home/alice/project/crates/core/src/lib.rs")),
        ("write into .git", file(Action::WriteFile, "/home/alice/project/.git/objects/ab/cdef01")),
        ("denied read", file(Action::ReadFile, "/home/alice/.ssh/id_ed25519")),
        ("connect", AccessRequest::new(Action::Connect, Resource::Endpoint { host, port: 443 })),
    ];
    for (name, request) in &cases {
        let mut rounds: Vec<f64> = (0..2001)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..200 {
                    black_box(store.decide(black_box(request), &correlation));
                }
                start.elapsed().as_secs_f64() * 1e9 / 200.0
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        let effect = store.decide(request, &correlation).effect;
        let permitted = if effect == Effect::Permit { "permit" } else { "deny" };
        println!(
            "{name:<18} {permitted:<6} median {:>5.0} ns, best {:>5.0} ns",
            rounds.get(1000).unwrap(),
            rounds.first().unwrap()
        );
    }
}
