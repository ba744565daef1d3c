//! `remit audit`: the trail of a real session, read, verified, proved and tampered with.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use remit_testkit::{ManifestBuilder, program, run_bounded};
use serde_json::Value;

use crate::bench::{Bench, LIMIT, snapshot};

/// A log with one ended session in which something was refused.
fn recorded(name: &str) -> Bench {
    let bench = Bench::new(name);
    let secret = bench.area.write("home/secret", "s");
    bench.manifest(&ManifestBuilder::default().write(bench.area.work()).execute(program("cat")));
    let script = format!("echo a > a; cat a; cat {}; exit 3", secret.display());
    let done = run_bounded(&mut bench.session(&script), LIMIT);
    assert_eq!(done.status, Some(3), "{done}");
    bench
}

#[test]
fn events_are_found_by_every_condition() {
    let bench = recorded("audit-query");
    let all = bench.events();
    let session = all[0]["session_id"].as_str().unwrap();
    for key in [
        "timestamp",
        "principal",
        "agent_id",
        "action",
        "resource",
        "permission_manifest",
        "token_id",
        "network_targets",
        "outcome",
        "event_id",
        "session_id",
        "correlation_id",
        "seq",
        "reason",
    ] {
        assert!(all.iter().all(|event| event.get(key).is_some()), "{key}");
    }
    let count = |arguments: &[&str]| {
        let words = [&["audit", "query"], arguments].concat();
        bench.remit(&words).must_succeed().stdout.lines().count()
    };
    let counted = |key: &str, value: &str| all.iter().filter(|event| event[key] == value).count();
    assert_eq!(count(&["--session", session]), all.len());
    assert_eq!(count(&["--session", "s-0123456789abcdef"]), 0);
    assert_eq!(count(&["--action", "read_file"]), counted("action", "read_file"));
    assert!(counted("outcome", "denied") > 0);
    assert_eq!(count(&["--outcome", "denied"]), counted("outcome", "denied"));
    assert_eq!(count(&["--limit", "2"]), 2);
    assert_eq!(count(&["--since", "1h"]), all.len());
    assert_eq!(count(&["--until", "1h"]), 0);
    assert_eq!(count(&["--since", "2100-01-01T00:00:00Z"]), 0);
    // The contract has it, this version never records it: nothing matches, nothing is wrong.
    assert_eq!(count(&["--action", "model_call"]), 0);
    let done = bench.remit(&["audit", "query", "--format", "json"]).must_succeed();
    let array: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(array, all);
    let none = bench.remit(&["audit", "query", "--format", "json", "--until", "1h"]).must_succeed();
    assert_eq!(none.stdout, "[]\n");
    let text = bench.remit(&["audit", "query", "--format", "text"]).must_succeed().stdout;
    assert_eq!(text.lines().count(), all.len());
}

#[test]
fn an_event_is_explained_from_the_trail() {
    let bench = recorded("audit-why");
    let denied = bench.events().into_iter().find(|event| event["outcome"] == "denied").unwrap();
    let event = denied["event_id"].as_str().unwrap();
    let done = bench.remit(&["why", event]).must_succeed();
    snapshot("why-event", &bench.masked(&done.stdout).replace(&login(), "[LOGIN]"));
    // Explained as it was decided then: without the lines, once the manifest has changed.
    bench.area.write("work/manifest.json", "{\"agent\": \"other.agent\"}");
    let done = bench.remit(&["why", event, "--format", "json"]).must_succeed();
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer["manifest"], Value::Null);
    assert_eq!(answer["reason"], "no_grant");
    assert_eq!(answer["event"]["event_id"], event);
}

fn login() -> String {
    let done = run_bounded(Command::new("id").arg("-un"), LIMIT).must_succeed();
    done.stdout.trim().to_owned()
}

#[test]
fn a_log_verifies_here_and_as_a_copy() {
    let bench = recorded("audit-verify");
    let done = bench.remit(&["audit", "verify"]).must_succeed();
    assert!(done.stdout.starts_with("intact: "), "{done}");
    let copy = bench.area.path().join("copy");
    copy_folder(&bench.area.remit_home().join("audit"), &copy);
    let copy = copy.to_str().unwrap();
    let done = bench.remit(&["audit", "verify", "--log", copy, "--format", "json"]).must_succeed();
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["intact"], true);
    assert_eq!(report["records"], bench.events().len());
}

#[test]
fn a_changed_record_is_found_with_its_place() {
    let bench = recorded("audit-tampered");
    let audit = bench.area.remit_home().join("audit");
    let changed = files(&audit).into_iter().filter(|file| {
        let bytes = fs::read(file).unwrap();
        let Some(at) = find(&bytes, b"\"denied\"") else { return false };
        let mut bytes = bytes;
        bytes[at..at + 8].copy_from_slice(b"\"allowed");
        fs::write(file, bytes).unwrap();
        true
    });
    assert!(changed.count() > 0, "no file of the log holds the record");
    let done = bench.remit(&["audit", "verify"]);
    assert_eq!(done.status, Some(1), "{done}");
    assert!(done.stdout.contains("\nTAMPERED: ") && done.stdout.contains("tampered: "), "{done}");
    let done = bench.remit(&["audit", "verify", "--format", "json"]);
    assert_eq!(done.status, Some(1));
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["intact"], false);
    let finding = &report["findings"][0];
    assert_eq!(finding["severity"], "tampering");
    assert!(finding["seq"].is_number() || finding["file"].is_string(), "{finding}");
}

