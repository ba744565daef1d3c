//! HTTP/2, gRPC's trailers, WebSocket, events, uploads, passthrough and raw TCP.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{
    client::{client_config, read_all, read_head, tls, tunnel},
    netns::isolated,
    origin::{OK, lenient, proper},
    policy::Rule,
    world::World,
};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::{Request, body::Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use remit_core::ReasonCode;
use remit_egress::ExplicitProxy;

struct Setup {
    world: World,
    proxy: SocketAddr,
    port: u16,
    _running: ExplicitProxy,
}

fn setup(alpn: &[&str], shape: impl Fn(Rule) -> Rule) -> Setup {
    let world = World::new();
    world.names("127.0.0.1 api.test front.test\n");
    let origin = proper("127.0.0.1:0", Some(world.outside.server(&["api.test"], alpn)));
    world.rules(vec![shape(Rule::new("api.test", &[origin.port()]))]);
    let (running, proxy) = world.explicit();
    Setup { world, proxy, port: origin.port(), _running: running }
}

impl Setup {
    fn open(&self) -> common::client::Tls {
        let stream = tunnel(self.proxy, &format!("api.test:{}", self.port));
        tls(stream, "api.test", self.world.ca()).unwrap()
    }

    /// An HTTP/2 client with bodies of type `B`.
    async fn h2<B>(&self) -> hyper::client::conn::http2::SendRequest<B>
    where
        B: hyper::body::Body + Unpin + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.h2_with(hyper::client::conn::http2::Builder::new(TokioExecutor::new())).await
    }

    async fn h2_with<B>(
        &self,
        builder: hyper::client::conn::http2::Builder<TokioExecutor>,
    ) -> hyper::client::conn::http2::SendRequest<B>
    where
        B: hyper::body::Body + Unpin + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = tunnel(self.proxy, &format!("api.test:{}", self.port));
        stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let config = client_config(self.world.ca(), &["h2"]);
        let name = "api.test".to_owned().try_into().unwrap();
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    fn url(&self, path: &str) -> String {
        format!("https://api.test:{}{path}", self.port)
    }
}

#[tokio::test]
async fn http2_streams_are_decided_on_one_by_one() {
    let setup = setup(&["h2", "http/1.1"], |rule| rule.paths(&["/headers"]));
    let mut sender = setup.h2::<Empty<Bytes>>().await;
    let get = |uri: String| Request::get(uri).body(Empty::new()).unwrap();
    let mut ask = async |request| {
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let (status, body) = ask(get(setup.url("/headers"))).await;
    assert_eq!(status, 200);
    assert!(body.contains("HTTP/2.0") && body.contains("https://api.test"), "{body}");
    let (status, body) = ask(get(setup.url("/secret"))).await;
    assert_eq!((status, body.contains("path_not_listed")), (403, true), "{body}");
    // Domain fronting: another authority on a stream of the same connection.
    let (status, body) = ask(get(format!("https://front.test:{}/headers", setup.port))).await;
    assert_eq!((status, body.contains("authority_mismatch")), (421, true), "{body}");
    // The authority is right and a Host header disagrees.
    let mut request = get(setup.url("/headers"));
    request.headers_mut().insert("host", "front.test".parse().unwrap());
    let (status, body) = ask(request).await;
    assert_eq!((status, body.contains("authority_mismatch")), (421, true), "{body}");
    let (status, body) = ask(get(setup.url("/x/..%2fheaders"))).await;
    assert_eq!((status, body.contains("ambiguous_path")), (400, true), "{body}");
    let mut request = get(setup.url("/headers"));
    request.headers_mut().append("cookie", "a=1".parse().unwrap());
    request.headers_mut().append("cookie", "b=2".parse().unwrap());
    assert!(ask(request).await.1.contains("cookie: a=1; b=2"));
    let mut connect = get(format!("api.test:{}", setup.port));
    *connect.method_mut() = http::Method::CONNECT;
    let refused = sender.send_request(connect).await;
    assert!(refused.is_err() || refused.unwrap().status() == 400);
    assert!(setup.world.trail.has(ReasonCode::AuthorityMismatch));
}

#[tokio::test]
async fn grpc_style_trailers_pass_both_ways_and_http1_servers_are_translated() {
    for alpn in [&["h2"][..], &["http/1.1"][..]] {
        let setup = setup(alpn, |rule| rule);
        let mut sender = setup.h2().await;
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let (give, take) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(4);
        give.send(Ok(Frame::data(Bytes::from_static(b"hello")))).await.unwrap();
        give.send(Ok(Frame::trailers(trailers))).await.unwrap();
        drop(give);
        let body = StreamBody::new(Receiver(take));
        let request =
            Request::post(setup.url("/echo")).header("te", "trailers").body(body).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap();
        if alpn == ["h2"] {
            assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        }
        assert_eq!(&body.to_bytes()[..], b"hello");
    }
}

#[tokio::test]
async fn a_large_http2_upload_streams_through() {
    let setup = setup(&["h2"], |rule| rule);
    let mut sender = setup.h2().await;
    let body = Full::new(Bytes::from(vec![b'x'; 20 << 20]));
    let request = Request::post(setup.url("/count")).body(body).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], (20 << 20).to_string().as_bytes());
}

