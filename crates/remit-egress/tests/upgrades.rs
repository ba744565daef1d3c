//! The opening of a WebSocket (RFC 6455, 4), up to and with the answer.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{
    client::{connect, read_all, read_head, tunnel},
    front::socks,
    policy::Rule,
    world::World,
};
use remit_core::ReasonCode;
use remit_egress::ExplicitProxy;

struct Setup {
    world: World,
    proxy: SocketAddr,
    port: u16,
    /// What the server got before its answer, and after it.
    got: Arc<Mutex<(Vec<u8>, Vec<u8>)>>,
    _running: ExplicitProxy,
}

/// A server that waits a while before it gives `answer`, and logs what comes before and after.
fn setup(answer: &'static str) -> Setup {
    let world = World::new();
    world.names("127.0.0.1 api.test\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let got = Arc::new(Mutex::default());
    let kept = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let kept: Arc<Mutex<(Vec<u8>, Vec<u8>)>> = Arc::clone(&kept);
            std::thread::spawn(move || converse(stream.unwrap(), &kept, answer));
        }
    });
    world.rules(vec![Rule::new("api.test", &[port]).paths(&["/ws", "/plain"])]);
    let (running, proxy) = world.explicit();
    Setup { world, proxy, port, got, _running: running }
}

fn converse(mut stream: TcpStream, got: &Mutex<(Vec<u8>, Vec<u8>)>, answer: &str) {
    let mut buffer = [0u8; 4096];
    stream.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        got.lock().unwrap().0.extend_from_slice(&buffer[..count]);
    }
    if stream.write_all(answer.as_bytes()).is_err() {
        return;
    }
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        got.lock().unwrap().1.extend_from_slice(&buffer[..count]);
        let _ = stream.write_all(&buffer[..count]);
    }
}

impl Setup {
    /// Sends `request` through each way in; `T` stands for the target's beginning.
    fn ask(&self, way: usize, request: &str) -> (String, TcpStream) {
        let own = format!("api.test:{}", self.port);
        let (mut stream, begin) = match way {
            0 => (tunnel(self.proxy, &own), String::new()),
            1 => (socks(self.proxy, "api.test", self.port), String::new()),
            _ => (connect(self.proxy), format!("http://{own}")),
        };
        let request = request.replace("HOST", &own).replacen(" /", &format!(" {begin}/"), 1);
        stream.write_all(request.as_bytes()).unwrap();
        (read_head(&mut stream), stream)
    }

    fn before(&self) -> String {
        String::from_utf8_lossy(&self.got.lock().unwrap().0).into_owned()
    }

    fn after(&self) -> Vec<u8> {
        self.got.lock().unwrap().1.clone()
    }
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                        Upgrade: websocket\r\nContent-Length: 7\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[test]
fn bytes_that_are_early_wait_for_the_101() {
    for way in 0..3 {
        let setup = setup(ACCEPTED);
        let frame = "\x01\x02early";
        let (head, mut stream) = setup.ask(way, &format!("{UPGRADE}{frame}"));
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(!head.to_lowercase().contains("content-length"), "{head}");
        let before = setup.before();
        assert!(before.ends_with("\r\n\r\n") && !before.contains("early"), "{before}");
        let mut back = [0u8; 7];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, frame.as_bytes());
        assert_eq!(setup.after(), frame.as_bytes());
    }
}

#[test]
fn a_101_that_does_not_answer_the_key_opens_nothing() {
    for answer in [
        "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    ] {
        for way in 0..3 {
            let setup = setup(answer);
            let (head, mut stream) = setup.ask(way, UPGRADE);
            assert!(head.starts_with("HTTP/1.1 502"), "{answer}: {head}");
            let _ = stream.write_all(b"GET /secret HTTP/1.1\r\nHost: evil.test\r\n\r\n");
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let rest = read_all(&mut stream);
            assert!(!rest.contains("HTTP/1.1 200"), "{rest}");
            assert_eq!(setup.after(), b"", "{answer}");
            let failed = |record: &remit_core::Record| record.reason == ReasonCode::UpstreamFailed;
            setup.world.trail.wait("the failure", failed);
        }
    }
}

#[test]
fn a_101_that_nobody_asked_for_opens_nothing() {
    for way in 0..3 {
        let setup = setup(ACCEPTED);
        let (head, mut stream) = setup.ask(way, "GET /plain HTTP/1.1\r\nHost: HOST\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 502"), "{head}");
        let _ = stream.write_all(b"GET /secret HTTP/1.1\r\nHost: evil.test\r\n\r\n");
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let rest = read_all(&mut stream);
        assert!(!rest.contains("HTTP/1.1 200"), "{rest}");
        assert_eq!(setup.after(), b"");
    }
}

#[test]
fn other_answers_leave_it_http() {
    for (answer, status) in [
        (
            "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 2\r\n\r\nno",
            426,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", 200),
        ("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", 401),
    ] {
        for way in 0..3 {
            let setup = setup(answer);
            let (head, mut stream) = setup.ask(way, UPGRADE);
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
            let mut body = [0; 2];
            stream.read_exact(&mut body).unwrap();
            assert_eq!(&body, b"no");
            // What follows is a request, and refused as one.
            let own = format!("api.test:{}", setup.port);
            let begin = if way == 2 { format!("http://{own}") } else { String::new() };
            write!(stream, "GET {begin}/secret HTTP/1.1\r\nHost: {own}\r\n\r\n").unwrap();
            let head = read_head(&mut stream);
            assert!(head.starts_with("HTTP/1.1 403"), "{way} {head}");
            assert!(setup.world.trail.has(ReasonCode::PathNotListed));
            assert_eq!(setup.after(), b"");
        }
    }
}

#[test]
fn extensions_are_offered_and_agreed_on_end_to_end() {
    let answer = "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Extensions: permessage-deflate\r\n\
                  Sec-WebSocket-Protocol: chat\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let setup = setup(answer);
    let more =
        "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    let (head, _) = setup.ask(0, &UPGRADE.replacen("\r\n\r\n", &format!("\r\n{more}"), 1));
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.contains("permessage-deflate") && head.contains("chat"), "{head}");
    assert!(setup.before().contains("sec-websocket-extensions: permessage-deflate"));
}
