//! Socket families, and the host's local sockets.

use std::{
    fs,
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixDatagram, UnixListener},
    },
};

use libtest_mimic::Trial;

use crate::world::{World, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("sockets_families", families),
        trial("sockets_host_paths_in_granted_folders", paths),
        trial("sockets_host_paths_swapped_while_connecting", race),
        trial("sockets_abstract", names),
    ]
}

fn families() {
    let report = World::new("families").attack(
        r#"
def pair():
    server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
    socket.create_connection(server.getsockname(), 5)
attempt("permitted tcp", pair)
attempt("permitted local", lambda: socket.socketpair())
attempt("permitted routes", lambda: call(41, 16, 3, 0))
for name, family, kind, protocol in (("vsock", 40, 1, 0), ("alg", 38, 5, 0), ("packet", 17, 3, 768), ("packet datagram", 17, 2, 768), ("key", 15, 3, 2),
        ("audit", 16, 3, 9), ("netfilter", 16, 3, 12), ("uevent", 16, 3, 15), ("generic", 16, 3, 16), ("sock_diag", 16, 3, 4), ("xdp", 44, 3, 0),
        ("bluetooth", 31, 3, 0), ("can", 29, 3, 1), ("tipc", 30, 1, 0), ("smc", 43, 1, 0), ("rds", 21, 5, 0), ("phonet", 35, 2, 0), ("qipcrtr", 42, 2, 0),
        ("raw", 2, 3, 1), ("raw any", 2, 3, 255), ("raw6", 10, 3, 58), ("sctp", 2, 1, 132), ("dccp", 2, 6, 33),
        ("local datagram", 1, 2, 0), ("local raw", 1, 3, 0)):
    attempt("attack " + name, lambda: call(41, family, kind, protocol))
    attempt("attack high bits " + name, lambda: call(41, family | 1 << 40, kind | 1 << 41, protocol | 1 << 42))
    attempt("attack flags " + name, lambda: call(41, family, kind | 0o2004000, protocol))
two = ctypes.create_string_buffer(8)
for name, family, kind in (("datagram", 1, 2), ("raw", 1, 3), ("inet", 2, 1), ("tipc", 30, 1)):
    attempt("attack pair " + name, lambda: call(53, family, kind, 0, two))
"#,
    );
    report.works(&["permitted tcp", "permitted local", "permitted routes"]).all_refused("attack");
}

/// The host's sockets where the agent can see their names: in a folder it may write, in one it may
/// read, and through links.
struct Host {
    streams: Vec<UnixListener>,
    datagrams: Vec<UnixDatagram>,
}

impl Host {
    fn new(world: &World) -> Self {
        let mut own = Self { streams: Vec::new(), datagrams: Vec::new() };
        for folder in ["work/write", "work/read", "secret"] {
            // Socket paths are short: bound by way of the folder's own descriptor.
            let open = fs::File::open(world.area.path().join(folder)).unwrap();
            let number = std::os::fd::AsRawFd::as_raw_fd(&open);
            let place = format!("/proc/self/fd/{number}");
            own.streams.push(UnixListener::bind(format!("{place}/stream")).unwrap());
            own.datagrams.push(UnixDatagram::bind(format!("{place}/datagram")).unwrap());
            for name in ["stream", "datagram"] {
                let mode = fs::Permissions::from_mode(0o777);
                fs::set_permissions(format!("{place}/{name}"), mode).unwrap();
            }
        }
        own
    }

    #[track_caller]
    fn saw_nothing(&self) {
        for one in &self.streams {
            one.set_nonblocking(true).unwrap();
            assert!(one.accept().is_err(), "the host's socket was reached");
        }
        for one in &self.datagrams {
            one.set_nonblocking(true).unwrap();
            assert!(one.recv(&mut [0; 100]).is_err(), "the host's socket got a message");
        }
    }
}

const SOCKETS: &str = r#"
def to(path, kind=socket.SOCK_STREAM):
    one = socket.socket(socket.AF_UNIX, kind); one.settimeout(5); one.connect(path); return one
def send(path, kind):
    one = socket.socket(socket.AF_UNIX, kind); one.sendto(b"from the agent", path)
