//! `remit top` and `remit session egress`

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use remit_testkit::{ManifestBuilder, program};
use serde_json::{Value, json};

use crate::bench::{Bench, snapshot, wait_for};

/// Answers every HTTP request with the same few bytes.
fn origin() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|count| count > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// A session with one listed host, a path of it that is refused, and an unlisted host.
fn bench(name: &str) -> (Bench, u16) {
    let (bench, port) = (Bench::new(name), origin());
    let host = json!({"host": format!("localhost:{port}"), "addresses": ["127.0.0.0/8"],
        "paths": ["/open/*"]});
    let manifest = ManifestBuilder::default().host_rule(host);
    bench.manifest(&manifest.execute(program("curl")).execute(program("sleep")));
    (bench, port)
}

fn script(port: u16) -> String {
    format!(
        "curl -s http://localhost:{port}/open/a http://localhost:{port}/open/b; \
         curl -s -o /dev/null http://localhost:{port}/closed; \
         curl -s http://unlisted.example/"
    )
}

fn host<'v>(traffic: &'v Value, name: &str) -> &'v Value {
    let hosts = traffic["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["host"] == name).unwrap_or_else(|| panic!("{name}: {traffic:#}"))
}

fn check(traffic: &Value) {
    let listed = host(traffic, "localhost");
    assert_eq!((&listed["permitted"], &listed["refused"]), (&json!(2), &json!(1)), "{listed}");
    assert!(listed["bytes_up"].as_u64().unwrap() > 100, "{listed}");
    assert!(listed["bytes_down"].as_u64().unwrap() > 100, "{listed}");
    let unlisted = host(traffic, "unlisted.example");
    assert_eq!((&unlisted["permitted"], &unlisted["connections"]), (&json!(0), &json!(0)));
    assert!(unlisted["refused"].as_u64().unwrap() >= 1, "{unlisted}");
}

#[test]
fn a_running_session_is_seen_and_an_ended_one_is_remembered() {
    let (bench, port) = bench("top");
    let running = bench.start(&format!("{}; touch /tmp/done; sleep 60", script(port)));
    bench.wait_for_events("session_start", 1);
    let seen = wait_for("all traffic", || {
        let done = bench.remit(&["top", "--format", "json"]).must_succeed();
        let all: Value = serde_json::from_str(&done.stdout).unwrap();
        let one = all.as_array().unwrap().first()?.clone();
        let hosts = one["egress"]["summary"]["hosts"].as_array().unwrap().len();
        (hosts == 2).then_some(one)
    });
    assert_eq!((&seen["version"], &seen["reachable"]), (&json!(1), &json!(true)));
    check(&seen["egress"]["summary"]);
    let session = seen["session"].as_str().unwrap().to_owned();
    let egress = |more: &[&str]| {
        let words = ["session", "egress", session.as_str()];
        bench.remit(&[words.as_slice(), more].concat()).must_succeed().stdout
    };
    let asked: Value = serde_json::from_str(&egress(&["--format", "json"])).unwrap();
    assert_eq!(asked["running"], true);
    check(&asked);
    // Without a terminal it prints once and ends.
    let text = bench.remit(&["top"]).must_succeed().stdout;
    assert!(text.contains(&format!("localhost:{port}")), "{text}");
    bench.remit(&["session", "kill", &session]).must_succeed();
    let _ = running.finish();
    let ended: Value = serde_json::from_str(&egress(&["--format", "json"])).unwrap();
    assert_eq!(ended["running"], false);
    check(&ended);
    let text = egress(&[]);
    assert!(text.contains("unlisted.example (name)"), "{text}");
    bench.remit(&["audit", "verify"]).must_succeed();
}

#[test]
fn nothing_runs_and_unknown_sessions() {
    let bench = Bench::new("top-none");
    let done = bench.remit(&["top"]);
    assert_eq!((done.status, done.stdout.as_str()), (Some(0), ""));
    assert!(done.stderr.contains("no session is running"), "{}", done.stderr);
    let (bench, _) = self::bench("top-unknown");
    let _ = bench.session("true").status().unwrap();
    let done = bench.remit(&["session", "egress", "s-0123456789abcdef"]);
    assert_eq!(done.status, Some(1), "{done:?}");
    snapshot("egress-unknown", &bench.masked(&done.stderr));
}
