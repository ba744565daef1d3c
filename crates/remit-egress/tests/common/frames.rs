//! An HTTP/2 client that sends whatever frames it is told to (RFC 9113, 4.1; RFC 7541, 6.2.2).

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use rustls::{ClientConnection, StreamOwned};

use super::{
    client::{Tls, client_config},
    front::{Form, Fronts, socks},
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const WITH_PRIORITY: u8 = 32;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = length[1..].to_vec();
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// Fields as literals that are not indexed, byte by byte as given.
pub fn fields(list: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in list {
        out.push(0);
        for text in [name, value] {
            integer(&mut out, text.len());
            out.extend_from_slice(text);
        }
    }
    out
}

/// A length with a prefix of seven bits (RFC 7541, 5.1).
fn integer(out: &mut Vec<u8>, value: usize) {
    if value < 127 {
        return out.push(u8::try_from(value).unwrap());
    }
    out.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

/// How a connection or its first stream ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// Status and body of the first answer.
    pub status: Option<u16>,
    pub body: String,
    pub reset: Option<u32>,
    pub goaway: Option<u32>,
    pub closed: bool,
}

pub struct Peer(pub Tls);

impl Peer {
    /// Opens a connection and says the preface, with `settings` as payload.
    pub fn open(fronts: &Fronts, form: Form, settings: &[u8]) -> Self {
        let stream = match form {
            Form::Transparent { .. } => fronts.session.connect("198.18.0.2:443".parse().unwrap()),
            Form::Socks { .. } => socks(fronts.proxy, "api.test", 443),
            _ => super::client::tunnel(fronts.proxy, "api.test:443"),
        };
        let config = client_config(fronts.world.ca(), &["h2"]);
        let name = "api.test".to_owned().try_into().unwrap();
        let connection = ClientConnection::new(config, name).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
        let mut peer = Self(stream);
        peer.send(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat());
        peer
    }

    /// False once the other side has ended the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).and_then(|()| self.0.flush()).is_ok()
    }

    /// Reads until stream 1, or the connection, is at its end.
    pub fn outcome(&mut self, patience: Duration) -> Came {
        let (mut came, mut held, mut buffer) = (Came::default(), Vec::new(), [0u8; 16 << 10]);
        let until = Instant::now() + patience;
        self.0.sock.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        while Instant::now() < until {
            match self.0.read(&mut buffer) {
                Ok(0) => {
                    came.closed = true;
                    return came;
                }
                Ok(count) => held.extend_from_slice(&buffer[..count]),
                Err(error) => {
                    use std::io::ErrorKind::{TimedOut, WouldBlock};
                    if !matches!(error.kind(), TimedOut | WouldBlock) {
                        came.closed = true;
                        return came;
                    }
                }
            }
            while held.len() >= 9 {
                let length = u32::from_be_bytes([0, held[0], held[1], held[2]]) as usize;
                if held.len() < 9 + length {
                    break;
                }
                let whole: Vec<u8> = held.drain(..9 + length).collect();
                let (kind, flags, payload) = (whole[3], whole[4], &whole[9..]);
                let stream = u32::from_be_bytes([whole[5], whole[6], whole[7], whole[8]]);
                let code = |at: usize| {
                    u32::from_be_bytes([
                        payload[at],
                        payload[at + 1],
                        payload[at + 2],
                        payload[at + 3],
                    ])
                };
                match kind {
                    HEADERS if stream == 1 && came.status.is_none() => {
                        came.status = status(payload)
                    }
                    DATA if stream == 1 => came.body += &String::from_utf8_lossy(payload),
                    RST_STREAM if stream == 1 => came.reset = Some(code(0)),
                    GOAWAY => came.goaway = Some(code(4)),
                    _ => {}
                }
                let over = matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0;
                if (over || kind == RST_STREAM) && stream == 1 {
                    return came;
                }
            }
        }
        came
    }
}

/// The status in a header block whose first field it is.
fn status(block: &[u8]) -> Option<u16> {
    match *block {
        [first @ 0x88..=0x8e, ..] => {
            Some([200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)])
        }
        [0x08 | 0x48, length, ref rest @ ..] => {
            let text = rest.get(..usize::from(length & 0x7f))?;
            match length & 0x80 {
                0 => std::str::from_utf8(text).ok()?.parse().ok(),
                _ => Some(huffman_digits(text)),
            }
        }
        _ => None,
    }
}

/// Three digits in the code of RFC 7541, appendix B: 0, 1, 2 in five bits, the others in six.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u16> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)))
        .collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let take = |from: usize, count: usize| {
            bits[from..from + count].iter().fold(0, |sum, bit| sum * 2 + bit)
        };
        let short = take(at, 5);
        let digit = if short <= 2 { short } else { take(at, 6) - 0b01_1001 + 3 };
        at += if short <= 2 { 5 } else { 6 };
        number = number * 10 + digit;
    }
    number
}
