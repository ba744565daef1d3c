//! One table per kind of rule.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::*;
use remit_core::{
    AccessRequest, Action, FileKind, ModelApi, Obligation, Pdp, ReasonCode, Resource, TlsMode, Via,
};

fn table(permissions: &str, rows: &[(AccessRequest, &str)]) {
    let store = store(permissions);
    for (request, expected) in rows {
        let decision = ask(&store, request);
        assert_eq!(word(&decision), *expected, "{request:?}\n{decision:?}");
        if !matches!(*expected, "permit" | "ask") {
            assert!(decision.obligations.is_empty() && decision.until.is_none());
        }
    }
}

#[test]
fn p2_files_longest_path_wins_and_write_includes_read() {
    table(
        r#""fileAccess": [
            {"path": "/p", "mode": "write"},
            {"path": "/p/docs", "mode": "read"},
            {"path": "/p/docs/out", "mode": "write"},
            {"path": "/p/private", "mode": "write", "ask": true},
            {"path": "/data/one.txt", "mode": "read"},
            {"path": "/p-other", "mode": "read"}]"#,
        &[
            (read("/p"), "permit"),
            (read("/p/a"), "permit"),
            (write("/p/a"), "permit"),
            (delete("/p/a"), "permit"),
            (read("/p/docs/x"), "permit"),
            (write("/p/docs/x"), "read_only"),
            (delete("/p/docs/x"), "read_only"),
            (write("/p/docs/out/x"), "permit"),
            (write("/p/docs/outx"), "read_only"),
            (read("/p/private/x"), "ask"),
            (write("/p/private/x"), "ask"),
            (read("/data/one.txt"), "permit"),
            (write("/data/one.txt"), "read_only"),
            (read("/data/two.txt"), "no_grant"),
            (read("/data"), "no_grant"),
            (read("/"), "no_grant"),
            (read("/p2"), "no_grant"),
            (write("/p-other/x"), "read_only"),
            (read("/p/state/log"), "protected"),
            (write("/p/state/log"), "protected"),
            (read("/p/my-manifest.json"), "permit"),
            (write("/p/my-manifest.json"), "protected"),
            (write("/p/entry.sh"), "protected"),
            (delete("/p/entry.sh"), "protected"),
        ],
    );
}

#[test]
fn p2_a_root_rule_covers_everything_else() {
    table(
        r#""fileAccess": [{"path": "/", "mode": "read"}, {"path": "/p/x", "mode": "write"}]"#,
        &[
            (read("/"), "permit"),
            (read("/etc"), "permit"),
            (write("/etc"), "read_only"),
            (write("/p/x/y"), "permit"),
        ],
    );
}

