//! `remit proxy`

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use remit_testkit::{ManifestBuilder, Origin, Site, program, trail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bench::{Bench, Running};

fn start(bench: &Bench, more: &[&str]) -> (Running, String) {
    let head = ["proxy", "--listen", "127.0.0.1:0", "--manifest", "manifest.json"];
    let mut command = bench.command(&[&head, more].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Running(Some(child)), line.trim().to_owned())
}

fn connect(address: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
    let mut answer = [0; 2048];
    let got = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..got]).into_owned()
}

fn terminate(running: Running) -> std::process::Output {
    let child = running.0.as_ref().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    running.finish()
}

#[test]
fn serves_refuses_records_and_ends() {
    let bench = Bench::new("proxy");
    bench.manifest(&ManifestBuilder::default().host("listed.example", &[443]));
    let (running, address) = start(&bench, &["--write-ca", "ca.pem"]);
    let answer = connect(&address, "unlisted.example:443");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let authority = fs::read_to_string(bench.area.work().join("ca.pem")).unwrap();
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"));
    let done = terminate(running);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let events = bench.events();
    trail::must_have(&events, "session_start", "allowed", &address);
    assert!(
        events.iter().any(|event| event["outcome"] == "denied"
            && event["resource"].as_str().unwrap().contains("unlisted.example")),
        "{events:#?}"
    );
    trail::must_have(&events, "session_end", "allowed", &address);
    trail::must_verify(&bench.area.remit_home());
}

#[test]
fn the_address_and_the_authority_as_json() {
    let bench = Bench::new("proxy-json");
    bench.manifest(&ManifestBuilder::default());
    let (running, line) = start(&bench, &["--format", "json"]);
    let told: Value = serde_json::from_str(&line).unwrap();
    assert!(told["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(told["authority"].as_str().unwrap().contains("BEGIN CERTIFICATE"));
    assert!(connect(told["address"].as_str().unwrap(), "x.example:443").contains(" 403 "));
    assert_eq!(terminate(running).status.code(), Some(0));
}

/// Asks for `/` and says how long the answer took.
fn ask(proxy: &str, host: &str) -> Duration {
    let started = Instant::now();
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    started.elapsed()
}

#[test]
fn slow_clients_keep_nobody_from_being_served() {
    let bench = Bench::new("proxy-slow");
    let origin = Origin::plain("127.0.0.1:0", Site::Builtin);
    let host = origin.address().to_string();
    let rule = ManifestBuilder::default().host("127.0.0.1", &[origin.address().port()]);
    bench.manifest(&rule);
    let (running, address) = start(&bench, &[]);
    assert!(ask(&address, &host) < Duration::from_secs(2));
    // Heads, bodies, and reading.
    for (way, path) in [("-H", ""), ("-B", "echo"), ("-X", "bytes/300000")] {
        let mut attack = Command::new(program("slowhttptest"));
        attack
            .args([way, "-c", "400", "-r", "400", "-i", "1", "-l", "7", "-p", "5", "-d", &address]);
        attack.args(["-v", "1", "-u", &format!("http://{host}/{path}")]);
        attack.stdout(Stdio::piped()).stderr(Stdio::null());
        let attack = Running(Some(attack.spawn().unwrap()));
        let began = Instant::now();
        let mut slowest = Duration::ZERO;
        while began.elapsed() < Duration::from_secs(6) {
            std::thread::sleep(Duration::from_millis(200));
            slowest = slowest.max(ask(&address, &host));
        }
        let told = String::from_utf8_lossy(&attack.finish().stdout).into_owned();
        assert!(slowest < Duration::from_secs(2), "{way}: {slowest:?}\n{told}");
        let last = |word: &str| -> u32 {
            let line = told.lines().rev().find(|line| line.contains(word));
            let line = line.unwrap_or_else(|| panic!("no `{word}`: {told}"));
            let digits = line.chars().filter(char::is_ascii_digit).collect::<String>();
            digits.parse().unwrap()
        };
        // It was an attack.
        assert!(last("connected:") + last("closed:") >= 300, "{way}: {told}");
    }
    assert_eq!(terminate(running).status.code(), Some(0));
}

#[test]
fn what_cannot_be_served_ends_with_125_or_is_told_at_once() {
    let bench = Bench::new("proxy-bad");
    bench.area.write("work/manifest.json", "{\"agent\": 1}");
    let words = ["proxy", "--listen", "127.0.0.1:0", "--manifest", "manifest.json"];
    assert_eq!(bench.remit(&words).status, Some(125));
    bench.manifest(&ManifestBuilder::default());
    let missing = [&words[..], &["--upstream-ca", "absent.pem"]].concat();
    assert_eq!(bench.remit(&missing).status, Some(125));
    let unwritable = [&words[..], &["--write-ca", "absent/ca.pem"]].concat();
    assert_eq!(bench.remit(&unwritable).status, Some(2));
    let half = [&words[..], &["--ca-cert", "ca.pem"]].concat();
    assert_eq!(bench.remit(&half).status, Some(2));
    // Two cannot have one address; the first goes on.
    let (running, address) = start(&bench, &[]);
    let taken = ["proxy", "--listen", &address, "--manifest", "manifest.json"];
    assert_eq!(bench.remit(&taken).status, Some(125));
    assert!(connect(&address, "x.example:443").starts_with("HTTP/1.1 403"));
    assert_eq!(terminate(running).status.code(), Some(0));
}
