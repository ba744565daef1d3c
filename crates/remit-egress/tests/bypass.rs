//! Ways around a host, path or framing rule, each against a lenient server that logs what it got.
//! One test per class; each fails if the protection that it names is taken out.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    time::Duration,
};

use common::{
    client::{connect, read_all, read_head, tls, tunnel},
    origin::{Log, OK, lenient},
    policy::Rule,
    world::World,
};
use remit_core::{Outcome, ReasonCode};
use remit_egress::ExplicitProxy;

struct Setup {
    world: World,
    proxy: SocketAddr,
    port: u16,
    log: Log,
    running: ExplicitProxy,
}

fn setup_with(shape: impl Fn(Rule) -> Rule) -> Setup {
    let world = World::new();
    world.names("127.0.0.1 api.test front.test\n");
    let tls = world.outside.server(&["api.test", "front.test"], &["http/1.1"]);
    let (origin, log) = lenient("127.0.0.1:0", Some(tls), OK);
    world.rules(vec![
        shape(Rule::new("api.test", &[origin.port()])),
        Rule::new("front.test", &[origin.port()]).paths(&["/front"]),
    ]);
    let (running, proxy) = world.explicit();
    Setup { world, proxy, port: origin.port(), log, running }
}

fn setup() -> Setup {
    setup_with(|rule| rule)
}

impl Setup {
    fn open(&self) -> common::client::Tls {
        let stream = tunnel(self.proxy, &format!("api.test:{}", self.port));
        tls(stream, "api.test", self.world.ca()).unwrap()
    }

    /// Sends raw bytes inside TLS; `HOST` stands for the right host.
    fn send(&self, request: &str) -> String {
        let mut stream = self.open();
        let request = request.replace("HOST", &format!("api.test:{}", self.port));
        stream.write_all(request.as_bytes()).unwrap();
        stream.sock.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        read_all(&mut stream)
    }

    /// The request is refused with `status`, recorded with `reason`, and the server saw nothing.
    fn refused(&self, request: &str, status: u16, reason: ReasonCode) {
        let before = self.world.trail.denied().len();
        let answer = self.send(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert!(answer.contains(&format!("\"code\":\"{}\"", reason.as_str())), "{answer}");
        assert!(
            answer.contains("denied_by_remit") && answer.contains("remit-reason: "),
            "{answer}"
        );
        let denied = self.world.trail.denied();
        assert!(denied.len() > before && denied.iter().any(|r| r.reason == reason), "{denied:#?}");
        assert_eq!(self.log.text(), "", "{request:?} reached the server");
    }
}

#[test]
fn a_plain_request_passes_so_the_refusals_below_mean_something() {
    let setup = setup();
    let answer = setup.send("GET /x?y=1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok"), "{answer}");
    let seen = setup.log.text();
    let expected = format!("GET /x?y=1 HTTP/1.1\r\nhost: api.test:{}\r\n\r\n", setup.port);
    assert_eq!(seen, expected);
    // One decision's follow-ups carry its correlation: a yes for once covers the request, too.
    let correlations: std::collections::HashSet<String> = setup
        .world
        .trail
        .all()
        .iter()
        .filter(|record| record.rule.is_some())
        .map(|record| record.correlation_id.to_string())
        .collect();
    assert_eq!(correlations.len(), 1, "{:#?}", setup.world.trail.lines());
    // Queries never reach the trail.
    assert!(!setup.world.trail.lines().iter().any(|line| line.contains("y=1")));
}