#[test]
fn p2_own_files_and_folders_above_them_do_not_move() {
    let all = store(r#""fileAccess": [{"path": "/", "mode": "write"}]"#);
    for path in ["/p", "/p/state", "/p/state/a", "/p/my-manifest.json", "/opt/agent/bin", "/"] {
        assert_eq!(word(&ask(&all, &delete(path))), "protected", "{path}");
        assert_eq!(word(&ask(&all, &write(path))), "protected", "{path}");
    }
    assert_eq!(word(&ask(&all, &write("/opt/agent/other"))), "permit");
    // No rule lifts it, not even one that names the path.
    let named = store(r#""fileAccess": [{"path": "/p/state", "mode": "write"}]"#);
    assert_eq!(word(&ask(&named, &write("/p/state/x"))), "protected");
    assert_eq!(word(&ask(&named, &read("/p/state/x"))), "protected");
}

#[test]
fn p2_protected_files_in_a_writable_grant() {
    let store = store(
        r#""fileAccess": [{"path": "/p", "mode": "write"}, {"path": "/p/.idea", "mode": "write"}]"#,
    );
    assert_eq!(word(&ask(&store, &write("/p/.vscode/tasks.json"))), "protected");
    assert_eq!(word(&ask(&store, &read("/p/.vscode/tasks.json"))), "permit");
    assert_eq!(word(&ask(&store, &write("/p/.idea/x.xml"))), "permit");
    assert_eq!(word(&ask(&store, &write("/p/.git/hooks/pre-commit"))), "protected");
    assert_eq!(word(&ask(&store, &write("/p/.git/hooks/pre-commit.sample"))), "permit");
    assert_eq!(word(&ask(&store, &write("/p/.git/config"))), "unsafe_config");
    let renamed = ask(&store, &write("/p/.git/config").via(Via::LockRename));
    assert_eq!(renamed.obligations, [Obligation::JudgeConfig]);
    let link = write("/p/.git/config").via(Via::LockRename).of_kind(FileKind::Symlink);
    assert_eq!(word(&ask(&store, &link)), "protected");
    // A lock rename onto anything else gains nothing.
    let hook = write("/p/.git/hooks/x").via(Via::LockRename);
    assert_eq!(word(&ask(&store, &hook)), "protected");
    let judged = |new: &str| store.judge_config("/p/.git/config".as_ref(), None, new.as_bytes());
    assert_eq!(word(&judged("[user]\n\tname = a\n")), "permit");
    let refused = judged("[core]\n\thooksPath = x\n");
    assert_eq!(refused.reason, ReasonCode::UnsafeConfig);
    assert!(refused.rule.unwrap().pointer.ends_with("core.hookspath"));
    // What is protected is not asked about either: a yes must name the very path.
    let asking = common::store(r#""fileAccess": [{"path": "/p", "mode": "write", "ask": true}]"#);
    assert_eq!(word(&ask(&asking, &write("/p/.envrc"))), "protected");
    assert_eq!(word(&ask(&asking, &write("/p/x"))), "ask");
}

/// What `git init` was seen to do (strace of git 2.x), besides opening files.
#[test]
fn p2_git_init_works_in_a_writable_folder() {
    let store = store(r#""fileAccess": [{"path": "/p", "mode": "write"}]"#);
    let folder = |path: &str| write(path).of_kind(FileKind::Folder);
    let config = "/p/r/.git/config";
    let steps = [
        folder("/p/r"),
        folder("/p/r/.git"),
        folder("/p/r/.git/hooks"),
        folder("/p/r/.git/branches"),
        folder("/p/r/.git/info"),
        folder("/p/r/.git/refs"),
        folder("/p/r/.git/objects/pack"),
        write("/p/r/.git/hooks/pre-commit.sample"),
        write("/p/r/.git/info/exclude"),
        write("/p/r/.git/description"),
        write("/p/r/.git/config.lock"),
        delete("/p/r/.git/config.lock"),
        write(config).via(Via::LockRename),
        write(config).via(Via::ModeChange),
        write("/p/r/.git/tLS6YA8").of_kind(FileKind::Symlink),
        delete("/p/r/.git/tLS6YA8"),
        write("/p/r/.git/HEAD.lock"),
        write("/p/r/.git/HEAD"),
        // And the end of it: `rm -rf r`.
        delete(config),
        delete("/p/r/.git/hooks/pre-commit.sample"),
        delete("/p/r/.git/hooks"),
        delete("/p/r/.git/HEAD"),
        delete("/p/r/.git"),
    ];
    for step in &steps {
        assert_eq!(word(&ask(&store, step)), "permit", "{step:?}");
    }
    // Changing bits makes an inert hook active.
    let hook = write("/p/r/.git/hooks/pre-commit").via(Via::ModeChange);
    assert_eq!(word(&ask(&store, &hook)), "protected");
}

#[test]
fn p2_execute_false_true_and_list() {
    table(
        "",
        &[
            (run("/opt/agent/bin/agent"), "permit"),
            (run("/p/entry.sh"), "permit"),
            (run("/usr/bin/git"), "not_executable"),
        ],
    );
    table(
        r#""execute": true, "fileAccess": [{"path": "/usr/local/w", "mode": "write"}, {"path": "/ro", "mode": "read"}, {"path": "/p", "mode": "write"}]"#,
        &[
            (run("/usr/bin/git"), "permit"),
            (run("/usr/local/w/x"), "agent_written"),
            (run("/ro/x"), "not_executable"),
            (run("/p/x"), "agent_written"),
            (run("/p/entry.sh"), "permit"),
            (run("/tmp/x"), "not_executable"),
        ],
    );
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let mut right = [0_u8; 32];
    for (index, byte) in right.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digest[2 * index..2 * index + 2], 16).unwrap();
    }
    table(
        &format!(
            r#""execute": ["/usr/bin/git", "/usr/lib/git-core", {{"path": "/usr/bin/node", "sha256": "{digest}", "ask": true}}, {{"path": "/usr/bin/ssh", "ask": true}}, "/p/tool"], "fileAccess": [{{"path": "/p", "mode": "write"}}]"#
        ),
        &[
            (run("/usr/bin/git"), "permit"),
            (run("/usr/bin/gitk"), "not_executable"),
            (run("/usr/lib/git-core/git-remote-https"), "permit"),
            (run("/usr/bin/ssh"), "ask"),
            (run("/usr/bin/node"), "digest_mismatch"),
            (run_pinned("/usr/bin/node", Some([0; 32])), "digest_mismatch"),
            (run_pinned("/usr/bin/node", Some(right)), "ask"),
            (run("/p/tool"), "agent_written"),
            (run("/opt/agent/bin/agent"), "permit"),
        ],
    );
}

#[test]
fn n2_names_ports_and_wildcards() {
    table(
        r#""network": {"egressHosts": ["api.acme.com", "db.acme.com:5432", "*.acme.org",
            {"host": "up.acme.org", "ports": [443], "methods": ["GET"]},
            {"host": "ask.acme.com", "ask": true}, "10.1.2.3:80", "127.0.0.1:80",
            {"host": "127.0.0.2", "ports": [80], "addresses": ["127.0.0.0/8"]}]}"#,
        &[
            (resolve("api.acme.com"), "permit"),
            (resolve("API.acme.com."), "permit"),
            (resolve("x.api.acme.com"), "host_not_listed"),
            (resolve("acme.com"), "host_not_listed"),
            (resolve("acme.org"), "host_not_listed"),
            (resolve("a.b.acme.org"), "permit"),
            (resolve("evilacme.org"), "host_not_listed"),
            (resolve("ask.acme.com"), "permit"),
            (connect("api.acme.com", 443), "permit"),
            (connect("api.acme.com", 80), "permit"),
            (connect("api.acme.com", 22), "port_not_listed"),
            (connect("db.acme.com", 443), "port_not_listed"),
            (connect("db.acme.com", 5432), "permit"),
            (connect("ask.acme.com", 443), "ask"),
            (connect("up.acme.org", 443), "permit"),
            (connect("up.acme.org", 80), "permit"),
            (http("POST", "up.acme.org", 443, "/"), "method_not_listed"),
            (http("POST", "up.acme.org", 80, "/"), "permit"),
            (http("POST", "x.acme.org", 443, "/"), "permit"),
            (http("POST", "x.acme.com", 443, "/"), "host_not_listed"),
            (address("10.1.2.3", 80), "permit"),
            (address("::ffff:10.1.2.3", 80), "permit"),
            (address("10.1.2.3", 443), "port_not_listed"),
            (address("10.1.2.4", 80), "literal_address"),
            (address("127.0.0.1", 80), "address_refused"),
            (address("127.0.0.2", 80), "permit"),
            (address("169.254.169.254", 80), "literal_address"),
        ],
    );
}

