//! What the manifest tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs, unreachable_pub)]

use remit_manifest::{Manifest, ManifestErrors, ManifestSource, Variables};

pub fn variables() -> Variables {
    Variables { home: "/home/alice".into(), workdir: "/home/alice/work".into() }
}

pub fn parse(text: &str) -> Result<Manifest, ManifestErrors> {
    Manifest::parse(&ManifestSource::from_text("manifest.json", text), &variables())
}

/// A manifest with these permissions.
pub fn with(permissions: &str) -> String {
    format!("{{\"agent\": \"com.acme.agent\", \"permissions\": {{{permissions}}}}}")
}

/// A manifest with these further outermost keys.
pub fn top(keys: &str) -> String {
    format!("{{\"agent\": \"com.acme.agent\", {keys}}}")
}

pub fn codes(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .errors()
            .iter()
            .map(|error| format!("{}@{}", error.problem.code(), error.place.pointer))
            .collect(),
    }
}

/// Every key of the contract, used in a way that is right.
pub const FULL: &str = r#"// A manifest that uses every key.
{
  "$schema": "https://example.org/manifest.schema.json",
  "version": 1,
  "agent": "com.acme.cowork-agent",
  "agentVersion": "1.2.3",
  "binary": {"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "signer": "acme", "sbom": "sbom.json"},
  "permissions": {
    "fileAccess": [
      {"path": "~/Documents", "mode": "read", "label": "finance", "redact": ["pii", "EXACT:customers"]},
      {"path": "${WORKDIR}", "mode": "write", "expiry": "2026-01-31T00:00:00Z", "ask": true, "staged": true},
    ],
    "network": {
      "egressHosts": [
        "api.internal.acme.com", "db.acme.com:5432", "*.acme.org", "[fd00::1]:8443",
        {"host": "api.anthropic.com", "ports": [443], "methods": ["POST"], "paths": ["/v1/messages", "/v1/models/*"], "model": "anthropic", "accepts": ["public"]},
        {"host": "git.acme.com", "ports": [22], "tls": "passthrough", "addresses": ["10.1.0.0/16"], "ask": true, "expiry": "2026-01-31T00:00:00Z"}
      ],
      "blockExternal": false,
      "localOnly": false
    },
    "execute": ["/usr/bin/git", {"path": "/usr/bin/node", "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "ask": true}],
    "clipboard": {"read": "ask", "write": "deny"},
    "display": "allow",
    "secrets": [{"name": "GITHUB_TOKEN", "source": "vault:kv/github", "ttl": "1h", "hosts": ["api.github.com"], "inject": "header:Authorization", "scope": "repo", "minAssurance": "A1", "ask": true}],
    "tools": [{"server": "jira", "allow": ["search"], "ask": true}],
    "environment": ["EDITOR", "HTTP_X"]
  },
  "dlp": {
    "inputs": {"secrets": "redact"},
    "outputs": {"pii": "mask", "secrets": "block", "EXACT:customers": "quarantine"},
    "values": [{"value": "Project Nightingale", "class": "CANARY"}]
  },
  "limits": {"memory": "96MiB", "cpu": 1.5, "processes": 64, "wallTime": "2h", "disk": "2GB", "egressBytes": 0, "openFiles": 1024},
  "isolation": "gvisor",
  /* the end */
  "expiry": "2026-02-01T00:00:00Z",
}
"#;

/// Right manifests.
pub fn good() -> Vec<String> {
    let mut all: Vec<String> = vec![
        FULL.to_owned(),
        r#"{"agent": "a.b"}"#.to_owned(),
        top("\"permissions\": {}"),
        top("\"limits\": {\"cpu\": \"10m\", \"memory\": 1048576}"),
        top("\"limits\": {\"egressBytes\": \"0\"}"),
        top("\"dlp\": {}"),
    ];
    for permissions in [
        r#""execute": true"#,
        r#""execute": []"#,
        r#""execute": ["/usr/lib/git-core"]"#,
        r#""fileAccess": []"#,
        r#""fileAccess": [{"path": "~", "mode": "read"}]"#,
        r#""fileAccess": [{"path": "/a", "mode": "read"}, {"path": "/a/", "mode": "read"}]"#,
        r#""fileAccess": [{"path": "/", "mode": "read"}, {"path": "/a", "mode": "write"}]"#,
        r#""network": {"egressHosts": ["EXAMPLE.org."]}"#,
        r#""network": {"egressHosts": ["bücher.example", "*.internal"]}"#,
        r#""network": {"egressHosts": ["a.example.org:1", "a.example.org:65535"]}"#,
        r#""network": {"egressHosts": [{"host": "127.0.0.1", "addresses": ["127.0.0.0/8"]}]}"#,
        r#""network": {"egressHosts": [{"host": "a.test", "addresses": ["10.0.0.1"]}], "blockExternal": true}"#,
        r#""network": {"egressHosts": [{"host": "a.test", "paths": ["/*", "/a/*", "/b"]}]}"#,
        r#""network": {"egressHosts": [{"host": "a.test", "tls": "passthrough"}, {"host": "*.test", "tls": "intercept"}]}"#,
        r#""network": {"egressHosts": [{"host": "a.test", "ports": [1], "tls": "passthrough"}, {"host": "a.test", "ports": [2]}]}"#,
    ] {
        all.push(with(permissions));
    }
    all
}

/// Wrong in a way that both the schema and the parser must see: text, code, JSON pointer.
pub fn misshapen() -> Vec<(String, &'static str, &'static str)> {
    let mut all = vec![
        ("{}".to_owned(), "missing_key", ""),
        ("[]".to_owned(), "wrong_type", ""),
        ("null".to_owned(), "wrong_type", ""),
        (r#"{"agent": 1}"#.to_owned(), "wrong_type", "/agent"),
        (r#"{"agent": "agent"}"#.to_owned(), "agent_name", "/agent"),
        (r#"{"agent": "a..b"}"#.to_owned(), "agent_name", "/agent"),
        (r#"{"agent": "a.b\n"}"#.to_owned(), "agent_name", "/agent"),
        (top(r#""version": 2"#), "version", "/version"),
        (top(r#""version": "1""#), "wrong_type", "/version"),
        (top(r#""agentVersion": """#), "text", "/agentVersion"),
        (top(r#""agentVersion": "1\u0007""#), "text", "/agentVersion"),
        (top(r#""binary": {"sha256": "00"}"#), "sha256", "/binary/sha256"),
        (top(r#""binary": {"sha512": "00"}"#), "unknown_key", "/binary/sha512"),
        (top(r#""permission": {}"#), "unknown_key", "/permission"),
        (top(r#""expiry": "tomorrow""#), "time", "/expiry"),
        (top(r#""expiry": "2026-02-01""#), "time", "/expiry"),
        (top(r#""expiry": null"#), "wrong_type", "/expiry"),
        (top(r#""isolation": "none""#), "unknown_word", "/isolation"),
        (top(r#""limits": {"memory": "lots"}"#), "size", "/limits/memory"),
        (top(r#""limits": {"memory": 0}"#), "number", "/limits/memory"),
        (top(r#""limits": {"memory": -1}"#), "size", "/limits/memory"),
        (top(r#""limits": {"wallTime": 5}"#), "wrong_type", "/limits/wallTime"),
        (top(r#""limits": {"wallTime": "0s"}"#), "number", "/limits/wallTime"),
        (top(r#""limits": {"processes": 1.5}"#), "number", "/limits/processes"),
        (top(r#""limits": {"openFiles": 0}"#), "number", "/limits/openFiles"),
        (top(r#""limits": {"cpu": 0}"#), "cpu", "/limits/cpu"),
        (top(r#""limits": {"cpu": true}"#), "wrong_type", "/limits/cpu"),
        (top(r#""dlp": {"outputs": {"EMAILS": "mask"}}"#), "unknown_word", "/dlp/outputs/EMAILS"),
        (top(r#""dlp": {"outputs": {"EMAIL": "delete"}}"#), "unknown_word", "/dlp/outputs/EMAIL"),
        (top(r#""dlp": {"inputs": {"EMAIL": "mask"}}"#), "contradiction", "/dlp/inputs/EMAIL"),
        (top(r#""dlp": {"values": [{"value": "xyz"}]}"#), "missing_key", "/dlp/values/0"),
    ];
    let permissions = [
        (r#""fileAccess": {}"#, "wrong_type", "/fileAccess"),
        (r#""fileAccess": ["/a"]"#, "wrong_type", "/fileAccess/0"),
        (r#""fileAccess": [{"path": "/a"}]"#, "missing_key", "/fileAccess/0"),
        (r#""fileAccess": [{"path": "a", "mode": "read"}]"#, "path", "/fileAccess/0/path"),
        (r#""fileAccess": [{"path": "", "mode": "read"}]"#, "path", "/fileAccess/0/path"),
        (r#""fileAccess": [{"path": "~bob", "mode": "read"}]"#, "path", "/fileAccess/0/path"),
        (r#""fileAccess": [{"path": "$HOME", "mode": "read"}]"#, "path", "/fileAccess/0/path"),
        (
            r#""fileAccess": [{"path": "${WORKDIR}x", "mode": "read"}]"#,
            "path",
            "/fileAccess/0/path",
        ),
        (r#""fileAccess": [{"path": "/a\u0000b", "mode": "read"}]"#, "path", "/fileAccess/0/path"),
        (r#""fileAccess": [{"path": "/a/*", "mode": "read"}]"#, "path", "/fileAccess/0/path"),
        (r#""fileAccess": [{"path": "/a", "mode": "rw"}]"#, "unknown_word", "/fileAccess/0/mode"),
        (
            r#""fileAccess": [{"path": "/a", "mode": "read", "ask": "yes"}]"#,
            "wrong_type",
            "/fileAccess/0/ask",
        ),
        (
            r#""fileAccess": [{"path": "/a", "mode": "read", "redact": []}]"#,
            "empty_list",
            "/fileAccess/0/redact",
        ),
        (
            r#""fileAccess": [{"path": "/a", "mode": "read", "paths": "/b"}]"#,
            "unknown_key",
            "/fileAccess/0/paths",
        ),
        (r#""network": {"hosts": []}"#, "unknown_key", "/network/hosts"),
        (r#""network": {"egressHosts": [1]}"#, "wrong_type", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["https://a.test"]}"#, "host", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": [""]}"#, "host", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["u@a.test"]}"#, "host", "/network/egressHosts/0"),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "ports": []}]}"#,
            "empty_list",
            "/network/egressHosts/0/ports",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "ports": [0]}]}"#,
            "port",
            "/network/egressHosts/0/ports/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "ports": [65536]}]}"#,
            "port",
            "/network/egressHosts/0/ports/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "ports": ["443"]}]}"#,
            "wrong_type",
            "/network/egressHosts/0/ports/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "ports": [1, 1]}]}"#,
            "contradiction",
            "/network/egressHosts/0/ports/1",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "methods": ["get"]}]}"#,
            "method",
            "/network/egressHosts/0/methods/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "paths": ["v1"]}]}"#,
            "path_pattern",
            "/network/egressHosts/0/paths/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "paths": ["/a*b"]}]}"#,
            "path_pattern",
            "/network/egressHosts/0/paths/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "paths": ["/a?b"]}]}"#,
            "path_pattern",
            "/network/egressHosts/0/paths/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "addresses": ["ten"]}]}"#,
            "network",
            "/network/egressHosts/0/addresses/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "tls": "off"}]}"#,
            "unknown_word",
            "/network/egressHosts/0/tls",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "model": "llama"}]}"#,
            "unknown_word",
            "/network/egressHosts/0/model",
        ),
        (
            r#""network": {"egressHosts": [{"ports": [443]}]}"#,
            "missing_key",
            "/network/egressHosts/0",
        ),
        (r#""execute": "yes""#, "wrong_type", "/execute"),
        (r#""execute": ["git"]"#, "path", "/execute/0"),
        (r#""execute": [{"path": "/a", "sha256": "zz"}]"#, "sha256", "/execute/0/sha256"),
        (r#""clipboard": {"read": "yes"}"#, "unknown_word", "/clipboard/read"),
        (r#""display": true"#, "wrong_type", "/display"),
        (
            r#""secrets": [{"name": "a", "source": "b", "hosts": []}]"#,
            "empty_list",
            "/secrets/0/hosts",
        ),
        (r#""tools": [{"server": "a", "allow": []}]"#, "empty_list", "/tools/0/allow"),
        (r#""environment": ["A=B"]"#, "environment", "/environment/0"),
        (r#""environment": [1]"#, "wrong_type", "/environment/0"),
    ];
    for (text, code, pointer) in permissions {
        let pointer: &'static str = Box::leak(format!("/permissions{pointer}").into_boxed_str());
        all.push((with(text), code, pointer));
    }
    all
}

/// Wrong in a way that only the parser sees.
pub fn meaningless() -> Vec<(String, &'static str, &'static str)> {
    let mut all = vec![
        (top(r#""expiry": "2026-02-30T00:00:00Z""#), "time", "/expiry"),
        (top(r#""agent": "com.acme.agent""#), "duplicate_key", "/agent"),
        (top(r#""dlp": {"outputs": {"pii": "mask"}}"#), "contradiction", "/dlp/outputs"),
        (
            top(r#""dlp": {"values": [{"value": "ab", "class": "CANARY"}]}"#),
            "text",
            "/dlp/values/0/value",
        ),
        (
            top(
                r#""permissions": {"network": {"egressHosts": [{"host": "api.openai.com", "tls": "passthrough"}]}}, "dlp": {"outputs": {"pii": "mask"}, "values": [{"value": "Ada", "class": "PERSON"}]}"#,
            ),
            "contradiction",
            "/permissions/network/egressHosts/0",
        ),
        (top(r#""limits": {"memory": "99999999999TiB"}"#), "size", "/limits/memory"),
    ];
    let permissions = [
        (r#""fileAccess": [{"path": "/a/../b", "mode": "read"}]"#, "path", "/fileAccess/0/path"),
        (r#""fileAccess": [{"path": "~/../bob", "mode": "read"}]"#, "path", "/fileAccess/0/path"),
        (
            r#""fileAccess": [{"path": "/a", "mode": "read"}, {"path": "/a//.", "mode": "write"}]"#,
            "contradiction",
            "/fileAccess/1",
        ),
        (
            r#""fileAccess": [{"path": "~/work", "mode": "read"}, {"path": "${WORKDIR}", "mode": "read", "ask": true}]"#,
            "contradiction",
            "/fileAccess/1",
        ),
        (
            r#""fileAccess": [{"path": "/a", "mode": "read", "staged": true}]"#,
            "contradiction",
            "/fileAccess/0/staged",
        ),
        (r#""network": {"egressHosts": ["*.com"]}"#, "host", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["*.co.uk:443"]}"#, "host", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["*"]}"#, "host", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["a.*.com"]}"#, "host", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["0177.0.0.1"]}"#, "host", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["a.test:0"]}"#, "port", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["a.test:0443"]}"#, "port", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["a.test:"]}"#, "port", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["a.test:+1"]}"#, "port", "/network/egressHosts/0"),
        (r#""network": {"egressHosts": ["a.test:1:2"]}"#, "host", "/network/egressHosts/0"),
        (
            r#""network": {"egressHosts": [{"host": "a.test:1", "ports": [2]}]}"#,
            "contradiction",
            "/network/egressHosts/0/host",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "addresses": ["10.0.0.1/8"]}]}"#,
            "network",
            "/network/egressHosts/0/addresses/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "addresses": ["8.8.8.0/24"]}], "blockExternal": true}"#,
            "contradiction",
            "/network/egressHosts/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "addresses": ["0.0.0.0/0"]}], "blockExternal": true}"#,
            "contradiction",
            "/network/egressHosts/0",
        ),
        (
            r#""network": {"egressHosts": ["8.8.8.8"], "blockExternal": true}"#,
            "contradiction",
            "/network/egressHosts/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "10.0.0.1", "addresses": ["10.1.0.0/16"]}]}"#,
            "contradiction",
            "/network/egressHosts/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "tls": "passthrough"}, "a.test"]}"#,
            "contradiction",
            "/network/egressHosts/1",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "model": "openai"}, "A.test."]}"#,
            "contradiction",
            "/network/egressHosts/1",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "tls": "passthrough", "paths": ["/a"]}]}"#,
            "contradiction",
            "/network/egressHosts/0/paths",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "paths": ["/a/../b"]}]}"#,
            "path_pattern",
            "/network/egressHosts/0/paths/0",
        ),
        (
            r#""network": {"egressHosts": [{"host": "a.test", "paths": ["/a%2fb"]}]}"#,
            "path_pattern",
            "/network/egressHosts/0/paths/0",
        ),
        (r#""execute": ["/a", {"path": "/a", "ask": true}]"#, "contradiction", "/execute/1"),
        (r#""environment": ["A", "A"]"#, "contradiction", "/environment/1"),
    ];
    for (text, code, pointer) in permissions {
        let pointer: &'static str = Box::leak(format!("/permissions{pointer}").into_boxed_str());
        all.push((with(text), code, pointer));
    }
    all
}
