//! Every suggestion, put into the manifest as it stands, permits what was denied: and nothing
//! much else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod common;

use common::*;
use remit_core::{AccessRequest, Decision, Effect};
use serde_json::Value;

/// The manifest with the suggestion put in (RFC 6901; `-` appends).
fn applied(text: &str, decision: &Decision) -> String {
    let suggestion = decision.suggestion.as_ref().expect("a suggestion");
    let mut manifest: Value = serde_json::from_str(text).unwrap();
    let value: Value = serde_json::from_str(&suggestion.value).unwrap();
    let (parent, last) = suggestion.pointer.rsplit_once('/').unwrap();
    match manifest.pointer_mut(parent).expect("the parent exists") {
        Value::Array(list) if last == "-" => list.push(value),
        Value::Array(list) => list[last.parse::<usize>().unwrap()] = value,
        Value::Object(map) => {
            map.insert(last.to_owned(), value);
        }
        _ => panic!("{}", suggestion.pointer),
    }
    manifest.to_string()
}

fn helps(text: &str, request: &AccessRequest, still: &[AccessRequest]) {
    let clock = FakeClock::at("11:00:00");
    let before = store_of(text, clock.clone());
    let decision = ask(&before, request);
    assert_eq!(decision.effect, Effect::Deny, "{text} {request:?}");
    let text = applied(text, &decision);
    let after = store_of(&text, clock);
    let now = ask(&after, request);
    assert_eq!(now.effect, Effect::Permit, "{text} {request:?} {now:?}");
    for other in still {
        let (old, new) = (ask(&before, other), ask(&after, other));
        assert_eq!(old.effect, new.effect, "{other:?} in {text}");
    }
}

#[test]
fn promise_6_every_suggestion_works_and_is_narrow() {
    let empty = "{\"agent\": \"a.b\"}";
    let bare = text("", "");
    let network = text("\"network\": {}", "");
    for base in [
        empty,
        &bare,
        &network,
        &text("\"network\": {\"egressHosts\": []}, \"fileAccess\": []", ""),
    ] {
        helps(base, &read("/d/x"), &[read("/d/y"), write("/d/x")]);
        helps(base, &write("/d/x"), &[write("/d/y")]);
        helps(base, &run("/usr/bin/git"), &[run("/usr/bin/gi"), read("/usr/bin/git")]);
        helps(base, &connect("a.test", 22), &[connect("a.test", 443), connect("b.a.test", 22)]);
        helps(base, &resolve("a.test"), &[resolve("b.test")]);
        helps(base, &http("GET", "a.test", 443, "/x"), &[http("GET", "b.test", 443, "/x")]);
        helps(base, &address("8.8.8.8", 53), &[address("8.8.8.9", 53)]);
        helps(base, &address("127.0.0.1", 80), &[address("127.0.0.2", 80)]);
        helps(base, &address("fd00::1", 80), &[address("fd00::2", 80)]);
    }
    let files = text(
        r#""fileAccess": [{"path": "/q", "mode": "read"}, {"path": "/w", "mode": "write"}]"#,
        "",
    );
    helps(&files, &write("/q"), &[]);
    helps(&files, &write("/q/x"), &[write("/q/y")]);
    helps(&files, &write("/w/.envrc"), &[write("/w/a/.envrc"), write("/w/.npmrc")]);
    helps(&files, &write("/w/.git/hooks/pre-commit"), &[write("/w/.git/hooks/post-commit")]);
    let ended = text(
        r#""fileAccess": [{"path": "/p", "mode": "read", "expiry": "2026-01-01T10:00:00Z"}]"#,
        "",
    );
    helps(&ended, &read("/p/x"), &[]);
    helps(
        &text("\"execute\": true", ", \"expiry\": \"2026-01-01T10:00:00Z\""),
        &run("/usr/x"),
        &[],
    );
    let list = text(r#""execute": ["/usr/bin/git"]"#, "");
    helps(&list, &run("/bin/sh"), &[run("/bin/ls"), run("/usr/bin/git")]);
    let pin = text(
        &format!(r#""execute": [{{"path": "/usr/bin/node", "sha256": "{}"}}]"#, "0".repeat(64)),
        "",
    );
    helps(&pin, &run_pinned("/usr/bin/node", Some([7; 32])), &[run("/usr/bin/node")]);
    let hosts = text(
        r#""network": {"egressHosts": ["*.acme.org", {"host": "a.test", "methods": ["GET"], "paths": ["/v1/*"], "addresses": ["10.0.0.0/8"]},
            {"host": "t.test", "ports": [8443], "tls": "passthrough"}, "127.0.0.1:80"]}"#,
        "",
    );
    let others = [
        connect("x.acme.org", 443),
        connect("y.acme.org", 80),
        connect("a.test", 443),
        http("GET", "a.test", 443, "/v1/x"),
        http("PUT", "a.test", 443, "/v1/x"),
    ];
    helps(&hosts, &connect("x.acme.org", 22), &others);
    helps(&hosts, &connect("a.test", 22), &others);
    helps(&hosts, &http("POST", "a.test", 443, "/v1/x"), &others[..3]);
    helps(&hosts, &http("GET", "a.test", 443, "/v2"), &others);
    helps(&hosts, &http("POST", "a.test", 443, "/v2"), &others);
    helps(&hosts, &connect("t.test", 443), &others);
    helps(&hosts, &address("127.0.0.1", 80), &others);
}

#[test]
fn what_no_manifest_can_say_has_no_suggestion() {
    let store = store(
        r#""execute": true, "network": {"egressHosts": [{"host": "a.test", "methods": ["GET"]}]}"#,
    );
    for request in [
        read("/a/*"),
        run("/opt/x"),
        http("get", "a.test", 443, "/"),
        http("PUT", "a.test", 443, "/a;b"),
    ] {
        let decision = ask(&store, &request);
        assert_eq!(decision.effect, Effect::Deny);
        assert!(decision.suggestion.is_none(), "{decision:?}");
    }
}
