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

/// Reads into `seen` until the opening is known. `silence` ends the wait for the first byte.
pub(crate) async fn opening<S>(
    stream: &mut S,
    seen: &mut BytesMut,
    silence: Duration,
) -> io::Result<Opening>
where
    S: AsyncRead + Unpin,
{
    let mut patience = silence;
    loop {
        match judge(seen) {
            Some(opening) => return Ok(opening),
            None if seen.len() >= MOST => return Ok(Opening::Broken),
            None => {}
        }
        match tokio::time::timeout(patience, stream.read_buf(seen)).await {
            Ok(Ok(0)) => return Ok(Opening::Closed),
            Ok(Ok(_)) => patience = REST_PATIENCE,
            Ok(Err(error)) => return Err(error),
            Err(_) if seen.is_empty() => return Ok(Opening::Silent),
            // Half a line and then nothing: no client does that, and no server must judge it.
            Err(_) => return Ok(Opening::Broken),
        }
    }
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
    let text = seen.trim_ascii_start();
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
    let printable = line.iter().all(|b| (0x20..0x7f).contains(b) || *b == b'\t');
    if !printable {
        return Some(Opening::Other);
    }
    match end {
        // `GET /` alone is HTTP/0.9.
        Some(_) if http_0_9(line) => Some(Opening::Http),
        Some(_) => Some(Opening::Other),
        None if text.len() >= MOST_LINE => Some(Opening::Http),
        None => None,
    }
}

fn holds_http(line: &[u8]) -> bool {
    line.windows(5).any(|part| part.eq_ignore_ascii_case(b"HTTP/"))
}

fn http_0_9(line: &[u8]) -> bool {
    let get = line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"GET "));
    get && line.trim_ascii_end().get(4).is_some_and(|byte| *byte == b'/' || *byte == b'h')
}

const MOST: usize = 80 << 10;
const MOST_LINE: usize = 4096;
const REST_PATIENCE: Duration = Duration::from_secs(15);

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
}
