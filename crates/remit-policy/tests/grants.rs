//! Ends and grants, with a clock that the test sets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use common::*;
use remit_core::{AccessRequest, Pdp};
use remit_policy::{EndedRule, GrantError, GrantScope, Lifetime};

const ASKING: &str = r#""fileAccess": [{"path": "/p", "mode": "write", "ask": true}, {"path": "/ro", "mode": "read"}],
    "network": {"egressHosts": [{"host": "*.a.test", "ask": true}]}, "execute": [{"path": "/usr/bin/ssh", "ask": true}]"#;
const END: &str = r#", "expiry": "2026-01-01T12:00:00Z""#;

fn narrowest(request: &AccessRequest) -> GrantScope {
    GrantScope::narrowest_for(request).unwrap()
}

#[test]
fn p3_the_manifests_end_ends_everything() {
    let permissions = r#""fileAccess": [{"path": "/p", "mode": "write"}], "execute": true, "network": {"egressHosts": ["a.test"]}"#;
    let clock = FakeClock::at("11:59:59");
    let store = store_of(&text(permissions, END), clock.clone());
    let all = [
        read("/p/x"),
        write("/p/x"),
        run("/usr/bin/git"),
        run("/p/entry.sh"),
        resolve("a.test"),
        connect("a.test", 443),
        http("GET", "a.test", 443, "/"),
    ];
    for request in &all {
        let decision = ask(&store, request);
        assert_eq!(word(&decision), "permit");
        assert_eq!(decision.until, Some(time("12:00:00")), "{request:?}");
    }
    assert_eq!(store.next_end(time("11:59:59")), Some(time("12:00:00")));
    clock.set("12:00:00");
    for request in &all {
        let decision = ask(&store, request);
        assert_eq!(word(&decision), "expired");
        assert_eq!(decision.rule.unwrap().pointer, "/expiry");
    }
    let ended = store.expire(time("12:00:00"));
    assert!(matches!(ended[..], [ref one] if one.what == EndedRule::Manifest));
    assert!(store.expire(time("13:00:00")).is_empty(), "reported once");
    let late = grant(1, narrowest(&read("/p/x")), Lifetime::Session);
    assert_eq!(store.add_grant(late), Err(GrantError::Ended));
}

#[test]
fn p3_a_rule_ends_sooner_and_does_not_fall_back_to_a_wider_one() {
    let permissions = r#""fileAccess": [{"path": "/p", "mode": "write"}, {"path": "/p/in", "mode": "write", "expiry": "2026-01-01T10:00:00Z"}],
        "network": {"egressHosts": [{"host": "a.a.test", "expiry": "2026-01-01T11:00:00Z"}, "*.a.test"]}"#;
    let clock = FakeClock::at("09:00:00");
    let store = store_of(&text(permissions, END), clock.clone());
    assert_eq!(ask(&store, &write("/p/in/x")).until, Some(time("10:00:00")));
    assert_eq!(ask(&store, &write("/p/out")).until, Some(time("12:00:00")));
    assert_eq!(store.next_end(time("09:00:00")), Some(time("10:00:00")));
    let before = store.generation();
    clock.set("10:00:00");
    assert_eq!(word(&ask(&store, &read("/p/in/x"))), "expired");
    assert_eq!(word(&ask(&store, &write("/p/out"))), "permit");
    let ended = store.expire(time("10:00:00"));
    assert!(
        matches!(&ended[0].what, EndedRule::File { scope, .. } if scope.to_string() == "/p/in")
    );
    assert!(store.generation() > before);
    clock.set("11:00:00");
    assert_eq!(word(&ask(&store, &connect("a.a.test", 443))), "expired");
    assert_eq!(word(&ask(&store, &connect("b.a.test", 443))), "permit");
    let ended = store.expire(time("11:30:00"));
    assert!(matches!(&ended[0].what, EndedRule::Host { ports, .. } if **ports == [80, 443]));
}

#[test]
fn p4_a_yes_is_as_narrow_as_the_question() {
    let store = store(ASKING);
    let cases = [
        (write("/p/a"), read("/p/a"), write("/p/a/b")),
        (read("/p/c"), read("/p/c"), write("/p/c")),
        (run("/usr/bin/ssh"), run("/usr/bin/ssh"), run("/usr/bin/scp")),
        (connect("x.a.test", 443), http("PUT", "x.a.test", 443, "/"), connect("x.a.test", 80)),
        (
            http("GET", "y.a.test", 80, "/1"),
            http("GET", "y.a.test", 80, "/1"),
            http("GET", "y.a.test", 80, "/2"),
        ),
    ];
    for (number, (request, covered, outside)) in cases.iter().enumerate() {
        assert_eq!(word(&ask(&store, request)), "ask");
        let number = u64::try_from(number).unwrap();
        store.add_grant(grant(number, narrowest(request), Lifetime::Session)).unwrap();
        let decision = ask(&store, request);
        assert_eq!(word(&decision), "permit");
        assert_eq!(decision.reason.as_str(), "approved");
        assert_eq!(word(&ask(&store, covered)), "permit", "{covered:?}");
        assert_ne!(word(&ask(&store, outside)), "permit", "{outside:?}");
    }
}

