//! The bypass table on HTTP/2, with frames made by hand, towards a lenient HTTP/1 server: what a
//! stream smuggles would show there. And what one connection may cost.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::time::{Duration, Instant};

use common::{
    frames::*,
    front::{Form, Fronts},
    netns::isolated,
    policy::Rule,
};
use remit_core::ReasonCode::{self, *};

const FORMS: [Form; 3] =
    [Form::Transparent { tls: true }, Form::Connect { tls: true }, Form::Socks { tls: true }];

fn fronts() -> Fronts {
    Fronts::new(vec![
        Rule::new("api.test", &[80, 443]).paths(&["/a", "/pub/*"]),
        Rule::new("other.test", &[80, 443]),
    ])
}

type Field<'a> = (&'a [u8], &'a [u8]);

const METHOD: Field = (b":method", b"GET");
const SCHEME: Field = (b":scheme", b"https");
const PATH: Field = (b":path", b"/a");
const AUTHORITY: Field = (b":authority", b"api.test");
const SOUND: [Field; 4] = [METHOD, SCHEME, AUTHORITY, PATH];

/// The sound request with one pseudo-header replaced.
fn with<'a>(name: &'a [u8], value: &'a [u8]) -> Vec<Field<'a>> {
    SOUND.iter().map(|field| if field.0 == name { (name, value) } else { *field }).collect()
}

/// The sound request and more fields.
fn and<'a>(more: &[Field<'a>]) -> Vec<Field<'a>> {
    [&SOUND[..], more].concat()
}

fn without(name: &[u8]) -> Vec<Field<'static>> {
    SOUND.into_iter().filter(|field| field.0 != name).collect()
}

fn head(fields_of: &[Field]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(fields_of))
}

/// Refused in one way or another, recorded with one of `reasons`; nothing reaches the server.
fn refused(fronts: &Fronts, name: &str, bytes: &[u8], reasons: &[ReasonCode]) {
    for form in FORMS {
        fronts.forget();
        let mut peer = Peer::open(fronts, form, &[]);
        peer.send(bytes);
        let came = peer.outcome(Duration::from_secs(5));
        let what = format!("{name} through {form:?}: {came:?} {:#?}", fronts.world.trail.lines());
        let answered = matches!(came.status, Some(400 | 403 | 421 | 431));
        let ended = came.reset.or(came.goaway).is_some_and(|code| code != 0);
        assert!(answered || ended, "{what}");
        fronts.world.trail.wait(&what, |record| reasons.contains(&record.reason));
        assert!(fronts.reached().iter().all(|(_, bytes)| bytes.is_empty()), "{what}");
    }
}

/// Answered with 200; returns what the server got.
fn passed(fronts: &Fronts, name: &str, bytes: &[u8]) -> String {
    let mut seen = String::new();
    for form in FORMS {
        fronts.forget();
        let mut peer = Peer::open(fronts, form, &[]);
        peer.send(bytes);
        let came = peer.outcome(Duration::from_secs(5));
        assert_eq!(came.status, Some(200), "{name}: {came:?} {:#?}", fronts.world.trail.lines());
        std::thread::sleep(Duration::from_millis(30));
        fronts.assert_decided(name);
        let all = fronts.reached().into_iter().find(|(_, bytes)| !bytes.is_empty()).unwrap().1;
        seen = String::from_utf8(all).unwrap();
    }
    seen
}