#[test]
fn a_query_may_hold_what_a_path_may_not() {
    let setup = setup_with(|rule| rule.paths(&["/a"]));
    let answer = setup.send(
        "GET /a?q={\"n\":[1,\"<>\"]}|`\\ HTTP/1.1\r\nHost: HOST\r\n\r\n\
         GET /a?../b HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    let seen = setup.log.text();
    assert!(seen.contains("GET /a?q={%22n%22:[1,%22%3C%3E%22]}|`\\ HTTP/1.1"), "{seen}");
    let setup = setup_with(|rule| rule.paths(&["/a"]));
    for path in ["/a\"", "/a<", "/a#?", "/a?#"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n");
        setup.refused(&request, 400, ReasonCode::AmbiguousPath);
    }
}

#[test]
fn foreign_host_header() {
    let setup = setup();
    for host in ["evil.test", "front.test:PORT", "api.test:1", "api.test.evil.test"] {
        let host = host.replace("PORT", &setup.port.to_string());
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        setup.refused(&request, 421, ReasonCode::AuthorityMismatch);
    }
    for host in ["", "user@api.test", "api.test api.test", "127.1", "0x7f000001", "[::1"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        setup.refused(&request, 400, ReasonCode::MalformedRequest);
    }
}

#[test]
fn foreign_absolute_form() {
    let setup = setup();
    let request = "GET https://evil.test/ HTTP/1.1\r\nHost: HOST\r\n\r\n";
    setup.refused(request, 421, ReasonCode::AuthorityMismatch);
    let request = "GET https://HOST/ HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    setup.refused(request, 421, ReasonCode::AuthorityMismatch);
    let request = "GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n";
    setup.refused(request, 400, ReasonCode::MalformedRequest);
}

#[test]
fn two_hosts_and_framing_conflicts() {
    let setup = setup();
    for head in [
        "Host: HOST\r\nHost: HOST\r\n",
        "Host: HOST\r\nHost: evil.test\r\n",
        "Host: HOST\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Host: HOST\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
        "Host: HOST\r\nContent-Length: 3, 3\r\n",
        "Host: HOST\r\nContent-Length: +3\r\n",
        "Host: HOST\r\nContent-Length: -1\r\n",
        "Host: HOST\r\nTransfer-Encoding: xchunked\r\n",
        "Host: HOST\r\nTransfer-Encoding: chunked, identity\r\n",
        "Host: HOST\r\nTransfer-Encoding: \x0bchunked\r\n",
        "Host: HOST\r\nTransfer-Encoding : chunked\r\n",
        "Host : HOST\r\n",
        "Host: HOST\r\nX: a\r\n b\r\n",
        "Host: HOST\r\nX: a\rb\r\n",
        "Host: HOST\r\nX: a\0b\r\n",
        "Host: HOST\nX: a\r\n",
        "X-No-Host: 1\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\n{head}\r\nabc");
        setup.refused(&request, 400, ReasonCode::MalformedRequest);
    }
    let request = "POST / HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    setup.refused(request, 400, ReasonCode::MalformedRequest);
}

