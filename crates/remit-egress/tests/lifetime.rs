//! Permissions that end take names and connections with them.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    client::{read_head, tls, tunnel},
    origin::{OK, lenient, proper},
    policy::Rule,
    world::World,
};
use remit_core::{Clock, Outcome, ReasonCode};

fn origin(world: &World) -> SocketAddr {
    world.names("127.0.0.1 api.test\n");
    proper("127.0.0.1:0", Some(world.outside.server(&["api.test"], &["h2", "http/1.1"])))
}

fn open(world: &World, proxy: SocketAddr, port: u16) -> common::client::Tls {
    tls(tunnel(proxy, &format!("api.test:{port}")), "api.test", world.ca()).unwrap()
}

/// Reads until the connection is cut; returns how long it took. Panics if it was closed cleanly.
fn cut(stream: &mut common::client::Tls) -> Duration {
    let started = Instant::now();
    let mut buffer = [0u8; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => panic!("closed as if it were complete"),
            Ok(_) => {}
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof),
                    "{error:?}"
                );
                return started.elapsed();
            }
        }
    }
}

#[test]
fn an_expiring_rule_cuts_the_stream_that_rests_on_it() {
    let world = World::new();
    let origin = origin(&world);
    let mut rule = Rule::new("api.test", &[origin.port()]);
    rule.until = Some(world.clock.now().after(Duration::from_secs(3600)));
    world.rules(vec![rule]);
    let (running, proxy) = world.explicit();
    let mut stream = open(&world, proxy, origin.port());
    write!(stream, "GET /sse HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.port()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    assert_eq!(running.connections().len(), 1);
    assert!(running.connections()[0].until.is_some());
    // The wall clock jumps past the end.
    world.clock.advance(Duration::from_secs(3601));
    let took = cut(&mut stream);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let record = world.trail.wait("the end", |r| r.reason == ReasonCode::Expired);
    assert_eq!(record.outcome, Outcome::Denied);
    assert!(record.detail.unwrap().contains("connection closed"));
    for _ in 0..40 {
        if running.connections().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    assert_eq!((running.connections().len(), running.summary().ended), (0, 1));
}

#[test]
fn a_policy_change_cuts_what_it_no_longer_permits_and_nothing_else() {
    let world = World::new();
    let origin = origin(&world);
    world.names("127.0.0.1 api.test b.api.test\n");
    let keep = Rule::new("api.test", &[origin.port()]);
    world.rules(vec![keep.clone()]);
    let (_running, proxy) = world.explicit();
    let mut streams: Vec<_> = (0..2).map(|_| open(&world, proxy, origin.port())).collect();
    for (stream, path) in streams.iter_mut().zip(["/sse", "/other"]) {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.port()).unwrap();
        assert!(read_head(stream).starts_with("HTTP/1.1 200"));
    }
    // The path of the first stream's request is withdrawn while it runs; the second is over.
    world.rules(vec![keep.clone().paths(&["/other"])]);
    assert!(cut(&mut streams[0]) < Duration::from_secs(2));
    let mut stream = streams.pop().unwrap();
    let mut body = vec![0u8; 1024];
    stream.read_exact(&mut body).unwrap();
    write!(stream, "GET /other HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.port()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    stream.read_exact(&mut body).unwrap();
    // Now the host itself.
    world.rules(vec![]);
    assert!(cut(&mut stream) < Duration::from_secs(2));
    world.trail.wait("the end", |r| r.reason == ReasonCode::HostNotListed);
}

#[test]
fn raw_connections_and_tunnels_end_as_well() {
    let world = World::new();
    world.names("127.0.0.1 raw.test\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (ended, cut_upstream) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-test\r\n").unwrap();
        let mut buffer = [0u8; 100];
        while let Ok(1..) = stream.read(&mut buffer) {}
        ended.send(()).unwrap();
    });
    world.rules(vec![Rule::new("raw.test", &[port])]);
    let (running, proxy) = world.explicit();
    let mut stream = tunnel(proxy, &format!("raw.test:{port}"));
    let mut greeting = [0u8; 14];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"SSH-2.0-test\r\n");
    world.rules(vec![]);
    let error = stream.read(&mut greeting).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    cut_upstream.recv_timeout(Duration::from_secs(2)).unwrap();
    drop(running);
}