#[test]
fn n2_methods_and_paths_any_rule_that_fits() {
    table(
        r#""network": {"egressHosts": [
            {"host": "a.test", "methods": ["GET", "HEAD"]},
            {"host": "a.test", "methods": ["POST"], "paths": ["/v1/messages", "/v1/files/*"]},
            {"host": "a.test", "methods": ["DELETE"], "paths": ["/v1/files/*"], "ask": true}]}"#,
        &[
            (http("GET", "a.test", 443, "/anything"), "permit"),
            (http("POST", "a.test", 443, "/v1/messages"), "permit"),
            (http("POST", "a.test", 443, "/v1/messages/"), "method_not_listed"),
            (http("POST", "a.test", 443, "/v1/files/a/b"), "permit"),
            (http("POST", "a.test", 443, "/v1/files"), "method_not_listed"),
            (http("POST", "a.test", 443, "/v1/files/"), "method_not_listed"),
            (http("DELETE", "a.test", 443, "/v1/files/a"), "ask"),
            (http("get", "a.test", 443, "/"), "method_not_listed"),
            (http("GET", "a.test", 8443, "/"), "port_not_listed"),
            (connect("a.test", 443), "permit"),
        ],
    );
    let only = r#""network": {"egressHosts": [{"host": "a.test", "paths": ["/v1/*"]}]}"#;
    table(
        only,
        &[
            (http("GET", "a.test", 443, "/v2"), "path_not_listed"),
            (http("GET", "a.test", 443, "/v1/x"), "permit"),
        ],
    );
    // Without method and path it is any request: permitted only by a rule that restricts neither.
    let any = || http("", "a.test", 443, "");
    table(only, &[(any(), "path_not_listed")]);
    table(
        r#""network": {"egressHosts": [
            {"host": "a.test", "methods": ["GET"]}, {"host": "a.test", "paths": ["/*"]}]}"#,
        &[(any(), "method_not_listed")],
    );
    table(
        r#""network": {"egressHosts": [{"host": "a.test", "methods": ["GET"]}, "a.test"]}"#,
        &[(any(), "permit")],
    );
}

