//! What leaves the machine, seen from the other end of its only wire. A session that must stay on
//! this machine sends no packet; the same session without that rule does, so the watcher sees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub
)]

mod wire;
#[path = "../attacks/world.rs"]
mod world;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use libtest_mimic::Arguments;
use remit_testkit::{ManifestBuilder, Origin, Reply, Site, remit};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    wire::{INNER, OWN, PUBLIC, Wire},
    world::{World, trial},
};

fn main() {
    wire::enter();
    let mut arguments = Arguments::from_args();
    // One wire, and one watcher at its end.
    arguments.test_threads = Some(1);
    let trials = vec![
        trial("reach_local_only_sends_no_packet_out", run),
        trial("reach_local_only_proxy_sends_no_packet_out", proxy),
        trial("reach_block_external_sends_nothing_to_public_addresses", private),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// Names that lead to every kind of place, with rules as wide as they can be written.
fn manifest(world: World) -> World {
    let ports = [80, 443, 8080];
    let wide = [
        json!({"host": "far.example", "ports": ports, "addresses": ["93.184.216.0/24", "0.0.0.0/0"]}),
        json!({"host": "six.example", "ports": ports, "addresses": ["::/0"]}),
        json!({"host": PUBLIC.to_string(), "ports": ports}),
    ];
    named(world).with(|manifest, _| wide.into_iter().fold(manifest, ManifestBuilder::host_rule))
}

/// The same as far as it goes together with `blockExternal`.
fn named(world: World) -> World {
    let port = [80, 443, 8080];
    let rules = [
        json!({"host": "public.example", "ports": port}),
        json!({"host": "inner.example", "ports": port, "addresses": ["10.79.0.0/24"]}),
        json!({"host": "unknown.example", "ports": port}),
        json!({"host": "*.wild.example", "ports": port}),
        json!({"host": INNER.to_string(), "ports": port, "addresses": ["10.79.0.0/24"]}),
        json!({"host": "near.example", "ports": port, "addresses": ["127.0.0.0/8"]}),
        json!({"host": "own.example", "ports": port, "addresses": ["10.79.0.1/32"]}),
    ];
    world.with(|manifest, _| rules.into_iter().fold(manifest, ManifestBuilder::host_rule))
}

fn local_only(world: World, on: bool) -> World {
    world.with(|manifest, _| manifest.set("/permissions/network/localOnly", json!(on)))
}

/// Services of this machine that the rules permit.
fn services() -> [Origin; 2] {
    let site = || Site::Function(Arc::new(|_| Reply::ok("here")));
    [Origin::plain("127.0.0.1:8080", site()), Origin::plain(&format!("{OWN}:8080"), site())]
}

const OUTSIDE: [&str; 8] = [
    "public.example",
    "far.example",
    "six.example",
    "inner.example",
    "unknown.example",
    "secret-data.wild.example",
    "93.184.216.34",
    "10.79.0.2",
];

fn script() -> String {
    format!(
        r#"
import urllib.request
def get(host, port=8080): return urllib.request.urlopen(f"http://{{host}}:{{port}}/", timeout=10).read()
for host in ("near.example", "own.example"):
    attempt("permitted " + host, lambda: refuse(get(host) != b"here"))
for host in {OUTSIDE:?}:
    for port in (80, 8080): attempt(f"out {{host}} {{port}}", lambda: get(host, port))
    attempt(f"out tls {{host}}", lambda: urllib.request.urlopen(f"https://{{host}}/", timeout=10))
def to(family, kind, address, protocol=0):
    one = socket.socket(family, kind, protocol); one.settimeout(2); one.connect(address); one.send(b"data")
for address in ("93.184.216.34", "10.79.0.2", "8.8.8.8", "169.254.169.254", "224.0.0.251", "255.255.255.255"):
    for port in (53, 80, 443):
        attempt(f"raw tcp {{address}} {{port}}", lambda: to(2, 1, (address, port)))
        try: to(2, 2, (address, port))
        except OSError: pass
    attempt(f"raw icmp {{address}}", lambda: socket.socket(2, 2, 1).sendto(b"\x08\0\0\0\0\0\0\0", (address, 0)))
for address in ("fd79::2", "2606:2800:220:1::1", "ff02::1"):
    attempt(f"raw six {{address}}", lambda: to(10, 1, (address, 80)))
    try: to(10, 2, (address, 53))
    except OSError: pass
"#
    )
}

fn run() {
    let (wire, _services) = (Wire::new(), services());
    let world = local_only(manifest(World::new("reach-local")), true);
    let (report, packets) = wire.during(|| world.attack(&script()));
    assert_eq!(packets, [""; 0], "{}", report.done);
    report.works(&["permitted near.example", "permitted own.example"]);
    report.all_refused("out");
    report.refused(&["raw tcp 8.8.8.8 80", "raw icmp 93.184.216.34", "raw six fd79::2"]);
    report.recorded("connect", "denied", "public.example");
    // The control: what is permitted without the rule is seen on the wire, and nothing else.
    let world = local_only(manifest(World::new("reach-control")), false);
    let (report, packets) = wire.during(|| world.attack(&script()));
    report.works(&["permitted near.example", "permitted own.example"]);
    for expected in [
        "tcp 93.184.216.34 80",
        "tcp 93.184.216.34 8080",
        "tcp 10.79.0.2 443",
        "udp 10.79.0.2 53",
        "tcp 2606:2800:220:1::1 443",
    ] {
        assert!(packets.iter().any(|packet| packet == expected), "{expected}: {packets:#?}");
    }
    assert!(packets.iter().all(|packet| !packet.contains("8.8.8.8")), "{packets:#?}");
}

/// What `remit proxy` answers to a CONNECT, and to a request inside.
fn ask(proxy: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let head = format!("GET http://{host}:8080/ HTTP/1.1\r\nHost: {host}:8080\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn proxied<T>(world: &World, work: impl FnOnce(&str) -> T) -> T {
    let file = world.area.write("manifest.json", world.manifest.text());
    let mut child = Command::new(remit());
    child.args(["proxy", "--listen", "127.0.0.1:0", "--manifest"]).arg(file);
    child.env("REMIT_HOME", world.area.remit_home()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let done = work(address.trim());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    done
}

fn proxy() {
    let (wire, _services) = (Wire::new(), services());
    let attempt = |name: &str, on: bool| {
        let world = local_only(manifest(World::new(name)), on);
        wire.during(|| {
            proxied(&world, |at| {
                for near in ["near.example", "own.example"] {
                    let answer = ask(at, near);
                    assert!(answer.starts_with("HTTP/1.1 200"), "{near}: {answer}");
                }
                OUTSIDE.map(|host| ask(at, host)).join("\n")
            })
        })
    };
    let (answers, packets) = attempt("reach-proxy", true);
    assert_eq!(packets, [""; 0], "{answers}");
    assert!(!answers.contains(" 200 ") && answers.contains("local_only"), "{answers}");
    let (answers, packets) = attempt("reach-proxy-control", false);
    for expected in ["tcp 93.184.216.34 8080", "udp 10.79.0.2 53"] {
        assert!(packets.iter().any(|packet| packet == expected), "{answers}\n{packets:#?}");
    }
}

fn private() {
    let wire = Wire::new();
    let flag = |world: World, on: bool| {
        let more = ["far.example", "six.example"];
        let more = more.map(|host| json!({"host": host, "ports": [80, 443, 8080]}));
        named(world).with(|manifest, _| {
            let manifest = more.into_iter().fold(manifest, ManifestBuilder::host_rule);
            manifest.set("/permissions/network/blockExternal", Value::Bool(on))
        })
    };
    let is_public = |packet: &String| packet.contains(" 93.184.") || packet.contains(" 2606:");
    let world = flag(World::new("reach-private"), true);
    let (report, packets) = wire.during(|| world.attack(&script()));
    assert!(!packets.iter().any(is_public), "{packets:#?}\n{}", report.done);
    assert!(packets.iter().any(|packet| packet == "tcp 10.79.0.2 8080"), "{}", report.done);
    report.recorded("connect", "denied", "public.example");
    let (_, packets) = wire.during(|| {
        proxied(&world, |at| {
            for host in ["public.example", "far.example", "six.example"] {
                let answer = ask(at, host);
                assert!(answer.contains("external_blocked"), "{host}: {answer}");
            }
        })
    });
    assert!(!packets.iter().any(is_public), "{packets:#?}");
    let world = flag(World::new("reach-private-control"), false);
    let (_, packets) = wire.during(|| world.attack(&script()));
    assert!(packets.iter().any(is_public), "{packets:#?}");
}
