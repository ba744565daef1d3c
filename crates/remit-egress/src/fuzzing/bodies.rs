//! WebSocket frames, and model traffic: what is masked, what is restored.

use std::sync::Arc;

use bytes::BytesMut;
use memchr::memmem;
use remit_core::{DataAction, DataClass, Detector, Finding, ModelApi};

use crate::{
    model::{LENGTH, MaskRules, Masker, ModelRequest, Vault, reads_as_json},
    ws::{Fault, From, Reader, Said},
};

const VALUE: &str = "Ada Lovelace";
const KINDS: [&str; 6] = [
    "text/event-stream",
    "application/json",
    "application/jsonl",
    "application/vnd.amazon.eventstream",
    "text/plain",
    "application/octet-stream",
];

struct Known(DataClass);

impl Detector for Known {
    fn find(&self, text: &[u8]) -> Vec<Finding> {
        let end = |start: usize| start.saturating_add(VALUE.len());
        let found = memmem::find_iter(text, VALUE);
        found.map(|start| Finding { range: start..end(start), class: self.0.clone() }).collect()
    }

    fn reach(&self) -> usize {
        VALUE.len()
    }
}

struct MaskAll;

impl MaskRules for MaskAll {
    fn action(&self, _: &DataClass) -> DataAction {
        DataAction::Mask
    }
}

fn masker() -> Masker {
    let class = DataClass::parse("PERSON").expect("a class");
    let vault = Arc::new(Vault::new(&[7; 32]));
    Masker::new(vault, Arc::new(Known(class)), Arc::new(MaskAll))
}

/// The first byte says which API and which form; the rest is the body.
fn chosen(bytes: &[u8]) -> Option<(ModelApi, &'static str, &[u8])> {
    let (choice, body) = bytes.split_first()?;
    let apis = [ModelApi::Anthropic, ModelApi::OpenAi, ModelApi::Gemini, ModelApi::Bedrock];
    let api = apis.get(usize::from(choice & 3))?;
    let kind = KINDS.get(usize::from(choice >> 2) % KINDS.len())?;
    Some((*api, kind, body))
}

/// A value in a request is masked or the request is refused; what has none stays as it is.
pub fn mask(bytes: &[u8]) {
    let Some((api, kind, body)) = chosen(bytes) else { return };
    let request = ModelRequest { api, content_type: Some(kind), signed: false, body };
    let Ok(masked) = masker().request(&request) else { return };
    let there = |body: &[u8]| memmem::find(body, VALUE.as_bytes()).is_some();
    assert!(!there(&masked.body) || masked.unread > 0 || masked.action() == DataAction::Block);
    if masked.findings.is_empty() {
        assert_eq!(masked.body.as_ref(), body);
    }
    if reads_as_json(body) {
        assert!(reads_as_json(&masked.body));
    }
}

/// How an answer is cut changes nothing, and less than a pseudonym is held back.
pub fn restore(bytes: &[u8]) {
    let Some((api, kind, body)) = chosen(bytes) else { return };
    let masker = masker();
    let known = masker.message(api, VALUE.as_bytes()).expect("masked").body.into_owned();
    // A fuzzer does not find pseudonyms: `@` stands for one.
    let body = body.split(|byte| *byte == b'@').collect::<Vec<_>>().join(&known[..]);
    let through = |size: usize| {
        let (mut unmasker, mut out) = (masker.response(api, Some(kind)), BytesMut::new());
        for piece in body.chunks(size) {
            unmasker.push(piece, &mut out);
            assert!(unmasker.held() < LENGTH);
        }
        unmasker.finish(&mut out);
        out
    };
    let whole = through(body.len().max(1));
    for size in [1, 7, 64] {
        assert_eq!(through(size), whole);
    }
    // What may begin a pseudonym waits, and then goes on in an event of its own.
    if !body.iter().any(|byte| b"PS".contains(byte)) {
        assert_eq!(whole, body);
    }
}

/// However frames are cut, they are the same messages, or the same fault.
pub fn frames(bytes: &[u8]) {
    let Some((choice, stream)) = bytes.split_first() else { return };
    let from = if choice & 1 == 0 { From::Server } else { From::Client };
    let read = |size: usize| -> Result<Vec<Said>, Fault> {
        let (mut reader, mut all) = (Reader::new(from), Vec::new());
        for piece in stream.chunks(size) {
            reader.buffer.extend_from_slice(piece);
            while let Some(said) = reader.next()? {
                all.push(said);
            }
        }
        Ok(all)
    };
    let whole = read(stream.len().max(1));
    for size in [1, 3] {
        assert_eq!(read(size), whole);
    }
    for said in whole.iter().flatten() {
        if let Said::Message { text: true, data } = said {
            assert!(std::str::from_utf8(data).is_ok());
        }
    }
}
