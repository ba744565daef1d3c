//! The private network and the origin, proved with an ordinary client before any test relies on
//! them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use remit_testkit::{Area, Origin, Site, TestAuthority, enter_private_network, run_bounded};

fn main() {
    let net = enter_private_network(&[
        (Ipv4Addr::new(127, 0, 0, 2).into(), "pages.example"),
        (Ipv4Addr::new(127, 0, 0, 3).into(), "mirror.example"),
    ]);
    let arguments = Arguments::from_args();
    let trials = vec![
        Trial::test("origin_speaks_http1_and_http2_and_remembers", speaks),
        Trial::test("forwarding_keeps_streams_and_upgrades", forwards),
        Trial::test("nothing_but_loopback_is_reachable", closed),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(net);
    conclusion.exit();
}

fn curl(area: &Area, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", "--cacert"]).arg(area.path().join("origins.pem"));
    run_bounded(command.args(arguments), Duration::from_secs(30)).must_succeed().stdout
}

fn speaks() -> Result<(), Failed> {
    let area = Area::new("network");
    let authority = TestAuthority::new();
    authority.write_bundle(area.path());
    let origin = Origin::tls(&authority, "127.0.0.2:443", &["pages.example"], Site::Builtin);
    assert!(curl(&area, &["--http1.1", "https://pages.example/echo?a=1"]).contains("HTTP/1.1"));
    assert!(
        curl(&area, &["--http2", "-d", "body", "https://pages.example/echo"]).contains("HTTP/2")
    );
    assert_eq!(curl(&area, &["https://pages.example/bytes/70000"]).len(), 70_000);
    assert_eq!(curl(&area, &["https://pages.example/sse"]).matches("event: tick").count(), 10);
    let seen = origin.seen();
    assert_eq!(seen[0].sni.as_deref(), Some("pages.example"));
    assert_eq!((seen[0].path.as_str(), seen[0].authority.as_str()), ("/echo?a=1", "pages.example"));
    assert_eq!(&seen[1].body[..], b"body");
    Ok(())
}

fn forwards() -> Result<(), Failed> {
    let area = Area::new("network");
    let authority = TestAuthority::new();
    authority.write_bundle(area.path());
    let behind = Origin::plain("127.0.0.3:0", Site::Builtin);
    let site = Site::Forward(behind.address());
    let _front = Origin::tls(&authority, "127.0.0.3:443", &["mirror.example"], site);
    assert_eq!(curl(&area, &["https://mirror.example/sse"]).matches("event: tick").count(), 10);
    let plain = Origin::plain("127.0.0.3:80", Site::Forward(behind.address()));
    let mut socket = TcpStream::connect(plain.address())?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.write_all(UPGRADE)?;
    let head = read_until(&mut socket, b"\r\n\r\n");
    // The accept key of RFC 6455, 1.3.
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    // A masked text frame `hi` with mask 0, and its echo, unmasked (RFC 6455, 5.2).
    socket.write_all(b"\x81\x82\0\0\0\0hi")?;
    let mut echo = [0; 4];
    socket.read_exact(&mut echo)?;
    assert_eq!(&echo, b"\x81\x02hi");
    assert!(behind.seen_lines().contains(&"GET mirror.example /ws".to_owned()));
    Ok(())
}

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: mirror.example\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(end) && stream.read(&mut byte).unwrap() == 1 {
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn closed() -> Result<(), Failed> {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "3", "http://192.0.2.1/"]);
    let refused = run_bounded(&mut command, Duration::from_secs(10));
    assert_ne!(refused.status, Some(0), "{refused}");
    Ok(())
}