#[test]
fn bypass_a_yes_widens_nothing_that_is_not_asked() {
    let store = store(ASKING);
    let everything = [
        GrantScope::File {
            scope: remit_core::PathScope::new("/").unwrap(),
            mode: remit_core::FileMode::Write,
            below: true,
        },
        GrantScope::Host { pattern: remit_core::HostPattern::parse("*.test").unwrap(), port: None },
        GrantScope::Program { path: "/usr/bin/scp".into() },
    ];
    for (number, scope) in everything.into_iter().enumerate() {
        store.add_grant(grant(number as u64, scope, Lifetime::Session)).unwrap();
    }
    assert_eq!(word(&ask(&store, &write("/p/x"))), "permit");
    assert_eq!(word(&ask(&store, &write("/p/.git/hooks/x"))), "protected");
    assert_eq!(word(&ask(&store, &write("/ro/x"))), "read_only");
    assert_eq!(word(&ask(&store, &read("/etc/passwd"))), "no_grant");
    assert_eq!(word(&ask(&store, &connect("b.test", 443))), "host_not_listed");
    assert_eq!(word(&ask(&store, &run("/usr/bin/scp"))), "not_executable");
    assert_eq!(word(&ask(&store, &read("/p/state/x"))), "protected");
}

#[test]
fn bypass_a_yes_to_one_rule_is_none_to_another() {
    let store = store(
        r#""fileAccess": [{"path": "/p", "mode": "write", "ask": true}, {"path": "/p/in", "mode": "write", "ask": true}],
        "network": {"egressHosts": [{"host": "*.a.test", "ports": [443], "ask": true}, {"host": "db.a.test", "ports": [5432], "ask": true}]}"#,
    );
    for (number, request) in [write("/p/x"), connect("x.a.test", 443)].iter().enumerate() {
        let rule = ask(&store, request).rule;
        assert!(rule.is_some());
        let scope = store.widest_for(request).unwrap();
        let wide = grant(number as u64, scope, Lifetime::Session);
        store.add_grant(remit_policy::Grant { rule, ..wide }).unwrap();
    }
    for covered in [write("/p/y/z"), read("/p/x"), connect("y.a.test", 443)] {
        assert_eq!(word(&ask(&store, &covered)), "permit", "{covered:?}");
    }
    for other in [write("/p/in/x"), read("/p/in"), connect("db.a.test", 5432)] {
        assert_eq!(word(&ask(&store, &other)), "ask", "{other:?}");
    }
}

#[test]
fn bypass_once_never_becomes_always() {
    let store = store(ASKING);
    let request = read("/p/x");
    let once = Lifetime::Once(correlation(7));
    store.add_grant(grant(1, narrowest(&request), once)).unwrap();
    assert_eq!(word(&store.decide(&request, &correlation(7))), "permit");
    assert_eq!(word(&store.decide(&request, &correlation(8))), "ask");
    assert_eq!(word(&store.decide(&read("/p/y"), &correlation(7))), "ask");
    assert_eq!(store.finish(&correlation(7)).len(), 1);
    assert_eq!(word(&store.decide(&request, &correlation(7))), "ask");
}

#[test]
fn p3_a_yes_ends_by_time_by_hand_and_never_after_the_manifest() {
    let clock = FakeClock::at("09:00:00");
    let store = store_of(&text(ASKING, END), clock.clone());
    let request = write("/p/x");
    store.add_grant(grant(1, narrowest(&request), Lifetime::Until(time("10:00:00")))).unwrap();
    assert_eq!(ask(&store, &request).until, Some(time("10:00:00")));
    store.add_grant(grant(2, narrowest(&request), Lifetime::Until(time("23:00:00")))).unwrap();
    assert_eq!(ask(&store, &request).until, Some(time("12:00:00")), "the manifest's end");
    assert!(store.revoke(&grant(2, narrowest(&request), Lifetime::Session).id).is_some());
    assert!(store.revoke(&grant(2, narrowest(&request), Lifetime::Session).id).is_none());
    clock.set("10:00:00");
    assert_eq!(word(&ask(&store, &request)), "ask", "also before anybody calls expire");
    let ended = store.expire(time("10:00:00"));
    assert!(
        matches!(&ended[..], [one] if matches!(&one.what, EndedRule::Grant(g) if g.id.number() == 1))
    );
    assert!(store.grants().is_empty());
    let past = grant(3, narrowest(&request), Lifetime::Until(time("09:30:00")));
    assert_eq!(store.add_grant(past), Err(GrantError::Ended));
}

#[test]
fn every_change_has_a_number_and_is_told() {
    let store = store(ASKING);
    let seen = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&seen);
    store.subscribe(Box::new(move |generation| told.store(generation, Ordering::SeqCst)));
    let first = grant(1, narrowest(&read("/p/x")), Lifetime::Session);
    assert_eq!(store.add_grant(first.clone()), Ok(2));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert_eq!(ask(&store, &read("/p/x")).generation, 2);
    assert_eq!(store.add_grant(first.clone()), Err(GrantError::Exists));
    store.revoke(&first.id);
    assert_eq!((store.generation(), seen.load(Ordering::SeqCst)), (3, 3));
    for number in 10..4106 {
        store.add_grant(grant(number, narrowest(&read("/p/x")), Lifetime::Session)).unwrap();
    }
    let more = grant(9999, narrowest(&read("/p/x")), Lifetime::Session);
    assert_eq!(store.add_grant(more), Err(GrantError::TooMany));
}

#[test]
fn the_widest_yes_is_the_asking_rule() {
    let store = store(ASKING);
    let wide = store.widest_for(&read("/p/a/b")).unwrap();
    assert!(
        matches!(&wide, GrantScope::File { scope, below: true, mode: remit_core::FileMode::Read } if scope.to_string() == "/p")
    );
    assert!(matches!(store.widest_for(&connect("x.a.test", 443)), Some(GrantScope::Host { .. })));
    assert_eq!(store.widest_for(&read("/ro/x")), None);
    assert_eq!(store.widest_for(&read("/etc")), None);
}
