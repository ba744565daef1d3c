//! What an upstream proxy says.

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Reads the answer to a CONNECT: its status, and what came behind its head.
pub(super) async fn answer<S: AsyncRead + Unpin>(
    carrier: &mut S,
) -> std::io::Result<Result<(u16, BytesMut), &'static str>> {
    let mut seen = BytesMut::with_capacity(1024);
    loop {
        if carrier.read_buf(&mut seen).await? == 0 {
            return Ok(Err("it ends in the middle"));
        }
        match judge(&seen) {
            Answer::Incomplete => {}
            Answer::Malformed(problem) => return Ok(Err(problem)),
            Answer::Whole { status, length } => {
                seen.advance(length.min(seen.len()));
                return Ok(Ok((status, seen)));
            }
        }
    }
}

/// What the bytes of an answer are so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Incomplete,
    Malformed(&'static str),
    /// The head of a final answer, with its length in bytes.
    Whole {
        status: u16,
        length: usize,
    },
}

/// Reads a status line and header lines (RFC 9112, 4 and 5), strictly. A successful answer to
/// CONNECT has no body, whatever its headers say (RFC 9110, 9.3.6); any other ends the connection.
fn judge(seen: &[u8]) -> Answer {
    let end = seen.windows(4).position(|part| part == b"\r\n\r\n");
    let head = seen.get(..end.unwrap_or(seen.len())).unwrap_or(seen);
    if head.len() > MOST_HEAD {
        return Answer::Malformed("its head is too long");
    }
    // What can never become an answer is not waited for.
    let begun = head.get(..head.len().min(HTTP.len())).unwrap_or_default();
    if !HTTP.starts_with(begun) {
        return Answer::Malformed("it is not HTTP/1");
    }
    let Some(end) = end else { return Answer::Incomplete };
    let Ok(text) = std::str::from_utf8(head) else {
        return Answer::Malformed("its head is not text");
    };
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(status);
    let sound = |line: &str| {
        let named = line.split_once(':').is_some_and(|(name, _)| is_token(name));
        named && !line.contains(|c: char| c != '\t' && c.is_control())
    };
    let mut count = 0usize;
    for line in lines {
        count = count.saturating_add(1);
        if count > MOST_LINES || !sound(line) {
            return Answer::Malformed("a header line is malformed");
        }
    }
    match status {
        Some(status @ 200..) => Answer::Whole { status, length: end.saturating_add(4) },
        // RFC 9110, 15.2: nothing of ours asks for an interim answer.
        _ => Answer::Malformed("its status line is malformed"),
    }
}

/// `HTTP/1.x NNN` and perhaps a phrase.
fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let rest = rest.strip_prefix(['0', '1'])?.strip_prefix(' ')?;
    let (digits, phrase) = rest.split_at_checked(3)?;
    let plain =
        !phrase.contains(char::is_control) && (phrase.is_empty() || phrase.starts_with(' '));
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()) && plain;
    digits.parse().ok().filter(|status| number && (100..600).contains(status))
}

/// RFC 9110, 5.6.2.
fn is_token(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(sound)
}

const HTTP: &[u8] = b"HTTP/1.";
const MOST_HEAD: usize = 16 << 10;
const MOST_LINES: usize = 100;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_whole_sound_heads_are_answers() {
        let whole = |status, length| Answer::Whole { status, length };
        for (bytes, expected) in [
            (&b"HTTP/1.1 200 Connection established\r\n\r\nSSH-2.0"[..], whole(200, 39)),
            (b"HTTP/1.0 200\r\nvia: 1.1 squid (squid/5.7)\r\n\r\n", whole(200, 44)),
            (
                b"HTTP/1.1 407 Proxy\r\nproxy-authenticate: Basic realm=\"a\"\r\n\r\n",
                whole(407, 59),
            ),
            (b"", Answer::Incomplete),
            (b"HT", Answer::Incomplete),
            (b"HTTP/1.1 200 OK\r\nvia: x\r\n", Answer::Incomplete),
            (b"SSH-2.0-x\r\n", Answer::Malformed("it is not HTTP/1")),
            (b"HTTP/2 200\r\n\r\n", Answer::Malformed("it is not HTTP/1")),
            (b"\x15\x03\x01", Answer::Malformed("it is not HTTP/1")),
        ] {
            assert_eq!(judge(bytes), expected, "{}", bytes.escape_ascii());
        }
        for malformed in [
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 200OK",
            "HTTP/1.1  200 OK",
            "HTTP/1.1 +20 OK",
            "HTTP/1.2 200 OK",
            "HTTP/1.1 100 Continue",
            "HTTP/1.1 199 x",
            "HTTP/1.1 600 x",
            "HTTP/1.1 200 OK\nvia: x",
            "HTTP/1.1 200 OK\r\nno colon",
            "HTTP/1.1 200 OK\r\nname : value",
            "HTTP/1.1 200 OK\r\nvia: x\r\n folded: y",
            "HTTP/1.1 200 OK\r\nvia: x\0",
            "HTTP/1.1 200 OK\r\nvia: x\rset: y",
        ] {
            let bytes = format!("{malformed}\r\n\r\n");
            assert!(matches!(judge(bytes.as_bytes()), Answer::Malformed(_)), "{malformed}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nvia: {}", "x".repeat(MOST_HEAD));
        assert!(matches!(judge(long.as_bytes()), Answer::Malformed(_)));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_LINES + 1));
        assert!(matches!(judge(many.as_bytes()), Answer::Malformed(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = judge(&bytes);
            let framed = [b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat();
            if let Answer::Whole { length, .. } = judge(&framed) {
                prop_assert!(length <= framed.len());
            }
        }
    }
}
