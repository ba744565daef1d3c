//! An HTTP/1 request head, judged strictly before any other parser sees it (RFC 9112).
//!
//! Servers differ in what they make of malformed heads; a head that two servers could read in two
//! ways is refused, never repaired. What passes here has one reading: one line ending, one Host,
//! one framing.

use bytes::BytesMut;

use super::{handshake, headers};
use crate::refusal::Fault;

/// How the body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes; zero is no body.
    Length(u64),
    /// Chunked coding.
    Chunked,
}

/// What the request line points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/path?query`, `http://host/path`, or `*`.
    Resource,
    /// `CONNECT host:port`: the text as sent.
    Tunnel(String),
}

/// A sound head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes up to and with the empty line.
    pub(crate) length: usize,
    pub(crate) framing: Framing,
    pub(crate) target: Target,
    /// The connection is to become a WebSocket.
    pub(crate) upgrade: bool,
    /// The query has bytes that must be percent-encoded before it is a URI's; see
    /// [`encode_query`].
    pub(crate) raw_query: bool,
}

/// Why there is no head yet, or will never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    Incomplete,
    Fault(Fault),
}

/// A line without its end, and what follows.
pub(super) type Line<'a> = (&'a [u8], &'a [u8]);

/// Longest head.
pub(crate) const MOST_HEAD: usize = 96 << 10;
const MOST_HEADERS: usize = 200;

/// Reads one head at the start of `bytes`.
pub(crate) fn read_head(bytes: &[u8]) -> Result<Head, HeadError> {
    let window = bytes.get(..MOST_HEAD).unwrap_or(bytes);
    let mut rest = window;
    let mut fields = Fields::default();
    let mut request: Option<RequestLine> = None;
    loop {
        let Some((line, after)) = split_line(rest).map_err(HeadError::Fault)? else {
            return Err(if bytes.len() >= MOST_HEAD {
                fault("head longer than 96 KiB")
            } else {
                HeadError::Incomplete
            });
        };
        rest = after;
        match &request {
            None => request = Some(request_line(line).map_err(HeadError::Fault)?),
            Some(_) if line.is_empty() => break,
            Some(_) => fields.add(line).map_err(HeadError::Fault)?,
        }
    }
    let Some(request) = request else { return Err(fault("no request line")) };
    let length = window.len().saturating_sub(rest.len());
    fields.conclude(request, length).map_err(HeadError::Fault)
}

/// A sound head with its query percent-encoded, as RFC 3986 (2.1 and 3.4) has it.
pub(crate) fn encode_query(head: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(head.len().saturating_add(64));
    let (mut in_query, mut in_line) = (false, true);
    for byte in head {
        in_line &= *byte != b'\r';
        in_query |= *byte == b'?';
        if in_line && in_query && is_raw(byte) {
            out.extend_from_slice(match byte {
                b'"' => b"%22",
                b'<' => b"%3C",
                _ => b"%3E",
            });
        } else {
            out.extend_from_slice(&[*byte]);
        }
    }
    out
}

/// What no URI may hold, though programs send it in queries.
const fn is_raw(byte: &u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>')
}

/// The next line without its CRLF. Bare CR, bare LF and NUL are faults (RFC 9112, 2.2).
pub(super) fn split_line(bytes: &[u8]) -> Result<Option<Line<'_>>, Fault> {
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => match bytes.get(at.saturating_add(1)) {
                Some(b'\n') => {
                    let after = bytes.get(at.saturating_add(2)..).unwrap_or_default();
                    return Ok(bytes.get(..at).map(|line| (line, after)));
                }
                Some(_) => return Err(Fault::malformed("bare CR in the head")),
                None => return Ok(None),
            },
            b'\n' => return Err(Fault::malformed("bare LF in the head")),
            0 => return Err(Fault::malformed("NUL in the head")),
            b'\t' | 0x20..=0x7e | 0x80..=0xff => {}
            _ => return Err(Fault::malformed("control byte in the head")),
        }
    }
    Ok(None)
}

/// A header field's name and value (RFC 9110, 5.1 and 5.5).
pub(super) fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Fault::malformed("folded header line"));
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = colon
        .and_then(|at| Some((line.get(..at)?, line.get(at.saturating_add(1)..)?)))
        .ok_or(Fault::malformed("header line without a colon"))?;
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Fault::malformed("header name with a byte that no name may have"));
    }
    Ok((name, value.trim_ascii()))
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

struct RequestLine {
    target: Target,
    get: bool,
    http_1_0: bool,
    raw_query: bool,
}

