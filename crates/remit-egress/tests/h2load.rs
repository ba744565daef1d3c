//! Many HTTP/2 streams at once, by h2load (nghttp2) inside a session's namespace.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use common::{
    netns::{Session, isolated, text},
    origin::proper,
    policy::Rule,
    world::World,
};
use remit_core::{Action, Outcome};

/// Resident memory of this process, in MiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

#[test]
fn every_stream_of_many_is_decided_on_and_answered() {
    if !isolated() {
        return;
    }
    let world = World::new();
    world.names("127.0.0.2 new.test\n127.0.0.3 old.test\n");
    let rules = |name: &str| Rule::new(name, &[443]).paths(&["/", "/count"]);
    world.rules(vec![rules("new.test"), rules("old.test")]);
    // One server speaks HTTP/2, the other HTTP/1.1 only.
    let tls = |names: &[&str], alpn: &[&str]| Some(world.outside.server(names, alpn));
    proper("127.0.0.2:443", tls(&["new.test"], &["h2", "http/1.1"]));
    proper("127.0.0.3:443", tls(&["old.test"], &["http/1.1"]));
    let session = Arc::new(Session::new());
    let _egress = world.transparent(Arc::clone(&session) as Arc<dyn remit_egress::SessionNet>);
    let load = |options: &[&str], path: &str| {
        let output = session.run("h2load", &[options, &[path]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        text(&output)
    };
    let permitted = || {
        let all = world.trail.all();
        let request = |one: &&remit_core::Record| {
            one.action == Action::HttpRequest && one.outcome == Outcome::Allowed
        };
        all.iter().filter(request).count()
    };
    load(&["-n", "10"], "https://new.test/");
    let before = resident();
    for (name, count) in [("new.test", 2000), ("old.test", 500)] {
        let seen = permitted();
        let number = count.to_string();
        let out = load(&["-n", &number, "-c", "5", "-m", "100"], &format!("https://{name}/"));
        let done = format!("{count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout");
        assert!(out.contains(&done), "{out}");
        assert!(out.contains(&format!("{count} 2xx, 0 3xx, 0 4xx, 0 5xx")), "{out}");
        assert!(out.contains("Application protocol: h2"), "{out}");
        assert_eq!(permitted() - seen, count, "one record for each stream");
    }
    // Refused ones are answered as well, and none of them is sent.
    let seen = permitted();
    let out = load(&["-n", "1000", "-c", "5", "-m", "100"], "https://new.test/secret");
    assert!(out.contains("0 2xx, 0 3xx, 1000 4xx, 0 5xx"), "{out}");
    assert_eq!(permitted(), seen);
    // Bodies, through windows smaller than they are.
    let body = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(body.path(), vec![b'x'; 300_000]).unwrap();
    let upload = ["-n", "100", "-c", "4", "-m", "10", "-w", "12", "-d"];
    let upload = [&upload[..], &[body.path().to_str().unwrap()]].concat();
    let out = load(&upload, "https://new.test/count");
    assert!(out.contains("100 2xx, 0 3xx, 0 4xx, 0 5xx"), "{out}");
    let after = resident();
    assert!(after < before + 128, "{before} MiB became {after} MiB");
}
