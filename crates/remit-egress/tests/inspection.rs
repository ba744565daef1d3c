//! Bodies, heads and messages that are looked into (N3, N4).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{
    client::{read_all, read_head, tunnel},
    data::{Values, rules},
    origin::{Log, OK, lenient, proper},
    policy::Rule,
    world::World,
};
use flate2::{Compression, write::GzEncoder};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use remit_core::{DataAction, ModelApi, Outcome, ReasonCode};
use remit_egress::ExplicitProxy;

const VALUE: &str = "Project Nightingale";
type Actions = &'static [(&'static str, DataAction)];

struct Setup {
    world: World,
    proxy: SocketAddr,
    port: u16,
    log: Option<Log>,
    _running: ExplicitProxy,
}

fn setup(origin: SocketAddr, log: Option<Log>, outputs: Actions, inputs: Actions) -> Setup {
    setup_in(World::new(), origin, log, outputs, inputs)
}

fn setup_in(
    mut world: World,
    origin: SocketAddr,
    log: Option<Log>,
    outputs: Actions,
    inputs: Actions,
) -> Setup {
    let values = vec![(VALUE, "CANARY"), ("sk-live-1234", "API_KEY"), ("Ada Lovelace", "PERSON")];
    world.data = Some((rules(outputs, inputs), Arc::new(Values(values))));
    world.names("127.0.0.1 api.test model.test\n");
    let model = Rule::new("model.test", &[origin.port()]).model(ModelApi::OpenAi);
    world.rules(vec![Rule::new("api.test", &[origin.port()]), model]);
    let (running, proxy) = world.explicit();
    Setup { world, proxy, port: origin.port(), log, _running: running }
}

/// In front of a server that logs every byte.
fn logged(outputs: Actions) -> Setup {
    let (origin, log) = lenient("127.0.0.1:0", None, OK);
    setup(origin, Some(log), outputs, &[])
}

/// In front of a server that does what it is asked.
fn proper_one(outputs: Actions, inputs: Actions) -> Setup {
    setup(proper("127.0.0.1:0", None), None, outputs, inputs)
}

/// In front of a server that answers with this.
fn answering(reply: &'static [u8], inputs: Actions) -> Setup {
    let (origin, log) = lenient("127.0.0.1:0", None, reply);
    setup(origin, Some(log), &[], inputs)
}

impl Setup {
    fn open(&self) -> TcpStream {
        tunnel(self.proxy, &format!("api.test:{}", self.port))
    }

