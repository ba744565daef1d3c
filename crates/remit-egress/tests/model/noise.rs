//! Bytes of any kind: nothing panics, nothing is lost, and how a stream is cut changes nothing.

use bytes::BytesMut;
use proptest::prelude::*;
use remit_core::{DataAction, ModelApi};
use remit_egress::model::{LENGTH, Masker, ModelRequest, reads_as_json};

use crate::{
    apis::{bedrock, echo},
    support::masker,
};

const APIS: [ModelApi; 4] =
    [ModelApi::Anthropic, ModelApi::OpenAi, ModelApi::Gemini, ModelApi::Bedrock];
const CONTENT_TYPES: [&str; 6] = [
    "text/event-stream",
    "application/json",
    "application/jsonl",
    "application/vnd.amazon.eventstream",
    "text/plain",
    "application/octet-stream",
];
const VALUE: &str = "Ada Lovelace";

/// A masker that knows one pseudonym.
fn prepared() -> (Masker, String) {
    let masker = masker();
    let masked = masker.message(ModelApi::OpenAi, VALUE.as_bytes()).expect("masked");
    let text = String::from_utf8(masked.body.into_owned()).expect("text");
    (masker, text)
}

/// Pieces of streams and documents; `@` becomes a pseudonym.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "data: ",
            "data:",
            "event: x",
            "id: 1",
            ": c",
            "\n",
            "\r\n",
            "\r",
            "\n\n",
            "[DONE]",
            "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"",
            "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"partial_json\":\"",
            "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"",
            "{\"type\":\"response.output_text.delta\",\"delta\":\"",
            "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"",
            "{\"source\":{\"data\":\"",
            "{\"arguments\":\"",
            "{\"thinking\":\"",
            "{\"id\":\"",
            "{\"input\":{\"",
            "\":\"",
            "\"}",
            "\"}}",
            "\"}]}",
            "\"}}]}",
            "\"}]}}]}",
            "}",
            "{",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\u00e9",
            "\\ud83d",
            "\\n",
            "1e5",
            "true",
            "PII-",
            "PI",
            "SEC-K",
            "P",
            "@",
            "@@",
            "x",
            " ",
            "é",
            "😀",
            "data:text/plain;base64,",
            "QUJD",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn with(noise: &[u8], text: &str) -> Vec<u8> {
    noise.split(|byte| *byte == b'@').collect::<Vec<_>>().join(text.as_bytes())
}

fn through(masker: &Masker, api: ModelApi, kind: &str, bytes: &[u8], cut: usize) -> Vec<u8> {
    let mut unmasker = masker.response(api, Some(kind));
    let mut out = BytesMut::new();
    for piece in bytes.chunks(cut) {
        unmasker.push(piece, &mut out);
        assert!(unmasker.held() < LENGTH);
    }
    unmasker.finish(&mut out);
    out.to_vec()
}

proptest! {
    #[test]
    fn how_an_answer_is_cut_changes_nothing(
        noise in noise(),
        api in prop::sample::select(APIS.to_vec()),
        kind in prop::sample::select(CONTENT_TYPES.to_vec()),
        cut in 1..40_usize,
    ) {
        let (masker, text) = prepared();
        let bytes = with(&noise, &text);
        let whole = through(&masker, api, kind, &bytes, bytes.len().max(1));
        let out = through(&masker, api, kind, &bytes, cut);
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn an_answer_without_pseudonyms_passes_byte_for_byte(
        noise in noise(),
        api in prop::sample::select(APIS.to_vec()),
        kind in prop::sample::select(CONTENT_TYPES.to_vec()),
        cut in 1..40_usize,
    ) {
        let (masker, _) = prepared();
        let bytes: Vec<u8> =
            noise.into_iter().filter(|byte| !b"PS@".contains(byte)).collect();
        let out = through(&masker, api, kind, &bytes, cut);
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn frames_of_noise_are_read(noise in noise(), cut in 1..40_usize, flip in any::<u16>()) {
        let (masker, text) = prepared();
        let said = String::from_utf8_lossy(&with(&noise, &text)).into_owned();
        let payload = serde_json::json!({ "contentBlockIndex": 0, "delta": { "text": said } });
        let mut bytes = bedrock::frame("contentBlockDelta", &payload);
        let kind = "application/vnd.amazon.eventstream";
        let out = through(&masker, ModelApi::Bedrock, kind, &bytes, cut);
        let read: String = bedrock::frames(&out)
            .iter()
            .filter_map(|(_, payload)| payload["delta"]["text"].as_str())
            .collect();
        prop_assert_eq!(read, said.replace(&text, VALUE));
        // A broken one passes as it is.
        let at = usize::from(flip) % bytes.len();
        bytes[at] ^= 0x40;
        let unread = through(&masker, ModelApi::Bedrock, kind, &bytes, cut);
        prop_assert_eq!(unread, bytes);
    }

    #[test]
    fn a_value_in_any_request_is_masked_or_refused(
        noise in noise(),
        api in prop::sample::select(APIS.to_vec()),
        kind in prop::sample::select(CONTENT_TYPES.to_vec()),
    ) {
        let (masker, _) = prepared();
        let body = with(&noise, VALUE);
        let request = ModelRequest { api, content_type: Some(kind), signed: false, body: &body };
        let Ok(masked) = masker.request(&request) else { return Ok(()) };
        let there = |body: &[u8]| body.windows(VALUE.len()).any(|some| some == VALUE.as_bytes());
        prop_assert!(!there(&masked.body) || masked.action() == DataAction::Block);
        if !there(&body) {
            prop_assert_eq!(masked.body.as_ref(), body.as_slice());
        }
        if reads_as_json(&body) {
            prop_assert!(reads_as_json(&masked.body));
        }
    }

    #[test]
    fn what_others_read_as_json_is_read(noise in noise()) {
        for bytes in [noise.clone(), [b"[".as_slice(), &noise, b"]"].concat()] {
            if serde_json::from_slice::<serde_json::Value>(&bytes).is_ok() {
                prop_assert!(reads_as_json(&bytes));
            }
        }
        let said = String::from_utf8_lossy(&noise);
        prop_assert!(reads_as_json(echo(&said).arguments.as_bytes()));
    }
}
