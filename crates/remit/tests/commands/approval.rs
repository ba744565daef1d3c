//! `remit approval` and `remit session`

use std::os::unix::process::ExitStatusExt as _;

use remit_testkit::{ManifestBuilder, program, remit};
use serde_json::{Value, json};

use crate::bench::{Bench, snapshot, wait_for};

/// A folder that asks, with a file in it.
fn asking(name: &str) -> Bench {
    let bench = Bench::new(name);
    let shelf = bench.area.write("shelf/plan", "the plan\n");
    let shelf = shelf.parent().unwrap();
    let rule = json!({"path": shelf, "mode": "read", "ask": true});
    let manifest = ManifestBuilder::default().write(bench.area.work());
    bench.manifest(&manifest.file(rule).execute(program("cat")).execute(program("sleep")));
    bench
}

fn cat(bench: &Bench) -> String {
    format!("cat {}", bench.area.path().join("shelf/plan").display())
}

fn id(question: &Value) -> String {
    question["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_question_is_listed_shown_and_answered_with_yes() {
    let bench = asking("approve");
    let running = bench.start(&cat(&bench));
    let questions = bench.questions();
    assert_eq!((questions.len(), &questions[0]["version"]), (1, &json!(1)));
    let question = id(&questions[0]);
    assert_eq!(questions[0]["action"], "read_file");
    assert_eq!(questions[0]["agent"], "org.remit.test");
    let list = bench.remit(&["approval", "list"]).must_succeed().stdout;
    assert!(list.contains(&question) && list.contains("shelf/plan"), "{list}");
    let shown = bench.remit(&["approval", "show", &question]).must_succeed().stdout;
    assert!(shown.contains("/permissions/fileAccess/1 of "), "{shown}");
    assert!(shown.contains(&format!("remit approval deny {question}")), "{shown}");
    let json = bench.remit(&["approval", "show", &question, "--format", "jsonl"]).must_succeed();
    let shown: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&shown["version"], id(&shown)), (&json!(1), question.clone()));
    bench.remit(&["approval", "approve", &question]).must_succeed();
    let done = running.finish();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "the plan\n");
    // The trail has who said so.
    let decisions: Vec<Value> =
        bench.events().into_iter().filter(|event| event["action"] == "approval_decision").collect();
    assert_eq!(decisions.len(), 1);
    assert!(decisions[0]["detail"].as_str().unwrap().contains("once by "), "{}", decisions[0]);
}

#[test]
fn once_is_once_and_a_session_is_longer() {
    let bench = asking("lifetimes");
    let running = bench.start(&format!("{0}; {0}; {0}", cat(&bench)));
    let first = id(&bench.questions()[0]);
    bench.remit(&["approval", "approve", "--once", &first]).must_succeed();
    let second = wait_for("the second question", || {
        let next = id(&bench.questions()[0]);
        (next != first).then_some(next)
    });
    bench.remit(&["approval", "approve", &second, "--session"]).must_succeed();
    let done = running.finish();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "the plan\n".repeat(3), "{done:?}");
}

#[test]
fn a_while_is_counted_from_now() {
    let bench = asking("until");
    let running = bench.start(&cat(&bench));
    let question = id(&bench.questions()[0]);
    // A time that has passed is refused before the session hears of it.
    let done = bench.remit(&["approval", "approve", &question, "--until", "2020-01-01T00:00:00Z"]);
    assert_eq!(done.status, Some(1), "{done}");
    assert!(done.stderr.contains("has passed"), "{done}");
    bench.remit(&["approval", "approve", &question, "--until", "10m"]).must_succeed();
    assert!(running.finish().status.success());
    let grants = bench.events().into_iter().filter(|event| event["action"] == "grant").count();
    assert_eq!(grants, 1);
}

#[test]
fn no_is_no() {
    let bench = asking("deny");
    let running = bench.start(&cat(&bench));
    let question = id(&bench.questions()[0]);
    bench.remit(&["approval", "deny", &question]).must_succeed();
    let done = running.finish();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    // Twice is once too often, whoever asks.
    assert_eq!(bench.remit(&["approval", "approve", &question]).status, Some(1));
}