    fn ask(&self, start: &str, headers: &str, body: &[u8]) -> String {
        let mut stream = self.open();
        let host = format!("api.test:{}", self.port);
        let head =
            format!("{start} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        read_all(&mut stream)
    }

    fn post(&self, path: &str, headers: &str, body: &[u8]) -> String {
        let length = format!("content-length: {}\r\n{headers}", body.len());
        self.ask(&format!("POST {path}"), &length, body)
    }

    fn origin(&self) -> String {
        self.log.as_ref().unwrap().text()
    }

    fn records(&self, reason: ReasonCode) -> Vec<String> {
        let all = self.world.trail.all();
        let these = all.iter().filter(|record| record.reason == reason);
        these.map(|r| format!("{} {}", r.outcome.as_str(), r.detail.clone().unwrap())).collect()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const BLOCK: Actions = &[("CANARY", DataAction::Block)];

#[test]
fn n4_a_blocked_value_never_leaves_in_a_body() {
    let setup = logged(BLOCK);
    let answer = setup.post("/up", "", format!("text {VALUE} text").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    for part in [r#""code":"data_blocked""#, r#""classes":["CANARY"]"#, "/dlp/outputs/CANARY"] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    assert!(!answer.contains("Nightingale"), "a refusal repeats no value: {answer}");
    assert_eq!(setup.origin(), "", "nothing of the request left");
    assert_eq!(setup.records(ReasonCode::DataBlocked), ["denied CANARY 1"]);
    // Secrets stay in without any rule; what no rule names passes and is recorded.
    assert!(setup.post("/up", "", b"key=sk-live-1234").starts_with("HTTP/1.1 403"));
    assert!(setup.post("/up", "", b"Ada Lovelace, Ada Lovelace").starts_with("HTTP/1.1 200"));
    assert!(setup.origin().ends_with("Ada Lovelace, Ada Lovelace"));
    assert_eq!(setup.records(ReasonCode::DataFound), ["allowed PERSON 2"]);
    assert!(setup.post("/up", "", b"harmless").starts_with("HTTP/1.1 200"));
}

#[test]
fn n4_a_value_cut_over_chunks_is_still_found() {
    let setup = logged(BLOCK);
    let chunked = |parts: &[&str]| {
        let chunks: String = parts.iter().map(|p| format!("{:x}\r\n{p}\r\n", p.len())).collect();
        let body = format!("{chunks}0\r\n\r\n");
        setup.ask("POST /up", "transfer-encoding: chunked\r\n", body.as_bytes())
    };
    assert!(chunked(&["a Project ", "Night", "ingale b"]).starts_with("HTTP/1.1 403"));
    assert!(!setup.origin().contains("Night"), "{}", setup.origin());
    assert!(chunked(&["a Project ", "Nightfall b"]).starts_with("HTTP/1.1 200"));
}

#[test]
fn trailers_are_kept_and_hide_no_value() {
    let setup = logged(BLOCK);
    let post = |trailer: &str| {
        let body = format!("2\r\nhi\r\n0\r\nx-sum: {trailer}\r\n\r\n");
        setup.ask("POST /up", "transfer-encoding: chunked\r\ntrailer: x-sum\r\n", body.as_bytes())
    };
    assert!(post(VALUE).contains("data_blocked"));
    assert_eq!(setup.origin(), "");
    assert!(post("17").starts_with("HTTP/1.1 200"));
    std::thread::sleep(Duration::from_millis(200));
    assert!(setup.origin().ends_with("hi\r\n0\r\nx-sum: 17\r\n\r\n"), "{}", setup.origin());
}

#[test]
fn n4_a_value_in_the_target_or_a_header_never_leaves() {
    let setup = logged(BLOCK);
    let ask = |start: &str, headers: &str| setup.ask(start, headers, b"");
    for start in [
        "GET /?q=Project%20Nightingale",
        "GET /?q=Project+Nightingale",
        "GET /Project%20Nightingale/x",
        "GET /?q=%2550roject%2520Nightingale",
    ] {
        let answer = ask(start, "");
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("data_blocked"),
            "{start}: {answer}"
        );
    }
    for header in [
        "x-note: Project Nightingale\r\n",
        "cookie: a=b; note=Project%20Nightingale\r\n",
        // `user:Project Nightingale`
        "authorization: Basic dXNlcjpQcm9qZWN0IE5pZ2h0aW5nYWxl\r\n",
    ] {
        let answer = ask("GET /", header);
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("data_blocked"),
            "{header}: {answer}"
        );
    }
    assert_eq!(setup.origin(), "");
    assert!(ask("GET /?q=Project%20X", "x-note: fine\r\n").starts_with("HTTP/1.1 200"));
}

#[test]
fn n4_a_value_in_a_coded_body_never_leaves() {
    let setup = logged(BLOCK);
    let text = format!("{} {VALUE}", "x".repeat(5000));
    let coded = gzip(text.as_bytes());
    let answer = setup.post("/up", "content-encoding: gzip\r\n", &coded);
    assert!(answer.contains("data_blocked"), "{answer}");
    let twice = gzip(&coded);
    let answer = setup.post("/up", "content-encoding: gzip, gzip\r\n", &twice);
    assert!(answer.contains("data_blocked"), "{answer}");
    // In the comment of the coding itself, where no decoder looks (RFC 1952, 2.3).
    let mut builder =
        flate2::GzBuilder::new().comment(VALUE).write(Vec::new(), Compression::fast());
    builder.write_all(b"harmless").unwrap();
    let answer = setup.post("/up", "content-encoding: gzip\r\n", &builder.finish().unwrap());
    assert!(answer.contains("data_blocked"), "{answer}");
    for (coding, body) in [("compress", &b"abc"[..]), ("gzip", b"no gzip"), ("gzip", &coded[..40])]
    {
        let headers = format!("content-encoding: {coding}\r\n");
        let answer = setup.post("/up", &headers, body);
        assert!(answer.contains("body_unreadable"), "{coding}: {answer}");
    }
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(setup.post("/up", "content-encoding: gzip\r\n", &bomb).contains("body_unreadable"));
    assert_eq!(setup.origin(), "");
}

#[test]
fn n4_a_harmless_coded_body_arrives_as_it_was_sent() {
    let setup = proper_one(BLOCK, &[]);
    let coded = gzip("harmless ".repeat(1000).as_bytes());
    let mut stream = setup.open();
    let length = coded.len();
    write!(stream, "POST /echo HTTP/1.1\r\nhost: api.test:{}\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n", setup.port).unwrap();
    stream.write_all(&coded).unwrap();
    read_head(&mut stream);
    let mut echoed = Vec::new();
    stream.read_to_end(&mut echoed).unwrap();
    assert!(echoed.windows(length).any(|part| part == coded), "the very bytes");
}

#[test]
fn n4_redacted_values_are_replaced_and_lengths_agree() {
    let setup = logged(&[("CANARY", DataAction::Redact)]);
    let body = format!("one {VALUE} two {VALUE}.");
    let headers = "x-note: Project Nightingale\r\ncontent-md5: abc\r\n";
    assert!(setup.post("/up", headers, body.as_bytes()).starts_with("HTTP/1.1 200"));
    let seen = setup.origin();
    assert!(seen.ends_with("\r\n\r\none [CANARY] two [CANARY]."), "{seen}");
    assert!(seen.contains("content-length: 26") && seen.contains("x-note: [CANARY]"), "{seen}");
    assert!(!seen.contains("content-md5"), "{seen}");
    let records = setup.records(ReasonCode::DataRedacted);
    assert_eq!(records, ["redacted CANARY 1", "redacted CANARY 2"], "header, then body");
    assert!(
        setup.post("/up", "content-encoding: gzip\r\n", &gzip(body.as_bytes())).contains("200")
    );
    let seen = setup.origin();
    assert!(seen.ends_with("one [CANARY] two [CANARY].") && !seen.contains("gzip"), "{seen}");
    // A target cannot be changed after it was decided on; a signed request not at all.
    assert!(setup.ask("GET /?q=Project%20Nightingale", "", b"").contains("data_blocked"));
    let signed = "authorization: AWS4-HMAC-SHA256 Credential=x\r\n";
    assert!(setup.post("/up", signed, body.as_bytes()).contains("data_blocked"));
}

#[test]
fn n4_what_may_be_sent_masked_only_is_not_sent_elsewhere() {
    let setup = logged(&[("CANARY", DataAction::Mask)]);
    let answer = setup.post("/up", "", VALUE.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("mask_elsewhere"), "{answer}");
    assert_eq!(setup.origin(), "");
}

#[test]
fn n4_a_large_upload_is_cut_before_the_value() {
    let setup = logged(BLOCK);
    let mut stream = setup.open();
    write!(
        stream,
        "POST /up HTTP/1.1\r\nhost: api.test:{}\r\ntransfer-encoding: chunked\r\n\r\n",
        setup.port
    )
    .unwrap();
    let filling = "y".repeat(64 << 10);
    for _ in 0..40 {
        write!(stream, "{:x}\r\n{filling}\r\n", filling.len()).unwrap();
    }
    write!(stream, "{:x}\r\n{VALUE}\r\n0\r\n\r\n", VALUE.len()).unwrap();
    let answer = read_head(&mut stream);
    // The lenient server answers at once; the program's connection is cut then.
    let rest = read_all(&mut stream);
    assert!(answer.contains("403") || rest.is_empty() || rest == "ok", "{answer}{rest}");
    setup.world.trail.wait("the block", |record| record.reason == ReasonCode::DataBlocked);
    std::thread::sleep(Duration::from_millis(300));
    let seen = setup.origin();
    assert!(
        seen.contains(&filling[..1000]) && !seen.contains("Project"),
        "only what stands before it"
    );
    assert!(!seen.ends_with("0\r\n\r\n"), "the server can tell that the body was cut");
}

#[test]
fn n4_a_held_request_waits_for_a_person_and_passes_once_released() {
    let setup = logged(&[("CANARY", DataAction::Quarantine)]);
    let body = format!("report: {VALUE}");
    let ask = |body: &str| setup.post("/up?x=1", "authorization: Bearer abc\r\n", body.as_bytes());
    let answer = ask(&body);
    assert!(answer.starts_with("HTTP/1.1 425"), "{answer}");
    for part in [r#""code":"data_held""#, r#""ticket":"q-1""#, "remit quarantine show q-1"] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    assert!(ask(&body).starts_with("HTTP/1.1 425"), "still waiting");
    assert_eq!(setup.origin(), "");
    {
        let held = setup.world.quarantine.held.lock().unwrap();
        assert_eq!(held.len(), 1, "the same payload is held once");
        assert_eq!(held[0].body, body.as_bytes());
        assert_eq!(held[0].excerpts[0].text, "report: [CANARY]");
        assert!(!format!("{:?}", held[0].head).contains("Bearer"), "{:?}", held[0].head);
    }
    *setup.world.quarantine.said.lock().unwrap() = Some(false);
    let answer = ask(&body);
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("data_rejected"), "{answer}");
    *setup.world.quarantine.said.lock().unwrap() = Some(true);
    // Another body is another payload.
    *setup.world.quarantine.said.lock().unwrap() = None;
    assert!(ask(&format!("{body}!")).starts_with("HTTP/1.1 425"));
    *setup.world.quarantine.said.lock().unwrap() = Some(true);
    assert!(ask(&body).starts_with("HTTP/1.1 200"));
    assert!(setup.origin().ends_with(&body));
    assert_eq!(setup.records(ReasonCode::DataReleased), ["allowed q-1: CANARY 1"]);
    let held = setup.world.trail.all().into_iter().filter(|r| r.outcome == Outcome::Held);
    assert!(held.clone().count() >= 2 && held.last().unwrap().action.as_str() == "quarantine_hold");
    // In a header, too.
    *setup.world.quarantine.said.lock().unwrap() = None;
    let answer = setup.ask(
        "GET /?q=Project+x&r=Project%20Nightingale",
        "x-note: a Project Nightingale\r\n",
        b"",
    );
    assert!(answer.starts_with("HTTP/1.1 425"), "{answer}");
    let held = setup.world.quarantine.held.lock().unwrap();
    let head = format!("{:?}", held.last().unwrap().head);
    assert!(head.contains("r=[CANARY]") && head.contains("a [CANARY]"), "{head}");
    assert!(!head.contains("Nightingale"), "values are not shown: {head}");
}

const EVENTS: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
      9\r\ndata: 1\n\n\r\n1b\r\ndata: Project Nightingale\n\n\r\n9\r\ndata: 3\n\n\r\n0\r\n\r\n";

#[test]
fn n4_answers_are_redacted_blocked_and_recorded() {
    let reply: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-length: 27\r\netag: \"1\"\r\n\r\nsee Project Nightingale !!.";
    let setup = answering(reply, &[("CANARY", DataAction::Redact)]);
    let answer = setup.ask("GET /", "range: bytes=0-8\r\n", b"");
    assert!(
        answer.ends_with("see [CANARY] !!.") && answer.contains("content-length: 16"),
        "{answer}"
    );
    assert!(!answer.contains("etag"), "{answer}");
    assert!(!setup.origin().contains("range:"), "no half of a value: {}", setup.origin());
    assert!(setup.origin().contains("accept-encoding: identity"));
    let setup = answering(reply, BLOCK);
    let answer = setup.ask("GET /", "", b"");
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("data_blocked"), "{answer}");
    let setup = answering(reply, &[("CANARY", DataAction::Quarantine)]);
    assert!(setup.ask("GET /", "", b"").starts_with("HTTP/1.1 425"));
    *setup.world.quarantine.said.lock().unwrap() = Some(true);
    assert!(setup.ask("GET /", "", b"").ends_with("see Project Nightingale !!."));
    let setup = answering(reply, &[]);
    let answer = setup.ask("GET /", "", b"");
    assert!(answer.ends_with("see Project Nightingale !!.") && answer.contains("etag"), "{answer}");
    assert_eq!(setup.records(ReasonCode::DataFound), ["allowed CANARY 1"]);
    let setup = answering(EVENTS, &[("CANARY", DataAction::Redact)]);
    let answer = setup.ask("GET /", "", b"");
    assert!(answer.contains("data: [CANARY]\n\n") && answer.contains("data: 3\n\n"), "{answer}");
    let setup = answering(EVENTS, BLOCK);
    let answer = setup.ask("GET /", "", b"");
    assert!(!answer.contains("Project") && !answer.contains("data: 3"), "{answer}");
    assert!(
        !answer.ends_with("0\r\n\r\n"),
        "the program can tell that the answer was cut: {answer}"
    );
}

#[test]
fn events_are_not_held_back_by_inspection() {
    let setup = proper_one(BLOCK, &[("CANARY", DataAction::Redact)]);
    let mut stream = setup.open();
    write!(stream, "GET /sse HTTP/1.1\r\nhost: api.test:{}\r\n\r\n", setup.port).unwrap();
    let began = Instant::now();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("data: 3\n\n") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    // The fourth of fifty events, 100 ms apart.
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
}

#[test]
fn large_bodies_stream_through_inspection_and_stay_whole() {
    let setup = proper_one(BLOCK, BLOCK);
    let mut stream = setup.open();
    let size = 24 << 20;
    write!(stream, "POST /count HTTP/1.1\r\nhost: api.test:{}\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n", setup.port).unwrap();
    let part = vec![b'z'; 1 << 20];
    for _ in 0..24 {
        stream.write_all(&part).unwrap();
    }
    let answer = read_all(&mut stream);
    assert!(answer.ends_with(&size.to_string()), "{answer}");
    let mut stream = setup.open();
    write!(
        stream,
        "GET /big HTTP/1.1\r\nhost: api.test:{}\r\nconnection: close\r\n\r\n",
        setup.port
    )
    .unwrap();
    let mut total = 0;
    let mut buffer = vec![0; 256 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        total += buffer[..count].iter().filter(|byte| **byte == b'x').count();
    }
    assert_eq!(total, 64 << 20);
}

#[test]
fn a_record_that_cannot_be_written_stops_a_redaction() {
    let setup = logged(&[("CANARY", DataAction::Redact)]);
    assert!(setup.post("/up", "", b"fine").starts_with("HTTP/1.1 200"));
    let before = setup.origin();
    *setup.world.trail.refuses.lock().unwrap() = Some(ReasonCode::DataRedacted);
    let answer = setup.post("/up", "", VALUE.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("audit_unavailable"));
    assert_eq!(setup.origin(), before);
}

#[test]
fn n4_a_value_in_another_protocol_never_leaves_whole() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = listener.local_addr().unwrap();
    let (give, take) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"220 ready\r\n").unwrap();
            let mut got = Vec::new();
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                got.extend_from_slice(&buffer[..count]);
                if got.ends_with(b"Project") || got.ends_with(b"\n") {
                    let _ = stream.write_all(b"250 ok\r\n");
                }
            }
            give.send(String::from_utf8_lossy(&got).into_owned()).unwrap();
        }
    });
    let setup = setup(origin, None, BLOCK, &[]);
    let mut stream = setup.open();
    let mut line = [0; 11];
    stream.read_exact(&mut line).unwrap();
    // It ends like a value begins, and its sender waits for the answer.
    stream.write_all(b"HELO Project").unwrap();
    let mut ok = [0; 8];
    stream.read_exact(&mut ok).unwrap();
    stream.write_all(b" Nightingale\r\n").unwrap();
    let got = take.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(got, "HELO Project", "the rest never left");
    assert!(setup.world.trail.has(ReasonCode::DataBlocked));
    let mut stream = setup.open();
    stream.read_exact(&mut line).unwrap();
    stream.write_all(b"HELO Project Nightfall\r\n").unwrap();
    stream.read_exact(&mut ok).unwrap();
    drop(stream);
    assert_eq!(take.recv_timeout(Duration::from_secs(10)).unwrap(), "HELO Project Nightfall\r\n");
}

