//! Heads, bodies, paths, ClientHellos, questions.

use bytes::BytesMut;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use remit_core::Host;

use crate::{
    explicit::socks::named,
    http::{Chunks, Framing, HeadError, Target, canonical, encode_query, read_head},
    names::answer::{Asked, Question},
    sniff::{Opening, judge},
    tls::{HelloError, read_hello},
};

/// A head is judged the same whatever follows it, and the library behind the strict reader reads
/// what it lets through in the same way.
pub fn request_head(bytes: &[u8]) {
    match read_head(bytes) {
        Ok(head) => {
            let own = part(bytes, 0, head.length);
            assert_eq!(own.len(), head.length);
            for cut in [0, 1, own.len() / 2, own.len().saturating_sub(1)] {
                assert_eq!(read_head(part(own, 0, cut)), Err(HeadError::Incomplete));
            }
            assert_eq!(read_head(own).as_ref(), Ok(&head));
            assert!(own.iter().all(|byte| !matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127)));
            let sent = if head.raw_query { encode_query(own) } else { BytesMut::from(own) };
            let again = read_head(&sent).expect("an encoded query stays sound");
            assert_eq!((again.length, again.raw_query), (sent.len(), false));
            assert_eq!((again.framing, again.upgrade), (head.framing, head.upgrade));
            agrees(&sent, &again);
        }
        // What is refused is not repaired by what follows.
        Err(HeadError::Fault(_)) => {
            let more = [part(bytes, 0, 8192), b"\r\n\r\n"].concat();
            if bytes.len() <= 8192 {
                assert!(matches!(read_head(&more), Err(HeadError::Fault(_))));
            }
        }
        Err(HeadError::Incomplete) => {}
    }
}

/// The second parser sees the same lines, length and framing.
fn agrees(sent: &[u8], head: &crate::http::Head) {
    let mut headers = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = request.parse(sent) else {
        // It is stricter in places, and then refuses.
        return;
    };
    assert_eq!(length, head.length);
    let lines = sent.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!(request.headers.len(), lines.saturating_sub(2));
    let get = |name: &str| {
        let mut all = request.headers.iter().filter(|one| one.name.eq_ignore_ascii_case(name));
        (all.next().map(|one| one.value), all.next())
    };
    let (length, encoding) = (get("content-length"), get("transfer-encoding"));
    assert!(length.1.is_none() && encoding.1.is_none() && get("host").1.is_none());
    match head.framing {
        Framing::Chunked => assert!(length.0.is_none() && encoding.0.is_some()),
        Framing::Length(_) => assert!(encoding.0.is_none()),
    }
    let path = request.path.unwrap_or_default();
    match &head.target {
        Target::Tunnel(text) => assert_eq!(path, text),
        Target::Resource => assert!(!path.contains(['#', ' ']) && !path.is_empty()),
    }
}

/// A chunked body ends where it ends, however it is cut. The first byte chooses the cut.
pub fn chunks(bytes: &[u8]) {
    let Some((step, body)) = bytes.split_first() else { return };
    let whole = follow(body, body.len().max(1));
    let cut = follow(body, usize::from(step % 7).saturating_add(1));
    assert_eq!(whole, cut);
    if let Some((state, used)) = whole {
        assert!(used <= body.len());
        // What ended has ended, whatever comes.
        if state == Chunks::End {
            let more = [body, b"3\r\nabc\r\n"].concat();
            assert_eq!(follow(&more, more.len()), Some((Chunks::End, used)));
        }
    }
}

/// The last state and how much of the body was sound; nothing when it was refused.
fn follow(body: &[u8], step: usize) -> Option<(Chunks, usize)> {
    let (mut state, mut used, mut seen) = (Chunks::Size, 0usize, 0usize);
    while seen < body.len() {
        seen = seen.saturating_add(step).min(body.len());
        let sound = state.advance(part(body, used, seen)).ok()?;
        used = used.saturating_add(sound);
        assert!(used <= seen);
        if state == Chunks::End {
            break;
        }
    }
    Some((state, used))
}

