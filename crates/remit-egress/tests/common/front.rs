//! Every way into the pipeline, towards the same two lenient servers.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use remit_core::{Action, Outcome, ReasonCode};
use remit_egress::{Egress, ExplicitProxy, SessionNet};

use super::{
    client::{connect, tls, tunnel},
    netns::Session,
    origin::{LAST, Log, lenient},
    policy::Rule,
    readings::{every_reading, requests},
    world::World,
};

/// A way in, and whether the connection is TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Transparent { tls: bool },
    Connect { tls: bool },
    Socks { tls: bool },
    Absolute,
}

pub const FORMS: [Form; 7] = [
    Form::Transparent { tls: false },
    Form::Transparent { tls: true },
    Form::Connect { tls: false },
    Form::Connect { tls: true },
    Form::Socks { tls: false },
    Form::Socks { tls: true },
    Form::Absolute,
];

impl Form {
    pub fn is_tls(self) -> bool {
        matches!(
            self,
            Self::Transparent { tls: true }
                | Self::Connect { tls: true }
                | Self::Socks { tls: true }
        )
    }

    pub fn port(self) -> u16 {
        if self.is_tls() { 443 } else { 80 }
    }
}

pub trait Wire: Read + Write {
    fn patience(&self, time: Duration);
}

impl Wire for TcpStream {
    fn patience(&self, time: Duration) {
        self.set_read_timeout(Some(time)).unwrap();
    }
}

impl Wire for super::client::Tls {
    fn patience(&self, time: Duration) {
        self.sock.set_read_timeout(Some(time)).unwrap();
    }
}

/// Both forms of the enforcement point in front of `api.test`, which is served on 80 and 443 by
/// servers that log every byte. Only inside [`super::netns::isolated`].
pub struct Fronts {
    pub world: World,
    pub session: Arc<Session>,
    pub proxy: SocketAddr,
    logs: [Log; 2],
    _running: (ExplicitProxy, Egress),
}

/// What came of one connection.
pub struct Answers {
    pub statuses: Vec<u16>,
    pub text: String,
    /// The proxy ended the connection.
    pub closed: bool,
}

impl Fronts {
    pub fn new(rules: Vec<Rule>) -> Self {
        let world = World::new();
        world.names("127.0.0.2 api.test other.test\n");
        world.rules(rules);
        let (_, plain) = lenient("127.0.0.2:80", None, LAST);
        let config = world.outside.server(&["api.test", "other.test"], &["http/1.1"]);
        let (_, secure) = lenient("127.0.0.2:443", Some(config), LAST);
        let session = Arc::new(Session::new());
        let egress = world.transparent(Arc::clone(&session) as Arc<dyn SessionNet>);
        let (running, proxy) = world.explicit();
        // The first question gives the name its address and its listeners.
        let asked = session.run("getent", &["hosts", "api.test"]);
        assert!(String::from_utf8_lossy(&asked.stdout).contains("198.18.0.2"), "{asked:?}");
        Self { world, session, proxy, logs: [plain, secure], _running: (running, egress) }
    }

    pub fn open(&self, form: Form) -> Box<dyn Wire> {
        let target = format!("api.test:{}", form.port());
        let stream = match form {
            Form::Transparent { .. } => {
                self.session.connect(format!("198.18.0.2:{}", form.port()).parse().unwrap())
            }
            Form::Connect { .. } => tunnel(self.proxy, &target),
            Form::Socks { .. } => socks(self.proxy, "api.test", form.port()),
            Form::Absolute => connect(self.proxy),
        };
        if form.is_tls() {
            Box::new(tls(stream, "api.test", self.world.ca()).unwrap())
        } else {
            Box::new(stream)
        }
    }

    /// Sends `bytes` on a connection of its own and reads all answers.
    pub fn send(&self, form: Form, bytes: &[u8]) -> Answers {
        let mut stream = self.open(form);
        self.finish(&mut *stream, bytes)
    }

    /// The same, for requests of which some will not come to their end.
    pub fn send_briefly(&self, form: Form, bytes: &[u8]) -> Answers {
        let mut stream = self.open(form);
        self.converse(&mut *stream, bytes, Duration::from_millis(60))
    }

    pub fn finish(&self, stream: &mut dyn Wire, bytes: &[u8]) -> Answers {
        self.converse(stream, bytes, Duration::from_millis(1500))
    }

    fn converse(&self, stream: &mut dyn Wire, bytes: &[u8], patience: Duration) -> Answers {
        // A refusal may come, and the connection end, before all is sent.
        let _ = stream.write_all(bytes).and_then(|()| stream.flush());
        stream.patience(patience);
        let (mut out, mut buffer) = (Vec::new(), [0u8; 4096]);
        let closed = loop {
            match stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(count) => out.extend_from_slice(&buffer[..count]),
                Err(error) => {
                    use std::io::ErrorKind::{TimedOut, WouldBlock};
                    break !matches!(error.kind(), TimedOut | WouldBlock);
                }
            }
        };
        let text = String::from_utf8_lossy(&out).into_owned();
        let statuses = text
            .match_indices("HTTP/1.")
            .filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok())
            .collect();
        Answers { statuses, text, closed }
    }

    /// Bytes that servers got so far, connection by connection, with the server's port.
    pub fn reached(&self) -> Vec<(u16, Vec<u8>)> {
        let [plain, secure] = &self.logs;
        let of = |log: &Log, port| log.all().into_iter().map(move |bytes| (port, bytes));
        of(plain, 80).chain(of(secure, 443)).collect()
    }

    /// Forgets what servers got and what is on the trail.
    pub fn forget(&self) {
        self.logs.iter().for_each(Log::clear);
        self.world.trail.records.lock().unwrap().clear();
    }

    /// Under no reading does a request appear that no record permits.
    pub fn assert_decided(&self, what: &str) {
        if let Some(undecided) = self.undecided() {
            panic!("{what:?}: {undecided}");
        }
    }

    /// A request that appears under some reading and that no record permits.
    pub fn undecided(&self) -> Option<String> {
        let permitted: Vec<String> = self
            .world
            .trail
            .all()
            .iter()
            .filter(|r| r.action == Action::HttpRequest && r.outcome == Outcome::Allowed)
            .map(|r| r.resource.clone())
            .collect();
        for reading in every_reading() {
            let mut left: HashMap<&str, usize> = HashMap::new();
            permitted.iter().for_each(|one| *left.entry(one).or_default() += 1);
            for (port, bytes) in self.reached() {
                for seen in requests(&bytes, reading, port) {
                    match left.get_mut(seen.as_str()).filter(|count| **count > 0) {
                        Some(count) => *count -= 1,
                        None => {
                            let bytes = bytes.escape_ascii();
                            return Some(format!(
                                "{seen:?} under {reading:?} was never decided on, only \
                                 {permitted:?}: {bytes}"
                            ));
                        }
                    }
                }
            }
        }
        None
    }

    pub fn refused_with(&self, reason: ReasonCode) -> bool {
        self.world.trail.denied().iter().any(|record| record.reason == reason)
    }
}

/// SOCKS5 by name.
pub fn socks(proxy: SocketAddr, host: &str, port: u16) -> TcpStream {
    let mut stream = connect(proxy);
    stream.write_all(&[5, 1, 0]).unwrap();
    stream.read_exact(&mut [0; 2]).unwrap();
    let mut request = vec![5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).unwrap();
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply[1], 0, "{host}:{port}");
    stream
}