#[tokio::test]
async fn grpc_goes_both_ways_at_once_and_keeps_its_trailers() {
    let world = World::new();
    let origin = proper("127.0.0.1:0", Some(world.outside.server(&["api.test"], &["h2"])));
    let setup = setup_in(world, origin, None, BLOCK, BLOCK);
    let stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let config = common::client::client_config(setup.world.ca(), &["h2"]);
    let name = "api.test".to_owned().try_into().unwrap();
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let ask = |text: &'static str| {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let frames: Vec<Result<Frame<Bytes>, std::convert::Infallible>> = vec![
            Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x05"))),
            Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Ok(Frame::trailers(trailers)),
        ];
        let stream = common::origin::futures_lite(frames);
        hyper::Request::post(format!("https://api.test:{}/echo", setup.port))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(http_body_util::StreamBody::new(stream))
            .unwrap()
    };
    let response = sender.send_request(ask("hello")).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), &b"\0\0\0\0\x05hello"[..]);
    let refused = sender.send_request(ask(VALUE)).await;
    let refused = refused.is_err() || refused.unwrap().headers()["grpc-status"] == "7";
    assert!(refused, "the value is stopped, and gRPC is told in its own words");
    assert!(setup.world.trail.has(ReasonCode::DataBlocked));
}

#[test]
fn a_program_that_waits_for_100_continue_is_served() {
    let setup = logged(BLOCK);
    let mut stream = setup.open();
    write!(stream, "POST /up HTTP/1.1\r\nhost: api.test:{}\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n", setup.port).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 100"));
    stream.write_all(b"hello").unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
}

