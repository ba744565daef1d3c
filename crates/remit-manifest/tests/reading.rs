//! What the parser accepts, refuses, and where it says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::time::{Duration, Instant};

use common::{codes, good, meaningless, misshapen, parse, top, variables, with};
use remit_core::{FileMode, Host, HostPattern, TlsMode};
use remit_manifest::{
    CpuLimit, Execute, Manifest, ManifestErrors, ManifestSource, PathPattern, Problem,
};

const EXAMPLE: &str = r#"{
  "agent": "com.acme.cowork-agent",
  "permissions": {
    "fileAccess": [
      {"path": "/Users/alice/Documents/ProjectX", "mode": "read"}
    ],
    "network": {
      "egressHosts": ["api.internal.acme.com"],
      "blockExternal": true
    },
    "execute": false
  },
  "expiry": "2026-02-01T00:00:00Z"
}
"#;

#[test]
fn p1_the_contracts_example_is_valid_as_it_stands() {
    let manifest = parse(EXAMPLE).unwrap();
    assert_eq!(&*manifest.agent, "com.acme.cowork-agent");
    assert_eq!(manifest.agent_id(), "com.acme.cowork-agent");
    let rule = &manifest.files[0];
    assert_eq!(rule.scope.to_string(), "/Users/alice/Documents/ProjectX");
    assert_eq!(rule.mode, FileMode::Read);
    assert_eq!((rule.at.line, rule.at.column), (5, 7));
    assert_eq!(rule.at.pointer, "/permissions/fileAccess/0");
    assert!(manifest.network.block_external);
    assert_eq!(&*manifest.network.hosts[0].ports, [80, 443]);
    assert!(matches!(manifest.execute, Execute::None(Some(_))));
    assert_eq!(manifest.expiry.as_ref().unwrap().time.to_string(), "2026-02-01T00:00:00.000000Z");
    assert!(manifest.needs().is_empty());
}

#[test]
fn p1_every_key_reaches_the_model_and_needs_name_what_is_not_enforced() {
    let manifest = parse(common::FULL).unwrap();
    assert_eq!(manifest.agent_id(), "com.acme.cowork-agent:1.2.3");
    assert_eq!(manifest.files[0].scope.to_string(), "/home/alice/Documents");
    assert_eq!(manifest.files[1].scope.to_string(), "/home/alice/work");
    assert!(manifest.files[1].ask && manifest.files[1].staged);
    let hosts = &manifest.network.hosts;
    assert_eq!(&*hosts[1].ports, [5432]);
    assert_eq!(hosts[2].pattern, HostPattern::Subdomains("acme.org".into()));
    assert_eq!(hosts[3].pattern, HostPattern::Exact(Host::parse("fd00::1").unwrap()));
    assert_eq!(&*hosts[3].ports, [8443]);
    let paths = hosts[4].paths.as_ref().unwrap();
    assert_eq!(paths[1], PathPattern::Below("/v1/models/".into()));
    assert_eq!(hosts[5].tls, TlsMode::Passthrough);
    assert_eq!(manifest.limits.memory, Some(96 << 20));
    assert_eq!(manifest.limits.cpu, Some(CpuLimit::Processors(1500)));
    assert_eq!(manifest.limits.wall_time, Some(Duration::from_secs(7200)));
    assert_eq!(manifest.limits.egress_bytes, Some(0));
    let Execute::List(programs) = &manifest.execute else { panic!("a list") };
    assert!(programs[1].ask && programs[1].sha256.is_some());
    let keys: Vec<&str> = manifest.needs().iter().map(|need| need.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "/binary/signer",
            "/binary/sbom",
            "/permissions/fileAccess/0/redact",
            "/permissions/fileAccess/0/label",
            "/permissions/fileAccess/1/staged",
            "/permissions/network/egressHosts/4/accepts",
            "/permissions/clipboard/read",
            "/permissions/display",
            "/permissions/secrets",
            "/permissions/tools",
            "/dlp/inputs/secrets",
            "/dlp/outputs/pii",
            "/dlp/outputs/secrets",
            "/dlp/outputs/EXACT:customers",
            "/isolation",
        ]
    );
    assert!(manifest.needs().iter().all(|need| need.at.line > 1 && need.at.pointer == need.key));
    assert!(!format!("{manifest:?}").contains("Nightingale"), "literal values are not printed");
}

#[test]
fn n4_data_rules_need_a_listed_value_of_their_class() {
    let text = top(r#""dlp": {"outputs": {"pii": "redact", "secrets": "block", "CANARY": "allow"},
            "values": [{"value": "Ada Lovelace", "class": "PERSON"}]}"#);
    let manifest = parse(&text).unwrap();
    let keys: Vec<&str> = manifest.needs().iter().map(|need| need.key.as_str()).collect();
    assert_eq!(keys, ["/dlp/outputs/secrets"]);
    assert_eq!(manifest.dlp.values[0].reveal(), "Ada Lovelace");
}

#[test]
fn p1_good_manifests_are_good() {
    for text in good() {
        assert!(parse(&text).is_ok(), "{text}: {:?}", parse(&text));
    }
}

