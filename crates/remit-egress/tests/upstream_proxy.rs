//! Going out through an operator's proxy: what it is asked, what it is shown, and what becomes of
//! requests when it fails.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use common::{
    client::{connect, read_all, tls, tunnel},
    corporate::{CorpProxy, Manner},
    netns::{isolated, run},
    origin::{Log, OK, lenient},
    policy::Rule,
    world::World,
};
use remit_core::{Host, ReasonCode};
use remit_egress::{
    Bypass, ExplicitProxy, ProxyCredentials, Reach, Secret, TargetBy, UpstreamProxy, UpstreamTrust,
};

/// Addresses that are not this machine's own, and are delivered to it all the same.
fn other_machines() {
    run(Command::new("ip").args(["route", "replace", "local", "10.77.0.0/16", "dev", "lo"]));
    run(Command::new("ip").args(["route", "replace", "local", "93.184.216.0/24", "dev", "lo"]));
}

fn plain(address: SocketAddr) -> UpstreamProxy {
    UpstreamProxy {
        host: Host::Address(address.ip()),
        port: address.port(),
        tls: None,
        credentials: None,
        bypass: Vec::new(),
        target_by: TargetBy::Address,
    }
}

fn within(name: &str, port: u16) -> Rule {
    Rule::new(name, &[port]).networks(&["10.77.0.0/16"])
}

/// A world with an origin at 10.77.0.2 that speaks TLS.
struct Setup {
    world: World,
    log: Log,
    origin: SocketAddr,
}

impl Setup {
    fn new() -> Self {
        other_machines();
        let world = World::new();
        world.names("10.77.0.2 api.test other.test\n");
        let config = world.outside.server(&["api.test", "other.test"], &["http/1.1"]);
        let (origin, log) = lenient("10.77.0.2:443", Some(config), OK);
        world.rules(vec![within("api.test", 443), within("other.test", 443)]);
        Self { world, log, origin }
    }

    fn through(&self, reach: Reach) -> (ExplicitProxy, SocketAddr) {
        *self.world.reach.lock().unwrap() = reach;
        self.world.explicit()
    }

    /// What a request for `name` gets by TLS.
    fn get(&self, proxy: SocketAddr, name: &str) -> String {
        let stream = tunnel(proxy, &format!("{name}:443"));
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut stream = tls(stream, name, self.world.ca()).unwrap();
        write!(stream, "GET /x HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").unwrap();
        read_all(&mut stream)
    }

    #[track_caller]
    fn recorded(&self, part: &str) {
        let lines = self.world.trail.lines();
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:#?}");
    }
}