#[test]
fn what_is_only_recorded_passes_also_where_it_cannot_be_decoded() {
    let reply =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 12\r\n\r\nno gzip data";
    let setup = answering(reply, &[]);
    assert!(setup.ask("GET /", "", b"").ends_with("no gzip data"));
    let setup = answering(reply, BLOCK);
    let answer = setup.ask("GET /", "", b"");
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("body_unreadable"), "{answer}");
}

#[test]
fn n3_what_a_model_gets_is_masked_whole_or_not_sent() {
    let setup = logged(&[("PERSON", DataAction::Mask), ("CANARY", DataAction::Redact)]);
    let post = |headers: &str, body: &[u8]| {
        let mut stream = tunnel(setup.proxy, &format!("model.test:{}", setup.port));
        let length = body.len();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: model.test:{}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n",
            setup.port
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The refusal may come before all of it is written.
        let _ = stream.write_all(body);
        read_all(&mut stream)
    };
    let text = r#"{"model":"m","messages":[{"role":"user","content":"Ada Lovelace, Project Nightingale, \u0041da Lovelace"}]}"#;
    assert!(post("", text.as_bytes()).starts_with("HTTP/1.1 200"));
    let coded = gzip(text.as_bytes());
    assert!(post("content-encoding: gzip\r\n", &coded).starts_with("HTTP/1.1 200"));
    let seen = setup.origin();
    assert!(!seen.contains("Lovelace") && !seen.contains("Nightingale"), "{seen}");
    assert_eq!(seen.matches("PII-").count(), 4, "{seen}");
    assert_eq!(seen.matches("[CANARY]").count(), 2, "{seen}");
    assert!(!seen.contains("content-encoding"), "{seen}");
    let calls = setup.world.trail.all();
    let call = calls.iter().find(|record| record.action.as_str() == "model_call").unwrap();
    assert!(call.detail.as_ref().unwrap().starts_with("openai m; masked PERSON 2; sent sha256:"));
    let before = setup.origin();
    let answer = post("authorization: AWS4-HMAC-SHA256 x\r\n", text.as_bytes());
    assert!(answer.contains("unmaskable"), "{answer}");
    let answer = post("", &vec![b' '; (32 << 20) + 1]);
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
    assert_eq!(setup.origin(), before);
}

