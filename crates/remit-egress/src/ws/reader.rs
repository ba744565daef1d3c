//! From frames to messages (RFC 6455, 5.4 to 5.6, 7.4, 8.1).

use bytes::{Bytes, BytesMut};

use super::frame::{Fault, Frame, From, Opcode, take};

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A whole message.
    Message { text: bool, data: Bytes },
    /// A ping or pong with its payload.
    Control(Opcode, Bytes),
    /// The end: code, where there is one, and reason.
    Close(Option<u16>, Bytes),
}

/// Puts the messages of one side together.
pub(crate) struct Reader {
    pub(crate) buffer: BytesMut,
    from: From,
    /// The message that is coming in fragments.
    coming: Option<(bool, BytesMut, usize)>,
}

impl Reader {
    pub(crate) fn new(from: From) -> Self {
        Self { buffer: BytesMut::new(), from, coming: None }
    }

    /// The next thing that is whole.
    pub(crate) fn next(&mut self) -> Result<Option<Said>, Fault> {
        loop {
            let held = self.coming.as_ref().map_or(0, |(_, data, _)| data.len());
            let most = MOST_MESSAGE.saturating_sub(held);
            let Some(frame) = take(&mut self.buffer, self.from, most)? else { return Ok(None) };
            if let Some(said) = self.add(frame)? {
                return Ok(Some(said));
            }
        }
    }

    fn add(&mut self, Frame { last, opcode, payload }: Frame) -> Result<Option<Said>, Fault> {
        match opcode {
            Opcode::Close => close(payload).map(Some),
            Opcode::Ping | Opcode::Pong => Ok(Some(Said::Control(opcode, payload))),
            Opcode::Text | Opcode::Binary => {
                if self.coming.is_some() {
                    return Err(Fault::protocol("a new message inside another"));
                }
                let text = opcode == Opcode::Text;
                if last {
                    return message(text, payload).map(Some);
                }
                self.coming = Some((text, BytesMut::from(&payload[..]), 1));
                Ok(None)
            }
            Opcode::Continuation => {
                let Some((text, mut data, count)) = self.coming.take() else {
                    return Err(Fault::protocol("a continuation of nothing"));
                };
                data.extend_from_slice(&payload);
                if last {
                    return message(text, data.freeze()).map(Some);
                }
                if count >= MOST_FRAGMENTS {
                    return Err(Fault { code: 1009, reason: "too many fragments".into() });
                }
                self.coming = Some((text, data, count.saturating_add(1)));
                Ok(None)
            }
        }
    }
}

fn message(text: bool, data: Bytes) -> Result<Said, Fault> {
    if text && std::str::from_utf8(&data).is_err() {
        return Err(Fault { code: 1007, reason: "text that is not UTF-8".into() });
    }
    Ok(Said::Message { text, data })
}

fn close(payload: Bytes) -> Result<Said, Fault> {
    if payload.is_empty() {
        return Ok(Said::Close(None, payload));
    }
    let Some(code) = payload.get(..2).and_then(|code| code.try_into().ok()).map(u16::from_be_bytes)
    else {
        return Err(Fault::protocol("half a close code"));
    };
    let known = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !known {
        return Err(Fault::protocol("a close code that is never sent"));
    }
    let reason = payload.slice(2..);
    if std::str::from_utf8(&reason).is_err() {
        return Err(Fault { code: 1007, reason: "a reason that is not UTF-8".into() });
    }
    Ok(Said::Close(Some(code), reason))
}

const MOST_MESSAGE: usize = 16 << 20;
const MOST_FRAGMENTS: usize = 1 << 16;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::{super::frame::put, *};

    fn read(from: From, bytes: &[u8]) -> Result<Vec<Said>, Fault> {
        let mut reader = Reader::new(from);
        let mut all = Vec::new();
        // However it is cut.
        for byte in bytes {
            reader.buffer.extend_from_slice(&[*byte]);
            while let Some(said) = reader.next()? {
                all.push(said);
            }
        }
        Ok(all)
    }

    fn code(from: From, bytes: &[u8]) -> Option<u16> {
        read(from, bytes).err().map(|fault| fault.code)
    }

    #[test]
    fn messages_are_put_together_around_control_frames() {
        let bytes = [
            &[0x01, 2, b'h', 0xc3][..],
            &[0x89, 1, b'!'],
            &[0x00, 0],
            &[0x80, 1, 0xa9],
            &[0x82, 126, 0, 126],
            &[7; 126],
            &[0x88, 2, 3, 232],
        ]
        .concat();
        let said = read(From::Server, &bytes).unwrap();
        let text = Said::Message { text: true, data: "h\u{e9}".into() };
        let binary = Said::Message { text: false, data: vec![7; 126].into() };
        let ping = Said::Control(Opcode::Ping, "!".into());
        assert_eq!(said, [ping, text, binary, Said::Close(Some(1000), Bytes::new())]);
    }

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 125, 126, 65535, 65536] {
            for (from, mask) in [(From::Server, None), (From::Client, Some([1, 2, 3, 4]))] {
                let payload = vec![b'x'; length];
                let mut out = BytesMut::new();
                put(&mut out, Opcode::Text, &payload, mask);
                let said = read(from, &out).unwrap();
                assert_eq!(said, [Said::Message { text: true, data: payload.into() }]);
            }
        }
    }

    #[test]
    fn frames_that_two_readers_read_in_two_ways_are_refused() {
        let bad: [(&str, &[u8], u16); 15] = [
            ("reserved bit", &[0xc1, 0], 1002),
            ("reserved bit two", &[0xa1, 0], 1002),
            ("reserved opcode", &[0x83, 0], 1002),
            ("reserved control opcode", &[0x8b, 0], 1002),
            ("masked by a server", &[0x81, 0x80, 0, 0, 0, 0], 1002),
            ("long ping", &[0x89, 126, 0, 126], 1002),
            ("fragmented ping", &[0x09, 0], 1002),
            ("continuation of nothing", &[0x80, 0], 1002),
            ("message inside a message", &[0x01, 0, 0x81, 0], 1002),
            ("long form of a short length", &[0x81, 126, 0, 5], 1002),
            ("longest form of a short length", &[0x81, 127, 0, 0, 0, 0, 0, 0, 1, 0], 1002),
            ("too large", &[0x82, 127, 0, 0, 0, 0, 2, 0, 0, 0], 1009),
            ("broken text over fragments", &[0x01, 1, 0xc3, 0x80, 1, b'x'], 1007),
            ("half a close code", &[0x88, 1, 3], 1002),
            ("a close code of nobody", &[0x88, 2, 3, 237], 1002),
        ];
        for (what, bytes, expected) in bad {
            assert_eq!(code(From::Server, bytes), Some(expected), "{what}");
        }
        assert_eq!(code(From::Client, &[0x81, 0]), Some(1002), "unmasked by a client");
        let mut many = vec![0x01, 0];
        many.extend([0x00, 0].repeat(MOST_FRAGMENTS + 1));
        assert_eq!(code(From::Server, &many), Some(1009), "endless fragments");
    }

    proptest::proptest! {
        /// How the bytes are cut changes nothing, and nothing panics.
        #[test]
        fn any_bytes_are_read_in_one_way(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            client: bool,
        ) {
            let from = if client { From::Client } else { From::Server };
            let whole = || {
                let mut reader = Reader::new(from);
                reader.buffer.extend_from_slice(&bytes);
                let mut all = Vec::new();
                while let Some(said) = reader.next()? {
                    all.push(said);
                }
                Ok::<_, Fault>(all)
            };
            proptest::prop_assert_eq!(read(from, &bytes), whole());
        }
    }
}