#[test]
fn the_vetted_address_is_asked_for_with_what_the_proxy_wants_to_see() {
    if !isolated() {
        return;
    }
    let setup = Setup::new();
    let secret = Secret::new("open sesame".into());
    for (credentials, line) in [
        (None, "host: 10.77.0.2:443\r\n\r\n"),
        (
            Some(ProxyCredentials::basic("Aladdin", &secret).unwrap()),
            "\r\nproxy-authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n",
        ),
        (
            Some(ProxyCredentials::bearer(&Secret::new("tok-en".into())).unwrap()),
            "\r\nproxy-authorization: Bearer tok-en\r\n",
        ),
        (
            Some(ProxyCredentials::header("X-Corp-Key", &secret).unwrap()),
            "\r\nx-corp-key: open sesame\r\n",
        ),
    ] {
        let corp_proxy = CorpProxy::new("10.77.0.9:0", None, Manner::Only(line, setup.origin));
        let proxy = UpstreamProxy { credentials, ..plain(corp_proxy.address) };
        let (_running, at) = setup.through(Reach::Anywhere(Some(proxy)));
        let answer = setup.get(at, "api.test");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{:#?}", corp_proxy.heads());
        assert_eq!(corp_proxy.targets(), ["10.77.0.2:443"], "{line}");
        setup.recorded(&format!("dialling 10.77.0.2:443 through http://{}", corp_proxy.address));
    }
    let told = setup.world.trail.lines().join("\n");
    for secret in ["sesame", "QWxh", "tok-en"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert!(setup.log.text().contains("GET /x HTTP/1.1"));
    assert!(!setup.log.text().to_lowercase().contains("corp-key"), "{}", setup.log.text());
}

#[test]
fn a_proxy_with_tls_must_prove_its_name_before_it_is_shown_anything() {
    if !isolated() {
        return;
    }
    let setup = Setup::new();
    let corp = common::origin::World509::new();
    let trusted = || Some(UpstreamTrust::none().with_pem(&corp.pem).unwrap());
    let proxy = |corp_proxy: &CorpProxy, name: &str, tls| UpstreamProxy {
        host: Host::parse(name).unwrap(),
        tls,
        credentials: Some(ProxyCredentials::bearer(&Secret::new("t".into())).unwrap()),
        ..plain(corp_proxy.address)
    };
    setup.world.names("10.77.0.2 api.test\n10.77.0.9 proxy.corp other.corp\n");
    let config = corp.server(&["proxy.corp"], &[]);
    let corp_proxy = CorpProxy::new("10.77.0.9:0", Some(config), Manner::Relay(setup.origin));
    let (_running, at) =
        setup.through(Reach::Anywhere(Some(proxy(&corp_proxy, "proxy.corp", trusted()))));
    let answer = setup.get(at, "api.test");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let before = setup.log.connections();
    for (name, trust) in [
        ("other.corp", trusted()),
        ("proxy.corp", Some(UpstreamTrust::none().with_pem(&setup.world.outside.pem).unwrap())),
    ] {
        let (_running, at) = setup.through(Reach::Anywhere(Some(proxy(&corp_proxy, name, trust))));
        let answer = setup.get(at, "api.test");
        assert!(answer.contains("the upstream proxy did not prove its identity"), "{answer}");
    }
    assert!(corp_proxy.targets().len() <= 1, "{:?}", corp_proxy.heads());
    assert_eq!(setup.log.connections(), before);
}

#[test]
fn a_proxy_that_fails_is_named_to_the_program_and_in_the_trail() {
    if !isolated() {
        return;
    }
    let setup = Setup::new();
    let fail = |manner: Manner, credentials: bool, words: &str| {
        let corp_proxy = CorpProxy::new("10.77.0.9:0", None, manner);
        let token = ProxyCredentials::bearer(&Secret::new("t".into())).unwrap();
        let credentials = credentials.then_some(token);
        let proxy = UpstreamProxy { credentials, ..plain(corp_proxy.address) };
        let (_running, at) = setup.through(Reach::Anywhere(Some(proxy)));
        let started = Instant::now();
        let answer = setup.get(at, "api.test");
        assert!(answer.starts_with("HTTP/1.1 502"), "{words}: {answer}");
        assert!(answer.contains("\"error\":\"upstream_failed\""), "{answer}");
        assert!(answer.contains(&format!("\"detail\":\"{words}\"")), "{words}: {answer}");
        assert!(!answer.contains("10.77.0.9"), "the proxy's address came out: {answer}");
        setup.recorded(words);
        started.elapsed()
    };
    let quick = Duration::from_secs(3);
    let asks = "the upstream proxy asks for credentials (407)";
    assert!(fail(Manner::Only("no such line", setup.origin), false, asks) < quick);
    let refuses = "the upstream proxy does not accept Remit's credentials (407)";
    assert!(fail(Manner::Only("no such line", setup.origin), true, refuses) < quick);
    let forbids = "the upstream proxy refuses the connection";
    assert!(fail(Manner::Say("HTTP/1.1 403 No\r\n\r\n"), false, forbids) < quick);
    let malformed = "the upstream proxy's answer is malformed";
    for said in [
        "HTTP/1.1 200 OK\nvia: x\n\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\n",
        "",
    ] {
        assert!(fail(Manner::Say(said), false, malformed) < quick, "{said:?}");
    }
    for stalled in ["", "HTTP/1.1 200 OK\r\n"] {
        let took = fail(Manner::Stall(stalled), false, "the upstream proxy does not answer");
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
    // Nobody listens there any more.
    let dead = TcpListener::bind("10.77.0.9:0").unwrap().local_addr().unwrap();
    let (_running, at) = setup.through(Reach::Anywhere(Some(plain(dead))));
    let started = Instant::now();
    let answer = setup.get(at, "api.test");
    assert!(answer.contains("the upstream proxy cannot be reached"), "{answer}");
    assert!(started.elapsed() < quick);
    assert_eq!(setup.log.connections(), 0, "{}", setup.log.text());
}

#[test]
fn by_name_only_rules_that_need_no_vetting_hold() {
    if !isolated() {
        return;
    }
    let setup = Setup::new();
    // The name is not known here: only the proxy resolves it.
    setup.world.names("");
    let open = Rule::new("api.test", &[443]).networks(&[]);
    let inner = Rule { public: false, private: true, ..open.clone() };
    let named = within("api.test", 443);
    let corp_proxy = CorpProxy::new("10.77.0.9:0", None, Manner::Relay(setup.origin));
    let proxy = UpstreamProxy { target_by: TargetBy::Name, ..plain(corp_proxy.address) };
    let anywhere = || Reach::Anywhere(Some(proxy.clone()));
    setup.world.rules(vec![open.clone()]);
    let (_running, at) = setup.through(anywhere());
    let answer = setup.get(at, "api.test");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{:#?}", setup.world.trail.lines());
    assert_eq!(corp_proxy.targets(), ["api.test:443"]);
    setup.recorded("the upstream proxy resolves the name, so its addresses cannot be vetted");
    for (rule, reach) in
        [(named, anywhere()), (inner, anywhere()), (open, Reach::Private(Some(proxy.clone())))]
    {
        setup.world.rules(vec![rule]);
        let (_running, at) = setup.through(reach);
        let answer = setup.get(at, "api.test");
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("address_refused"), "{answer}");
    }
    assert_eq!(corp_proxy.targets().len(), 1, "{:?}", corp_proxy.heads());
    // A name that this machine knows itself is vetted, and dialled by its address.
    setup.world.names("10.77.0.2 api.test\n");
    setup.world.rules(vec![within("api.test", 443)]);
    let (_running, at) = setup.through(anywhere());
    assert!(setup.get(at, "api.test").starts_with("HTTP/1.1 200"));
    assert_eq!(corp_proxy.targets()[1..], ["10.77.0.2:443"]);
}

#[test]
fn what_is_spared_and_what_is_near_goes_directly() {
    if !isolated() {
        return;
    }
    let setup = Setup::new();
    let host = |text: &str| Bypass::Host(remit_core::HostPattern::parse(text).unwrap());
    for bypass in
        [host("api.test"), host("*.test"), Bypass::Network("10.77.0.0/24".parse().unwrap())]
    {
        let corp_proxy =
            CorpProxy::new("10.77.0.9:0", None, Manner::Say("HTTP/1.1 403 No\r\n\r\n"));
        let shown = bypass.to_string();
        let proxy = UpstreamProxy { bypass: vec![bypass], ..plain(corp_proxy.address) };
        let (_running, at) = setup.through(Reach::Anywhere(Some(proxy)));
        assert!(setup.get(at, "api.test").starts_with("HTTP/1.1 200"), "{shown}");
        assert!(corp_proxy.heads().is_empty(), "{shown}: {:?}", corp_proxy.heads());
        // And nothing else.
        let other = setup.get(at, "other.test");
        assert_eq!(other.starts_with("HTTP/1.1 502"), shown == "api.test", "{shown}: {other}");
    }
    // Loopback is this machine's, not the proxy's.
    setup.world.names("127.0.0.5 near.test\n");
    let config = setup.world.outside.server(&["near.test"], &["http/1.1"]);
    let (near, _) = lenient("127.0.0.5:443", Some(config), OK);
    setup.world.rules(vec![Rule::new("near.test", &[near.port()])]);
    let corp_proxy = CorpProxy::new("10.77.0.9:0", None, Manner::Relay(setup.origin));
    for target_by in [TargetBy::Address, TargetBy::Name] {
        let proxy = UpstreamProxy { target_by, ..plain(corp_proxy.address) };
        let (_running, at) = setup.through(Reach::Anywhere(Some(proxy)));
        assert!(setup.get(at, "near.test").starts_with("HTTP/1.1 200"));
    }
    assert!(corp_proxy.heads().is_empty(), "{:?}", corp_proxy.heads());
}

#[test]
fn passthrough_and_servers_that_speak_first_go_through_it_too() {
    if !isolated() {
        return;
    }
    let setup = Setup::new();
    setup.world.names("10.77.0.2 api.test ssh.test\n");
    setup.world.rules(vec![within("api.test", 443).passthrough(), within("ssh.test", 22)]);
    let corp_proxy = CorpProxy::new("10.77.0.9:0", None, Manner::Relay(setup.origin));
    let (_running, at) = setup.through(Reach::Anywhere(Some(plain(corp_proxy.address))));
    // The origin's own certificate: nothing was intercepted.
    let stream = tunnel(at, "api.test:443");
    let mut stream = tls(stream, "api.test", &setup.world.outside.pem).unwrap();
    write!(stream, "GET /p HTTP/1.1\r\nHost: api.test\r\n\r\n").unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(corp_proxy.targets(), ["10.77.0.2:443"]);

    let server = TcpListener::bind("10.77.0.2:22").unwrap();
    let banner = std::thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = server.accept().unwrap();
        stream.write_all(b"SSH-2.0-first\r\n").unwrap();
        let mut said = [0; 14];
        stream.read_exact(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    });
    let corp_proxy =
        CorpProxy::new("10.77.0.9:0", None, Manner::Relay("10.77.0.2:22".parse().unwrap()));
    let (_running, at) = setup.through(Reach::Anywhere(Some(plain(corp_proxy.address))));
    let mut stream = tunnel(at, "ssh.test:22");
    let mut said = [0; 15];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"SSH-2.0-first\r\n");
    stream.write_all(b"SSH-2.0-agent\n").unwrap();
    assert_eq!(banner.join().unwrap(), "SSH-2.0-agent\n");
    assert_eq!(corp_proxy.targets(), ["10.77.0.2:22"]);
}

#[test]
fn a_reach_holds_whatever_the_rules_say() {
    if !isolated() {
        return;
    }
    let setup = Setup::new();
    setup.world.names("10.77.0.2 api.test\n93.184.216.34 out.test\n127.0.0.5 near.test\n");
    // Everything is permitted, as if the policy were mistaken.
    let any = |name: &str| Rule {
        private: true,
        ..Rule::new(name, &[443]).networks(&["0.0.0.0/0", "127.0.0.0/8"])
    };
    setup.world.rules(vec![any("api.test"), any("out.test"), any("near.test"), any("lost.test")]);
    let config = |names: &[&str]| setup.world.outside.server(names, &["http/1.1"]);
    let (_, out) = lenient("93.184.216.34:443", Some(config(&["out.test"])), OK);
    let (_, _near) = lenient("127.0.0.5:443", Some(config(&["near.test"])), OK);
    let ok = |answer: String| answer.starts_with("HTTP/1.1 200");
    let corp_proxy = CorpProxy::new("10.77.0.9:0", None, Manner::Relay(setup.origin));
    let (_running, at) = setup.through(Reach::Private(Some(UpstreamProxy {
        bypass: vec![Bypass::Network("127.0.0.0/8".parse().unwrap())],
        ..plain(corp_proxy.address)
    })));
    assert!(ok(setup.get(at, "api.test")) && ok(setup.get(at, "near.test")));
    assert_eq!(corp_proxy.targets(), ["10.77.0.2:443"]);
    let refused = setup.get(at, "out.test");
    assert!(refused.contains("external_blocked"), "{refused}");
    assert_eq!(out.connections(), 0);

    let before = setup.log.connections();
    let (_running, at) = setup.through(Reach::Machine);
    assert!(ok(setup.get(at, "near.test")));
    for outside in ["api.test", "out.test"] {
        let refused = setup.get(at, outside);
        assert!(refused.contains("local_only"), "{refused}");
    }
    // Not in the hosts file: nobody is asked.
    let refused = setup.get(at, "lost.test");
    assert!(refused.contains("name_not_found"), "{refused}");
    setup.recorded("localOnly asks nobody else");
    assert_eq!((out.connections(), setup.log.connections()), (0, before));
    // The control: with that reach all of it can be had.
    let (_running, at) = setup.through(Reach::Anywhere(None));
    assert!(ok(setup.get(at, "out.test")) && ok(setup.get(at, "api.test")));
    assert!(setup.world.trail.has(ReasonCode::ExternalBlocked));
    let _ = connect(at);
}