#[test]
fn frames_of_bedrock_pass_inspection_unchanged() {
    let reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ncontent-length: 16\r\n\r\n\0\0\0\x10\0\0\0\0\x05\xc2\x48\xeb\x7d\x98\xc8\xff";
    let setup = answering(reply, BLOCK);
    let mut stream = setup.open();
    write!(stream, "GET / HTTP/1.1\r\nhost: api.test:{}\r\nconnection: close\r\n\r\n", setup.port)
        .unwrap();
    read_head(&mut stream);
    let mut body = Vec::new();
    stream.read_to_end(&mut body).unwrap();
    assert_eq!(body, reply[reply.len() - 16..]);
}

// WebSocket

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-extensions: permessage-deflate\r\n";

fn socket(setup: &Setup) -> TcpStream {
    let mut stream = setup.open();
    write!(stream, "GET /ws HTTP/1.1\r\nhost: api.test:{}\r\n{UPGRADE}\r\n", setup.port).unwrap();
    let head = read_head(&mut stream);
    assert!(
        head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{head}"
    );
    stream
}

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [9, 8, 7, 6];
    let mut out = vec![first, 0x80 | payload.len() as u8];
    out.extend(key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

fn unframe(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let masked = head[1] & 0x80 != 0;
    let mut key = [0; 4];
    if masked {
        stream.read_exact(&mut key).unwrap();
    }
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut payload).unwrap();
    payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    (head[0], payload)
}