#[test]
fn names_on_every_stream() {
    if !isolated() {
        return;
    }
    let fronts = fronts();
    passed(&fronts, "sound", &head(&SOUND));
    passed(&fronts, "with port", &head(&with(b":authority", b"api.test:443")));
    passed(&fronts, "both alike", &head(&and(&[(b"host", b"api.test")])));
    for foreign in [&b"evil.test"[..], b"other.test", b"x.api.test", b"api.test:8443", b"127.0.0.2"]
    {
        let name = foreign.escape_ascii().to_string();
        refused(&fronts, &name, &head(&with(b":authority", foreign)), &[AuthorityMismatch]);
        let host = and(&[(b"host", foreign)]);
        refused(&fronts, &format!("host {name}"), &head(&host), &[AuthorityMismatch]);
        let host = [&without(b":authority")[..], &[(b"host", foreign)]].concat();
        refused(&fronts, &format!("host alone {name}"), &head(&host), &[AuthorityMismatch]);
    }
    for odd in [
        &b"user@api.test"[..],
        b"api.test:443@evil.test",
        b"api.test:0",
        b"api.test:",
        b"2130706434",
        b"127.2",
        b"0x7f.2",
        b"api.test/",
        b"api.test#",
        b"api.test\\x",
        b"api%2etest",
        b"",
        b"api.test\0",
        b"api.test\r\nX: y",
        b"api.test evil.test",
        b"\xe9.test",
        b"[::1",
    ] {
        let name = odd.escape_ascii().to_string();
        let reasons = [MalformedRequest, AuthorityMismatch];
        refused(&fronts, &name, &head(&with(b":authority", odd)), &reasons);
    }
    let twice = and(&[(b"host", b"api.test"), (b"host", b"api.test")]);
    refused(&fronts, "two hosts", &head(&twice), &[MalformedRequest]);
    refused(&fronts, "disguised", &head(&and(&[(b"host_", b"evil.test")])), &[MalformedRequest]);
    // Another name on the second stream of the same connection.
    let second = fields(&with(b":authority", b"other.test"));
    let both = [head(&SOUND), frame(HEADERS, END_HEADERS | END_STREAM, 3, &second)].concat();
    fronts.forget();
    let mut peer = Peer::open(&fronts, FORMS[0], &[]);
    peer.send(&both);
    assert_eq!(peer.outcome(Duration::from_secs(5)).status, Some(200));
    fronts.world.trail.wait("the refusal", |record| record.reason == AuthorityMismatch);
    fronts.assert_decided("two streams");
}

#[test]
fn pseudo_headers_and_field_names() {
    if !isolated() {
        return;
    }
    let fronts = fronts();
    let rows: &[(&str, Vec<Field>)] = &[
        ("no method", without(b":method")),
        ("no scheme", without(b":scheme")),
        ("no path", without(b":path")),
        ("method twice", and(&[METHOD])),
        ("path twice", and(&[(b":path", b"/secret")])),
        ("authority twice", and(&[(b":authority", b"evil.test")])),
        ("scheme twice", and(&[SCHEME])),
        ("scheme is another", with(b":scheme", b"http")),
        ("scheme is none", with(b":scheme", b"x y")),
        ("late", vec![METHOD, SCHEME, AUTHORITY, (b"x", b"y"), PATH]),
        ("unknown", and(&[(b":other", b"x")])),
        ("of answers", and(&[(b":status", b"200")])),
        ("protocol", and(&[(b":protocol", b"websocket")])),
        ("upper case", and(&[(b"X-Upper", b"y")])),
        ("upper case pseudo", [&without(b":path")[..], &[(b":Path", b"/a")]].concat()),
        ("space in a name", and(&[(b"x y", b"z")])),
        ("colon in a name", and(&[(b"x:y", b"z")])),
        ("line end in a name", and(&[(b"x\r\ny", b"z")])),
        ("empty name", and(&[(b"", b"z")])),
        ("CRLF in a value", and(&[(b"x", b"y\r\nhost: evil.test")])),
        ("LF in a value", and(&[(b"x", b"y\nz")])),
        ("CR in a value", and(&[(b"x", b"y\rz")])),
        ("NUL in a value", and(&[(b"x", b"y\0z")])),
        ("connection", and(&[(b"connection", b"x")])),
        ("keep-alive", and(&[(b"keep-alive", b"x")])),
        ("proxy-connection", and(&[(b"proxy-connection", b"x")])),
        ("upgrade", and(&[(b"upgrade", b"websocket")])),
        ("transfer-encoding", and(&[(b"transfer-encoding", b"chunked")])),
        ("te", and(&[(b"te", b"gzip")])),
        ("method lower case", with(b":method", b"get")),
        ("method with a line", with(b":method", b"GET /secret HTTP/1.1\r\n")),
        ("method with a space", with(b":method", b"GET /secret")),
        ("empty method", with(b":method", b"")),
        ("connect", vec![(b":method", b"CONNECT"), AUTHORITY]),
        ("connect with a path", with(b":method", b"CONNECT")),
        (
            "extended connect",
            [&with(b":method", b"CONNECT")[..], &[(b":protocol", b"websocket")]].concat(),
        ),
    ];
    for (name, list) in rows {
        refused(&fronts, name, &head(list), &[MalformedRequest, AuthorityMismatch]);
    }
    let seen = passed(&fronts, "te", &head(&and(&[(b"te", b"trailers"), (b"x-y", b"z")])));
    assert!(seen.contains("x-y: z"), "{seen}");
    let seen = passed(&fronts, "settings", &head(&and(&[(b"http2-settings", b"AAMAAABk")])));
    assert!(!seen.contains("http2-settings"), "{seen}");
}

