//! What the intercepting server looks like to the tools that people scan servers with.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    io::{Read as _, Write as _},
    sync::Arc,
    time::Duration,
};

use common::{
    client::{connect, read_all, tls, tunnel},
    netns::{Session, isolated, text},
    origin::{OK, lenient},
    policy::Rule,
    world::World,
};
use remit_core::ReasonCode;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    client::{EchGreaseConfig, EchMode},
    crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_128,
    crypto::hpke::Hpke as _,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde_json::Value;

/// The intercepting server of `api.test`, inside a session.
struct Scanned {
    session: Arc<Session>,
    _egress: remit_egress::Egress,
    _world: World,
}

impl Scanned {
    fn new() -> Self {
        let world = World::new();
        world.names("127.0.0.2 api.test\n");
        world.rules(vec![Rule::new("api.test", &[443])]);
        let config = world.outside.server(&["api.test"], &["http/1.1"]);
        lenient("127.0.0.2:443", Some(config), OK);
        let session = Arc::new(Session::new());
        let egress = world.transparent(Arc::clone(&session) as Arc<dyn remit_egress::SessionNet>);
        Self { session, _egress: egress, _world: world }
    }
}

#[test]
fn sslscan_finds_no_old_version_weak_cipher_or_known_hole() {
    if !isolated() {
        return;
    }
    let scanned = Scanned::new();
    let output =
        scanned.session.run("sslscan", &["--no-colour", "--no-check-certificate", "api.test:443"]);
    let found = text(&output);
    let line = |part: &str| {
        let all = found.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(all.clone().any(|line| line.contains(part)), "{part}:\n{found}");
    };
    for version in ["SSLv2 disabled", "SSLv3 disabled", "TLSv1.0 disabled", "TLSv1.1 disabled"] {
        line(version);
    }
    for fine in [
        "TLSv1.2 enabled",
        "TLSv1.3 enabled",
        "Session renegotiation not supported",
        "TLSv1.3 not vulnerable to heartbleed",
        "TLSv1.2 not vulnerable to heartbleed",
    ] {
        line(fine);
    }
    let offered: Vec<&str> = found
        .lines()
        .filter(|line| line.starts_with("Accepted") || line.starts_with("Preferred"))
        .collect();
    assert!(offered.len() >= 4, "{found}");
    for cipher in offered {
        let strong = ["GCM", "CHACHA20"].iter().any(|kind| cipher.contains(kind));
        let forward = cipher.contains("ECDHE") || cipher.contains("TLSv1.3");
        assert!(strong && forward, "{cipher}\n{found}");
    }
}

const LOOK_UP: &str = "import socket; print(socket.gethostbyname('api.test'))";

#[test]
fn testssl_finds_nothing_worse_than_information() {
    if !isolated() {
        return;
    }
    let scanned = Scanned::new();
    // The listener is born with the answer.
    let looked_up = text(&scanned.session.run("python3", &["-c", LOOK_UP]));
    assert!(looked_up.starts_with("198.18.0.2"), "{looked_up}");
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let report = report.to_str().unwrap();
    let output = scanned.session.run(
        "timeout",
        &[
            "240",
            "testssl",
            "--quiet",
            "--color",
            "0",
            "--warnings",
            "off",
            "--nodns",
            "none",
            "--ip",
            "198.18.0.2",
            "--connect-timeout",
            "5",
            "--openssl-timeout",
            "5",
            "--jsonfile",
            report,
            "-p",
            "-s",
            "-H",
            "-I",
            "-T",
            "-BB",
            "-R",
            "-C",
            "-O",
            "-W",
            "-A",
            "-L",
            "-F",
            "-J",
            "-D",
            "-4",
            "api.test:443",
        ],
    );
    let shown = format!("{}{}", text(&output), String::from_utf8_lossy(&output.stderr));
    let found: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(report).unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {shown}"));
    let of = |id: &str| {
        let one = found.iter().find(|one| one["id"] == id);
        one.unwrap_or_else(|| panic!("{id} was not looked for: {shown}")).clone()
    };
    for id in ["SSLv2", "SSLv3", "TLS1", "TLS1_1", "heartbleed", "CRIME_TLS", "ROBOT"] {
        let severity = of(id)["severity"].as_str().unwrap().to_owned();
        assert!(["OK", "INFO"].contains(&severity.as_str()), "{}", of(id));
    }
    assert_eq!(of("TLS1_2")["severity"], "OK", "{shown}");
    assert_eq!(of("TLS1_3")["severity"], "OK", "{shown}");
    let bad: Vec<&Value> = found
        .iter()
        .filter(|one| {
            ["LOW", "MEDIUM", "HIGH", "CRITICAL"].contains(&one["severity"].as_str().unwrap())
        })
        .collect();
    assert!(bad.is_empty(), "{bad:#?}\n{shown}");
}

/// A client that pretends to encrypt its ClientHello, as Chromium does with every host.
fn greasing(roots: &str) -> Arc<ClientConfig> {
    let suite = DH_KEM_X25519_HKDF_SHA256_AES_128;
    let (public, _) = suite.generate_key_pair().unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(roots.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_ech(EchMode::Grease(EchGreaseConfig::new(suite, public)))
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Arc::new(config)
}

#[test]
fn a_hidden_server_name_is_no_way_to_another_host_of_a_passthrough_server() {
    let world = World::new();
    world.names("127.0.0.1 api.test pass.test\n");
    let config = world.outside.server(&["api.test", "pass.test"], &["http/1.1"]);
    let (origin, log) = lenient("127.0.0.1:0", Some(config), OK);
    let port = origin.port();
    world
        .rules(vec![Rule::new("api.test", &[port]), Rule::new("pass.test", &[port]).passthrough()]);
    let (_running, proxy) = world.explicit();
    let speak = |name: &str, config: Arc<ClientConfig>| {
        let stream = tunnel(proxy, &format!("{name}:{port}"));
        let connection =
            ClientConnection::new(config, name.to_owned().try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let _ =
            write!(stream, "GET / HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n");
        read_all(&mut stream)
    };
    // Real and pretended ones look alike, so both are refused where nobody reads the inner one.
    assert_eq!(speak("pass.test", greasing(&world.outside.pem)), "");
    assert_eq!(log.text(), "");
    let told = world.trail.wait("the refusal", |record| record.reason == ReasonCode::SniMismatch);
    assert_eq!(told.detail.as_deref(), Some("the server name is encrypted (ECH)"));
    // Where TLS ends here only the outer name counts, and browsers work.
    assert!(speak("api.test", greasing(world.ca())).starts_with("HTTP/1.1 200"));
    // And so does passthrough without it.
    let stream = tunnel(proxy, &format!("pass.test:{port}"));
    let mut stream = tls(stream, "pass.test", &world.outside.pem).unwrap();
    write!(stream, "GET /p HTTP/1.1\r\nHost: pass.test\r\n\r\n").unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let _ = (connect(proxy), Duration::ZERO);
}