/// A server of sockets that repeats what it is told, unmasked, as servers speak; it logs messages.
fn echoing() -> (SocketAddr, Arc<std::sync::Mutex<Vec<Vec<u8>>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let log = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&log);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, log) = (stream.unwrap(), Arc::clone(&kept));
            std::thread::spawn(move || {
                let head = read_head(&mut stream);
                log.lock().unwrap().push(head.into_bytes());
                stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n").unwrap();
                loop {
                    let mut one = [0; 1];
                    if !matches!(stream.peek(&mut one), Ok(1)) {
                        return;
                    }
                    let (first, payload) = unframe(&mut stream);
                    log.lock().unwrap().push(payload.clone());
                    let answer =
                        if payload == b"tell" { VALUE.as_bytes().to_vec() } else { payload };
                    let _ = stream.write_all(&[&[first, answer.len() as u8][..], &answer].concat());
                }
            });
        }
    });
    (address, log)
}

#[test]
fn n3_messages_of_a_socket_are_looked_into_both_ways() {
    let (origin, log) = echoing();
    let setup = setup(origin, None, BLOCK, &[("CANARY", DataAction::Redact)]);
    let mut stream = socket(&setup);
    stream.write_all(&frame(0x81, b"hello")).unwrap();
    assert_eq!(unframe(&mut stream), (0x81, b"hello".to_vec()));
    stream.write_all(&frame(0x89, b"ping")).unwrap();
    assert_eq!(unframe(&mut stream), (0x89, b"ping".to_vec()));
    stream.write_all(&frame(0x82, b"tell")).unwrap();
    assert_eq!(unframe(&mut stream), (0x82, b"[CANARY]".to_vec()));
    // In two fragments, with a ping between them.
    stream.write_all(&frame(0x01, b"Project Night")).unwrap();
    stream.write_all(&frame(0x89, b"x")).unwrap();
    assert_eq!(unframe(&mut stream), (0x89, b"x".to_vec()));
    stream.write_all(&frame(0x80, b"ingale")).unwrap();
    let (first, payload) = unframe(&mut stream);
    assert_eq!((first, &payload[..2]), (0x88, &1008u16.to_be_bytes()[..]));
    assert!(String::from_utf8_lossy(&payload).contains("data_blocked CANARY"), "{payload:?}");
    let seen = log.lock().unwrap().concat();
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(!seen.contains("Project") && !seen.contains("permessage-deflate"), "{seen}");
    assert!(setup.world.trail.has(ReasonCode::DataBlocked));
}