fn request_line(line: &[u8]) -> Result<RequestLine, Fault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::malformed("request line is not method, target, version"));
    };
    let upper = |byte: &u8| is_token(*byte) && !byte.is_ascii_lowercase();
    if method.is_empty() || method.len() > 32 || !method.iter().all(upper) {
        return Err(Fault::malformed("method is not an upper-case token"));
    }
    let http_1_0 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(Fault::malformed("version is not HTTP/1.0 or HTTP/1.1")),
    };
    let visible = |byte: &u8| matches!(byte, 0x21..=0x7e) && *byte != b'#';
    let plain = |byte: &u8| visible(byte) && !matches!(byte, b'<' | b'>' | b'`' | b'"' | b'\\');
    let query = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at(query);
    // Queries are no part of what is decided on, and programs write JSON into them.
    if path.is_empty() || !path.iter().all(plain) || !query.iter().all(visible) {
        return Err(Fault::new(
            remit_core::ReasonCode::AmbiguousPath,
            "byte in the target that must be percent-encoded",
        ));
    }
    let target = if method == b"CONNECT" {
        Target::Tunnel(String::from_utf8_lossy(target).into_owned())
    } else {
        let after = |scheme: &[u8]| {
            let (found, rest) = target.split_at_checked(scheme.len())?;
            found.eq_ignore_ascii_case(scheme).then_some(rest)
        };
        // `http:///x` names no host.
        let absolute = after(b"http://")
            .or_else(|| after(b"https://"))
            .is_some_and(|rest| !matches!(rest.first(), None | Some(b'/' | b'?')));
        let origin = target.first() == Some(&b'/');
        let asterisk = target == b"*" && method == b"OPTIONS";
        if !(absolute || origin || asterisk) {
            return Err(Fault::malformed("target is not a path"));
        }
        Target::Resource
    };
    let raw_query = query.iter().any(is_raw);
    Ok(RequestLine { target, get: method == b"GET", http_1_0, raw_query })
}

#[derive(Default)]
struct Fields {
    count: usize,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    websocket: bool,
    key: bool,
    connection_upgrade: bool,
}

impl Fields {
    fn add(&mut self, line: &[u8]) -> Result<(), Fault> {
        let (name, value) = split_field(line)?;
        self.count = self.count.saturating_add(1);
        if self.count > MOST_HEADERS {
            return Err(Fault::malformed("more than 200 headers"));
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match name.len() {
            4 if is("host") => {
                self.hosts = self.hosts.saturating_add(1);
                if self.hosts > 1 {
                    return Err(Fault::malformed("more than one Host"));
                }
            }
            14 if is("content-length") => {
                if self.length.is_some() {
                    return Err(Fault::malformed("more than one Content-Length"));
                }
                self.length = Some(decimal(value)?);
            }
            17 if is("transfer-encoding") => {
                if self.chunked {
                    return Err(Fault::malformed("more than one Transfer-Encoding"));
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::malformed("Transfer-Encoding is not exactly chunked"));
                }
                self.chunked = true;
            }
            17 if is("sec-websocket-key") => {
                if self.key || !handshake::is_key(value) {
                    return Err(Fault::malformed("Sec-WebSocket-Key is not one"));
                }
                self.key = true;
            }
            7 if is("upgrade") => {
                if self.websocket || !value.eq_ignore_ascii_case(b"websocket") {
                    return Err(Fault::new(
                        remit_core::ReasonCode::UnsupportedProtocol,
                        "Upgrade to something else than websocket",
                    ));
                }
                self.websocket = true;
            }
            10 if is("connection") => {
                self.connection_upgrade |= value
                    .split(|byte| *byte == b',')
                    .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
            }
            14 if is("http2-settings") => {
                return Err(Fault::new(
                    remit_core::ReasonCode::UnsupportedProtocol,
                    "HTTP/2 without TLS",
                ));
            }
            _ if headers::is_disguised(name) => {
                return Err(Fault::malformed("header that some servers take for another"));
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(self, request: RequestLine, length: usize) -> Result<Head, Fault> {
        let tunnel = matches!(request.target, Target::Tunnel(_));
        if self.hosts == 0 && !request.http_1_0 {
            return Err(Fault::malformed("no Host"));
        }
        if self.chunked && self.length.is_some() {
            return Err(Fault::malformed("Content-Length and Transfer-Encoding"));
        }
        if self.chunked && request.http_1_0 {
            return Err(Fault::malformed("Transfer-Encoding in HTTP/1.0"));
        }
        let body = self.chunked || self.length.is_some_and(|length| length > 0);
        let upgrade = self.websocket && self.connection_upgrade;
        if upgrade && (body || request.http_1_0 || !request.get || !self.key) {
            return Err(Fault::malformed("Upgrade on a request that cannot become a WebSocket"));
        }
        if tunnel && (body || self.websocket) {
            return Err(Fault::malformed("CONNECT with a body"));
        }
        let framing = match self.chunked {
            true => Framing::Chunked,
            false => Framing::Length(self.length.unwrap_or(0)),
        };
        let RequestLine { target, raw_query, .. } = request;
        Ok(Head { length, framing, target, upgrade, raw_query })
    }
}

fn decimal(value: &[u8]) -> Result<u64, Fault> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::malformed("Content-Length is not a plain number"));
    }
    let digit = |sum: u64, byte: &u8| {
        sum.saturating_mul(10).saturating_add(u64::from(byte.saturating_sub(b'0')))
    };
    Ok(value.iter().fold(0, digit))
}