#[test]
fn a_checkpoint_kept_elsewhere_shows_a_log_that_was_replaced() {
    let bench = recorded("audit-kept");
    let kept = bench.remit(&["audit", "checkpoint"]).must_succeed().stdout;
    let kept = bench.area.write("kept", kept);
    let key = bench.area.path().join("log.pub");
    fs::copy(bench.area.remit_home().join("audit/log.pub"), &key).unwrap();
    let kept = kept.to_str().unwrap();
    bench.remit(&["audit", "verify", "--checkpoint", kept]).must_succeed();
    // A whole new log with a new key: intact in itself.
    fs::remove_dir_all(bench.area.remit_home()).unwrap();
    run_bounded(&mut bench.session("true"), LIMIT).must_succeed();
    bench.remit(&["audit", "verify"]).must_succeed();
    let done = bench.remit(&["audit", "verify", "--checkpoint", kept]);
    assert_eq!(done.status, Some(2), "{done}");
    let done = bench.remit(&["audit", "verify", "--key", key.to_str().unwrap()]);
    assert_eq!(done.status, Some(1), "{done}");
}

/// Bypass class: an older state of the log, sound in itself, in place of the newer one.
#[test]
fn the_persons_own_log_is_held_against_what_was_signed_last() {
    let bench = recorded("audit-rolled-back");
    let audit = bench.area.remit_home().join("audit");
    let older = bench.area.path().join("older");
    copy_folder(&audit, &older);
    run_bounded(&mut bench.session("true"), LIMIT).must_succeed();
    bench.remit(&["audit", "verify"]).must_succeed();
    fs::remove_dir_all(&audit).unwrap();
    copy_folder(&older, &audit);
    let done = bench.remit(&["audit", "verify"]);
    assert_eq!(done.status, Some(1), "{done}");
    assert!(done.stdout.contains("rolled back"), "{done}");
    // A folder elsewhere is somebody's copy, of whatever age.
    bench.remit(&["audit", "verify", "--log", older.to_str().unwrap()]).must_succeed();
}

#[test]
fn one_event_is_proved_without_the_log() {
    let bench = recorded("audit-prove");
    let event = bench.events()[1]["event_id"].as_str().unwrap().to_owned();
    let proof = bench.remit(&["audit", "prove", &event]).must_succeed().stdout;
    let key = bench.area.path().join("log.pub");
    fs::copy(bench.area.remit_home().join("audit/log.pub"), &key).unwrap();
    fs::remove_dir_all(bench.area.remit_home()).unwrap();
    let key = key.to_str().unwrap();
    let check = |text: &str| {
        let file = bench.area.write("proof", text);
        bench.remit(&["audit", "prove", "--check", file.to_str().unwrap(), "--key", key])
    };
    let done = check(&proof).must_succeed();
    let proven: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(proven["event_id"], event.as_str());
    // Another index, and something that is no proof.
    let index = proof.lines().position(|line| line.starts_with("index ")).unwrap();
    let moved: Vec<&str> = proof
        .lines()
        .enumerate()
        .map(|(at, line)| if at == index { "index 0" } else { line })
        .collect();
    let done = check(&(moved.join("\n") + "\n"));
    assert_eq!((done.status, done.stdout.as_str()), (Some(1), ""), "{done}");
    assert_eq!(check("hello").status, Some(2));
}

#[test]
fn without_a_log_there_is_nothing_to_verify() {
    let bench = Bench::new("audit-none");
    for arguments in [
        &["audit", "verify"][..],
        &["audit", "query"],
        &["audit", "checkpoint"],
        &["audit", "prove", "e-0123456789abcdef-1"],
        &["audit", "verify", "--log", "/nonexistent"],
        &["audit", "verify", "--log", "/dev/null"],
    ] {
        let done = bench.remit(arguments);
        assert_eq!((done.status, done.stdout.as_str()), (Some(2), ""), "{arguments:?}: {done}");
    }
    let done = bench.remit(&["audit", "verify"]);
    snapshot("audit-none", &bench.masked(&done.stderr));
    // Asking does not begin a log.
    assert!(!bench.area.remit_home().join("audit").exists());
}

#[test]
fn an_unknown_event_is_told() {
    let bench = recorded("audit-unknown");
    for arguments in
        [["audit", "prove", "e-0123456789abcdef-1"].as_slice(), &["why", "e-0123456789abcdef-1"]]
    {
        let done = bench.remit(arguments);
        assert_eq!(done.status, Some(1), "{done}");
        assert!(done.stderr.contains("audit::no_event"), "{done}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let bench = recorded("audit-head");
    let mut child = bench
        .command(&["audit", "query"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}

/// A full disk behind standard output must not look like success.
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let bench = recorded("audit-full");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = bench.command(&["audit", "query"]).stdout(full).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(1));
}

/// What an agent names must not reach a person's terminal as it is.
#[test]
fn terminal_escapes_in_names_are_shown_and_not_sent() {
    let bench = Bench::new("audit-escape");
    bench.manifest(&ManifestBuilder::default().write(bench.area.work()));
    let script = "printf x > \"$(printf 'a\\033[2K\\rb')\"";
    run_bounded(&mut bench.session(script), LIMIT).must_succeed();
    for format in ["text", "json", "jsonl"] {
        let mut command = bench.command(&["audit", "query", "--format", format]);
        let text = run_bounded(&mut command, LIMIT).must_succeed().stdout;
        assert!(text.contains("/a") && !text.contains('\u{1b}') && !text.contains('\r'), "{text}");
    }
    std::io::stderr().flush().unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

fn copy_folder(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
