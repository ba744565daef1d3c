//! The ClientHello, read without consuming it (RFC 8446, 4.1.2; RFC 6066, 3; RFC 9849).

/// What a ClientHello says about where it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The server name, as sent.
    pub(crate) server_name: Option<Vec<u8>>,
    /// An encrypted ClientHello is inside: the true name cannot be seen.
    pub(crate) encrypted_hello: bool,
}

/// Why bytes are not a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HelloError {
    /// More bytes are needed.
    Incomplete,
    /// They never will be one.
    Malformed,
}

/// Reads the first handshake message of `bytes`, which may be cut over several records.
pub(crate) fn read_hello(bytes: &[u8]) -> Result<Hello, HelloError> {
    let mut message = Vec::new();
    let mut records = Reader(bytes);
    loop {
        let kind = records.u8().ok_or(HelloError::Incomplete)?;
        let major = records.u8().ok_or(HelloError::Incomplete)?;
        records.u8().ok_or(HelloError::Incomplete)?;
        let length = records.u16().ok_or(HelloError::Incomplete)?;
        if kind != HANDSHAKE || major != 3 || length == 0 || usize::from(length) > MOST_RECORD {
            return Err(HelloError::Malformed);
        }
        let part = records.0.get(..usize::from(length));
        message.extend_from_slice(part.unwrap_or(records.0));
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(HelloError::Malformed);
        }
        if let Some([_, a, b, c]) = message.first_chunk::<4>() {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            if length > MOST_HELLO {
                return Err(HelloError::Malformed);
            }
            if let Some(body) = message.get(4..length.saturating_add(4)) {
                return hello(body).ok_or(HelloError::Malformed);
            }
        }
        if part.is_none() {
            return Err(HelloError::Incomplete);
        }
        records.take(usize::from(length)).ok_or(HelloError::Incomplete)?;
    }
}

fn hello(body: &[u8]) -> Option<Hello> {
    let mut hello = Hello::default();
    let mut reader = Reader(body);
    reader.take(2 + 32)?;
    let session = reader.u8()?;
    reader.take(usize::from(session))?;
    let suites = reader.u16()?;
    reader.take(usize::from(suites))?;
    let methods = reader.u8()?;
    reader.take(usize::from(methods))?;
    if reader.0.is_empty() {
        // Before extensions existed.
        return Some(hello);
    }
    let length = reader.u16()?;
    let mut extensions = Reader(reader.take(usize::from(length))?);
    if !reader.0.is_empty() {
        return None;
    }
    let mut named = false;
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let length = extensions.u16()?;
        let data = extensions.take(usize::from(length))?;
        match kind {
            SERVER_NAME => {
                // Twice the same extension: two servers may see two names.
                if std::mem::replace(&mut named, true) {
                    return None;
                }
                hello.server_name = Some(server_name(data)?);
            }
            ENCRYPTED_HELLO | ENCRYPTED_SNI => hello.encrypted_hello = true,
            _ => {}
        }
    }
    Some(hello)
}

/// Exactly one entry, of type host_name (RFC 6066: more than one of a type is forbidden).
fn server_name(data: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader(data);
    let length = reader.u16()?;
    let mut list = Reader(reader.take(usize::from(length))?);
    let kind = list.u8()?;
    let length = list.u16()?;
    let name = list.take(usize::from(length))?;
    let whole = reader.0.is_empty() && list.0.is_empty() && kind == 0 && !name.is_empty();
    whole.then(|| name.to_vec())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ENCRYPTED_HELLO: u16 = 0xfe0d;
/// The draft before it.
const ENCRYPTED_SNI: u16 = 0xffce;
const MOST_RECORD: usize = 16_384 + 256;
const MOST_HELLO: usize = 64 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    fn real_hello(name: &str) -> Vec<u8> {
        let trust = crate::UpstreamTrust::none();
        let config = trust.client(&[b"h2"]).unwrap();
        let name = name.to_owned().try_into().unwrap();
        let mut client = rustls::ClientConnection::new(config, name).unwrap();
        let mut out = Vec::new();
        client.write_tls(&mut out).unwrap();
        out
    }

    #[test]
    fn a_real_hello_is_read_also_in_pieces() {
        let bytes = real_hello("api.example.org");
        let hello = read_hello(&bytes).unwrap();
        assert_eq!(hello.server_name.as_deref(), Some(&b"api.example.org"[..]));
        assert!(!hello.encrypted_hello);
        for cut in 0..bytes.len() {
            assert_eq!(read_hello(&bytes[..cut]), Err(HelloError::Incomplete), "{cut}");
        }
        // The same message over records of seven bytes each.
        let mut small = Vec::new();
        for part in bytes[5..].chunks(7) {
            small.extend_from_slice(&[22, 3, 1, 0, u8::try_from(part.len()).unwrap()]);
            small.extend_from_slice(part);
        }
        assert_eq!(read_hello(&small), Ok(hello));
    }

    #[test]
    fn encrypted_and_doubled_names_are_seen() {
        let extension = |kind: u16, data: &[u8]| {
            let mut out = kind.to_be_bytes().to_vec();
            out.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            out.extend_from_slice(data);
            out
        };
        let message = |extensions: &[u8]| {
            let mut body = vec![3, 3];
            body.extend_from_slice(&[0; 32]);
            body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
            body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
            body.extend_from_slice(extensions);
            let mut message = vec![1, 0];
            message.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
            message.extend_from_slice(&body);
            let mut record = vec![22, 3, 1];
            record.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
            record.extend_from_slice(&message);
            record
        };
        let name = extension(0, b"\0\x04\0\0\x01a");
        assert_eq!(read_hello(&message(&name)).unwrap().server_name, Some(b"a".to_vec()));
        let twice = [name.clone(), extension(0, b"\0\x04\0\0\x01b")].concat();
        assert_eq!(read_hello(&message(&twice)), Err(HelloError::Malformed));
        let two_in_one = extension(0, b"\0\x08\0\0\x01a\0\0\x01b");
        assert_eq!(read_hello(&message(&two_in_one)), Err(HelloError::Malformed));
        let ech = [name, extension(0xfe0d, b"\0")].concat();
        assert!(read_hello(&message(&ech)).unwrap().encrypted_hello);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_hello(&bytes);
            let mut framed = vec![22, 3, 1, 1, 0, 1, 0, 0, 200];
            framed.extend_from_slice(&bytes);
            let _ = read_hello(&framed);
        }
    }
}
