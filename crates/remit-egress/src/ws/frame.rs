//! Frames (RFC 6455, 5.2).

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Which side a frame comes from: what a client sends is masked, what a server sends is not (5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    const fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// One frame, its payload unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    pub(super) payload: Bytes,
}

/// Why a socket is closed: code (7.4.1) and reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}")]
pub(crate) struct Fault {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Fault {
    pub(super) fn protocol(reason: &str) -> Self {
        Self { code: 1002, reason: reason.to_owned() }
    }
}

/// Takes one frame from the front of the buffer, once it is there; `most` bytes of payload.
pub(super) fn take(buffer: &mut BytesMut, from: From, most: usize) -> Result<Option<Frame>, Fault> {
    let Some((first, second)) = buffer.first().copied().zip(buffer.get(1).copied()) else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err(Fault::protocol("reserved bits without an extension"));
    }
    let Some(opcode) = Opcode::of(first & 0x0f) else {
        return Err(Fault::protocol("reserved opcode"));
    };
    let (last, masked, short) = (first & 0x80 != 0, second & 0x80 != 0, second & 0x7f);
    if masked != (from == From::Client) {
        return Err(Fault::protocol("masking is the client's, and always"));
    }
    if opcode.is_control() && (!last || short > 125) {
        return Err(Fault::protocol("control frames are whole and short"));
    }
    let (length, at) = match short {
        126 => match buffer.get(2..4).and_then(|bytes| bytes.try_into().ok()) {
            None => return Ok(None),
            Some(bytes) => (u64::from(u16::from_be_bytes(bytes)), 4usize),
        },
        127 => match buffer.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
            None => return Ok(None),
            Some(bytes) => (u64::from_be_bytes(bytes), 10),
        },
        short => (u64::from(short), 2),
    };
    if (short == 126 && length < 126) || (short == 127 && length <= 0xffff) {
        return Err(Fault::protocol("a length that is not the shortest"));
    }
    let length = usize::try_from(length).ok().filter(|length| *length <= most);
    let Some(length) = length else {
        return Err(Fault { code: 1009, reason: "the message is too large".into() });
    };
    let start = at.saturating_add(if masked { 4 } else { 0 });
    if buffer.len() < start.saturating_add(length) {
        return Ok(None);
    }
    let key: Option<[u8; 4]> = masked.then(|| buffer.get(at..start)?.try_into().ok()).flatten();
    buffer.advance(start);
    let mut payload = buffer.split_to(length);
    if let Some(key) = key {
        apply(&mut payload, key);
    }
    Ok(Some(Frame { last, opcode, payload: payload.freeze() }))
}

/// Writes one whole frame; `mask` where a client's is written.
pub(super) fn put(out: &mut BytesMut, opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) {
    out.put_u8(0x80 | opcode.number());
    let bit = if mask.is_some() { 0x80 } else { 0 };
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => out.put_u8(bit | short),
        (_, Ok(length)) => {
            out.put_u8(bit | 126);
            out.put_u16(length);
        }
        _ => {
            out.put_u8(bit | 127);
            out.put_u64(payload.len() as u64);
        }
    }
    let Some(key) = mask else { return out.extend_from_slice(payload) };
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(masked) = out.get_mut(start..) {
        apply(masked, key);
    }
}

fn apply(payload: &mut [u8], key: [u8; 4]) {
    for (byte, key) in payload.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}
