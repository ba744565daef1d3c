//! A machine with one wire: a network namespace with a veth pair to a second one, in which a
//! watcher notes every packet that arrives, and which answers for all addresses of the world.

use std::{
    env, fs,
    net::Ipv4Addr,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// This machine's own address on the wire.
pub const OWN: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 1);
/// The neighbour, which is also the resolver.
pub const INNER: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 2);
pub const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);

/// The process of the second namespace.
const FAR: &str = "REMIT_TEST_FAR";

/// Neighbours are known from the start, and neither side looks for routers or for doubles of its
/// addresses, so that what passes is somebody's packet.
const INSIDE: &str = r#"set -e
PATH=$PATH:/usr/sbin:/sbin
folder=$(mktemp -d); mount -t tmpfs tmpfs "$folder"
cat > "$folder/hosts" <<END
127.0.0.1 localhost near.example
10.79.0.1 own.example
10.79.0.2 inner.example
93.184.216.34 public.example far.example
2606:2800:220:1::1 six.example
END
echo "nameserver 10.79.0.2
options timeout:1 attempts:1" > "$folder/resolv.conf"
echo "hosts: files dns
passwd: files
group: files" > "$folder/nsswitch.conf"
for name in hosts resolv.conf nsswitch.conf; do mount --bind "$folder/$name" "/etc/$name"; done
ip link set lo up
unshare --net sleep 3600 & far=$!
while [ "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
there() { nsenter --net=/proc/$far/ns/net -- "$@"; }
ip link add out type veth peer name far
quiet='for f in accept_ra autoconf accept_dad router_solicitations; do echo 0 > /proc/sys/net/ipv6/conf/$0/$f; done; echo 1 > /proc/sys/net/ipv6/conf/$0/addr_gen_mode'
ip link set far netns $far
sh -c "$quiet" out; there sh -c "$quiet" far
ip link set out address 02:00:00:00:00:01; there ip link set far address 02:00:00:00:00:02
ip addr add 10.79.0.1/24 dev out; ip -6 addr add fd79::1/64 dev out nodad
there ip addr add 10.79.0.2/24 dev far; there ip -6 addr add fd79::2/64 dev far nodad
ip link set out up; there ip link set lo up; there ip link set far up
ip neigh replace 10.79.0.2 lladdr 02:00:00:00:00:02 dev out nud permanent
ip -6 neigh replace fd79::2 lladdr 02:00:00:00:00:02 dev out nud permanent
there ip neigh replace 10.79.0.1 lladdr 02:00:00:00:00:01 dev far nud permanent
there ip -6 neigh replace fd79::1 lladdr 02:00:00:00:00:01 dev far nud permanent
ip route add default via 10.79.0.2; ip -6 route add default via fd79::2
there ip route add local 0.0.0.0/0 dev lo table main; there ip -6 route add local ::/0 dev lo table main
export REMIT_TEST_FAR=$far
trap 'kill $far' EXIT
"$@""#;

/// Moves this process there; returns on the inside. As an ordinary user it is root of a user
/// namespace of its own.
pub fn enter() {
    if env::var_os(FAR).is_some() {
        return;
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let error = command
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c", INSIDE, "sh"])
        .arg(env::current_exe().expect("this test has an executable"))
        .args(env::args_os().skip(1))
        .exec();
    panic!("unshare does not start: {error}");
}

/// Notes protocol, destination and port of all that arrives, except for what the kernel itself
/// says about its multicast groups (RFC 3810) and asks of routers (RFC 4861).
const WATCH: &str = r#"
import socket, struct, sys
one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); one.bind(("far", 3))
out = open(sys.argv[1], "w", buffering=1); print("ready", file=out)
while True:
    frame, about = one.recvfrom(65535)
    if about[2] == socket.PACKET_OUTGOING: continue
    kind, = struct.unpack(">H", frame[12:14])
    if kind == 0x0800:
        head = 14 + (frame[14] & 15) * 4; number = frame[23]; to = socket.inet_ntop(2, frame[30:34])
    elif kind == 0x86dd:
        number, head = frame[20], 54; to = socket.inet_ntop(10, frame[38:54])
        if number == 0: number, head = frame[54], 54 + 8 * (frame[55] + 1)
        if number == 58 and frame[head] in (130, 131, 132, 133, 143): continue
    else:
        print(f"frame {kind:#06x}", file=out); continue
    name = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}.get(number, str(number))
    port = struct.unpack(">H", frame[head + 2:head + 4])[0] if number in (6, 17) else 0
    print(name, to, port, file=out)
"#;

/// The watcher at the far end.
pub struct Wire {
    child: Child,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Wire {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("packets");
        let far = env::var(FAR).unwrap();
        let mut child = Command::new("nsenter");
        child.arg(format!("--net=/proc/{far}/ns/net")).args(["--", "python3", "-c", WATCH]);
        let child = child.arg(&file).stdin(Stdio::null()).spawn().unwrap();
        let own = Self { child, file, _folder: folder };
        let started = Instant::now();
        while own.lines().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(10), "the watcher does not start");
            thread::sleep(Duration::from_millis(20));
        }
        own
    }

    /// What arrives while something is done, and shortly after.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<String>) {
        thread::sleep(Duration::from_millis(300));
        let before = self.lines().len();
        let done = work();
        thread::sleep(Duration::from_millis(700));
        (done, self.lines().split_off(before))
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
