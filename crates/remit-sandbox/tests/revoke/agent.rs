//! A Python program inside the session that does what it is told, line by line.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::fd::{AsFd, OwnedFd},
};

pub const PROGRAM: &str = r#"
import array, ctypes, errno, json, mmap, os, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def no(what, *args):
    """The name of the error, or the result."""
    try: return what(*args)
    except OSError as error: return errno.errorcode[error.errno]
def call(number, *args):
    got = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(one) for one in args])
    return errno.errorcode[ctypes.get_errno()] if got == -1 else got
def give(socket_, fd):
    socket_.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])
def get(socket_):
    data, rights, flags, address = socket_.recvmsg(1, socket.CMSG_LEN(4))
    return array.array('i', rights[0][2])[0]
def serve():
    for line in sys.stdin:
        code = json.loads(line)
        try:
            try: result = eval(code, globals())
            except SyntaxError: result = exec(code, globals())
        except BaseException as error: result = 'raised %r' % error
        print(json.dumps(repr(result)), flush=True)
    os._exit(0)
serve()
"#;

pub struct Agent {
    to: File,
    from: BufReader<File>,
}

impl Agent {
    pub fn new(to: OwnedFd, from: OwnedFd) -> Self {
        Self { to: to.into(), from: BufReader::new(from.into()) }
    }

    /// Sends a piece of Python without waiting for what it gives.
    pub fn tell(&mut self, code: &str) {
        writeln!(self.to, "{}", serde_json::to_string(code).unwrap()).unwrap();
    }

    /// What the oldest piece that was told gave, as Python prints it.
    pub fn hear(&mut self) -> String {
        assert!(self.ready(20_000), "the agent does not answer");
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the agent is gone");
        serde_json::from_str(&line).unwrap()
    }

    pub fn ask(&mut self, code: &str) -> String {
        self.tell(code);
        self.hear()
    }

    /// Runs statements.
    pub fn run(&mut self, code: &str) {
        let got = self.ask(code);
        assert_eq!(got, "None", "{code}");
    }

    /// An expression that must be true.
    pub fn holds(&mut self, code: &str) {
        let got = self.ask(code);
        assert_eq!(got, "True", "{code}");
    }

    /// An expression and what it must give.
    pub fn gives(&mut self, code: &str, expected: &str) {
        let got = self.ask(code);
        assert_eq!(got, expected, "{code}");
    }

    pub fn ready(&self, milliseconds: i64) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        if !self.from.buffer().is_empty() {
            return true;
        }
        let from = self.from.get_ref().as_fd();
        let mut wait = [PollFd::from_borrowed_fd(from, PollFlags::IN)];
        let time =
            Timespec { tv_sec: milliseconds / 1000, tv_nsec: (milliseconds % 1000) * 1_000_000 };
        poll(&mut wait, Some(&time)).unwrap() > 0
    }
}
