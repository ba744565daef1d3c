//! git over ssh as a name-bound raw connection, with the real programs.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{netns::run, policy::Rule, world::World};
use remit_core::ReasonCode;

/// CONNECT as ssh's `ProxyCommand`: proxy port, host, port.
const CONNECT: &str = r#"
import socket, sys, threading, os
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
t = f"{sys.argv[2]}:{sys.argv[3]}"
s.sendall(f"CONNECT {t} HTTP/1.1\r\nHost: {t}\r\n\r\n".encode())
h = b""
while not h.endswith(b"\r\n\r\n"): h += s.recv(1) or sys.exit(1)
if b" 200 " not in h: sys.exit(h.decode())
def up():
    while d := os.read(0, 65536): s.sendall(d)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while d := s.recv(65536): os.write(1, d)
"#;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn server(folder: &Path) -> (Server, u16) {
    for key in ["host", "user"] {
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(folder.join(key)));
    }
    // Only root's sshd wants its privilege separation folder.
    let _ = std::fs::create_dir("/run/sshd");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = folder.display();
    std::fs::write(
        folder.join("config"),
        format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {text}/host\nStrictModes no\nUsePAM no\n\
             AuthorizedKeysFile {text}/user.pub\nPidFile none\nPermitRootLogin yes\n"
        ),
    )
    .unwrap();
    let child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-f"])
        .arg(folder.join("config"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..100 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    (Server(child), port)
}

#[test]
fn git_clones_over_ssh_from_a_listed_name_only() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, port) = server(folder.path());
    let world = World::new();
    world.names("127.0.0.1 git.test other.test\n");
    world.rules(vec![Rule::new("git.test", &[port])]);
    let (_running, proxy) = world.explicit();
    let path = folder.path().join("repo");
    run(Command::new("git").args(["init", "-q"]).arg(&path));
    run(Command::new("git").arg("-C").arg(&path).args([
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@a",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "first",
    ]));
    std::fs::write(folder.path().join("connect.py"), CONNECT).unwrap();
    let user = Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
    let clone = |host: &str| {
        let ssh = format!(
            "ssh -F none -i {0}/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
             -o LogLevel=ERROR -o ProxyCommand='python3 {0}/connect.py {1} %h %p'",
            folder.path().display(),
            proxy.port()
        );
        Command::new("git")
            .args(["clone", "-q"])
            .arg(format!("ssh://{user}@{host}:{port}{}", path.display()))
            .arg(folder.path().join(host))
            .env("GIT_SSH_COMMAND", ssh)
            .output()
            .unwrap()
    };
    let output = clone("git.test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors} {:#?}", world.trail.lines());
    assert!(folder.path().join("git.test/.git/HEAD").exists());
    let output = clone("other.test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("host_not_listed"), "{errors}");
    assert!(world.trail.has(ReasonCode::HostNotListed));
}