/// What a path is decided as is what is sent, and no lenient reading of it leads upwards.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(found) = canonical(text) else { return };
    assert_eq!(found.path, text);
    for reading in found.readings.iter().map(String::as_str).chain([text]) {
        let mut layer = reading.as_bytes().to_vec();
        for _ in 0..6 {
            let flat: Vec<u8> =
                layer.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
            let flat = flat.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
            for segment in flat.split(|byte| *byte == b'/') {
                let bare = segment.split(|byte| *byte == b';').next().unwrap_or_default();
                assert!(!matches!(bare, b"." | b".."), "{text}");
            }
            layer = decode(&layer);
        }
    }
}

/// One layer of percent-decoding, as lenient as can be.
fn decode(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = digits
            .filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        let (byte, used) = match code {
            Some(code) if *first == b'%' => (code, 3),
            _ => (*first, 1),
        };
        out.push(byte);
        rest = part(rest, used, rest.len());
    }
    out
}

/// A name in a SOCKS request is a host in its one spelling. The first byte is the kind.
pub fn socks(bytes: &[u8]) {
    let Some((kind, address)) = bytes.split_first() else { return };
    let Some(host) = named(*kind, address) else { return };
    match (kind, &host) {
        (1 | 4, Host::Address(_)) => {}
        (1 | 4, Host::Name(_)) => panic!("an address became a name"),
        _ => {
            let text = std::str::from_utf8(part(address, 1, address.len()));
            assert_eq!(text.ok().and_then(|text| Host::parse(text).ok()), Some(host));
        }
    }
}

/// A ClientHello says the same name here as to the library that answers it.
pub fn client_hello(bytes: &[u8]) {
    let ours = read_hello(bytes);
    if let Ok(hello) = &ours {
        let more = [bytes, b"\x17\x03\x03\0\x01x"].concat();
        assert_eq!(read_hello(&more).as_ref(), Ok(hello));
    }
    if ours == Err(HelloError::Malformed) {
        let more = [bytes, b"\0"].concat();
        assert_eq!(read_hello(&more), Err(HelloError::Malformed));
    }
    let mut acceptor = rustls::server::Acceptor::default();
    let mut rest = bytes;
    while matches!(acceptor.read_tls(&mut rest), Ok(1..)) {
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let theirs = accepted.client_hello().server_name().map(str::to_owned);
                if let (Ok(hello), Some(theirs)) = (&ours, theirs) {
                    let ours = hello.server_name.as_deref().unwrap_or_default();
                    assert!(ours.eq_ignore_ascii_case(theirs.as_bytes()), "{theirs}");
                }
                return;
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// A question is answered with itself, about a host in its one spelling or not at all.
pub fn dns_question(bytes: &[u8]) {
    let Some(asked) = Asked::read(bytes) else { return };
    for answer in [asked.nothing(), asked.fail(ResponseCode::NXDomain, None)] {
        let answer = Message::from_vec(&answer).expect("an answer of ours can be read");
        assert_eq!(answer.metadata.message_type, MessageType::Response);
        let id = bytes.first_chunk::<2>().map(|id| u16::from_be_bytes(*id));
        assert_eq!(Some(answer.metadata.id), id);
        if let Question::Address(host) | Question::Other(host) = &asked.question {
            let [query] = answer.queries.as_slice() else { panic!("not one question") };
            let text = query.name().to_ascii();
            assert_eq!(Host::parse(&text).as_ref(), Ok(host));
            assert!(matches!(host, Host::Name(_)));
        }
    }
}

/// What passes unread is neither a request nor a ClientHello to anybody.
pub fn opening(bytes: &[u8]) {
    if judge(bytes) == Some(Opening::Other) {
        assert!(read_head(bytes).is_err());
        assert!(read_hello(bytes).is_err());
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let parsed = httparse::Request::new(&mut headers).parse(bytes);
        assert!(!matches!(parsed, Ok(httparse::Status::Complete(_))));
    }
}

fn part(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    bytes.get(from..to.min(bytes.len())).unwrap_or_default()
}
