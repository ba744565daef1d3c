//! CPU of the proxy alone, per request and per connection: its thread's own clock, with origin and
//! client on other threads. `cargo run --release -p remit-egress --example bench`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use common::{
    client::{Tls, read_head, tls, tunnel},
    origin::{lenient, proper},
    policy::Rule,
    world::World,
};
use rustix::time::{ClockId, clock_gettime};

const REPLY: &[u8] = &{
    let head = *b"HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n";
    let mut out = [b'x'; 41 + 1024];
    let mut at = 0;
    while at < head.len() {
        out[at] = head[at];
        at += 1;
    }
    out
};

fn main() {
    let world = World::new();
    world.names("127.0.0.1 api.test\n");
    let config = world.outside.server(&["api.test"], &["http/1.1"]);
    let (origin, _) = lenient("127.0.0.1:0", Some(config), REPLY);
    let big = proper("127.0.0.1:0", Some(world.outside.server(&["api.test"], &["http/1.1"])));
    world.rules(vec![Rule::new("api.test", &[origin.port(), big.port()])]);
    let (_running, proxy) = world.explicit();

    let mut streams: Vec<Tls> = (0..16).map(|_| open(&world, proxy, origin)).collect();
    let request = format!("GET /small HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", origin.port());
    for stream in &mut streams {
        once(stream, &request);
    }
    measure(&world, "keep-alive request, 1 KiB, 16 connections", 20_000, || {
        for stream in &mut streams {
            stream.write_all(request.as_bytes()).unwrap();
        }
        for stream in &mut streams {
            answer(stream);
        }
        16
    });
    measure(&world, "keep-alive request, 1 KiB, 1 connection", 10_000, || {
        once(&mut streams[0], &request);
        1
    });
    measure(&world, "new intercepted connection with one request", 1_000, || {
        let mut stream = open(&world, proxy, origin);
        once(&mut stream, &request);
        1
    });
    let request = format!("GET /big HTTP/1.1\r\nHost: api.test:{}\r\n\r\n", big.port());
    let started = cpu(&world);
    let mut stream = open(&world, proxy, big);
    stream.write_all(request.as_bytes()).unwrap();
    let (mut total, mut buffer) = (0usize, vec![0u8; 256 << 10]);
    while total < 64 << 20 {
        total += stream.read(&mut buffer).unwrap();
    }
    let spent = cpu(&world) - started;
    let per_gb = spent.as_secs_f64() / (total as f64 / 1e9);
    println!("download of 64 MiB: {per_gb:.2} CPU-s/GB");
}

fn open(world: &World, proxy: SocketAddr, origin: SocketAddr) -> Tls {
    let stream = tunnel(proxy, &format!("api.test:{}", origin.port()));
    tls(stream, "api.test", world.ca()).unwrap()
}

fn once(stream: &mut Tls, request: &str) {
    stream.write_all(request.as_bytes()).unwrap();
    answer(stream);
}

fn answer(stream: &mut Tls) {
    let head = read_head(stream);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    stream.read_exact(&mut [0; 1024]).unwrap();
}

/// The proxy's thread's CPU time so far.
fn cpu(world: &World) -> Duration {
    world.on_proxy_thread(|| {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
    })
}

fn measure(world: &World, what: &str, count: usize, mut work: impl FnMut() -> usize) {
    let (started, clock) = (cpu(world), Instant::now());
    let mut done = 0;
    while done < count {
        done += work();
    }
    let spent = cpu(world) - started;
    let each = spent.as_secs_f64() * 1e6 / done as f64;
    let rate = done as f64 / clock.elapsed().as_secs_f64();
    println!("{what}: {each:.1} µs CPU each, {rate:.0}/s");
}