#[test]
fn framing_of_bodies_and_trailers() {
    if !isolated() {
        return;
    }
    let fronts = fronts();
    let post = |more: &[Field], after: &[Vec<u8>]| {
        let list = [&with(b":method", b"POST")[..], more].concat();
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &fields(&list));
        after.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    };
    let last = |text: &[u8]| vec![frame(DATA, END_STREAM, 1, text)];
    let length = |value: &'static [u8]| (&b"content-length"[..], value);
    passed(&fronts, "length", &post(&[length(b"3")], &last(b"abc")));
    passed(&fronts, "no length", &post(&[], &last(b"abc")));
    for (name, more) in [
        ("length twice", vec![length(b"3"), length(b"3")]),
        ("lengths differ", vec![length(b"3"), length(b"0")]),
        ("length with plus", vec![length(b"+3")]),
        ("length list", vec![length(b"3, 3")]),
        ("length in hex", vec![length(b"0x3")]),
        ("length is empty", vec![length(b"")]),
        ("disguised length", vec![(&b"content_length"[..], &b"3"[..])]),
        ("disguised encoding", vec![(&b"transfer_encoding"[..], &b"chunked"[..])]),
    ] {
        refused(&fronts, name, &post(&more, &last(b"abc")), &[MalformedRequest]);
    }
    let end = and(&[length(b"3")]);
    refused(&fronts, "length without a body", &head(&end), &[MalformedRequest]);
    // A body that is not as long as said never is a whole request to the server.
    let smuggled = b"GET /secret HTTP/1.1\r\nHost: api.test\r\n\r\n";
    for (name, value) in [("longer", &b"0"[..]), ("shorter", b"1000")] {
        for form in FORMS {
            fronts.forget();
            let mut peer = Peer::open(&fronts, form, &[]);
            peer.send(&post(&[(b"content-length", value)], &last(smuggled)));
            let came = peer.outcome(Duration::from_secs(5));
            assert!(came.reset.is_some() || came.status != Some(200), "{name}: {came:?}");
            fronts.world.trail.wait(name, |record| record.reason == MalformedRequest);
            let seen: Vec<u8> = fronts.reached().into_iter().flat_map(|(_, bytes)| bytes).collect();
            let seen = String::from_utf8_lossy(&seen).into_owned();
            assert!(!(seen.contains("content-length: 0") && seen.contains("secret")), "{seen}");
        }
    }
    // Trailers: what belongs into the head is dropped, the rest passes on.
    let trailers = |list: &[Field]| frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(list));
    let declared = [(&b"trailer"[..], &b"x-sum, host, content-length, transfer-encoding"[..])];
    let bad: &[Field] = &[
        (b"x-sum", b"1"),
        (b"host", b"evil.test"),
        (b"content-length", b"9"),
        (b"transfer_encoding", b"chunked"),
        (b"authorization", b"x"),
    ];
    let body = [frame(DATA, 0, 1, b"abc"), trailers(bad)];
    let seen = passed(&fronts, "trailers", &post(&declared, &body));
    let seen = seen.to_lowercase();
    assert!(!seen.contains("evil.test") && !seen.contains("content-length: 9"), "{seen}");
    assert!(!seen.contains("transfer_encoding") && !seen.contains("authorization"), "{seen}");
    let seen = passed(
        &fronts,
        "pseudo in trailers",
        &post(&declared, &[frame(DATA, 0, 1, b"abc"), trailers(&[(b":path", b"/secret")])]),
    );
    assert!(!seen.contains("secret"), "{seen}");
    let open = frame(HEADERS, END_HEADERS, 1, &fields(&[(b"x", b"y")]));
    fronts.forget();
    let mut peer = Peer::open(&fronts, FORMS[0], &[]);
    peer.send(&post(&[], &[frame(DATA, 0, 1, b"abc"), open]));
    fronts.world.trail.wait("trailers that go on", |record| record.reason == MalformedRequest);
    fronts.assert_decided("trailers that go on");
}

