//! A session's network namespace: only loopback, with `198.18.0.0/15` routed to it.
//!
//! Tests run themselves again inside a user and network namespace, so that ports below 1024 can
//! be bound without privileges; the session's namespace is a second one, and a small helper in it
//! makes sockets and passes them out, as the supervisor's does.

use std::{
    io::{self, IoSliceMut, Write},
    net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
};

use remit_egress::SessionNet;
use rustix::{
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

/// Runs the calling test again inside namespaces of its own. True inside.
pub fn isolated() -> bool {
    if std::env::var_os("REMIT_TEST_ISOLATED").is_some() {
        run(Command::new("ip").args(["link", "set", "lo", "up"]));
        return true;
    }
    let thread = std::thread::current();
    let name = thread.name().expect("tests run in threads of their name").to_owned();
    let output = Command::new("unshare")
        .args(["-r", "-n", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env("REMIT_TEST_ISOLATED", "1")
        .output()
        .expect("unshare(1) from util-linux");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "{text}\n{errors}");
    false
}

const HELPER: &str = r#"
import array, os, socket, sys
control = socket.socket(fileno=0)
os.system("ip link set lo up && ip route add local 198.18.0.0/15 dev lo")
while True:
    words = control.recv(200).decode().split()
    if not words: break
    kind = socket.SOCK_STREAM if words[0] == "tcp" else socket.SOCK_DGRAM
    try:
        s = socket.socket(socket.AF_INET, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((words[1], int(words[2])))
        if words[0] == "tcp": s.listen(128)
        control.sendmsg([b"k"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
        s.close()
    except OSError as e:
        control.send(b"e")
"#;

pub struct Session {
    helper: Mutex<Child>,
    control: Mutex<UnixStream>,
    pid: u32,
    resolv: tempfile::NamedTempFile,
}

impl Session {
    pub fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let helper = Command::new("unshare")
            .args(["-n", "--", "python3", "-c", HELPER])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        let pid = helper.id();
        let mut resolv = tempfile::NamedTempFile::new().unwrap();
        resolv.write_all(b"nameserver 198.18.0.1\noptions timeout:2 attempts:2\n").unwrap();
        Self { helper: Mutex::new(helper), control: Mutex::new(ours), pid, resolv }
    }

    fn socket(&self, kind: &str, at: SocketAddrV4) -> io::Result<OwnedFd> {
        let mut control = self.control.lock().unwrap();
        control.write_all(format!("{kind} {} {}", at.ip(), at.port()).as_bytes())?;
        let mut byte = [0u8; 1];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut iov = [IoSliceMut::new(&mut byte)];
        recvmsg(&*control, &mut iov, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        for part in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut fds) = part
                && let Some(fd) = fds.next()
            {
                return Ok(fd);
            }
        }
        Err(io::Error::other("the helper could not make the socket"))
    }

    /// A connection from inside the session.
    pub fn connect(&self, to: SocketAddr) -> TcpStream {
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", self.pid)).unwrap();
        // A socket stays in the namespace that it was made in; the thread is thrown away.
        let inside = move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).unwrap();
            super::client::connect(to)
        };
        std::thread::spawn(inside).join().unwrap()
    }

    /// Runs a program inside the session.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.pid))
            .args(["unshare", "-m", "sh", "-c"])
            .arg(format!(
                "mount --bind {} /etc/resolv.conf && exec \"$@\"",
                self.resolv.path().display()
            ))
            .args(["sh", program]);
        command
    }

    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).output().unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut helper = self.helper.lock().unwrap();
        let _ = helper.kill();
        let _ = helper.wait();
    }
}

impl SessionNet for Session {
    fn listen(&self, at: SocketAddrV4) -> io::Result<TcpListener> {
        self.socket("tcp", at).map(TcpListener::from)
    }

    fn datagram(&self, at: SocketAddrV4) -> io::Result<UdpSocket> {
        self.socket("udp", at).map(UdpSocket::from)
    }
}

pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    output
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