#[test]
fn n3_a_value_hidden_in_a_ping_or_a_close_closes_the_socket() {
    let (origin, log) = echoing();
    let setup = setup(origin, None, BLOCK, &[]);
    let close = [&1000u16.to_be_bytes()[..], VALUE.as_bytes()].concat();
    for hidden in [frame(0x89, VALUE.as_bytes()), frame(0x88, &close)] {
        let mut stream = socket(&setup);
        stream.write_all(&hidden).unwrap();
        assert_eq!(unframe(&mut stream).1[..2], 1008u16.to_be_bytes());
    }
    assert!(!String::from_utf8_lossy(&log.lock().unwrap().concat()).contains("Project"));
}

#[test]
fn n4_a_held_message_closes_with_its_ticket_and_passes_once_released() {
    let (origin, log) = echoing();
    let setup = setup(origin, None, &[("CANARY", DataAction::Quarantine)], &[]);
    let mut stream = socket(&setup);
    stream.write_all(&frame(0x81, VALUE.as_bytes())).unwrap();
    let (first, payload) = unframe(&mut stream);
    let reason = String::from_utf8_lossy(&payload[2..]).into_owned();
    assert_eq!((first, &payload[..2]), (0x88, &1008u16.to_be_bytes()[..]));
    assert!(reason.starts_with("data_held q-1 CANARY e-"), "{reason}");
    assert!(!String::from_utf8_lossy(&log.lock().unwrap().concat()).contains("Project"));
    *setup.world.quarantine.said.lock().unwrap() = Some(true);
    let mut stream = socket(&setup);
    stream.write_all(&frame(0x81, VALUE.as_bytes())).unwrap();
    assert_eq!(unframe(&mut stream), (0x81, VALUE.as_bytes().to_vec()));
}