#[test]
fn n3_a_connection_says_which_model_api_the_host_speaks() {
    let permissions = r#""network": {"egressHosts": ["api.openai.com", "plain.test", "*.anthropic.com",
        {"host": "llm.acme.test", "model": "gemini"}]}"#;
    let speaks = |host: &str| {
        let decision = ask(&store(permissions), &connect(host, 443));
        decision.obligations.iter().find_map(|duty| match duty {
            Obligation::Model(api) => Some(*api),
            _ => None,
        })
    };
    assert_eq!(speaks("llm.acme.test"), Some(ModelApi::Gemini));
    assert_eq!(speaks("api.openai.com"), Some(ModelApi::OpenAi));
    assert_eq!(speaks("api.anthropic.com"), Some(ModelApi::Anthropic));
    assert_eq!(speaks("plain.test"), None);
}

#[test]
fn n2_addresses_follow_the_contract() {
    let addresses = |permissions: &str, host: &str| {
        let decision = ask(&store(permissions), &connect(host, 443));
        assert_eq!(word(&decision), "permit");
        let found = decision.obligations.iter().find_map(|o| match o {
            Obligation::Addresses(rule) => Some(rule.clone()),
            _ => None,
        });
        assert!(decision.obligations.contains(&Obligation::Tls(TlsMode::Intercept)));
        found.unwrap()
    };
    let plain = addresses(r#""network": {"egressHosts": ["a.test"]}"#, "a.test");
    assert!(plain.public && !plain.private && plain.networks.is_empty() && !plain.local_only);
    let internal =
        addresses(r#""network": {"egressHosts": ["a.test"], "blockExternal": true}"#, "a.test");
    assert!(!internal.public && internal.private);
    let named = r#""network": {"egressHosts": [{"host": "a.test", "addresses": ["10.0.0.0/8"]}]}"#;
    let named = addresses(named, "a.test");
    assert!(!named.public && !named.private);
    assert_eq!(named.networks[0].to_string(), "10.0.0.0/8");
    let local = addresses(r#""network": {"egressHosts": ["a.test"], "localOnly": true}"#, "a.test");
    assert!(local.local_only && !local.public);
    let literal = addresses(r#""network": {"egressHosts": ["8.8.8.8"]}"#, "8.8.8.8");
    assert!(!literal.public && literal.networks[0].to_string() == "8.8.8.8/32");
}

#[test]
fn names_carry_every_port_of_every_rule() {
    let store = store(r#""network": {"egressHosts": ["a.acme.org:8443", "*.acme.org"]}"#);
    let decision = ask(&store, &resolve("a.acme.org"));
    assert_eq!(decision.obligations, [Obligation::Ports([80, 443, 8443].into())]);
}

#[test]
fn resources_and_actions_must_belong_together() {
    let store = store(
        r#""fileAccess": [{"path": "/", "mode": "write"}], "network": {"egressHosts": ["a.test"]}"#,
    );
    for (action, resource) in [
        (Action::Execute, Resource::File("/x".into())),
        (Action::Connect, Resource::File("/x".into())),
        (Action::ReadFile, Resource::Program { path: "/x".into(), sha256: None }),
        (Action::HttpRequest, Resource::Name(remit_core::Host::parse("a.test").unwrap())),
        (Action::Grant, Resource::Other("everything".into())),
    ] {
        assert_eq!(word(&ask(&store, &AccessRequest::new(action, resource))), "no_grant");
    }
}