def through_pair(path, kind):
    one, other = socket.socketpair(socket.AF_UNIX, kind); one.sendto(b"from the agent", path)
def own(path):
    server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen(); to(path)
"#;

fn paths() {
    let world = World::new("paths");
    let host = Host::new(&world);
    let report = world.attack(&format!(
        r#"{SOCKETS}
attempt("permitted own", lambda: own("/tmp/s"))
os.symlink(W, "/tmp/w"); os.symlink(W + "/stream", "/tmp/stream-link")
os.chdir(W)
for name, path in (("plain", W), ("read", R), ("secret", A + "/secret"), ("relative", "."), ("link", "/tmp/w"), ("root", "/proc/self/root" + W), ("cwd", "/proc/self/cwd")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM, socket.SOCK_RAW):
        for file in ("stream", "datagram"):
            attempt(f"attack {{name}} {{file}} {{int(kind)}}", lambda: to(f"{{path}}/{{file}}", kind))
            if kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
                attempt(f"attack send {{name}} {{file}} {{int(kind)}}", lambda: send(f"{{path}}/{{file}}", kind))
                attempt(f"attack pair {{name}} {{file}} {{int(kind)}}", lambda: through_pair(f"{{path}}/{{file}}", kind))
attempt("attack link itself", lambda: to("/tmp/stream-link"))
attempt("attack hard link", lambda: (os.link(W + "/stream", W + "/other"), to(W + "/other")))
attempt("attack renamed", lambda: (os.rename(W + "/stream", "/tmp/moved"), to("/tmp/moved")))
held = os.open(W + "/stream", os.O_PATH)
attempt("attack held", lambda: to(f"/proc/self/fd/{{held}}"))
attempt("attack bind over", lambda: socket.socket(socket.AF_UNIX).bind(W + "/new"))
for path in ("/run/dbus/system_bus_socket", "/run/systemd/private", "/var/run/docker.sock", "/run/user/%d/bus" % os.getuid(), "/tmp/.X11-unix/X0"):
    attempt("attack " + path, lambda: to(path))
"#
    ));
    report.works(&["permitted own"]).all_refused("attack");
    report.recorded("connect", "denied", "write/stream");
    host.saw_nothing();
}

fn race() {
    let world = World::new("socket-race");
    let host = Host::new(&world);
    let report = world.attack(&format!(
        r#"{SOCKETS}
server = socket.socket(socket.AF_UNIX); server.bind("/tmp/s"); server.listen(100)
os.symlink("/tmp/s", "/tmp/one"); os.symlink(W + "/stream", "/tmp/two")
stop = []
address = ctypes.create_string_buffer(110)
def flip():
    while not stop:
        for path in ("/tmp/s", W + "/stream"):
            text = struct.pack("H", 1) + path.encode()[:100] + b"\0"
            ctypes.memmove(address, text, len(text))
def swap():
    while not stop: exchange("/tmp/one", "/tmp/two")
threads = [threading.Thread(target=one) for one in (flip, swap)]
for one in threads: one.start()
connected, end = 0, time.time() + 2
while time.time() < end:
    try: to("/tmp/one").close(); connected += 1
    except OSError: pass
    one = socket.socket(socket.AF_UNIX); one.settimeout(1)
    try: call(42, one.fileno(), address, 110)
    except OSError: pass
    one.close()
    server.setblocking(False)
    try:
        while True: server.accept()[0].close()
    except OSError: pass
stop.append(1)
for one in threads: one.join()
attempt("permitted connections", lambda: refuse(connected == 0))
"#
    ));
    report.works(&["permitted connections"]);
    host.saw_nothing();
}

fn names() {
    use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
    let name = format!("remit-attack-{}", std::process::id());
    let host = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let report = World::new("abstract").attack(&format!(
        r#"{SOCKETS}
attempt("permitted own", lambda: own("\0own-name"))
for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM, socket.SOCK_RAW):
    attempt(f"attack {{int(kind)}}", lambda: to("\0{name}", kind))
"#
    ));
    report.works(&["permitted own"]).all_refused("attack");
    host.set_nonblocking(true).unwrap();
    assert!(host.accept().is_err(), "the host's abstract socket was reached");
}