#[test]
fn odd_chunks_never_complete_a_request() {
    let setup = setup();
    for body in ["0x3\r\nabc\r\n0\r\n\r\n", "3;a\n=b\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n"] {
        let head = "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer =
            setup.send(&format!("{head}{body}GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{body:?}: {answer}");
        let seen = setup.log.text();
        assert!(!seen.contains("smuggled") && !seen.contains("0\r\n\r\n"), "{body:?}: {seen}");
    }
    assert!(setup.world.trail.has(ReasonCode::MalformedRequest));
}

#[test]
fn ambiguous_paths() {
    let setup = setup_with(|rule| rule.paths(&["/pub/*"]));
    for path in [
        "/pub/../secret",
        "/pub/..%2fsecret",
        "/pub/%2e%2e/secret",
        "/pub/%2e%2e%2fsecret",
        "/pub/..%5csecret",
        "/pub\\..\\secret",
        "/pub/%252e%252e/secret",
        "/pub/..;/secret",
        "/pub/..%3f/secret",
        "/pub/%c0%ae%c0%ae/secret",
        "/pub/%e0%80%ae%e0%80%ae/secret",
        "/pub%c0%afx",
        "/pub/x%00.png",
        "/pub/%",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n");
        setup.refused(&request, 400, ReasonCode::AmbiguousPath);
    }
    setup.refused("GET /secret HTTP/1.1\r\nHost: HOST\r\n\r\n", 403, ReasonCode::PathNotListed);
    // The prefix itself is not below itself.
    setup.refused("GET /pub/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 403, ReasonCode::PathNotListed);
    // An encoded question mark in a file's name is none of these.
    let answer =
        setup.send("GET /pub/why%3f.txt HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn encoded_slashes_pass_only_where_every_reading_is_permitted() {
    // `/pub%2fx` lies under `/pub*` as text, but means `/pub/x`, which no rule lists.
    let setup = setup_with(|rule| rule.paths(&["/@scope%2fname", "/@scope/name", "/pub%2fx"]));
    setup.refused("GET /pub%2fx HTTP/1.1\r\nHost: HOST\r\n\r\n", 400, ReasonCode::AmbiguousPath);
    let request = "GET /@scope%2fname HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n";
    let answer = setup.send(request);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(setup.log.text().starts_with("GET /@scope%2fname HTTP/1.1"));
}

#[test]
fn headers_that_override_method_or_path() {
    let overriding = [
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        "x-method-override: DELETE",
        "X-Original-URL: /secret",
        "X-Rewrite-URL: /secret",
        "X_Rewrite_URL: /secret",
    ];
    for restrict in [|rule: Rule| rule.paths(&["/a"]), |rule: Rule| rule.methods(&["GET"])] {
        let setup = setup_with(restrict);
        for header in overriding {
            let request = format!("GET /a HTTP/1.1\r\nHost: HOST\r\n{header}\r\n\r\n");
            setup.refused(&request, 400, ReasonCode::MalformedRequest);
        }
    }
    // Where nothing is restricted there is nothing to get around; the host is never named twice.
    let setup = setup();
    let answer = setup.send(
        "GET /a HTTP/1.1\r\nHost: HOST\r\nX-Original-URL: /b\r\nX-Forwarded-Host: evil.test\r\n\
         Forwarded: host=evil.test\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = setup.log.text();
    assert!(seen.contains("x-original-url: /b") && !seen.contains("evil.test"), "{seen}");
}

#[test]
fn nested_connect_and_h2c() {
    let setup = setup();
    let request = "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n";
    setup.refused(request, 400, ReasonCode::MalformedRequest);
    let request = "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    setup.refused(request, 400, ReasonCode::UnsupportedProtocol);
    let answer = setup.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(setup.log.text(), "");
}

#[test]
fn every_pipelined_request_is_decided_on() {
    let setup = setup_with(|rule| rule.paths(&["/a", "/c"]));
    let answer = setup.send(
        "GET /a HTTP/1.1\r\nHost: HOST\r\n\r\nGET /b HTTP/1.1\r\nHost: HOST\r\n\r\n\
         GET /c HTTP/1.1\r\nHost: HOST\r\n\r\nGET /c HTTP/1.1\r\nHost: evil.test\r\n\r\n\
         GET /c HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\nGET /a HTTP/1.1\r\nHost: HOST\r\n\r\n",
    );
    let statuses: Vec<&str> =
        answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
    // After the malformed one nothing is read any more.
    assert_eq!(statuses, ["200", "403", "200", "421", "400"], "{answer}");
    let seen = setup.log.text();
    assert_eq!(seen.matches("GET /").count(), 2, "{seen}");
    assert!(!seen.contains("/b") && !seen.contains("evil"), "{seen}");
}

#[test]
fn upgrade_without_101_opens_nothing() {
    let setup = setup_with(|rule| rule.paths(&["/ws"]));
    let answer = setup.send(
        "GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n\
         GET /secret HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    );
    // The server said 200: what followed is a request like any other.
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("HTTP/1.1 421"), "{answer}");
    assert!(!setup.log.text().contains("secret"), "{}", setup.log.text());
    // And it is read as strictly as any other: no head after an upgrade escapes the reader.
    let answer = setup.send(
        "GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\
         GET /ws HTTP/1.1\r\nHost: HOST\nX: bare\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("HTTP/1.1 400"), "{answer}");
    let request = "GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Content-Length: 30\r\n\r\nGET /secret HTTP/1.1\r\n\r\n";
    let answer = setup.send(request);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(!setup.log.text().contains("secret"));
}

#[test]
fn sni_mismatch() {
    let setup = setup();
    let stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    assert!(tls(stream, "front.test", setup.world.ca()).is_err());
    setup.world.trail.wait("the mismatch", |r| r.reason == ReasonCode::SniMismatch);
    assert_eq!(setup.log.connections(), 0);
}

#[test]
fn missing_sni_and_junk_instead_of_tls() {
    let setup = setup();
    // An IP address as server name means that none is sent.
    let stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    assert!(tls(stream, "127.0.0.1", setup.world.ca()).is_err());
    setup.world.trail.wait("the missing name", |r| r.reason == ReasonCode::SniMismatch);
    // A warning alert in front of the ClientHello, which servers skip.
    let mut stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    stream.write_all(b"\x15\x03\x01\x00\x02\x01\x5a\x16\x03\x01\x00\x05hello").unwrap();
    assert_eq!(read_all(&mut stream), "");
    setup.world.trail.wait("the junk", |r| r.reason == ReasonCode::UnsupportedProtocol);
    assert_eq!(setup.log.connections(), 0);
}

#[test]
fn a_late_client_hello_is_still_intercepted() {
    let setup = setup_with(|rule| rule.paths(&["/a"]));
    let stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    // Longer than the wait for a server that speaks first.
    std::thread::sleep(Duration::from_millis(700));
    let mut stream = tls(stream, "api.test", setup.world.ca()).unwrap();
    write!(stream, "GET /b HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", setup.port).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 403"));
}

#[test]
fn junk_before_http_does_not_make_it_raw() {
    let setup = setup_with(|rule| rule.paths(&["/a"]));
    let host = format!("api.test:{}", setup.port);
    for junk in ["\r\n\r\n", "\n", " ", "\t"] {
        let mut stream = tunnel(setup.proxy, &host);
        let request = format!("{junk}GET /secret HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read_all(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 400"), "{junk:?}: {answer}");
    }
    assert_eq!(setup.log.connections(), 0);
}

/// A plain server behind a rule, and a proxy in front of it.
fn plain(shape: impl Fn(Rule) -> Rule) -> Setup {
    let world = World::new();
    world.names("127.0.0.1 api.test\n");
    let (origin, log) = lenient("127.0.0.1:0", None, OK);
    world.rules(vec![shape(Rule::new("api.test", &[origin.port()]))]);
    let (running, proxy) = world.explicit();
    Setup { world, proxy, port: origin.port(), log, running }
}

#[test]
fn bytes_that_nobody_reads_do_not_lead_around_method_and_path_rules() {
    for restrict in [|rule: Rule| rule.paths(&["/a"]), |rule: Rule| rule.methods(&["POST"])] {
        let setup = plain(restrict);
        let host = format!("api.test:{}", setup.port);
        for opening in [
            &b"SSH-2.0-junk\r\nGET /secret HTTP/1.1\r\n"[..],
            b"GET  /secret\r\n\r\n",
            b"GET\t/secret\r\n\r\n",
            b"GET\xa0/secret\r\n\r\n",
            b"GET\x0b/secret\r\n\r\n",
            b"\x01\nGET /secret HTTP/1.1\r\n\r\n",
            b"{}",
        ] {
            let mut stream = tunnel(setup.proxy, &host);
            stream.write_all(opening).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let answer = read_all(&mut stream);
            let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
            assert!(refused, "{}: {answer}", opening.escape_ascii());
        }
        let refused = setup.world.trail.denied();
        let unread = refused.iter().filter(|r| r.reason == ReasonCode::UnsupportedProtocol);
        assert!(unread.count() >= 2, "{:#?}", setup.world.trail.lines());
        // Nor does waiting until the server would have spoken.
        let mut stream = tunnel(setup.proxy, &host);
        std::thread::sleep(Duration::from_millis(600));
        stream.write_all(b"\0\0\0\x08junk\r\n\r\n").unwrap();
        assert_eq!(read_all(&mut stream), "");
        assert_eq!(setup.log.connections(), 0, "{}", setup.log.text());
    }
    // Requests that the rule names pass, and where nothing is restricted, so do bytes.
    let setup = plain(|rule| rule.paths(&["/a"]));
    let mut stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    write!(stream, "GET /a HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", setup.port).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    let setup = plain(|rule| rule);
    let mut stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    stream.write_all(b"junk\r\n\r\n").unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    // Until a rule restricts.
    setup.world.rules(vec![Rule::new("api.test", &[setup.port]).paths(&["/a"])]);
    assert!(stream.read_to_end(&mut Vec::new()).is_err());
    setup.world.trail.wait("the end", |r| r.reason == ReasonCode::PathNotListed);
}

#[test]
fn odd_connect_targets() {
    let setup = setup();
    for target in [
        "api.test",
        "api.test:",
        "api.test:0",
        "api.test:99999",
        "user@api.test:443",
        "api.test:443@evil.test:443",
        "127.1:443",
        "0x7f.0.0.1:443",
        "2130706433:443",
        "0177.0.0.1:443",
        "api.test%00.evil.test:443",
        "[::ffff:7f00:1:443",
        "::1:443",
        ":443",
        "*:443",
    ] {
        let mut stream = connect(setup.proxy);
        write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let answer = read_all(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 400"), "{target}: {answer}");
        assert!(answer.contains("malformed_request"), "{target}: {answer}");
    }
    for target in
        ["evil.test:443", "127.0.0.1:443", "[::1]:443", "api.test:1", "169.254.169.254:80"]
    {
        let mut stream = connect(setup.proxy);
        write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
        let answer = read_all(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 403"), "{target}: {answer}");
    }
}

#[test]
fn socks_names_with_nul_userinfo_or_nothing() {
    let setup = setup();
    let ask = |kind: u8, address: &[u8], port: u16| {
        let mut stream = connect(setup.proxy);
        stream.write_all(&[5, 1, 0]).unwrap();
        let mut chosen = [0u8; 2];
        stream.read_exact(&mut chosen).unwrap();
        assert_eq!(chosen, [5, 0]);
        let mut request = vec![5, 1, 0, kind];
        request.extend_from_slice(address);
        request.extend_from_slice(&port.to_be_bytes());
        stream.write_all(&request).unwrap();
        let mut reply = [0u8; 10];
        stream.read_exact(&mut reply).unwrap();
        (reply[1], stream)
    };
    let name = |name: &[u8]| {
        let mut out = vec![u8::try_from(name.len()).unwrap()];
        out.extend_from_slice(name);
        out
    };
    for odd in [
        &b"api.test\0.evil.test"[..],
        b"evil.test\0api.test",
        b"user@api.test",
        b"api.test/",
        b"",
        b"127.1",
        b"0x7f000001",
        b"\xff\xfe",
        b"[::1]",
        &[b'a'; 255],
        b"evil.test",
    ] {
        assert_eq!(ask(3, &name(odd), setup.port).0, 2, "{}", odd.escape_ascii());
    }
    assert_eq!(ask(1, &[127, 0, 0, 1], setup.port).0, 2);
    assert_eq!(ask(3, &name(b"api.test"), 1).0, 2);
    let (reply, stream) = ask(3, &name(b"api.test"), setup.port);
    assert_eq!(reply, 0);
    let mut stream = tls(stream, "api.test", setup.world.ca()).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", setup.port).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
}

#[test]
fn made_up_names_under_a_wildcard_run_out() {
    let world = World::new();
    world.names("127.0.0.1 api.test listed.wild.test\n");
    let (origin, log) = lenient("127.0.0.1:0", None, OK);
    let port = origin.port();
    world.rules(vec![Rule::new("*.wild.test", &[port]), Rule::new("api.test", &[port])]);
    let (_running, proxy) = world.explicit();
    let connect_to = |host: &str| {
        let mut stream = connect(proxy);
        write!(stream, "CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let head = read_head(&mut stream);
        (head, stream)
    };
    assert!(connect_to("listed.wild.test").0.starts_with("HTTP/1.1 200"));
    let label = "x".repeat(60);
    let refused = (0..400).find(|n| {
        let (head, _) = connect_to(&format!("{n}.{label}.{label}.wild.test"));
        head.starts_with("HTTP/1.1 403") && head.contains("limit_reached")
    });
    assert!((50..300).contains(&refused.unwrap()), "{refused:?}");
    // What was known before, and other domains, are not touched.
    for host in ["listed.wild.test", "api.test"] {
        let (head, mut stream) = connect_to(host);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        write!(stream, "GET / HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n").unwrap();
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    }
    assert_eq!(log.connections(), 2);
}

#[test]
fn names_that_resolve_to_places_they_must_not() {
    let setup = setup();
    for (line, reason) in [
        ("10.1.2.3", ReasonCode::AddressRefused),
        ("169.254.169.254", ReasonCode::AddressRefused),
        ("::1", ReasonCode::AddressRefused),
        ("::ffff:10.0.0.1", ReasonCode::AddressRefused),
        ("64:ff9b::7f00:1", ReasonCode::AddressRefused),
        ("0.0.0.0", ReasonCode::AddressRefused),
        ("168.63.129.16", ReasonCode::AddressRefused),
        ("100.100.100.200", ReasonCode::AddressRefused),
        ("192.0.0.192", ReasonCode::AddressRefused),
        ("fd00:ec2::254", ReasonCode::AddressRefused),
        ("fd20:ce::254", ReasonCode::AddressRefused),
        ("2002:a9fe:a9fe::1", ReasonCode::AddressRefused),
        ("64:ff9b::168.63.129.16", ReasonCode::AddressRefused),
        ("64:ff9b:1:a00:0:100::", ReasonCode::AddressRefused),
        ("2001:0:1::80ff:fffe", ReasonCode::AddressRefused),
        ("::127.0.0.1", ReasonCode::AddressRefused),
        ("fe80::5efe:a00:1", ReasonCode::AddressRefused),
    ] {
        let world = World::new();
        world.names(&format!("{line} api.test\n"));
        world.rules(vec![Rule::new("api.test", &[443])]);
        let (_running, proxy) = world.explicit();
        let stream = tunnel(proxy, "api.test:443");
        let mut stream = tls(stream, "api.test", world.ca()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n").unwrap();
        let answer = read_head(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 403"), "{line}: {answer}");
        let record = world.trail.wait("the refusal", |r| r.reason == reason);
        // The address is for the trail, never for the agent.
        let told: std::net::IpAddr = line.parse().unwrap();
        assert_eq!(record.detail, Some(told.to_string()));
        assert!(!answer.contains(line), "{answer}");
    }
    drop(setup);
}

#[test]
fn dns_rebinding_after_the_connection_was_vetted() {
    let world = World::new();
    world.names("127.0.0.1 api.test\n");
    let tls_config = world.outside.server(&["api.test"], &["http/1.1"]);
    let (origin, log) = lenient("127.0.0.1:0", Some(tls_config), OK);
    world.rules(vec![Rule::new("api.test", &[origin.port()]).networks(&["127.0.0.1/32"])]);
    let (_running, proxy) = world.explicit();
    let mut stream =
        tls(tunnel(proxy, &format!("api.test:{}", origin.port())), "api.test", world.ca()).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.port());
    stream.write_all(request.as_bytes()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    stream.read_exact(&mut [0; 2]).unwrap();
    // The name now points elsewhere in the machine; the connection stays where it was.
    world.names("127.0.0.2 api.test\n");
    std::thread::sleep(Duration::from_secs(6));
    stream.write_all(request.as_bytes()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    assert_eq!(log.connections(), 1);
    // A new connection looks again, and is refused.
    let mut stream =
        tls(tunnel(proxy, &format!("api.test:{}", origin.port())), "api.test", world.ca()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 403"));
    assert!(world.trail.has(ReasonCode::AddressRefused));
}

#[test]
fn an_upstream_that_cannot_prove_its_name_gets_nothing() {
    let world = World::new();
    world.names("127.0.0.1 api.test\n");
    let wrong = world.outside.server(&["other.test"], &["http/1.1"]);
    let (origin, log) = lenient("127.0.0.1:0", Some(wrong), OK);
    world.rules(vec![Rule::new("api.test", &[origin.port()])]);
    let (_running, proxy) = world.explicit();
    let stream = tunnel(proxy, &format!("api.test:{}", origin.port()));
    let mut stream = tls(stream, "api.test", world.ca()).unwrap();
    write!(stream, "GET /secret HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.port()).unwrap();
    let answer = read_head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert_eq!(log.text(), "");
    let record = world.trail.wait("the failure", |r| r.reason == ReasonCode::UpstreamFailed);
    assert_eq!(record.outcome, Outcome::Error);
}

#[test]
fn no_record_no_effect() {
    let setup = setup();
    let mut stream = setup.open();
    setup.world.trail.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    write!(stream, "GET / HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", setup.port).unwrap();
    let answer = read_head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert_eq!(setup.log.text(), "");
    assert_eq!(setup.running.summary().refused, 1);
}