#[test]
fn paths_in_every_spelling() {
    if !isolated() {
        return;
    }
    let fronts = fronts();
    for odd in [
        &b"a"[..],
        b"*",
        b"",
        b"?x",
        b"http://evil.test/a",
        b"https://api.test/a",
        b"//evil.test/a",
        b"/secret",
        b"/pub/../secret",
        b"/pub/..%2fsecret",
        b"/pub/%2e%2e/secret",
        b"/pub/..;/x",
        b"/pub/%252e%252e/x",
        b"/pub\\..\\secret",
        b"/pub/..%5csecret",
        b"/pub/%c0%ae%c0%ae/x",
        b"/pub/x%00",
        b"/pub/%",
        b"/a b",
        b"/a HTTP/1.1\r\nhost: evil.test",
        b"/a\r\n\r\nGET /secret",
        b"/a\0",
        b"/a\t",
        b"/a?x y",
        b"/a?x\x7f",
        b"/a?x\x01",
        b"/a?\xc3\xa9",
        b"/a?x\r\ny",
        b"/pub/\x7f",
        b"/pub/\xe9",
        b"/PUB/x",
    ] {
        let reasons = [MalformedRequest, AmbiguousPath, PathNotListed, AuthorityMismatch];
        let name = odd.escape_ascii().to_string();
        refused(&fronts, &name, &head(&with(b":path", odd)), &reasons);
    }
    // A fragment is never sent on (RFC 9110, 4.2.5), nor decided on.
    let seen = passed(&fronts, "fragment", &head(&with(b":path", b"/a#/secret")));
    assert!(seen.starts_with("GET /a HTTP/1.1\r\n"), "{seen}");
    for fine in [&b"/pub/x"[..], b"/pub/caf%C3%A9", b"/a?q=%20&r={}"] {
        let seen = passed(&fronts, "path", &head(&with(b":path", fine)));
        let line = format!("GET {} HTTP/1.1\r\n", String::from_utf8_lossy(fine));
        assert!(seen.starts_with(&line), "{seen}");
    }
}

#[test]
fn frames_out_of_order() {
    if !isolated() {
        return;
    }
    let fronts = fronts();
    let block = fields(&SOUND);
    let rows: &[(&str, Vec<u8>)] = &[
        ("data on stream 0", frame(DATA, 0, 0, b"x")),
        ("headers on stream 0", frame(HEADERS, END_HEADERS, 0, &block)),
        ("headers on an even stream", frame(HEADERS, END_HEADERS, 2, &block)),
        ("data on an idle stream", frame(DATA, 0, 1, b"x")),
        (
            "push promise",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &block].concat()),
        ),
        ("continuation alone", frame(CONTINUATION, END_HEADERS, 1, &block)),
        (
            "ping inside a head",
            [frame(HEADERS, END_STREAM, 1, &block[..9]), frame(PING, 0, 0, &[0; 8])].concat(),
        ),
        (
            "another stream inside a head",
            [
                frame(HEADERS, END_STREAM, 1, &block[..9]),
                frame(CONTINUATION, END_HEADERS, 3, &block[9..]),
            ]
            .concat(),
        ),
        ("settings of a wrong size", frame(SETTINGS, 0, 0, &[0; 5])),
        ("settings acknowledged with a payload", frame(SETTINGS, ACK, 0, &[0; 6])),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[])),
        ("initial window too large", frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])),
        ("frame size too small", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1])),
        ("ping of a wrong size", frame(PING, 0, 0, &[0; 7])),
        ("window update of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("window beyond its bound", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        ("reset of an idle stream", frame(RST_STREAM, 0, 1, &[0; 4])),
        (
            "padding longer than the frame",
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &[&[255][..], &block].concat()),
        ),
        (
            "stream that depends on itself",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM | WITH_PRIORITY,
                1,
                &[&[0, 0, 0, 1, 16][..], &block].concat(),
            ),
        ),
        ("field index 0", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80])),
        (
            "field index that is not there",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0x80, 0x01]),
        ),
        (
            "literal that goes on",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ),
        (
            "table size beyond the bound",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[&[0x3f, 0xe1, 0xff, 0xff, 0x7f][..], &block].concat(),
            ),
        ),
        (
            "frame longer than allowed",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &vec![0; 20_000]),
        ),
    ];
    for (name, bytes) in rows {
        refused(&fronts, name, bytes, &[MalformedRequest]);
    }
    // Unknown kinds of frames are skipped (RFC 9113, 5.5).
    passed(&fronts, "unknown", &[frame(0xbe, 0, 1, b"x"), head(&SOUND)].concat());
    let cut = [
        frame(HEADERS, END_STREAM, 1, &block[..9]),
        frame(CONTINUATION, 0, 1, &block[9..20]),
        frame(CONTINUATION, END_HEADERS, 1, &block[20..]),
    ];
    passed(&fronts, "head in three frames", &cut.concat());
}

/// Resident memory of this process, in MiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

