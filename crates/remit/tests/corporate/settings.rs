//! The operator's file: what is wrong in it is named with its position, and nothing starts.

use std::{fs, path::Path};

use libtest_mimic::Trial;
use remit_testkit::{Finished, remit, run_bounded};
use serde_json::{Value, json};

use crate::place::{Corner, PROXY, WEB, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("settings_mistakes_are_named_with_their_position", mistakes),
        trial("settings_that_others_can_change_or_read_are_refused", exposed),
        trial("settings_secrets_that_the_agent_could_read_are_refused", readable),
        trial("settings_are_shown_without_secrets", shown),
        trial("settings_own_roots_are_trusted_upstream_and_only_then", roots),
    ]
}

#[track_caller]
fn refused(corner: &Corner, parts: &[&str]) {
    let done = corner.session().shell("echo ran");
    let manifest = corner.area.write("manifest.json", corner.manifest.text());
    let mut proxy = std::process::Command::new(remit());
    proxy.args(["proxy", "--listen", "127.0.0.1:0", "--manifest"]).arg(manifest);
    proxy.env("REMIT_HOME", corner.area.remit_home());
    let proxy = run_bounded(&mut proxy, std::time::Duration::from_secs(20));
    for done in [&done, &proxy] {
        assert_eq!(done.status, Some(125), "{done}");
        for part in parts {
            assert!(done.stderr.contains(part), "{part}: {done}");
        }
        assert!(!done.stderr.contains("hunter2"), "the secret was printed: {done}");
        assert_eq!(done.stdout, "");
    }
}

fn mistakes() {
    let corner = Corner::new("settings");
    for (text, parts) in [
        ("{", &["egress.json:1:1"][..]),
        ("{\n  \"upstreamProxi\": {}\n}", &["egress.json:2:17", "upstreamProxi"]),
        ("{\"upstreamProxy\": {}}", &["egress.json:1:20", "url"]),
        ("{\"upstreamProxy\":\n{\"url\": \"proxy:3128\"}}", &["egress.json:2:", "http://"]),
        ("{\"upstreamProxy\": {\"url\": \"http://u:hunter2@p:1\"}}", &["egress.json:1:", "`auth`"]),
        ("{\"upstreamProxy\": {\"url\": \"http://p:1\", \"bypass\": [\"a..b\"]}}", &["a..b"]),
        ("{\"upstreamProxy\": {\"url\": \"http://p:1\", \"targetBy\": \"both\"}}", &["both"]),
        (
            "{\"upstreamProxy\": {\"url\": \"http://p:1\", \"ca\": \"x.pem\"}}",
            &["upstreamProxy/ca"],
        ),
        (
            "{\"upstreamProxy\": {\"url\": \"https://p:1\", \"ca\": \"x.pem\"}}",
            &["x.pem", "No such file"],
        ),
        ("{\"upstreamProxy\": {\"url\": \"http://p:1\", \"auth\": {}}}", &["`bearerFile`"]),
        (
            "{\"upstreamProxy\": {\"url\": \"http://p:1\", \"auth\": \"hunter2\"}}",
            &["egress.json:1:"],
        ),
        (
            "{\"upstreamProxy\": {\"url\": \"http://p:1\", \"auth\": {\"bearer\": \"hunter2\", \"bearerFile\": \"f\"}}}",
            &["not in both"],
        ),
        (
            "{\"upstreamProxy\": {\"url\": \"http://p:1\", \"auth\": {\"header\": {\"name\": \"host\", \"value\": \"hunter2\"}}}}",
            &["upstreamProxy/auth"],
        ),
        ("{\"rootCas\": [\"none.pem\"]}", &["none.pem"]),
        ("{\"rootCas\": [\"egress.json\"]}", &["egress.json", "no PEM certificate"]),
        ("{} {}", &["egress.json:1:4"]),
        ("{\"rootCas\": [], \"rootCas\": []}", &["duplicate"]),
    ] {
        corner.write_settings(text);
        refused(&corner, parts);
    }
    corner.write_settings(&format!("{{}}{}", " ".repeat(2 << 20)));
    refused(&corner, &["larger than"]);
    let path = corner.write_settings("{}");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&corner, &["not a regular file"]);
    // The permitted beside it: an empty file of settings, and none.
    fs::remove_dir(&path).unwrap();
    assert_eq!(corner.session().shell("echo ran").must_succeed().stdout, "ran\n");
    corner.write_settings("{}");
    assert_eq!(corner.session().shell("echo ran").must_succeed().stdout, "ran\n");
}