const fn fault(detail: &'static str) -> HeadError {
    HeadError::Fault(Fault::malformed(detail))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn refused(head: &[u8]) -> &'static str {
        match read_head(head) {
            Err(HeadError::Fault(fault)) => fault.detail,
            other => panic!("{other:?} for {}", head.escape_ascii()),
        }
    }

    #[test]
    fn sound_heads_pass() {
        let head = read_head(b"GET /a?b HTTP/1.1\r\nHost: x\r\nA:\tb \r\n\r\nrest").unwrap();
        assert_eq!((head.length, head.framing), (37, Framing::Length(0)));
        let head = read_head(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 012\r\n\r\n").unwrap();
        assert_eq!(head.framing, Framing::Length(12));
        let head =
            read_head(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n").unwrap();
        assert_eq!(head.framing, Framing::Chunked);
        let ws = b"GET /c HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        assert!(read_head(ws).unwrap().upgrade);
        assert_eq!(read_head(b"GET / HTTP/1.1\r\nHost: x\r\n"), Err(HeadError::Incomplete));
        assert_eq!(read_head(b"GET / HTTP/1.1\r\nHost: x\r\n\r"), Err(HeadError::Incomplete));
        assert!(read_head(b"GET / HTTP/1.0\r\n\r\n").is_ok());
    }

    #[test]
    fn queries_are_encoded_and_nothing_else_is() {
        let head = b"GET /a?q={\"<>\"}?\" HTTP/1.1\r\nHost: x\r\nA: \"?<>\"\r\n\r\n";
        assert!(read_head(head).unwrap().raw_query);
        let encoded = b"GET /a?q={%22%3C%3E%22}?%22 HTTP/1.1\r\nHost: x\r\nA: \"?<>\"\r\n\r\n";
        assert_eq!(&encode_query(head)[..], encoded);
        assert!(!read_head(encoded).unwrap().raw_query);
    }

    #[test]
    fn every_ambiguous_head_is_refused() {
        for (head, why) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"[..], "more than one Host"),
            (b"GET / HTTP/1.1\r\n\r\n", "no Host"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", "more than one Content-Length"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n", "more than one Content-Length"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\n", "not a plain number"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n", "not a plain number"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\n", "not a plain number"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "not a plain number"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", "Content-Length and Transfer"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", "not exactly chunked"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "not exactly chunked"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "more than one Transfer"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", "control byte"),
            (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "in HTTP/1.0"),
            (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "header name"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n", "folded"),
            (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "folded"),
            (b"GET / HTTP/1.1\nHost: a\n\n", "bare LF"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", "bare CR"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", "NUL"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", "without a colon"),
            (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "request line"),
            (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "request line"),
            (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "request line"),
            (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", "upper-case"),
            (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "version"),
            (b"GET / http/1.1\r\nHost: a\r\n\r\n", "version"),
            (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", "not a path"),
            (b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", "not a path"),
            (b"GET https:// HTTP/1.1\r\nHost: a\r\n\r\n", "not a path"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n", "take for another"),
            (b"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", "percent-encoded"),
            (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "percent-encoded"),
            (b"GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n", "percent-encoded"),
            (b"GET /a\"?b HTTP/1.1\r\nHost: a\r\n\r\n", "percent-encoded"),
            (b"GET ?b HTTP/1.1\r\nHost: a\r\n\r\n", "percent-encoded"),
            (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "percent-encoded"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n", "Upgrade to something"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHTTP2-Settings: AAA\r\n\r\n", "HTTP/2 without TLS"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\n", "cannot become"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "cannot become"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: x\r\n\r\n", "is not one"),
            (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "CONNECT with"),
        ] {
            let found = refused(head);
            assert!(found.contains(why), "{found} for {}", head.escape_ascii());
        }
        let long = [&b"GET / HTTP/1.1\r\nX: "[..], &vec![b'a'; MOST_HEAD]].concat();
        assert!(refused(&long).contains("longer"));
        let many = [&b"GET / HTTP/1.1\r\n"[..], &b"a: b\r\n".repeat(300), b"\r\n"].concat();
        assert!(refused(&many).contains("more than 200"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_head(&bytes);
            let mut more = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
            more.extend_from_slice(&bytes);
            let _ = read_head(&more);
        }
    }
}