#[test]
fn without_a_session_there_is_nobody_to_answer() {
    let bench = Bench::new("nobody");
    let question = "a-0123456789abcdef-1";
    for verb in ["show", "approve", "deny"] {
        let done = bench.remit(&["approval", verb, question]);
        assert_eq!((done.status, done.stdout.as_str()), (Some(1), ""), "{done}");
        snapshot("approval-no-session", &done.stderr);
    }
    let done = bench.remit(&["approval", "list"]).must_succeed();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", "nothing waits for an answer\n"));
    let done = bench.remit(&["approval", "list", "--format", "json"]).must_succeed();
    assert_eq!(done.stdout, "[]\n");
    let done = bench.remit(&["session", "kill", "s-0123456789abcdef"]);
    assert_eq!(done.status, Some(1));
    for bad in ["x", "a-0123456789abcdef-01", "a-../../../etc-1", "e-0123456789abcdef-1"] {
        assert_eq!(bench.remit(&["approval", "approve", bad]).status, Some(2), "{bad}");
    }
}

#[test]
fn another_question_of_the_session_is_not_meant() {
    let bench = asking("other-id");
    let running = bench.start(&cat(&bench));
    let question = id(&bench.questions()[0]);
    let other = format!("{}7", question.strip_suffix('1').unwrap());
    assert_eq!(bench.remit(&["approval", "approve", &other]).status, Some(1));
    assert_eq!(bench.questions().len(), 1);
    bench.remit(&["approval", "deny", &question]).must_succeed();
    drop(running);
}

#[test]
fn sessions_are_listed_and_ended() {
    let bench = asking("kill");
    assert_eq!(bench.remit(&["session", "list"]).must_succeed().stderr, "no session is running\n");
    let first = bench.start(&cat(&bench));
    let second = bench.start(&cat(&bench));
    bench.wait_for_events("session_start", 2);
    let sessions = wait_for("two sessions", || {
        let done = bench.remit(&["session", "list", "--format", "json"]).must_succeed();
        let all: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
        (all.len() == 2).then_some(all)
    });
    assert_eq!(sessions[0]["version"], 1);
    let session = sessions[0]["session"].as_str().unwrap();
    let pid = sessions[0]["pid"].as_u64().unwrap();
    let (ended, other) = if u64::from(first.0.as_ref().unwrap().id()) == pid {
        (first, second)
    } else {
        (second, first)
    };
    let list = bench.remit(&["session", "list"]).must_succeed().stdout;
    assert!(list.contains(session) && list.contains("org.remit.test"), "{list}");
    bench.remit(&["session", "kill", session]).must_succeed();
    assert_eq!(ended.finish().status.code(), Some(137));
    bench.remit(&["session", "kill", "--all"]).must_succeed();
    assert_eq!(other.finish().status.code(), Some(137));
    bench.remit(&["audit", "verify"]).must_succeed();
    // The trail has who ended them.
    let contained: Vec<Value> =
        bench.events().into_iter().filter(|event| event["action"] == "contain").collect();
    assert_eq!(contained.len(), 2);
    for event in contained {
        assert!(event["detail"].as_str().unwrap().starts_with("killed by "), "{event}");
    }
}

