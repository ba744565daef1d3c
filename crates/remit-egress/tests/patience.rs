//! How long connections may take: whatever is under way has no end of its own, what hangs has. By
//! a clock that leaps to the next thing to happen.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use common::{policy::Rule, world::World};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use remit_core::ReasonCode;
use remit_egress::ExplicitProxy;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

struct Setup {
    world: World,
    proxy: SocketAddr,
    origin: TcpListener,
    port: u16,
    _running: ExplicitProxy,
}

async fn setup() -> Setup {
    let world = World::on(tokio::runtime::Handle::current());
    world.names("127.0.0.1 api.test\n");
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = origin.local_addr().unwrap().port();
    world.rules(vec![Rule::new("api.test", &[port])]);
    let (running, proxy) = world.explicit();
    Setup { world, proxy, origin, port, _running: running }
}

impl Setup {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.proxy).await.unwrap();
        let host = format!("api.test:{}", self.port);
        stream.write_all(request.replace("HOST", &host).as_bytes()).await.unwrap();
        stream
    }

    async fn tunnel(&self) -> TcpStream {
        let mut stream = self.send("CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 200"));
        stream
    }

    /// The server's next connection, once a whole head has come.
    async fn asked(&self) -> TcpStream {
        let (mut stream, _) = self.origin.accept().await.unwrap();
        head(&mut stream).await;
        stream
    }

    fn get(&self, path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", self.port)
    }
}

async fn head(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    while !out.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => out.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(out).unwrap()
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    let _ = stream.read_to_end(&mut out).await;
    String::from_utf8(out).unwrap()
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_response_is_not_cut_however_long_it_takes() {
    let setup = setup().await;
    let mut stream = setup.tunnel().await;
    stream.write_all(setup.get("/slow").as_bytes()).await.unwrap();
    let mut server = setup.asked().await;
    sleep(20 * MINUTE).await;
    server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 200"));
    sleep(20 * MINUTE).await;
    server.write_all(b"world").await.unwrap();
    let mut body = [0u8; 10];
    stream.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"helloworld");
    // And the connection takes the next request.
    sleep(9 * MINUTE).await;
    stream.write_all(setup.get("/next").as_bytes()).await.unwrap();
    assert!(head(&mut server).await.starts_with("GET /next"));
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 204"));
}

#[tokio::test(start_paused = true)]
async fn connections_without_a_request_and_half_heads_end() {
    let setup = setup().await;
    let mut stream = setup.tunnel().await;
    stream.write_all(setup.get("/").as_bytes()).await.unwrap();
    let mut server = setup.asked().await;
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    head(&mut stream).await;
    let started = Instant::now();
    assert_eq!(timeout(30 * MINUTE, rest(&mut stream)).await.unwrap(), "");
    assert!((9 * MINUTE..11 * MINUTE).contains(&started.elapsed()), "{:?}", started.elapsed());
    // Half a head, byte by byte: the deadline does not move with them.
    let mut stream = setup.tunnel().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a").await.unwrap();
    let started = Instant::now();
    let ended = async {
        while stream.write_all(b"a").await.is_ok() {
            sleep(Duration::from_secs(5)).await;
        }
    };
    timeout(2 * MINUTE, ended).await.unwrap();
    assert!(started.elapsed() < MINUTE, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_http2_connection_without_streams_ends() {
    let setup = setup().await;
    let config = common::client::client_config(setup.world.ca(), &["h2"]);
    let name = "api.test".to_owned().try_into().unwrap();
    let stream = setup.tunnel().await;
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.unwrap();
    let (_sender, connection) = hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(
        TokioExecutor::new(),
        TokioIo::new(stream),
    )
    .await
    .unwrap();
    let started = Instant::now();
    let _ = timeout(30 * MINUTE, connection).await.expect("the connection ends");
    assert!((9 * MINUTE..12 * MINUTE).contains(&started.elapsed()), "{:?}", started.elapsed());
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_refused_upgrade_does_not_keep_its_connection() {
    let setup = setup().await;
    for (target, status) in [("http://other.test/ws", "403"), ("ftp://HOST/ws", "400")] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: HOST\r\n{UPGRADE}");
        let mut stream = setup.send(&request).await;
        let answer = timeout(MINUTE, rest(&mut stream)).await.expect("the connection ends");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_the_server_does_not_answer_ends() {
    let setup = setup().await;
    for forward in [true, false] {
        let target = if forward { "http://HOST/ws" } else { "/ws" };
        let request = format!("GET {target} HTTP/1.1\r\nHost: HOST\r\n{UPGRADE}")
            .replace("HOST", &format!("api.test:{}", setup.port));
        let open = async || {
            let mut stream = match forward {
                true => setup.send("").await,
                false => setup.tunnel().await,
            };
            stream.write_all(request.as_bytes()).await.unwrap();
            stream
        };
        let mut stream = open().await;
        let server = setup.asked().await;
        let answer = timeout(2 * MINUTE, head(&mut stream)).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        drop(server);
        // The program goes away before: the server's connection goes with it.
        let stream = open().await;
        let mut server = setup.asked().await;
        drop(stream);
        timeout(MINUTE / 2, rest(&mut server)).await.expect("the server's connection ends");
    }
    assert!(setup.world.trail.has(ReasonCode::UpstreamFailed));
}

/// An address that takes no connection and does not say so: its queue is full.
fn dead(at: &str) -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
    let listener = std::net::TcpListener::bind(at).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let wait = Duration::from_millis(100);
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, wait) {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue fills");
    }
    (listener, queued)
}

#[tokio::test]
async fn an_address_that_leads_nowhere_costs_little() {
    let setup = setup().await;
    let held = dead(&format!("127.0.0.2:{}", setup.port));
    setup.world.names("127.0.0.2 api.test\n127.0.0.1 api.test\n");
    let started = Instant::now();
    let mut stream = setup.tunnel().await;
    stream.write_all(setup.get("/").as_bytes()).await.unwrap();
    let mut server = setup.asked().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 204"));
    drop(held);
    // Each attempt is in the trail before it is made.
    for address in ["127.0.0.2", "127.0.0.1"] {
        let dialling = format!("dialling {address}:{}", setup.port);
        assert!(setup.world.trail.lines().iter().any(|line| line.contains(&dialling)));
    }
}
