//! `remit why`

use std::{fs, os::unix::fs::symlink};

use remit_testkit::{program, run_bounded};
use serde_json::Value;

use crate::bench::{Bench, LIMIT, snapshot};

const MANIFEST: &str = r#"{
  "version": 1,
  "agent": "org.example.first",
  "permissions": {
    "fileAccess": [
      {"path": "${WORKDIR}", "mode": "write"},
      {"path": "${WORKDIR}/notes", "mode": "read", "ask": true}
    ],
    "network": {
      "egressHosts": [{"host": "api.example.org", "methods": ["GET"], "paths": ["/v1/*"]}]
    },
    "execute": ["/bin/cat"]
  }
}
"#;

fn bench() -> Bench {
    let bench = Bench::new("why");
    bench.area.write("work/manifest.json", MANIFEST);
    bench.area.write("work/notes/a", "");
    bench.area.write("home/.ssh/id_ed25519", "");
    bench
}

#[test]
fn answers_name_the_rule_and_the_line_to_change() {
    let bench = bench();
    let key = bench.area.home().join(".ssh/id_ed25519");
    let questions: &[(&str, &[&str])] = &[
        ("granted", &["--path", "new/file", "--write"]),
        ("asks", &["--path", "notes/a"]),
        ("read-only", &["--path", "notes/a", "--write"]),
        ("no-grant", &["--path", key.to_str().unwrap()]),
        ("protected", &["--path", ".git/hooks/pre-commit", "--write"]),
        ("manifest-itself", &["--path", "manifest.json", "--write"]),
        ("system", &["--path", "/usr/lib"]),
        ("host-unlisted", &["--host", "evil.example"]),
        ("port-unlisted", &["--host", "api.example.org:8443"]),
        ("host", &["--host", "API.example.org."]),
        ("request", &["--host", "api.example.org", "--url-path", "/v1/models"]),
        ("method", &["--host", "api.example.org", "--method", "POST", "--url-path", "/v1/x"]),
        ("path", &["--host", "api.example.org", "--url-path", "/v2/x"]),
        ("literal", &["--host", "169.254.169.254:80"]),
        ("program", &["--exec", "cat"]),
        ("program-unlisted", &["--exec", "/bin/sh"]),
    ];
    for (name, question) in questions {
        let mut words = vec!["why", "--manifest", "manifest.json"];
        words.extend(*question);
        let done = bench.remit(&words).must_succeed();
        snapshot(&format!("why-{name}"), &bench.masked(&done.stdout));
    }
}

#[test]
fn the_same_as_json() {
    let bench = bench();
    let done = bench.remit(&["why", "--path", "notes/b", "--write", "--format", "json"]);
    let answer: Value = serde_json::from_str(&bench.masked(&done.must_succeed().stdout)).unwrap();
    snapshot("why-json", &format!("{answer:#}"));
}

#[test]
fn a_link_is_judged_by_what_it_leads_to() {
    let bench = bench();
    let link = bench.area.work().join("harmless");
    symlink(bench.area.home().join(".ssh"), link).unwrap();
    let done = bench.remit(&["why", "--path", "harmless/id_ed25519"]).must_succeed();
    assert!(done.stdout.starts_with("deny"), "{done}");
    // Also where the last part does not exist, and where `..` leads out of a missing folder.
    for path in ["harmless/new", "missing/../../home/.ssh/x"] {
        let done = bench.remit(&["why", "--path", path, "--write"]).must_succeed();
        assert!(done.stdout.starts_with("deny"), "{path}: {done}");
    }
}

#[test]
fn questions_that_make_no_sense() {
    let bench = bench();
    for arguments in [
        &["why"][..],
        &["why", "--path", "a", "--host", "b"],
        &["why", "--host", "a:0"],
        &["why", "--host", "a:b"],
        &["why", "--host", "0x7f.1"],
        &["why", "--host", "https://example.org/"],
        &["why", "--exec", "no-such-program"],
        &["why", "--write"],
        &["why", "not-an-event"],
        &["why", "e-0123456789abcdef-1"],
    ] {
        let done = bench.remit(arguments);
        assert_eq!(done.status, Some(2), "{arguments:?}: {done}");
        assert_eq!(done.stdout, "");
    }
    fs::remove_file(bench.area.work().join("manifest.json")).unwrap();
    let done = bench.remit(&["why", "--path", "x"]);
    assert_eq!(done.status, Some(2));
    assert!(done.stderr.contains("--manifest FILE"), "{done}");
}

