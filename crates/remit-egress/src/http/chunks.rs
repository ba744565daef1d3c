//! Chunked bodies (RFC 9112, 7.1), followed byte by byte so that the next head is found where
//! every server finds it.

use super::{
    head::{Line, split_field, split_line},
    headers,
};
use crate::refusal::Fault;

/// Where in a chunked body the reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    Size,
    Data(u64),
    DataEnd,
    Trailers { bytes: usize },
    End,
}

impl Chunks {
    /// Advances over `bytes`; returns how many of them belong to the body and are sound. Less
    /// than all of them means that more are needed to judge the rest, or that the body has ended.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut rest = bytes;
        loop {
            match *self {
                Self::Size => {
                    let Some((line, after)) = bounded_line(rest, MOST_SIZE_LINE)? else { break };
                    *self = match size(line)? {
                        0 => Self::Trailers { bytes: 0 },
                        size => Self::Data(size),
                    };
                    rest = after;
                }
                Self::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    rest = rest.get(here..).unwrap_or_default();
                    let left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                    *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                    if left > 0 {
                        break;
                    }
                }
                Self::DataEnd => match rest {
                    [b'\r', b'\n', after @ ..] => {
                        rest = after;
                        *self = Self::Size;
                    }
                    [] | [b'\r'] => break,
                    _ => return Err(Fault::malformed("chunk longer than its size")),
                },
                Self::Trailers { bytes } => {
                    let Some((line, after)) = bounded_line(rest, MOST_TRAILERS)? else { break };
                    rest = after;
                    if line.is_empty() {
                        *self = Self::End;
                        break;
                    }
                    trailer(line)?;
                    let bytes = bytes.saturating_add(line.len());
                    if bytes > MOST_TRAILERS {
                        return Err(Fault::malformed("trailers longer than 8 KiB"));
                    }
                    *self = Self::Trailers { bytes };
                }
                Self::End => break,
            }
        }
        Ok(bytes.len().saturating_sub(rest.len()))
    }
}

fn bounded_line(bytes: &[u8], most: usize) -> Result<Option<Line<'_>>, Fault> {
    let line = split_line(bytes)?;
    if line.is_none() && bytes.len() > most {
        return Err(Fault::malformed("chunk line too long"));
    }
    Ok(line)
}

/// 1*HEXDIG and nothing else: chunk extensions have no use and many readings. Nor is a size more
/// than 32 bits with a sign hold, where some servers lose the rest; no program sends such chunks.
fn size(line: &[u8]) -> Result<u64, Fault> {
    let sound = !line.is_empty() && line.len() <= 15 && line.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(line).ok().filter(|_| sound);
    text.and_then(|text| u64::from_str_radix(text, 16).ok())
        .filter(|size| i32::try_from(*size).is_ok())
        .ok_or(Fault::malformed("chunk size is not a plain number"))
}

fn trailer(line: &[u8]) -> Result<(), Fault> {
    let (name, _) = split_field(line)?;
    if headers::is_for_head(name) {
        return Err(Fault::malformed("trailer that belongs into the head"));
    }
    Ok(())
}

const MOST_SIZE_LINE: usize = 32;
const MOST_TRAILERS: usize = 8 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_body_ends_where_it_ends_however_it_is_cut() {
        let body = b"4\r\nwiki\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
        let all = [&body[..], b"GET /next HTTP/1.1\r\n"].concat();
        let mut whole = Chunks::Size;
        assert_eq!(whole.advance(&all), Ok(body.len()));
        assert_eq!(whole, Chunks::End);
        let (mut state, mut held, mut taken) = (Chunks::Size, Vec::new(), 0);
        for byte in all {
            held.push(byte);
            let used = state.advance(&held).unwrap();
            taken += used;
            held.drain(..used);
        }
        assert_eq!((state, taken), (Chunks::End, body.len()));
    }

    #[test]
    fn odd_chunks_are_refused() {
        for odd in [
            &b"0x3\r\nabc\r\n"[..],
            b"3;a=b\r\nabc\r\n",
            b"3;a\n\r\nabc\r\n",
            b"3\nabc\n",
            b" 3\r\nabc\r\n",
            b"+3\r\nabc\r\n",
            b"\r\nabc\r\n",
            b"fffffffffffffffff\r\n",
            b"80000000\r\nabc",
            b"100000003\r\nabc\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n0\r\n",
            b"0\r\nContent-Length: 5\r\n\r\n",
            b"0\r\n folded: 1\r\n\r\n",
            b"11111111111111111111111111111111111",
        ] {
            assert!(Chunks::Size.advance(odd).is_err(), "{}", odd.escape_ascii());
        }
    }
}