fn exposed() {
    let corner = Corner::new("settings-modes");
    let path = corner.settings(&corner.through());
    for mode in [0o640, 0o604, 0o644] {
        corner.close(&path, mode);
        refused(&corner, &["egress.json", "holds a secret"]);
    }
    corner.close(&path, 0o620);
    refused(&corner, &["egress.json", "others can change"]);
    let secret = corner.area.write("remit/config/password", "hunter2\n");
    let mut settings = corner.through();
    settings["upstreamProxy"]["auth"] = json!({"bearerFile": "password"});
    let path = corner.settings(&settings);
    corner.close(&secret, 0o644);
    refused(&corner, &["password", "holds a secret"]);
    // The file of settings holds none then, and may be read.
    corner.close(&secret, 0o600);
    corner.close(&path, 0o644);
    assert_eq!(corner.session().shell("echo ran").must_succeed().stdout, "ran\n");
    fs::write(&secret, "").unwrap();
    refused(&corner, &["password", "empty"]);
    fs::write(&secret, "two\nhunter2\n").unwrap();
    refused(&corner, &["upstreamProxy/auth"]);
    corner.close(&corner.area.path().join("roots.pem"), 0o666);
    fs::write(&secret, "hunter2\n").unwrap();
    refused(&corner, &["roots.pem", "others can change"]);
}

fn readable() {
    let mut corner = Corner::new("settings-grant");
    let secret = corner.area.write("work/password", "hunter2\n");
    corner.close(&secret, 0o600);
    let mut settings = corner.through();
    settings["upstreamProxy"]["auth"] = json!({"bearerFile": secret});
    corner.settings(&settings);
    assert_eq!(corner.session().shell("echo ran").must_succeed().stdout, "ran\n");
    corner.manifest = corner.manifest.read(corner.area.work());
    let done = corner.session().shell("cat password");
    assert_eq!(done.status, Some(125), "{done}");
    assert!(done.stderr.contains("this session could read it"), "{done}");
    assert!(!done.to_string().contains("hunter2"), "{done}");
}

fn shown() {
    let corner = Corner::new("settings-shown");
    let mut settings = corner.through();
    settings["upstreamProxy"]["auth"]["basic"]["password"] = json!("hunter2");
    settings["upstreamProxy"]["bypass"] = json!(["*.corp.example", "10.0.0.0/8"]);
    corner.settings(&settings);
    let plan = |format: &str| -> Finished {
        let session = corner.session().flag("--dry-run").flag("--format").flag(format);
        session.shell("true").must_succeed()
    };
    let line = format!(
        "http://{PROXY}:3128 (basic credentials, by address); directly: *.corp.example, 10.0.0.0/8"
    );
    assert!(plan("text").stdout.contains(&line), "{}", plan("text"));
    let document: Value = serde_json::from_str(&plan("json").stdout).unwrap();
    assert_eq!(
        document["upstream_proxy"],
        json!({"url": format!("http://{PROXY}:3128"), "auth": "basic", "target_by": "address",
            "bypass": ["*.corp.example", "10.0.0.0/8"]})
    );
    assert_eq!(document["root_cas"], json!([corner.area.path().join("roots.pem")]));
    let mut doctor = std::process::Command::new(remit());
    doctor.arg("doctor").env("REMIT_HOME", corner.area.remit_home());
    let told = run_bounded(&mut doctor, std::time::Duration::from_secs(60)).must_succeed();
    assert!(told.stdout.contains(&line) && told.stdout.contains("egress_settings"), "{told}");
    for done in [plan("text"), plan("json"), told] {
        assert!(!done.to_string().contains("hunter2"), "{done}");
    }
    corner.write_settings("{\"upstreamProxy\": 1}");
    let told = run_bounded(&mut doctor, std::time::Duration::from_secs(60));
    assert_eq!(told.status, Some(1), "{told}");
    assert!(told.stdout.contains("egress.json:1:"), "{told}");
}

fn roots() {
    let corner = Corner::new("settings-roots");
    let done = corner.curl(&format!("https://{WEB}/"));
    let words = "the server's certificate comes from no authority that is trusted here";
    assert!(done.stdout.contains(words) && done.stdout.ends_with(" 502"), "{done}");
    fs::copy(corner.area.path().join("roots.pem"), copy(&corner)).unwrap();
    corner.settings(&json!({"rootCas": ["corp.pem"]}));
    let done = corner.curl(&format!("https://{WEB}/"));
    assert!(done.stdout.ends_with(" 200"), "{done}");
}

/// Beside the settings: a relative path begins there.
fn copy(corner: &Corner) -> impl AsRef<Path> {
    let folder = corner.area.remit_home().join("config");
    fs::create_dir_all(&folder).unwrap();
    folder.join("corp.pem")
}