#[tokio::test]
async fn an_upload_that_outlasts_its_answer_ends_with_its_rule() {
    let setup = setup(&["h2"], |rule| rule.paths(&["/early"]));
    let mut sender = setup.h2().await;
    let (give, take) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    let chunk = || Ok(Frame::data(Bytes::from(vec![b'x'; 1000])));
    give.send(chunk()).await.unwrap();
    let request = Request::post(setup.url("/early")).body(StreamBody::new(Receiver(take))).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(&response.into_body().collect().await.unwrap().to_bytes()[..], b"taken");
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        give.send(chunk()).await.expect("the upload goes on");
    }
    setup.world.rules(vec![Rule::new("api.test", &[setup.port]).paths(&["/other"])]);
    let cut = async {
        while give.send(chunk()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), cut).await.expect("the upload ends");
    assert!(setup.world.trail.has(ReasonCode::PathNotListed));
}

#[tokio::test]
async fn streams_under_way_are_bounded_over_all_connections() {
    let setup = setup(&["h2"], |rule| rule);
    let get = |path| Request::get(setup.url(path)).body(Empty::<Bytes>::new()).unwrap();
    let mut connections = Vec::new();
    for count in [100; 10].into_iter().chain([24]) {
        let mut sender = setup.h2().await;
        let waiting: Vec<_> = (0..count).map(|_| sender.send_request(get("/hang"))).collect();
        connections.push((sender, waiting));
    }
    let permitted = || {
        let trail = setup.world.trail.lines();
        trail
            .iter()
            .filter(|line| line.starts_with("http_request") && line.contains("/hang"))
            .count()
    };
    while permitted() < 1024 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut sender = setup.h2().await;
    let mut asking = std::pin::pin!(sender.send_request(get("/")));
    let early = tokio::time::timeout(Duration::from_millis(500), &mut asking).await;
    assert!(early.is_err(), "it waits for a share");
    connections.pop();
    let response = tokio::time::timeout(Duration::from_secs(10), asking).await;
    assert_eq!(response.expect("a share came free").unwrap().status(), 200);
}

/// Server connections opened so far.
fn dialled(setup: &Setup) -> usize {
    setup.world.trail.lines().iter().filter(|line| line.contains("dialling")).count()
}

