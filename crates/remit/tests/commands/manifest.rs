//! `remit manifest`

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use serde_json::Value;

use crate::bench::{Bench, snapshot};

const GOOD: &str = "{\n  \"version\": 1,\n  \"agent\": \"org.example.a\"\n}\n";

const MISTAKES: &str = r#"{
  "agent": "org.example.a",
  "permissons": {},
  "permissions": {
    "fileAccess": [
      {"path": "/data", "mode": "read"},
      {"path": "/data/", "mode": "write"},
      {"path": "../up", "mode": "raed"}
    ],
    "network": {"egressHosts": ["https://example.org/", "*.com", "0x7f.1"]}
  },
  "expiry": "tomorrow"
}
"#;

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    let bench = Bench::new("manifest-check");
    bench.area.write("work/good.json", GOOD);
    bench.area.write("work/bad.json", MISTAKES);
    let done = bench.remit(&["manifest", "check", "good.json"]).must_succeed();
    assert_eq!(done.stdout, "good.json: valid\n");
    let done = bench.remit(&["manifest", "check", "good.json", "bad.json"]);
    assert_eq!(done.status, Some(1));
    assert_eq!(done.stdout, "good.json: valid\n");
    snapshot("manifest-mistakes", &done.stderr);
    let done = bench.remit(&["manifest", "check", "--format", "json", "good.json", "bad.json"]);
    assert_eq!(done.status, Some(1));
    let verdicts: Value = serde_json::from_str(&done.stdout).unwrap();
    snapshot("manifest-mistakes-json", &format!("{verdicts:#}"));
}

#[test]
fn what_is_no_manifest_at_all_is_not_valid() {
    let bench = Bench::new("manifest-odd");
    bench.area.write("work/latin.json", b"{\"agent\": \"\xe4\"}");
    bench.area.write("work/deep.json", "[".repeat(100_000));
    fs::File::create(bench.area.work().join("huge.json")).unwrap().set_len(100 << 20).unwrap();
    for name in ["absent.json", "latin.json", "deep.json", "huge.json", ".", "/dev/zero"] {
        let done = bench.remit(&["manifest", "check", name]);
        assert_eq!(done.status, Some(1), "{name}: {done}");
        assert!(done.stderr.contains("help:"), "{name}: {done}");
    }
}

#[test]
fn keys_of_later_versions_are_valid_but_named() {
    let bench = Bench::new("manifest-later");
    bench.area.write("work/m.json", r#"{"agent": "a.b", "permissions": {"display": "allow"}}"#);
    let done = bench.remit(&["manifest", "check", "m.json"]).must_succeed();
    assert!(done.stderr.contains("/permissions/display"), "{done}");
}

#[test]
fn formatting_prints_checks_and_rewrites() {
    let bench = Bench::new("manifest-fmt");
    bench.area.write("work/good.json", GOOD);
    let loose = bench.area.write("work/loose.json", r#"{"agent":"org.example.a", "version":1,}"#);
    assert_eq!(bench.remit(&["manifest", "fmt", "loose.json"]).must_succeed().stdout, GOOD);
    assert_eq!(bench.remit(&["manifest", "fmt", "--check", "good.json"]).status, Some(0));
    let both = bench.remit(&["manifest", "fmt", "--check", "good.json", "loose.json"]);
    assert_eq!((both.status, both.stdout.as_str()), (Some(1), ""));
    // A link stays a link, and the mode stays.
    fs::set_permissions(&loose, fs::Permissions::from_mode(0o640)).unwrap();
    let link = bench.area.work().join("link.json");
    symlink("loose.json", &link).unwrap();
    bench.remit(&["manifest", "fmt", "--write", "link.json"]).must_succeed();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&loose).unwrap(), GOOD);
    assert_eq!(loose.metadata().unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn formatting_never_loses_comments_unasked() {
    let bench = Bench::new("manifest-comments");
    let text = "{\n  // whom it is for\n  \"agent\": \"org.example.a\"\n}\n";
    bench.area.write("work/m.json", text);
    let done = bench.remit(&["manifest", "fmt", "--write", "m.json"]);
    assert_eq!(done.status, Some(1), "{done}");
    assert_eq!(bench.area.read("work/m.json").unwrap(), text);
    bench.remit(&["manifest", "fmt", "--write", "--force", "m.json"]).must_succeed();
    assert!(!bench.area.read("work/m.json").unwrap().contains("whom"));
}

#[test]
fn the_schema_is_json() {
    let bench = Bench::new("manifest-schema");
    let done = bench.remit(&["manifest", "schema"]).must_succeed();
    let schema: Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(schema["$schema"].is_string());
    assert!(schema["properties"]["permissions"].is_object());
}