#[test]
fn a_rule_that_pins_a_program_is_held_against_its_bytes() {
    let bench = bench();
    let manifest = MANIFEST.replace(
        "\"/bin/cat\"",
        &format!("{{\"path\": \"/bin/cat\", \"sha256\": \"{}\"}}", "0".repeat(64)),
    );
    bench.area.write("work/manifest.json", manifest);
    let done = bench.remit(&["why", "--exec", "cat", "--format", "json"]).must_succeed();
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer["reason"], "digest_mismatch");
    assert_eq!(answer["change"]["value"].as_str().map(str::len), Some(64));
}

/// What is told must be what happens: the same attempts, once told and once made in a session.
#[test]
fn what_is_told_is_what_a_session_does() {
    let bench = Bench::new("why-session");
    let outside = bench.area.write("home/.ssh/key", "k");
    bench.area.write("work/own", "o");
    bench.area.write("work/fixed/a", "a");
    bench.area.write("work/.git/config", "[core]\n");
    symlink(&outside, bench.area.work().join("link")).unwrap();
    symlink("fixed", bench.area.work().join("alias")).unwrap();
    let manifest = format!(
        r#"{{"agent": "a.b", "permissions": {{
            "fileAccess": [
                {{"path": "${{WORKDIR}}", "mode": "write"}},
                {{"path": "${{WORKDIR}}/fixed", "mode": "read"}}
            ],
            "execute": ["{}"]
        }}}}"#,
        program("cat").display()
    );
    bench.area.write("work/manifest.json", manifest);
    let attempts = [
        ("own", false),
        ("own", true),
        ("new", true),
        ("fixed/a", false),
        ("fixed/a", true),
        ("fixed/new", true),
        ("alias/a", false),
        ("alias/a", true),
        ("link", false),
        ("link", true),
        ("manifest.json", false),
        ("manifest.json", true),
        (".git/config", true),
        (".git/hooks/post-commit", true),
        (".mcp.json", true),
        ("/usr/lib", false),
    ];
    fs::create_dir(bench.area.work().join(".git/hooks")).unwrap();
    let (mut told, mut made) = (Vec::new(), Vec::new());
    for (path, write) in attempts {
        let mut words = vec!["why", "--manifest", "manifest.json", "--path", path];
        words.extend(write.then_some("--write"));
        words.extend(["--format", "json"]);
        let done = bench.remit(&words).must_succeed();
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        told.push((path, write, answer["decision"] == "permit"));
        let script = match write {
            true => format!("[ ! -e '{path}' ] || exec 9>>'{path}'; exec 9>>'{path}'"),
            false => format!("exec 9<'{path}'"),
        };
        let done = run_bounded(&mut bench.session(&script), LIMIT);
        made.push((path, write, done.status == Some(0)));
    }
    assert_eq!(told, made);
    for name in ["cat", "ls"] {
        let path = program(name);
        let path = path.to_str().unwrap();
        let done = bench.remit(&["why", "--exec", path, "--format", "json"]).must_succeed();
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        let done = run_bounded(&mut bench.session(&format!("{path} own")), LIMIT);
        assert_eq!(answer["decision"] == "permit", done.status == Some(0), "{name}: {done}");
    }
}

/// What a session would protect, `why` knows.
#[test]
fn hooks_and_names_of_the_manifest_are_known() {
    let bench = bench();
    bench
        .area
        .write("work/.git/config", "[core]\n\thooksPath = tools\n[include]\n\tpath = ../conf\n");
    symlink("manifest.json", bench.area.work().join("current.json")).unwrap();
    let asked = |path: &str| {
        let words =
            ["why", "--manifest", "current.json", "--format", "json", "--path", path, "--write"];
        let answer: Value =
            serde_json::from_str(&bench.remit(&words).must_succeed().stdout).unwrap();
        (answer["decision"].to_string(), answer["reason"].to_string())
    };
    let denied = ("\"deny\"".to_owned(), "\"protected\"".to_owned());
    for path in ["tools/pre-commit", "conf", "current.json", "manifest.json"] {
        assert_eq!(asked(path), denied, "{path}");
    }
    assert_eq!(asked("tools.txt").0, "\"permit\"");
}
