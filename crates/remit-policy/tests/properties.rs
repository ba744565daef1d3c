//! What holds for every manifest and request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::*;
use proptest::prelude::*;
use remit_core::{AccessRequest, Effect};

const NAMES: [&str; 5] = ["a", "b", "ab", ".git", "hooks"];

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&NAMES[..]), 0..5)
        .prop_map(|names| format!("/{}", names.join("/")))
}

#[derive(Clone, Debug)]
struct Rule {
    path: String,
    write: bool,
    ask: bool,
}

fn rule() -> impl Strategy<Value = Rule> {
    (path(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(path, write, ask)| Rule {
        path,
        write,
        ask,
    })
}

/// Rules, no two about the same path.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(rule(), 0..12).prop_map(|mut rules| {
        rules.sort_by(|a, b| a.path.cmp(&b.path));
        rules.dedup_by(|a, b| a.path == b.path);
        rules
    })
}

fn permissions(rules: &[Rule]) -> String {
    let rules: Vec<String> = rules
        .iter()
        .map(|rule| {
            let mode = if rule.write { "write" } else { "read" };
            format!("{{\"path\": \"{}\", \"mode\": \"{mode}\", \"ask\": {}}}", rule.path, rule.ask)
        })
        .collect();
    format!("\"fileAccess\": [{}]", rules.join(","))
}

/// The longest rule above a path, by the plainest means.
fn longest<'r>(rules: &'r [Rule], path: &str) -> Option<&'r Rule> {
    rules
        .iter()
        .filter(|rule| std::path::Path::new(path).starts_with(&rule.path))
        .max_by_key(|rule| std::path::Path::new(&rule.path).components().count())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn p2_no_rule_no_permit(rules in rules(), path in path()) {
        let store = store(&permissions(&rules));
        for request in [read(&path), write(&path), delete(&path), run(&path)] {
            let decision = ask(&store, &request);
            if decision.effect == Effect::Permit && path != "/p/entry.sh" {
                let rule = longest(&rules, &path);
                prop_assert!(rule.is_some(), "{request:?}");
                let rule = rule.unwrap();
                let reading = request.action == remit_core::Action::ReadFile;
                prop_assert!(!rule.ask && (rule.write || reading), "{request:?} {rule:?}");
                prop_assert!(request.action != remit_core::Action::Execute);
            }
        }
        // Reading has no protected files, so there the model is exact.
        let expected = match longest(&rules, &path) {
            None => "no_grant",
            Some(rule) if rule.ask => "ask",
            Some(_) => "permit",
        };
        prop_assert_eq!(word(&ask(&store, &read(&path))), expected);
    }

    #[test]
    fn p2_a_rule_more_removes_no_permit_but_narrower_ones(
        rules in rules(), more in rule(), path in path()
    ) {
        prop_assume!(rules.iter().all(|rule| rule.path != more.path));
        let mut wider = rules.clone();
        wider.push(more.clone());
        let (before, after) = (store(&permissions(&rules)), store(&permissions(&wider)));
        for request in [read(&path), write(&path), delete(&path)] {
            let lost = ask(&before, &request).effect == Effect::Permit
                && ask(&after, &request).effect != Effect::Permit;
            let narrower = std::path::Path::new(&path).starts_with(&more.path)
                && (more.ask || !more.write);
            prop_assert!(!lost || narrower, "{request:?} {more:?}");
        }
    }

    #[test]
    fn n2_no_rule_no_connection(
        listed in prop::collection::btree_set(prop::sample::select(vec![
            "a.test", "b.a.test", "*.a.test", "*.b.a.test", "10.0.0.1", "a.test:22", "*.a.test:22",
        ]), 0..5),
        host in prop::sample::select(vec!["a.test", "b.a.test", "c.b.a.test", "xa.test", "test", "10.0.0.1", "10.0.0.2"]),
        port in prop::sample::select(vec![22_u16, 80, 443, 8080]),
    ) {
        let list: Vec<String> = listed.iter().map(|host| format!("\"{host}\"")).collect();
        let store = store(&format!("\"network\": {{\"egressHosts\": [{}]}}", list.join(",")));
        let fits = listed.iter().any(|rule| {
            let (pattern, ports) = rule.strip_suffix(":22").map_or((*rule, vec![80, 443]), |p| (p, vec![22]));
            let name = match pattern.strip_prefix('*') {
                Some(suffix) => host.ends_with(suffix) && host.len() > suffix.len(),
                None => host == pattern,
            };
            name && ports.contains(&port)
        });
        for request in [connect(host, port), http("GET", host, port, "/")] {
            prop_assert_eq!(ask(&store, &request).effect == Effect::Permit, fits, "{:?}", request);
        }
    }

    #[test]
    fn decisions_never_panic_on_odd_paths(path in "(/[\\PC]{0,8}){0,40}") {
        let store = store(r#""fileAccess": [{"path": "/", "mode": "write"}]"#);
        let requests: [AccessRequest; 3] = [read(&path), write(&path), run(&path)];
        for request in &requests {
            let _ = ask(&store, request);
        }
    }
}