#[test]
fn spent_egress_bytes_end_everything() {
    let mut world = World::new();
    world.limit = Some(100_000);
    let origin = origin(&world);
    world.rules(vec![Rule::new("api.test", &[origin.port()])]);
    let (running, proxy) = world.explicit();
    let mut idle = open(&world, proxy, origin.port());
    write!(idle, "GET /sse HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.port()).unwrap();
    assert!(read_head(&mut idle).starts_with("HTTP/1.1 200"));
    let mut stream = open(&world, proxy, origin.port());
    let head = "POST /count HTTP/1.1\r\nHost: api.test:PORT\r\nContent-Length: 10000000\r\n\r\n";
    stream.write_all(head.replace("PORT", &origin.port().to_string()).as_bytes()).unwrap();
    let chunk = vec![b'x'; 10_000];
    let failed = (0..1000).any(|_| stream.write_all(&chunk).is_err());
    assert!(failed || stream.read(&mut [0; 10]).is_err());
    cut(&mut idle);
    let record = world.trail.wait("the limit", |r| r.reason == ReasonCode::LimitReached);
    assert_eq!(record.resource, "limits/egressBytes");
    let sent = running.summary().egress_bytes;
    assert!(sent <= 100_000, "{sent}");
    // Nothing new begins.
    let mut again = common::client::connect(proxy);
    write!(again, "CONNECT api.test:{} HTTP/1.1\r\nHost: x\r\n\r\n", origin.port()).unwrap();
    let answer = common::client::read_all(&mut again);
    assert!(answer.contains("limit_reached"), "{answer}");
}

#[test]
fn upstream_connections_are_kept_but_not_over_a_policy_change() {
    let world = World::new();
    world.names("127.0.0.1 api.test\n");
    let config = world.outside.server(&["api.test"], &["http/1.1"]);
    let (origin, log) = lenient("127.0.0.1:0", Some(config), OK);
    let rule = Rule::new("api.test", &[origin.port()]);
    world.rules(vec![rule.clone()]);
    let (_running, proxy) = world.explicit();
    let get = || {
        let mut stream = open(&world, proxy, origin.port());
        write!(stream, "GET / HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.port()).unwrap();
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
        stream.read_exact(&mut [0; 2]).unwrap();
    };
    get();
    get();
    assert_eq!(log.connections(), 1);
    world.rules(vec![rule]);
    std::thread::sleep(Duration::from_millis(200));
    get();
    assert_eq!(log.connections(), 2);
    // Another session's enforcement point shares nothing.
    let (_other, proxy) = world.explicit();
    let mut stream = open(&world, proxy, origin.port());
    write!(stream, "GET / HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.port()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    assert_eq!(log.connections(), 3);
    let _ = Arc::clone(&world.policy);
}

#[test]
fn a_kept_connection_that_the_server_closes_costs_no_request() {
    let world = World::new();
    world.names("127.0.0.1 plain.test\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, seen) = std::sync::mpsc::channel();
    // Every connection is good for one request; the second finds it closed, without a byte.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream.unwrap(), tell.clone());
            std::thread::spawn(move || {
                tell.send(read_head(&mut stream)).unwrap();
                let _ = stream.write_all(OK);
                tell.send(read_head(&mut stream)).unwrap();
            });
        }
    });
    world.rules(vec![Rule::new("plain.test", &[port])]);
    let (_running, proxy) = world.explicit();
    let own = format!("plain.test:{port}");
    let mut stream = tunnel(proxy, &own);
    let mut ask = |method: &str| {
        write!(stream, "{method} / HTTP/1.1\r\nHost: {own}\r\nContent-Length: 0\r\n\r\n").unwrap();
        let head = read_head(&mut stream);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; length]).unwrap();
        head
    };
    assert!(ask("GET").starts_with("HTTP/1.1 200"));
    assert!(ask("GET").starts_with("HTTP/1.1 200"));
    assert_eq!(seen.iter().take(3).filter(|head| head.starts_with("GET")).count(), 3);
    // What might happen twice is not sent twice.
    assert!(ask("POST").starts_with("HTTP/1.1 502"));
    assert!(seen.recv().unwrap().starts_with("POST"));
    assert!(seen.try_recv().is_err());
}

#[test]
fn a_plain_stream_through_the_proxy_is_cut_as_well() {
    let world = World::new();
    world.names("127.0.0.1 plain.test\n");
    let origin = proper("127.0.0.1:0", None);
    world.rules(vec![Rule::new("plain.test", &[origin.port()])]);
    let (_running, proxy) = world.explicit();
    let mut stream = common::client::connect(proxy);
    let own = format!("plain.test:{}", origin.port());
    write!(stream, "GET http://{own}/sse HTTP/1.1\r\nHost: {own}\r\n\r\n").unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    let started = Instant::now();
    world.rules(vec![]);
    // The server sends for five seconds, and a complete body would end in an empty chunk.
    let rest = common::client::read_all(&mut stream);
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(!rest.ends_with("0\r\n\r\n"), "{rest}");
}
