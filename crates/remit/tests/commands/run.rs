//! `remit run` before the program starts: statuses, diagnostics, the plan.

use remit_testkit::{ManifestBuilder, program};
use serde_json::{Value, json};

use crate::bench::{Bench, snapshot};

fn run(bench: &Bench, command: &[&str]) -> remit_testkit::Finished {
    let head = ["run", "--manifest", "manifest.json", "--non-interactive", "--"];
    bench.remit(&[&head, command].concat())
}

#[test]
fn the_programs_own_status_is_remits() {
    let bench = Bench::new("run-status");
    bench.manifest(&ManifestBuilder::default());
    let shell = program("sh");
    let shell = shell.to_str().unwrap();
    for status in [0, 1, 2, 42, 125, 126, 127] {
        let done = run(&bench, &[shell, "-c", &format!("exit {status}")]);
        assert_eq!(done.status, Some(status), "{done}");
    }
    assert_eq!(run(&bench, &[shell, "-c", "kill -TERM $$"]).status, Some(128 + 15));
}

#[test]
fn programs_that_are_missing_or_may_not_run() {
    let bench = Bench::new("run-programs");
    bench.manifest(&ManifestBuilder::default().write(bench.area.work()));
    bench.area.write("work/plain", "no program");
    let own = bench.area.work().join("own");
    std::fs::copy(program("true"), &own).unwrap();
    assert_eq!(run(&bench, &["no-such-program"]).status, Some(127));
    assert_eq!(run(&bench, &["./absent"]).status, Some(127));
    assert_eq!(run(&bench, &["./plain"]).status, Some(126));
    assert_eq!(run(&bench, &["/usr/bin"]).status, Some(126));
    // In a folder that the agent may write.
    let done = run(&bench, &["./own"]);
    assert_eq!(done.status, Some(126));
    snapshot("run-agent-written", &bench.masked(&done.stderr));
}

#[test]
fn refusals_quote_the_manifest() {
    let bench = Bench::new("run-refused");
    let cases: &[(&str, Value)] = &[
        ("expired", json!({"agent": "a.b", "expiry": "2020-01-01T00:00:00Z"})),
        ("unsupported", json!({"agent": "a.b", "permissions": {"display": "allow"}})),
        (
            "missing-grant",
            json!({"agent": "a.b", "permissions": {"fileAccess": [
                {"path": "/nonexistent/place", "mode": "write"}
            ]}}),
        ),
        ("pinned", json!({"agent": "a.b", "binary": {"sha256": "0".repeat(64)}})),
    ];
    for (name, manifest) in cases {
        bench.area.write("work/manifest.json", format!("{manifest:#}\n"));
        let done = run(&bench, &["true"]);
        assert_eq!((done.status, done.stdout.as_str()), (Some(125), ""), "{name}: {done}");
        if *name != "pinned" {
            snapshot(&format!("run-{name}"), &bench.masked(&done.stderr));
        }
    }
    // Nothing ran, so nothing is in the trail.
    assert!(!bench.area.remit_home().join("audit").exists());
}

#[test]
fn a_manifest_that_is_none() {
    let bench = Bench::new("run-no-manifest");
    let done = run(&bench, &["true"]);
    assert_eq!(done.status, Some(125));
    snapshot("run-no-manifest", &bench.masked(&done.stderr));
    bench.area.write("work/manifest.json", "{\"agent\": \"a.b\", \"permission\": {}}");
    let done = run(&bench, &["true"]);
    assert_eq!(done.status, Some(125));
    assert!(done.stderr.contains("did you mean `permissions`?"), "{done}");
}

#[test]
fn a_trail_that_cannot_be_written_means_that_nothing_runs() {
    let bench = Bench::new("run-no-trail");
    bench.manifest(&ManifestBuilder::default().write(bench.area.work()));
    std::fs::remove_dir(bench.area.remit_home()).unwrap();
    std::fs::write(bench.area.remit_home(), "a file").unwrap();
    let shell = program("sh");
    let done = run(&bench, &[shell.to_str().unwrap(), "-c", "echo > ran"]);
    assert_eq!(done.status, Some(125), "{done}");
    assert!(!bench.area.work().join("ran").exists());
}

#[test]
fn a_dry_run_prints_the_plan_and_starts_nothing() {
    let bench = Bench::new("run-plan");
    let manifest = ManifestBuilder::default().write(bench.area.work()).execute("/bin/cat");
    bench.manifest(&manifest);
    let head = ["run", "--manifest", "manifest.json", "--dry-run"];
    let command = ["--", "/bin/cat", "x"];
    let done = bench.remit(&[&head[..], &command].concat()).must_succeed();
    // A person whose home lies in a place that programs need gets another one.
    let plan = bench.masked(&done.stdout).replace("/home/agent", "[AREA]/home");
    snapshot("run-plan", &plan);
    let json = bench.remit(&[&head[..], &["--format", "json"], &command].concat()).must_succeed();
    let plan: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(plan["program"], "/bin/cat");
    assert!(!bench.area.remit_home().join("audit").exists());
}