#[test]
fn p1_every_mistake_is_named_where_it_stands() {
    for (text, code, pointer) in misshapen().into_iter().chain(meaningless()) {
        let expected = format!("manifest::{code}@{pointer}");
        assert_eq!(codes(&text), [expected], "{text}");
    }
}

#[test]
fn p1_positions_are_lines_and_characters() {
    let text =
        "{\"agent\": \"a.b\",\n  \"dlp\": {\"outputs\": {}}, /* ünïcode 🦀 */ \"expiri\": 1}";
    let errors = parse(text).unwrap_err();
    let place = &errors.errors()[0].place;
    assert_eq!((place.line, place.column), (2, 43));
    assert_eq!(&text[place.offset..place.offset + place.length], "\"expiri\"");
    let Problem::UnknownKey { nearest, .. } = &errors.errors()[0].problem else { panic!() };
    assert_eq!(nearest.as_deref(), Some("expiry"));
    // A byte order mark is no character of the first line.
    let errors = parse("\u{feff}{\"agent\": 1}").unwrap_err();
    assert_eq!(errors.errors()[0].place.column, 11);
}

#[test]
fn p1_all_mistakes_are_reported_and_bounded() {
    let text = with(r#""fileAcess": [], "network": {"egressHosts": ["*", 1]}, "execute": 3"#);
    assert_eq!(codes(&text).len(), 4);
    let many = with(&format!("\"environment\": [{}]", vec!["1"; 10_000].join(",")));
    let errors = parse(&many).unwrap_err();
    assert_eq!(errors.errors().len(), ManifestErrors::MOST);
    assert!(errors.has_more());
}

#[test]
fn p1_only_comments_and_trailing_commas_are_added_to_json() {
    for bad in [
        "{'agent': 'a.b'}",
        "{agent: \"a.b\"}",
        "{\"agent\": \"a.b\" \"version\": 1}",
        "{\"agent\": \"a.b\", \"version\": 0x1}",
        "{\"agent\": \"a.b\", \"version\": +1}",
        "{\"agent\": \"a.b\", \"version\": 1.}",
        "{\"agent\": \"a.b\"} {}",
        "{\"agent\": \"a\\x2eb\"}",
        "{\"agent\": \"a.b\"",
        "{\"agent\": \"a.b\n\"}",
        "{\"agent\": \"\\ud800.b\"}",
        "",
        "// nothing",
        "/* open",
        "{,}",
        "\u{0}",
    ] {
        assert!(codes(bad).iter().all(|code| code.starts_with("manifest::syntax")), "{bad}");
        assert_eq!(codes(bad).len(), 1, "{bad}");
    }
}

#[test]
fn huge_and_deep_manifests_are_refused_at_once() {
    let start = Instant::now();
    let deep = top(&format!("\"permissions\": {}", "[".repeat(2_000_000)));
    assert_eq!(codes(&deep), ["manifest::too_deep@"]);
    let deep = top(&format!("\"permissions\": {}{}", "[".repeat(60), "]".repeat(60)));
    assert_eq!(codes(&deep), ["manifest::wrong_type@/permissions"]);
    // The most rules that fit into the size limit: no check may take their square.
    let rules: Vec<String> =
        (0..90_000).map(|n| format!("{{\"path\":\"/d/{n}\",\"mode\":\"read\"}}")).collect();
    let wide = with(&format!("\"fileAccess\":[{}]", rules.join(",")));
    assert!(wide.len() < 4 << 20);
    assert_eq!(parse(&wide).unwrap().files.len(), 90_000);
    let keys: Vec<String> = (0..200_000).map(|n| format!("\"k{n}\":0")).collect();
    assert_eq!(parse(&top(&keys.join(","))).unwrap_err().errors().len(), ManifestErrors::MOST);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn bypass_variables_cannot_leave_their_base() {
    let path = |text: &str| {
        parse(&with(&format!("\"fileAccess\":[{{\"path\":\"{text}\",\"mode\":\"read\"}}]")))
            .map(|manifest| manifest.files[0].scope.to_string())
    };
    assert_eq!(path("~//etc").unwrap(), "/home/alice/etc");
    assert_eq!(path("${WORKDIR}//etc/passwd").unwrap(), "/home/alice/work/etc/passwd");
    assert_eq!(path("/a/${WORKDIR}").unwrap(), "/a/${WORKDIR}");
    assert!(path("~/../../etc").is_err());
    assert!(path("${WORKDIR}/..").is_err());
    assert!(path("~root").is_err());
    assert!(path("\\u002e\\u002e/x").is_err());
}

#[test]
fn bypass_an_unreadable_pin_or_limit_is_never_no_pin() {
    // Every one of these keys narrows; if a mistake in it were dropped, the rule would widen.
    for (text, _, pointer) in misshapen().into_iter().chain(meaningless()) {
        assert!(parse(&text).is_err(), "{pointer}");
    }
}

#[test]
fn digest_names_the_bytes() {
    let a = ManifestSource::from_text("m", EXAMPLE);
    let b = ManifestSource::from_text("m", &EXAMPLE.replace("  ", " "));
    assert_ne!(a.digest(), b.digest());
    assert!(a.digest().starts_with("sha256:") && a.digest().len() == 71);
    assert!(Manifest::parse(&a, &variables()).is_ok());
}