/// A supervisor that is stopped takes no calls: it is not overlooked, and it ends.
#[test]
fn a_session_that_does_not_answer_is_listed_and_ended() {
    let bench = asking("stopped");
    let running = bench.start("sleep 300");
    bench.wait_for_events("session_start", 1);
    let pid = i32::try_from(running.0.as_ref().unwrap().id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let done = bench.remit(&["session", "list", "--format", "json"]).must_succeed();
    let all: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((all.len(), &all[0]["reachable"]), (1, &json!(false)), "{done}");
    let done = bench.remit(&["session", "kill", "--all"]).must_succeed();
    assert!(done.stderr.ends_with(" ended\n"), "{done}");
    let contained: Vec<Value> =
        bench.events().into_iter().filter(|event| event["action"] == "contain").collect();
    assert_eq!(contained.len(), 1);
    assert_eq!(
        contained[0]["resource"],
        format!("session {}", all[0]["session"].as_str().unwrap())
    );
    assert!(contained[0]["detail"].as_str().unwrap().starts_with("killed by "), "{contained:?}");
    bench.remit(&["audit", "verify"]).must_succeed();
    // Its streams are at their end only when all of the session is.
    assert_eq!(running.finish().status.signal(), Some(9));
    assert_eq!(bench.remit(&["session", "list"]).must_succeed().stderr, "no session is running\n");
}

/// A stopped supervisor may hold the log's lock: who ends it is written down before, and in the log
/// once that is free again.
#[test]
fn a_session_that_holds_the_log_is_ended_and_its_end_recorded() {
    let bench = asking("stopped-log");
    let running = bench.start("sleep 300");
    bench.wait_for_events("session_start", 1);
    let pid = i32::try_from(running.0.as_ref().unwrap().id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    // First the lock: the one that is stopped may hold it, and would not give it back.
    let audit = bench.area.remit_home().join("audit");
    let lock = std::fs::File::open(audit.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    bench.remit(&["session", "kill", "--all"]).must_succeed();
    assert_eq!(running.finish().status.signal(), Some(9));
    let written: Vec<_> = std::fs::read_dir(audit.join("intents")).unwrap().flatten().collect();
    assert_eq!(written.len(), 1);
    drop(lock);
    // The next one that opens the log.
    let next = bench.start("true");
    bench.wait_for_events("session_end", 1);
    drop(next);
    let contained: Vec<Value> =
        bench.events().into_iter().filter(|event| event["action"] == "contain").collect();
    assert_eq!(contained.len(), 1, "{contained:?}");
    assert!(contained[0]["detail"].as_str().unwrap().starts_with("killed by "), "{contained:?}");
    bench.remit(&["audit", "verify"]).must_succeed();
}

/// Bypass class: the agent answers its own question. It has `remit` itself, knows where the
/// sessions are, and even has a grant over the folder above them.
#[test]
fn an_agent_cannot_answer_its_own_question() {
    let bench = asking("self-approval");
    let rule = json!({"path": bench.area.path().join("shelf"), "mode": "read", "ask": true});
    let manifest = ManifestBuilder::default()
        .write(bench.area.path())
        .file(rule)
        .execute(program("cat"))
        .execute(program("sleep"))
        .execute(remit());
    // What may be executed must not be writable: the grant above must not cover the binary.
    assert!(!remit().starts_with(bench.area.path()));
    bench.manifest(&manifest);
    let script = format!(
        "{} > got & sleep 1; export REMIT_HOME='{}'; \
         '{remit}' approval list --format json > list; \
         id=a-${{REMIT_SESSION#s-}}-1; '{remit}' approval approve $id --session; echo $? > status; \
         '{remit}' session kill --all; wait",
        cat(&bench),
        bench.area.remit_home().display(),
        remit = remit().display(),
    );
    let running = bench.start(&script);
    let question = id(&bench.questions()[0]);
    let status = wait_for("the agent's answer", || {
        bench.area.read("work/status").filter(|text| text.ends_with('\n'))
    });
    // `remit` itself ran, and found nobody to answer to.
    assert_eq!(status.trim(), "1");
    // It still waits for a person, and the agent lives on.
    assert_eq!(id(&bench.questions()[0]), question);
    let seen = bench.area.read("work/list").unwrap_or_default();
    assert!(!seen.contains(&question), "{seen}");
    bench.remit(&["approval", "deny", &question]).must_succeed();
    let done = running.finish();
    assert!(done.status.code().is_some(), "{done:?}");
    assert_eq!(bench.area.read("work/got").as_deref(), Some(""));
}
