//! What the first bytes of a connection are. Whatever a server could take for TLS or HTTP counts
//! as that, so that junk in front does not lead around interception.

use std::{io, time::Duration};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::tls::{Hello, HelloError, read_hello};

/// What a connection begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A TLS ClientHello.
    Tls(Hello),
    /// An HTTP/1 request line, or something that a lenient server takes for one.
    Http,
    /// HTTP/2 without TLS.
    H2c,
    /// Another protocol in which the client speaks first.
    Other,
    /// Bytes that pretend to be TLS.
    Broken,
    /// Nothing within the patience.
    Silent,
    /// The end.
    Closed,
}

/// How long a connection may take to say what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Ends the wait for the first byte.
    pub(crate) silence: Duration,
    /// Bytes that are neither TLS nor HTTP may pass: a message without an end of line is one.
    pub(crate) raw: bool,
}

/// Reads into `seen` until the opening is known.
pub(crate) async fn opening<S>(
    stream: &mut S,
    seen: &mut BytesMut,
    patient: Patience,
) -> io::Result<Opening>
where
    S: AsyncRead + Unpin,
{
    let given_up = |seen: &[u8]| if patient.raw { given_up(seen) } else { Opening::Broken };
    loop {
        match judge(seen) {
            Some(opening) => return Ok(opening),
            None if seen.len() >= MOST => return Ok(Opening::Broken),
            None => {}
        }
        let wait = match (seen.is_empty(), patient.raw) {
            (true, _) => patient.silence,
            (false, true) => patience(seen),
            (false, false) => REST_PATIENCE,
        };
        match tokio::time::timeout(wait, stream.read_buf(seen)).await {
            Ok(Ok(0)) if patient.raw && is_lone(seen) => return Ok(Opening::Other),
            Ok(Ok(0)) => return Ok(Opening::Closed),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) if seen.is_empty() => return Ok(Opening::Silent),
            Err(_) => return Ok(given_up(seen)),
        }
    }
}

/// How long to wait for the rest of what was begun, where bytes may pass raw.
pub(crate) fn patience(seen: &[u8]) -> Duration {
    if is_lone(seen) { LONE_PATIENCE } else { REST_PATIENCE }
}

/// What the beginning counts as when the rest does not come.
pub(crate) fn given_up(seen: &[u8]) -> Opening {
    // Half a line of HTTP and then nothing: no client does that, and no server must judge it.
    if is_lone(seen) { Opening::Other } else { Opening::Broken }
}

/// A text without an end of line that does not begin as HTTP does: `ruok`, a JSON object. Judged
/// already, so it is printable and no TLS.
fn is_lone(seen: &[u8]) -> bool {
    let text = trim_start(seen);
    !text.is_empty() && text.iter().all(is_printable) && begins_like_http(text) == Some(false)
}

/// Judges the bytes so far; `None` asks for more.
pub(crate) fn judge(seen: &[u8]) -> Option<Opening> {
    let first = *seen.first()?;
    // Record types of TLS. Servers skip a warning alert or a stray ChangeCipherSpec in front of
    // the ClientHello, so those are TLS as well, only not ours to accept.
    if (20..=24).contains(&first) {
        let major = seen.get(1)?;
        if *major == 3 {
            return match read_hello(seen) {
                Ok(hello) => Some(Opening::Tls(hello)),
                Err(HelloError::Incomplete) => None,
                Err(HelloError::Malformed) => Some(Opening::Broken),
            };
        }
    }
    // SSL 2 framing of a ClientHello (RFC 5246, E.2): two length bytes with the top bit, type 1.
    if first & 0x80 != 0 {
        match seen.get(2) {
            None => return None,
            Some(1) if seen.get(3).is_none_or(|major| *major <= 3) => {
                return Some(Opening::Broken);
            }
            Some(_) => {}
        }
    }
    // Servers ignore empty lines before the request line (RFC 9112, 2.2).
    let text = trim_start(seen);
    if text.is_empty() {
        return None;
    }
    let end = text.iter().position(|byte| *byte == b'\n' || *byte == b'\r');
    let line = text.get(..end.unwrap_or(text.len())).unwrap_or(text);
    if line.starts_with(b"PRI * HTTP/2") {
        return Some(Opening::H2c);
    }
    if holds_http(line) {
        return Some(Opening::Http);
    }
    match (begins_like_http(line), end) {
        // A method and a target alone are HTTP/0.9, whatever white space is between them.
        (Some(true), Some(_)) => return Some(Opening::Http),
        (Some(true) | None, None) if text.len() < MOST_LINE => return None,
        (Some(true), None) => return Some(Opening::Http),
        _ => {}
    }
    if !line.iter().all(is_printable) {
        return Some(Opening::Other);
    }
    match end {
        Some(_) => Some(Opening::Other),
        None if text.len() >= MOST_LINE => Some(Opening::Http),
        None => None,
    }
}

