//! Held requests, and `remit quarantine`.

use libtest_mimic::Trial;
use remit_testkit::trail;
use serde_json::{Value, json};

use crate::scene::{CANARY, Scene, WEB, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("n4_a_held_request_is_released_once_for_the_same_payload", released),
        trial("n4_a_rejected_payload_is_refused_and_gone", rejected),
    ]
}

fn holding(name: &str) -> Scene {
    Scene::new(name, json!({"outputs": {"CANARY": "quarantine"}}))
}

fn post(scene: &Scene, body: &str) -> (String, String) {
    let done = scene.shell(&format!(
        "curl -sS https://{WEB}/echo?n=1 -H 'authorization: Bearer tok-123' --data-binary '{body}' -w '\\n%{{http_code}}'"
    ));
    let done = done.must_succeed();
    let (answer, code) = done.stdout.trim_end().rsplit_once('\n').unwrap();
    (code.to_owned(), answer.to_owned())
}

fn ticket(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["code"], "data_held");
    answer["ticket"].as_str().unwrap().to_owned()
}

fn released() {
    let scene = holding("held");
    let body = format!("report on {CANARY} of today");
    let (code, answer) = post(&scene, &body);
    assert_eq!(code, "425", "{answer}");
    let ticket = ticket(&answer);
    assert!(scene.web.seen().is_empty(), "nothing left");

    let list = scene.remit(&["quarantine", "list"]).must_succeed().stdout;
    assert!(
        list.contains(&ticket) && list.contains("CANARY 1") && list.contains("waiting"),
        "{list}"
    );
    let json = scene.remit(&["quarantine", "list", "--format", "jsonl"]).must_succeed().stdout;
    let item: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&item["version"], &item["classes"]["CANARY"]), (&json!(1), &json!(1)));
    let shown = scene.remit(&["quarantine", "show", &ticket]).must_succeed().stdout;
    assert!(shown.contains("report on [CANARY] of today"), "{shown}");
    assert!(shown.contains("sha256:") && shown.contains("/dlp/outputs/CANARY"), "{shown}");
    assert!(!shown.contains("Nightingale") && !shown.contains("tok-123"), "{shown}");

    // On disk nothing of it can be read.
    let folder = scene.area.remit_home().join("quarantine");
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("Nightingale"));
    }
    // Another payload is not released with it.
    let done = scene.remit(&["quarantine", "release", &ticket]).must_succeed();
    assert!(done.stderr.contains("released"), "{done}");
    assert_eq!(post(&scene, &format!("{body}!")).0, "425");
    assert_eq!(post(&scene, &body).0, "200");
    assert_eq!(scene.web.seen()[0].body, body.as_bytes());
    // Once.
    assert_eq!(post(&scene, &body).0, "425");
    assert_eq!(scene.web.seen().len(), 1);

    let events = trail::events(&scene.area.remit_home());
    trail::must_have(&events, "quarantine_hold", "held", "/echo");
    trail::must_have(&events, "quarantine_decision", "allowed", "/echo");
    let passed = events
        .iter()
        .find(|event| event["action"] == "http_request" && event["reason"] == "data_released");
    assert!(passed.unwrap()["detail"].as_str().unwrap().contains(&ticket));
    trail::must_verify(&scene.area.remit_home());
}

fn rejected() {
    let scene = holding("rejected");
    let (_, answer) = post(&scene, CANARY);
    let ticket = ticket(&answer);
    scene.remit(&["quarantine", "reject", &ticket]).must_succeed();
    let (code, answer) = post(&scene, CANARY);
    assert!(code == "403" && answer.contains("data_rejected"), "{code} {answer}");
    assert!(scene.web.seen().is_empty());
    assert!(!scene.area.remit_home().join(format!("quarantine/{ticket}.sealed")).exists());
    let unknown = scene.remit(&["quarantine", "release", "q-aaaaaaaaaaaaaaaa"]);
    assert_eq!(unknown.status, Some(1), "{unknown}");
    assert!(unknown.stderr.contains("nothing is held"), "{unknown}");
    let events = trail::events(&scene.area.remit_home());
    trail::must_have(&events, "quarantine_decision", "denied", "/echo");
}