/// Sends `part` again and again for a while, or until the proxy ends the connection; others are
/// answered meanwhile, and memory stays bounded.
fn flood(name: &str, settings: &[u8], first: &[u8], part: impl Fn(u32) -> Vec<u8>) -> Came {
    let fronts = fronts();
    passed(&fronts, "before", &head(&SOUND));
    let before = resident();
    let mut peer = Peer::open(&fronts, FORMS[0], settings);
    peer.0.sock.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    peer.send(first);
    let started = Instant::now();
    let mut turn = 0;
    while started.elapsed() < Duration::from_secs(2) {
        turn += 1;
        if !peer.send(&part(turn)) {
            break;
        }
    }
    let asked = Instant::now();
    let mut other = Peer::open(&fronts, FORMS[1], &[]);
    other.send(&head(&SOUND));
    let came = other.outcome(Duration::from_secs(10));
    assert_eq!(came.status, Some(200), "{name}: others are answered after {:?}", asked.elapsed());
    let after = resident();
    assert!(after < before + 96, "{name}: {before} MiB became {after} MiB over {turn} turns");
    peer.outcome(Duration::from_secs(2))
}

/// A request on the stream of a turn.
fn open(turn: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, turn * 2 - 1, &fields(&SOUND))
}

#[test]
fn continuation_flood() {
    if isolated() {
        let first = frame(HEADERS, END_STREAM, 1, &fields(&SOUND));
        let came = flood("continuation", &[], &first, |_| {
            frame(CONTINUATION, 0, 1, &fields(&[(b"x", &[b'y'; 1000])])).repeat(16)
        });
        assert!(came.closed || came.goaway.is_some(), "{came:?}");
    }
}

#[test]
fn empty_continuation_flood() {
    if isolated() {
        let first = frame(HEADERS, END_STREAM, 1, &fields(&SOUND));
        let came = flood("empty", &[], &first, |_| frame(CONTINUATION, 0, 1, &[]).repeat(1000));
        assert!(came.closed || came.goaway.is_some(), "{came:?}");
    }
}

#[test]
fn rapid_reset() {
    // CVE-2023-44487.
    if isolated() {
        flood("rapid reset", &[], &[], |turn| {
            let stream = turn * 2 - 1;
            [open(turn, END_STREAM), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        });
    }
}

#[test]
fn resets_that_the_server_is_made_to_send() {
    // CVE-2025-8671: a window update of nothing makes the server reset the stream.
    if isolated() {
        let came = flood("made to reset", &[], &[], |turn| {
            let stream = turn * 2 - 1;
            [open(turn, END_STREAM), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
        });
        assert!(came.closed || came.goaway.is_some(), "{came:?}");
    }
}

#[test]
fn settings_flood() {
    if isolated() {
        flood("settings", &[], &[], |_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(500));
    }
}

#[test]
fn ping_flood() {
    if isolated() {
        flood("ping", &[], &[], |_| frame(PING, 0, 0, b"12345678").repeat(500));
    }
}

#[test]
fn empty_data_flood() {
    // CVE-2019-9518.
    if isolated() {
        let first = frame(HEADERS, END_HEADERS, 1, &fields(&with(b":method", b"POST")));
        flood("empty data", &[], &first, |_| frame(DATA, 0, 1, &[]).repeat(500));
    }
}

#[test]
fn priority_flood() {
    if isolated() {
        flood("priority", &[], &[], |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16]).repeat(500));
    }
}

#[test]
fn header_list_bomb() {
    // One large entry of the table, named again and again (CVE-2016-1544).
    if isolated() {
        let mut entry = vec![0x40, 1, b'x', 0x7f];
        entry.extend_from_slice(&[0x81, 0x1e]);
        entry.extend_from_slice(&[b'y'; 4000]);
        let block = [fields(&SOUND), entry, vec![0xbe; 10_000]].concat();
        let came =
            flood("bomb", &[], &frame(HEADERS, END_HEADERS | END_STREAM, 1, &block), |turn| {
                let block = [fields(&SOUND), vec![0xbe; 10_000]].concat();
                frame(HEADERS, END_HEADERS | END_STREAM, turn * 2 + 1, &block)
            });
        assert!(came.closed || came.goaway.is_some() || came.status == Some(431), "{came:?}");
    }
}

#[test]
fn windows_of_nothing_hold_little() {
    if isolated() {
        // Initial window 0: answers cannot be sent.
        let settings = [0, 4, 0, 0, 0, 0];
        flood("window", &settings, &[], |turn| match turn {
            ..=90 => open(turn, END_STREAM),
            _ => {
                std::thread::sleep(Duration::from_millis(5));
                frame(PING, 0, 0, b"12345678")
            }
        });
    }
}