/// Without the white space that servers skip in front of a request; VT is such a byte to some.
fn trim_start(seen: &[u8]) -> &[u8] {
    let start = seen.iter().position(|byte| !(byte.is_ascii_whitespace() || *byte == VT));
    start.and_then(|start| seen.get(start..)).unwrap_or_default()
}

fn holds_http(line: &[u8]) -> bool {
    line.windows(5).any(|part| part.eq_ignore_ascii_case(b"HTTP/"))
}

/// Whether a line begins with a method, white space and a target; `None` while it may still.
///
/// Some servers split at any white space: TAB, VT, FF, and in Latin-1 NEL and NBSP, which in UTF-8
/// follow a C2.
fn begins_like_http(line: &[u8]) -> Option<bool> {
    let mut undecided = false;
    for method in METHODS {
        let (word, rest) = line.split_at(line.len().min(method.len()));
        if !word.eq_ignore_ascii_case(method.get(..word.len()).unwrap_or_default()) {
            continue;
        }
        let space = |byte: &u8| matches!(*byte, b' ' | b'\t' | VT | 0x0c | 0x85 | 0xa0 | 0xc2);
        let gap = rest.iter().take_while(|byte| space(byte)).count();
        match (gap, rest.get(gap)) {
            (_, None) => undecided = true,
            (1.., Some(b'/' | b'h' | b'H')) => return Some(true),
            _ => {}
        }
    }
    if undecided { None } else { Some(false) }
}

const fn is_printable(byte: &u8) -> bool {
    matches!(byte, 0x20..0x7f | b'\t')
}

const METHODS: [&[u8]; 9] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT"];
const VT: u8 = 0x0b;
const MOST: usize = 80 << 10;
const MOST_LINE: usize = 4096;
const REST_PATIENCE: Duration = Duration::from_secs(15);
const LONE_PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_could_take_for_http_or_tls_is_never_other() {
        for (bytes, opening) in [
            (&b"GET / HTTP/1.1\r\n"[..], Some(Opening::Http)),
            (b"\r\n\r\nGET / HTTP/1.1", Some(Opening::Http)),
            (b" get /x http/1.0\n", Some(Opening::Http)),
            (b"X-ODD /x HTTP/1.1", Some(Opening::Http)),
            (b"GET /\r\n", Some(Opening::Http)),
            (b"GET /secret", None),
            (b"GET  /secret\r\n", Some(Opening::Http)),
            (b"\x0bget\t/secret\r\n", Some(Opening::Http)),
            (b"GET\xa0/secret\r\n", Some(Opening::Http)),
            (b"POST\xc2\x85\x0b\x0c/secret\n", Some(Opening::Http)),
            (b"GET\xa0", None),
            (b"GE", None),
            (b"GET\r\n", Some(Opening::Other)),
            (b"GET key\r\n", Some(Opening::Other)),
            (b"GETEX key\r\n", Some(Opening::Other)),
            (b"ruok", None),
            (b"\r\n", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM", Some(Opening::H2c)),
            (b"\x16\x03", None),
            (b"\x15\x03\x01\x00\x02\x01\x5a", Some(Opening::Broken)),
            (b"\x14\x03\x03\x00\x01\x01", Some(Opening::Broken)),
            (b"\x80\x2e\x01\x03\x01", Some(Opening::Broken)),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Some(Opening::Other)),
            (b"\0\0\0\x08\x04\xd2\x16\x2f", Some(Opening::Other)),
            (b"*1\r\n$4\r\nPING\r\n", Some(Opening::Other)),
            (b"", None),
        ] {
            assert_eq!(judge(bytes), opening, "{:?}", bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn only_what_cannot_become_http_is_a_message_of_its_own() {
        for lone in [&b"ruok"[..], b"{\"jsonrpc\":\"2.0\"}", b"PING", b" stat", b"getting on"] {
            assert_eq!(given_up(lone), Opening::Other, "{}", lone.escape_ascii());
        }
        for begun in [&b"GE"[..], b"get", b"GET /secret", b"post ", b" ", b"\x16\x03\x01", b"\x80"]
        {
            assert_eq!(given_up(begun), Opening::Broken, "{}", begun.escape_ascii());
        }
    }
}