#[tokio::test]
async fn downloads_that_nobody_reads_stop_nobody_else() {
    let setup = setup(&["h2"], |rule| rule);
    // A program whose own window is large, so that only the proxy's could stop it.
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_connection_window_size(128 << 20).initial_stream_window_size(64 << 10);
    let get = |path| Request::get(setup.url(path)).body(Empty::<Bytes>::new()).unwrap();
    let mut stalling = setup.h2_with(builder).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        stalled.push(stalling.send_request(get("/big")).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut other = setup.h2().await;
    for sender in [&mut other, &mut stalling] {
        let asking = async {
            let response = sender.send_request(get("/")).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes().len()
        };
        let length = tokio::time::timeout(Duration::from_secs(5), asking).await;
        assert_eq!(length.expect("an answer in spite of the stalled ones"), 1024);
    }
    drop(stalled);
}

#[tokio::test]
async fn requests_one_after_the_other_use_one_server_connection() {
    let setup = setup(&["h2"], |rule| rule);
    let get = || Request::get(setup.url("/")).body(Empty::<Bytes>::new()).unwrap();
    for _ in 0..2 {
        let mut sender = setup.h2().await;
        for _ in 0..3 {
            let response = sender.send_request(get()).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
        assert_eq!(dialled(&setup), 1);
    }
    // And so do streams side by side, as many as can all stall.
    let mut sender = setup.h2().await;
    let all: Vec<_> = (0..10).map(|_| sender.send_request(get())).collect();
    for one in all {
        one.await.unwrap().into_body().collect().await.unwrap();
    }
    assert_eq!(dialled(&setup), 1);
}

#[test]
fn events_arrive_as_they_are_sent() {
    let setup = setup(&["h2", "http/1.1"], |rule| rule);
    let mut stream = setup.open();
    write!(stream, "GET /sse HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", setup.port).unwrap();
    assert!(read_head(&mut stream).contains("text/event-stream"));
    let started = Instant::now();
    let mut seen = String::new();
    let mut buffer = [0u8; 1024];
    while !seen.contains("data: 3\n") {
        let count = stream.read(&mut buffer).unwrap();
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    // The server takes 5 s for all of them.
    assert!(!seen.contains("data: 6\n"), "{seen}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn uploads_chunked_sized_and_with_expectation() {
    let setup = setup(&["h2", "http/1.1"], |rule| rule.paths(&["/count"]));
    let mut stream = setup.open();
    let host = format!("Host: api.test:{}\r\n", setup.port);
    write!(stream, "POST /count HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n").unwrap();
    for _ in 0..100 {
        stream.write_all(b"2710\r\n").unwrap();
        stream.write_all(&vec![b'x'; 10_000]).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    let mut body = [0u8; 7];
    stream.read_exact(&mut body).unwrap();
    assert_eq!(&body, b"1000000");
    // The same connection goes on. `100 Continue` comes before the body is sent.
    let head =
        format!("POST /count HTTP/1.1\r\n{host}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 100"));
    stream.write_all(b"12345").unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    stream.read_exact(&mut body[..1]).unwrap();
    assert_eq!(body[0], b'5');
    // A refused one is refused before the body is asked for.
    let head = head.replace("/count", "/other");
    stream.write_all(head.as_bytes()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 403"));
}

#[test]
fn a_body_reaches_the_server_whatever_the_method() {
    let world = World::new();
    world.names("127.0.0.1 plain.test\n");
    let (origin, log) = lenient("127.0.0.1:0", None, OK);
    world.rules(vec![Rule::new("plain.test", &[origin.port()])]);
    let (_running, proxy) = world.explicit();
    let own = format!("plain.test:{}", origin.port());
    for method in ["GET", "DELETE", "POST"] {
        let mut stream = tunnel(proxy, &own);
        let head = format!("{method} /{method} HTTP/1.1\r\nHost: {own}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").unwrap();
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
        std::thread::sleep(Duration::from_millis(100));
        let seen = log.text();
        let sent = seen.split(&format!("{method} /{method}")).nth(1).unwrap();
        assert_eq!(sent.matches("transfer-encoding: chunked").count(), 1, "{seen}");
        assert!(sent.contains("3\r\nabc\r\n0\r\n\r\n"), "{seen}");
    }
}

#[test]
fn websocket_bytes_pass_after_101_and_the_path_is_decided_on() {
    let setup = setup(&["h2", "http/1.1"], |rule| rule.paths(&["/ws"]));
    let ask = |path: &str| {
        let mut stream = setup.open();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: api.test:{}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: permessage-deflate\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            setup.port
        )
        .unwrap();
        (read_head(&mut stream), stream)
    };
    let (head, _) = ask("/other");
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    let (head, mut stream) = ask("/ws");
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("upgrade: websocket"), "{head}");
    for n in 0..50u8 {
        let frame = [0x82, 5, n, n, n, b'\r', b'\n'];
        stream.write_all(&frame).unwrap();
        let mut back = [0u8; 7];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, frame);
    }
    // The permission is still in use.
    setup.world.rules(vec![]);
    assert!(stream.read(&mut [0; 10]).is_err());
}

#[test]
fn upgraded_connections_keep_their_places() {
    // In a process of its own, so that few descriptors mean few places.
    if !isolated() {
        return;
    }
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(224);
    setrlimit(Resource::Nofile, limit).unwrap();
    let setup = setup(&["http/1.1"], |rule| rule);
    let upgrade = |stream: &mut common::client::Tls| {
        let host = format!("api.test:{}", setup.port);
        let head = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        write!(stream, "GET /ws HTTP/1.1\r\nHost: {host}\r\n{head}").unwrap();
        assert!(read_head(stream).starts_with("HTTP/1.1 101"));
    };
    // 224 descriptors carry 32 connections, and one client gets half of them.
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut stream = setup.open();
        upgrade(&mut stream);
        open.push(stream);
    }
    std::thread::sleep(Duration::from_millis(100));
    let mut refused = common::client::connect(setup.proxy);
    let _ = refused.write_all(b"CONNECT x:1 HTTP/1.1\r\n\r\n");
    assert_eq!(read_all(&mut refused), "");
    open.pop();
    std::thread::sleep(Duration::from_millis(200));
    let mut stream = setup.open();
    upgrade(&mut stream);
}

#[test]
fn plain_http_through_the_proxy_in_absolute_form() {
    let world = World::new();
    world.names("127.0.0.1 plain.test other.test\n");
    let origin = proper("127.0.0.1:0", None);
    world.rules(vec![Rule::new("plain.test", &[origin.port()]).paths(&["/headers"])]);
    let (_running, proxy) = world.explicit();
    let port = origin.port();
    let mut stream = common::client::connect(proxy);
    let mut ask = |target: &str, host: &str| {
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nProxy-Connection: x\r\n\r\n")
            .unwrap();
        let head = read_head(&mut stream);
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap()
            .parse()
            .unwrap();
        let mut body = vec![0u8; length];
        stream.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    };
    let own = format!("plain.test:{port}");
    let (head, body) = ask(&format!("http://{own}/headers"), &own);
    assert!(
        head.starts_with("HTTP/1.1 200") && body.starts_with("GET /headers HTTP/1.1"),
        "{body}"
    );
    assert!(!body.contains("proxy-connection"), "{body}");
    let (head, _) = ask(&format!("http://{own}/x"), &own);
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    let (head, body) = ask(&format!("http://other.test:{port}/headers"), "other.test");
    assert!(head.starts_with("HTTP/1.1 403") && body.contains("host_not_listed"), "{body}");
    let (head, body) = ask(&format!("http://{own}/headers"), "other.test");
    assert!(head.starts_with("HTTP/1.1 421"), "{head} {body}");
}

#[test]
fn passthrough_keeps_the_servers_certificate_and_checks_the_name() {
    let setup = setup(&["http/1.1"], |rule| rule.passthrough());
    let stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    // The outside authority, not the session's.
    let mut stream = tls(stream, "api.test", &setup.world.outside.pem).unwrap();
    write!(stream, "GET /x HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n").unwrap();
    assert!(read_all(&mut stream).starts_with("HTTP/1.1 200"));
    let stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    assert!(tls(stream, "front.test", &setup.world.outside.pem).is_err());
    setup.world.trail.wait("the mismatch", |r| r.reason == ReasonCode::SniMismatch);
}

#[test]
fn an_encrypted_client_hello_is_not_passed_through() {
    let setup = setup(&["http/1.1"], |rule| rule.passthrough());
    let mut stream = tunnel(setup.proxy, &format!("api.test:{}", setup.port));
    // The right outer name and an encrypted_client_hello extension.
    let mut extensions = vec![0, 0, 0, 13, 0, 11, 0, 0, 8];
    extensions.extend_from_slice(b"api.test");
    extensions.extend_from_slice(&[0xfe, 0x0d, 0, 4, 1, 2, 3, 4]);
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0, 0, extensions.len() as u8]);
    body.extend_from_slice(&extensions);
    let mut record = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    record.extend_from_slice(&body);
    stream.write_all(&record).unwrap();
    let mut alert = Vec::new();
    let _ = stream.read_to_end(&mut alert);
    assert_eq!(alert, [21, 3, 1, 0, 2, 2, 112]);
    let record = setup.world.trail.wait("it", |r| r.reason == ReasonCode::SniMismatch);
    assert!(record.detail.unwrap().contains("encrypted"));
}