#[test]
fn n3_ambiguous_frames_end_an_inspected_socket() {
    let (origin, log) = echoing();
    let setup = setup(origin, None, BLOCK, &[]);
    let compressed = frame(0xc1, b"abc");
    let unmasked = vec![0x81, 1, b'x'];
    for bad in [compressed, unmasked, frame(0x83, b"x"), frame(0x09, b"x"), frame(0x80, b"x")] {
        let mut stream = socket(&setup);
        stream.write_all(&bad).unwrap();
        let (first, payload) = unframe(&mut stream);
        assert_eq!((first, &payload[..2]), (0x88, &1002u16.to_be_bytes()[..]), "{bad:?}");
    }
    assert!(log.lock().unwrap().iter().all(
        |said| said.starts_with(b"GET") || said.len() > 1 && said[..2] == 1002u16.to_be_bytes()
    ));
    assert!(setup.world.trail.has(ReasonCode::MalformedRequest));
}

#[test]
fn n3_a_server_that_does_not_answer_the_key_opens_no_socket() {
    let reply = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    let (origin, _) = lenient("127.0.0.1:0", None, reply);
    let setup = setup(origin, None, &[], &[]);
    let mut stream = setup.open();
    write!(stream, "GET /ws HTTP/1.1\r\nhost: api.test:{}\r\n{UPGRADE}\r\n", setup.port).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 502"));
}
