//! `remit run` before the program starts: statuses, diagnostics, the plan.

use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
};

use remit_testkit::{ManifestBuilder, program, remit, run_bounded};
use serde_json::{Value, json};

use crate::bench::{Bench, LIMIT, snapshot};

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
    let shelf = bench.area.write("shelf/plan", "text").parent().unwrap().to_owned();
    let manifest = ManifestBuilder::default()
        .write(bench.area.work())
        .file(json!({"path": shelf, "mode": "read", "ask": true, "expiry": "2098-01-01T00:00:00Z"}))
        .execute("/bin/cat")
        .host_rule(json!({"host": "api.example.org", "ports": [443], "methods": ["GET", "POST"],
            "paths": ["/v1/*"], "addresses": ["10.0.0.0/8"]}))
        .host_rule(json!({"host": "*.example.net", "tls": "passthrough", "ask": true}))
        .environment("SECRET_TOKEN")
        .set("/limits", json!({"memory": "160MiB", "cpu": "90s", "egressBytes": 1000}))
        .set("/expiry", json!("2099-01-01T00:00:00Z"));
    bench.manifest(&manifest);
    let plan = |format: &str| {
        let head = ["run", "--manifest", "manifest.json", "--principal", "alice", "--dry-run"];
        let words = [&head[..], &["--format", format, "--", "/bin/cat", "x"]].concat();
        let mut command = bench.command(&words);
        command.env("SECRET_TOKEN", "the value itself");
        let text = run_bounded(&mut command, LIMIT).must_succeed().stdout;
        assert!(!text.contains("the value itself"), "{text}");
        // A person whose home lies in a place that programs need gets another one.
        bench.masked(&text).replace("/home/agent", "[AREA]/home")
    };
    snapshot("run-plan", &plan("text"));
    let mut document: Value = serde_json::from_str(&plan("json")).unwrap();
    assert_eq!(plan("jsonl").lines().count(), 1);
    // These differ from machine to machine and from person to person.
    for key in ["hidden", "loaders", "user"] {
        assert!(!document[key].take().is_null(), "{key}");
    }
    snapshot("run-plan-json", &format!("{document:#}"));
    assert!(!bench.area.remit_home().join("audit").exists());
}

#[test]
fn a_plan_with_names_that_are_no_text_is_printed_whole() {
    let bench = Bench::new("run-plan-odd");
    let odd = bench.area.path().join(OsStr::from_bytes(b"odd\xff"));
    std::fs::create_dir(&odd).unwrap();
    bench.manifest(&ManifestBuilder::default().write("${WORKDIR}"));
    for format in ["json", "jsonl", "text"] {
        let head = ["run", "--manifest", "manifest.json", "--dry-run", "--format", format];
        let mut words: Vec<&OsStr> = head.iter().map(OsStr::new).collect();
        words.extend([OsStr::new("--workdir"), odd.as_os_str(), OsStr::new("--")]);
        words.push(OsStr::new("true"));
        let done = bench.remit(&words).must_succeed();
        assert!(done.stdout.contains("xff"), "{done}");
    }
}

/// A stream that is full or gone is a person's slip or `head`: the statuses of the contract stay.
#[test]
fn output_that_cannot_be_written_changes_no_status() {
    let bench = Bench::new("run-output");
    bench.manifest(&ManifestBuilder::default().execute(program("cat")));
    bench.area.write("work/bad.json", "{}");
    let remit = remit();
    let script = |script: &str| {
        let own = bench.command(&[""; 0]);
        let mut shell = std::process::Command::new(program("bash"));
        shell.current_dir(bench.area.work()).env_clear();
        shell.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let run = format!("R='{}'; set -o pipefail; {script}", remit.display());
        run_bounded(shell.args(["-c", &run]), LIMIT)
    };
    let status = |text: &str| script(text).status;
    assert_eq!(status("$R run --manifest bad.json -- true 2>/dev/full"), Some(125));
    assert_eq!(status("$R run --manifest manifest.json -- absent 2>/dev/full"), Some(127));
    let run = "$R run --non-interactive --manifest manifest.json --";
    let denied = "sh -c 'cat /etc/remit-none /root/none /home/none; exit 7'";
    assert_eq!(status(&format!("{run} {denied} 2>/dev/full")), Some(7));
    // The program's words come through, and remit's own may not.
    let closed = format!("{{ {run} {denied}; echo $? >status; }} 2>&1 | head -c 1");
    script(&closed);
    assert_eq!(bench.area.read("work/status").as_deref(), Some("7\n"));
    let plan = "$R run --manifest manifest.json --dry-run -- cat";
    // A reader that has gone away has seen enough; a full disk has lost the plan.
    assert_eq!(status(&format!("{plan} | true")), Some(0));
    assert_eq!(status(&format!("{plan} >/dev/full")), Some(125));
    assert_eq!(status("REMIT_LOG=debug $R session list 2>/dev/full"), Some(0));
}

/// Cron and service managers may set no `HOME`: `~` is still the person's own folder.
#[test]
fn without_a_home_variable_the_user_database_names_it() {
    let bench = Bench::new("run-no-home");
    bench.manifest(&ManifestBuilder::default().read("~"));
    let uid = std::fs::metadata(bench.area.path()).unwrap().uid().to_string();
    let database = std::fs::read_to_string("/etc/passwd").unwrap();
    let own = database.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let home = own.filter(|fields| fields[2] == uid).map(|fields| fields[5]).next().unwrap();
    for set in [None, Some(""), Some("relative")] {
        let words = ["run", "--manifest", "manifest.json", "--dry-run", "--", "/bin/cat"];
        let mut command = bench.command(&words);
        command.env_remove("HOME");
        if let Some(set) = set {
            command.env("HOME", set);
        }
        // A home that is not there is left out with a warning that names it.
        let done = run_bounded(&mut command, LIMIT).must_succeed();
        let told = format!("{}{}", done.stdout, done.stderr);
        assert!(
            told.contains(&format!("read      {home}\n"))
                || told.contains(&format!(": {home} does not exist")),
            "{done}"
        );
    }
}