#[test]
fn raw_tcp_by_name_in_both_orders() {
    let world = World::new();
    world.names("127.0.0.1 raw.test\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"hello\n").unwrap();
            std::thread::spawn(move || {
                let mut copy = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut stream, &mut copy);
                let _ = copy.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    world.rules(vec![Rule::new("raw.test", &[port])]);
    let (_running, proxy) = world.explicit();
    for first in [&b"SSH-2.0-x\r\n"[..], b"\0\0\0\x08\x04\xd2\x16\x2f"] {
        let mut stream = tunnel(proxy, &format!("raw.test:{port}"));
        stream.write_all(first).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all, [b"hello\n", first].concat());
    }
    // Messages without an end of line, also after the wait for the server's greeting.
    for wait in [0, 600] {
        for (first, end) in [("ruok", true), ("{\"id\":1}", false)] {
            let mut stream = tunnel(proxy, &format!("raw.test:{port}"));
            std::thread::sleep(Duration::from_millis(wait));
            stream.write_all(first.as_bytes()).unwrap();
            if end {
                stream.shutdown(std::net::Shutdown::Write).unwrap();
            }
            let expected = format!("hello\n{first}");
            let mut all = vec![0u8; expected.len()];
            stream.read_exact(&mut all).unwrap();
            assert_eq!(String::from_utf8_lossy(&all), expected);
        }
    }
    let mut stream = tunnel(proxy, &format!("raw.test:{port}"));
    let mut greeting = [0u8; 6];
    stream.read_exact(&mut greeting).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let mut echoed = [0u8; 16];
    stream.read_exact(&mut echoed).unwrap();
    assert_eq!((&greeting, &echoed), (b"hello\n", b"GET / HTTP/1.1\r\n"));
    assert!(world.trail.lines().iter().any(|line| line.contains("dialling 127.0.0.1")));
}

struct Receiver<T>(tokio::sync::mpsc::Receiver<T>);

impl<T> futures_core::Stream for Receiver<T> {
    type Item = T;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}
