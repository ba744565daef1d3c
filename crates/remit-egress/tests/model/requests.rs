//! Ways past the masking of requests, and what must stay as it is.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use remit_core::{DataAction, ModelApi};
use remit_egress::model::{
    Found, LENGTH, MaskError, Masked, Masker, ModelRequest, Place, is_signed,
};
use serde_json::{Value, json};

use crate::support::{assert_masked, masker, masker_of};

fn request(body: &[u8]) -> ModelRequest<'_> {
    let content_type = Some("application/json");
    ModelRequest { api: ModelApi::Anthropic, content_type, signed: false, body }
}

fn mask<'a>(masker: &Masker, body: &'a str) -> Masked<'a> {
    masker.request(&request(body.as_bytes())).expect("masked")
}

/// What went out as text.
fn text(masked: &Masked<'_>) -> String {
    String::from_utf8(masked.body.to_vec()).expect("text")
}

fn kinds(masked: &Masked<'_>) -> Vec<(&'static str, DataAction, Place, usize)> {
    let kind = |found: &Found| {
        let class = match found.class.as_str() {
            "PERSON" => "PERSON",
            "EMAIL" => "EMAIL",
            "PHONE" => "PHONE",
            "API_KEY" => "API_KEY",
            "CANARY" => "CANARY",
            "SALARY" => "SALARY",
            _ => "other",
        };
        (class, found.action, found.place, found.count)
    };
    masked.findings.iter().map(kind).collect()
}

#[test]
fn what_holds_no_value_goes_out_as_it_is() {
    let body = "{ \"a\" :\t[1e5, \"\\u0041\\/\\ud83d\\ude00\"],\r\n\"model\":\"x\" }\n";
    let masked = mask(&masker(), body).body;
    assert!(matches!(masked, Cow::Borrowed(same) if same == body.as_bytes()));
}

#[test]
fn only_the_value_changes() {
    let body = r#"{ "a" :  "\u0041 Ada Lovelace\/x", "b":1.50 , "a":"\ud83d\ude00"}"#;
    let masked = mask(&masker(), body);
    let (head, rest) = body.split_once("Ada Lovelace").expect("value");
    let sent = text(&masked);
    assert_eq!(sent.len(), head.len() + LENGTH + rest.len());
    assert!(sent.starts_with(head) && sent.ends_with(rest), "{sent}");
    assert_eq!(kinds(&masked), [("PERSON", DataAction::Mask, Place::Text, 1)]);
}

#[test]
fn a_value_hides_nowhere_in_a_request() {
    let masker = masker();
    for place in [
        json!({ "system": "Ada Lovelace" }),
        json!({ "system": [{ "type": "text", "text": "x Ada Lovelace" }] }),
        json!({ "messages": [{ "content": "Ada Lovelace" }] }),
        json!({ "messages": [{ "content": [{ "type": "tool_result", "content": [{ "text": "Ada Lovelace" }] }] }] }),
        json!({ "messages": [{ "content": [{ "type": "tool_use", "input": { "id": "Ada Lovelace" } }] }] }),
        json!({ "messages": [{ "content": [{ "type": "tool_use", "input": { "a": { "Ada Lovelace": 1 } } }] }] }),
        json!({ "messages": [{ "content": [{ "type": "tool_use", "input": { "thinking": "Ada Lovelace", "type": "Ada Lovelace" } }] }] }),
        json!({ "messages": [{ "content": [{ "type": "document", "title": "Ada Lovelace", "context": "ada@example.org" }] }] }),
        json!({ "messages": [{ "content": [{ "type": "document", "source": { "type": "text", "data": "by Ada Lovelace" } }] }] }),
        json!({ "messages": [{ "content": [{ "type": "document", "source": { "type": "text", "data": "sk-live-0123456789abcdef" } }] }] }),
        json!({ "tools": [{ "name": "Ada Lovelace", "description": "ada@example.org", "input_schema": { "enum": ["Ada Lovelace"] } }] }),
        json!({ "metadata": { "user_id": "ada@example.org", "id": "Ada Lovelace" } }),
        json!({ "something_new": [[{ "x": "Ada Lovelace" }]] }),
        json!({ "Ada Lovelace": null }),
        json!({ "requests": [{ "custom_id": "ada@example.org", "params": { "system": "Ada Lovelace" } }] }),
        json!({ "messages": [{ "tool_calls": [{ "function": { "arguments": "{\"a\":\"Ada Lovelace\"}" } }] }] }),
        json!({ "messages": [{ "tool_calls": [{ "function": { "arguments": "{\"Ada Lovelace\":{}}" } }] }] }),
        json!({ "messages": [{ "tool_calls": [{ "function": { "arguments": "{\"Ada Lovelace" } }] }] }),
        json!({ "instructions": "Ada Lovelace", "input": "ada@example.org", "prompt_cache_key": "Ada Lovelace" }),
        json!({ "input": [{ "type": "function_call_output", "output": "Ada Lovelace" }] }),
        json!({ "contents": [{ "parts": [{ "functionResponse": { "response": { "id": "Ada Lovelace" } } }] }] }),
        json!({ "redacted_thinking": { "data": "Ada Lovelace" } }),
        json!("Ada Lovelace"),
    ] {
        let body = place.to_string();
        let masked = mask(&masker, &body);
        assert_masked(&masked.body);
        assert_ne!(masked.body, body.as_bytes());
        assert_eq!(masked.action(), DataAction::Mask, "{body}");
        serde_json::from_slice::<Value>(&masked.body).expect("JSON stays JSON");
    }
}

#[test]
fn a_value_behind_escapes_is_masked() {
    let masker = masker();
    for body in [
        // Escapes that say a plain letter, and a slash.
        r#"{"a":"\u0041da \u004covelace"}"#,
        r#"{"a":"ada\u0040example.org"}"#,
        r#"{"a":"\u0141\u00f3d\u017a 12\/a"}"#,
        r#"{"a":"face \ud83d\ude00 face"}"#,
        r#"{"a":"two\nlines\tof it"}"#,
        r#"{"a":"two\u000alines\u0009of it"}"#,
        // JSON or code in a text, with and without its quotation marks.
        r#"{"a":"x = \"\\u0041da Lovelace\""}"#,
        r#"{"a":"{\"b\":\"say \\\"hi\\\" to Zo\\u00eb\"}"}"#,
        r#"{"a":"log: C:\\\\Users\\\\ada \\"}"#,
        r#"{"a":"{\"b\":\"{\\\"c\\\":\\\"\\\\u0041da Lovelace\\\"}\"}"}"#,
        // The same in arguments.
        r#"{"arguments":"{\"b\":\"say \\\"hi\\\" to Zo\\u00eb\"}"}"#,
        r#"{"arguments":"{\"b\":\"C:\\\\Users\\\\ada\" and then no JSON"}"#,
        // Far from any other escape, and at the border of what is looked at around one.
        r#"{"a":"\\n                                                            \\u0041da Lovelace"}"#,
        r#"{"a":"\\n say \\\"hi\\\" to Zo\\u00eb"}"#,
        // Keys.
        r#"{"\u0041da Lovelace":1}"#,
        // No JSON at all.
        r"\u0041da Lovelace",
        r#"{"a":"\u0041da Lovelace",}"#,
    ] {
        let masked = mask(&masker, body);
        assert_masked(&masked.body);
        assert_eq!(masked.findings.iter().map(|found| found.count).sum::<usize>(), 1, "{body}");
        assert_ne!(masked.body, body.as_bytes(), "{body}");
    }
}

#[test]
fn a_value_has_one_pseudonym_in_text_and_in_arguments() {
    let masker = masker();
    let plain = text(&mask(&masker, r#"["say \"hi\" to Zoë"]"#));
    let nested = r#"{"arguments":"{\"a\":\"say \\\"hi\\\" to Zo\\u00eb\"}"}"#;
    let nested: Value = serde_json::from_str(&text(&mask(&masker, nested))).expect("JSON");
    let inner: Value =
        serde_json::from_str(nested["arguments"].as_str().expect("text")).expect("JSON");
    assert_eq!(plain, json!([inner["a"]]).to_string());
    // Also where a model's JSON broke off.
    let broken = r#"{"arguments":"{\"a\":\"say \\\"hi\\\" to Zo\\u00eb, "}"#;
    let broken: Value = serde_json::from_str(&text(&mask(&masker, broken))).expect("JSON");
    let word = plain.trim_matches(['[', ']', '"']);
    assert_eq!(broken["arguments"], format!("{{\"a\":\"{word}, "));
}

#[test]
fn only_the_value_changes_behind_many_escapes() {
    let inner = |name: &str| json!({ "c": name, "d": "\u{1}é" }).to_string();
    let outer = |name: &str| json!({ "t": json!({ "b": inner(name) }).to_string() }).to_string();
    let body = outer("Ada Lovelace").replace("Ada", "\\\\\\\\u0041da");
    let masker = masker();
    let sent = text(&mask(&masker, &body));
    let at = sent.find("PII-").expect("masked");
    assert_eq!(sent, outer(&sent[at..at + LENGTH]));
}

#[test]
fn a_value_where_nothing_may_change_is_refused() {
    let masker = masker();
    for body in [
        json!({ "content": [{ "type": "thinking", "thinking": "I see Ada Lovelace" }] }),
        json!({ "content": [{ "type": "thinking", "signature": "from Ada Lovelace, with love" }] }),
        json!({ "encrypted_content": "ada@example.org" }),
        json!({ "id": "Ada Lovelace" }),
        json!({ "tool_use_id": "ada@example.org" }),
        json!({ "type": "Ada Lovelace" }),
        json!({ "role": "Ada Lovelace" }),
        json!({ "model": "Ada Lovelace" }),
        json!({ "reasoningContent": { "reasoningText": { "text": "Ada Lovelace" } } }),
        json!({ "reasoning_details": [{ "text": "Ada Lovelace" }] }),
    ] {
        let text = body.to_string();
        let masked = mask(&masker, &text);
        assert_eq!(masked.body, text.as_bytes(), "never touched");
        assert_eq!(masked.action(), DataAction::Block, "{body}");
        assert_eq!(masked.findings[0].place, Place::Fixed, "{body}");
    }
    let thought = json!({ "parts": [{ "text": "Ada Lovelace", "thought": true }] }).to_string();
    let request = ModelRequest { api: ModelApi::Gemini, ..request(thought.as_bytes()) };
    assert_eq!(masker.request(&request).expect("read").action(), DataAction::Block);
}

#[test]
fn what_only_the_vendor_reads_is_left_alone() {
    let blob = format!("{}AdaLovelace{}", "Q".repeat(30), "k".repeat(30));
    let masker = masker_of(&[("AdaLovelace", "PERSON")]);
    for body in [
        json!({ "content": [{ "type": "thinking", "thinking": "", "signature": blob }] }),
        json!({ "content": [{ "type": "redacted_thinking", "data": blob }] }),
        json!({ "input": [{ "type": "reasoning", "encrypted_content": blob }] }),
        json!({ "parts": [{ "thoughtSignature": blob }] }),
    ] {
        let text = body.to_string();
        let masked = mask(&masker, &text);
        assert_eq!((masked.body.as_ref(), masked.findings), (text.as_bytes(), vec![]));
    }
}

#[test]
fn a_value_in_a_file_is_refused() {
    let masker = masker();
    let file = STANDARD.encode(b"%PDF-1.7 \xff\xfe Ada Lovelace \x00 and so on, and so on");
    for body in [
        json!({ "source": { "type": "base64", "media_type": "image/png", "data": file } }),
        json!({ "image_url": { "url": format!("data:image/png;base64,{file}") } }),
        json!({ "type": "input_image", "image_url": format!("data:image/png;base64,{file}") }),
        json!({ "inlineData": { "data": file } }),
        json!({ "input_audio": { "data": file } }),
        json!({ "file_data": file }),
        json!({ "source": { "bytes": file } }),
    ] {
        let text = body.to_string();
        let masked = mask(&masker, &text);
        assert_eq!(masked.action(), DataAction::Block, "{body}");
        assert_eq!(kinds(&masked), [("PERSON", DataAction::Block, Place::Data, 1)], "{body}");
        let clean = text.replace(&file, &STANDARD.encode([0xff; 60]));
        assert!(mask(&masker, &clean).findings.is_empty());
    }
    // A file's place, and text in it.
    let text = json!({ "file_data": "data:,Ada Lovelace" }).to_string();
    assert_masked(&mask(&masker, &text).body);
    // Words that base64 could be.
    let words = "these are words by Ada Lovelace and they could be base64";
    let text = json!({ "source": { "type": "text", "data": words } }).to_string();
    let masked = mask(&masker, &text);
    assert!(masked.action() == DataAction::Block || masked.body != text.as_bytes());
    // What is too large to be searched is not passed over in silence.
    let large = json!({ "file_data": "A".repeat(12 << 20) }).to_string();
    assert_eq!(mask(&masker, &large).unread, 1);
}

#[test]
fn a_word_in_the_place_of_a_file_is_masked() {
    let masker = masker_of(&[("adam", "PERSON")]);
    let body = r#"{"source":{"type":"text","data":"adam"}}"#;
    assert!(!text(&mask(&masker, body)).contains("adam"));
}

#[test]
fn a_picture_that_holds_a_short_value_by_chance_passes() {
    let masker = masker_of(&[("QUJ", "PERSON"), ("Ada Lovelace", "PERSON")]);
    let picture = |inside: &[u8]| {
        let data = STANDARD.encode([&[0xff; 999], inside, &[0xff; 999]].concat());
        json!({ "input": [{ "type": "image_generation_call", "result": data }] }).to_string()
    };
    let body = picture(b"ABC\xff\xff\xff");
    assert!(body.contains("QUJ"));
    let masked = mask(&masker, &body);
    assert_eq!((masked.body.as_ref(), masked.findings), (body.as_bytes(), vec![]));
    assert_eq!(mask(&masker, &picture(b"Ada Lovelace")).action(), DataAction::Block);
}

#[test]
fn a_value_that_is_a_number_is_refused() {
    let masker = masker_of(&[("5551234567", "PHONE"), ("4096", "PHONE")]);
    for (body, found) in [
        (r#"{"input":{"phone":5551234567}}"#, 1),
        (r#"{"arguments":"{\"phone\":5551234567}"}"#, 1),
        (r#"{"x":15551234567,"max_tokens":4096}"#, 0),
    ] {
        let masked = mask(&masker, body);
        assert_eq!(masked.body, body.as_bytes());
        let blocked = (masked.action() == DataAction::Block) as usize;
        assert_eq!(blocked, found, "{body}");
    }
}

#[test]
fn other_bodies_than_json_are_masked_or_refused() {
    let masker = masker();
    let mask = |content_type, body: &'static [u8]| {
        let content_type = Some(content_type);
        masker.request(&ModelRequest { content_type, ..request(body) }).expect("masked")
    };
    let lines = b"{\"custom_id\":\"1\",\"body\":{\"a\":\"say \\\"hi\\\" to Zo\\u00eb\"}}\n\n{\"a\":\"Ada Lovelace\"}\nnot JSON Ada Lovelace";
    for content_type in ["application/jsonl", "text/plain", "application/octet-stream"] {
        let masked = mask(content_type, lines);
        assert_masked(&masked.body);
        let text = String::from_utf8(masked.body.to_vec()).expect("text");
        let first = text.lines().next().expect("a line");
        serde_json::from_str::<Value>(first).expect("JSON stays JSON");
        assert_eq!(text.lines().count(), 4);
    }
    assert_masked(&mask("text/plain", "Zoë, Łódź 12/a, Ada Lovelace".as_bytes()).body);
    assert_masked(&mask("application/x-www-form-urlencoded", b"q=ada%40example.org").body);
    for (content_type, body) in [
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nAda Lovelace\r\n--x--".as_slice()),
        ("application/octet-stream", b"\xff\x00Ada Lovelace"),
    ] {
        let masked = mask(content_type, body);
        assert_eq!(masked.body, body);
        assert_eq!(kinds(&masked), [("PERSON", DataAction::Block, Place::Data, 1)]);
    }
}

#[test]
fn a_value_in_wide_characters_is_refused() {
    let masker = masker();
    let text = r#"{"a":"\u0041da Lovelace"}"#;
    let utf16 = |mark: &str, unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("{mark}{text}").encode_utf16().flat_map(unit).collect()
    };
    let utf32 = |mark: &str, unit: fn(u32) -> [u8; 4]| -> Vec<u8> {
        format!("{mark}{text}").chars().flat_map(|one| unit(u32::from(one))).collect()
    };
    for mark in ["", "\u{feff}"] {
        for body in [
            utf16(mark, u16::to_le_bytes),
            utf16(mark, u16::to_be_bytes),
            utf32(mark, u32::to_le_bytes),
            utf32(mark, u32::to_be_bytes),
        ] {
            let masked = masker.request(&request(&body)).expect("read");
            assert_eq!(kinds(&masked), [("PERSON", DataAction::Block, Place::Data, 1)]);
        }
    }
}

#[test]
fn a_signed_request_is_refused_when_it_would_have_to_change() {
    let masker = masker();
    let signed = |body| ModelRequest { signed: true, api: ModelApi::Bedrock, ..request(body) };
    assert_eq!(masker.request(&signed(b"[\"Ada Lovelace\"]")).err(), Some(MaskError::Signed));
    assert!(masker.request(&signed(b"[\"nobody\"]")).is_ok());
    assert!(is_signed("AWS4-HMAC-SHA256 Credential=x"));
    assert!(!is_signed("Bearer AWS4"));
}

#[test]
fn what_is_too_deep_is_refused() {
    let masker = masker();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(mask(&masker, &deep(200)).findings.is_empty());
    let body = deep(10_000);
    assert_eq!(masker.request(&request(body.as_bytes())).err(), Some(MaskError::TooMuch));
    let nested = json!({ "arguments": deep(10_000) }).to_string();
    assert_eq!(masker.request(&request(nested.as_bytes())).err(), Some(MaskError::TooMuch));
}

#[test]
fn what_is_not_to_be_masked_is_reported_and_left() {
    let masker =
        masker_of(&[("tripwire", "CANARY"), ("90000 EUR", "SALARY"), ("Ada Lovelace", "PERSON")]);
    let body = r#"["tripwire","tripwire","90000 EUR","Ada Lovelace"]"#;
    let masked = mask(&masker, body);
    assert_eq!(
        kinds(&masked),
        [
            ("CANARY", DataAction::Block, Place::Text, 2),
            ("SALARY", DataAction::Alert, Place::Text, 1),
            ("PERSON", DataAction::Mask, Place::Text, 1),
        ]
    );
    assert!(text(&masked).starts_with(r#"["tripwire","tripwire","90000 EUR","PII-N"#));
}

#[test]
fn a_finding_that_is_only_reported_does_not_cover_one_that_is_masked() {
    // As it stands the text holds the first value, as it reads the second, and they overlap.
    let masker = masker_of(&[("0041da", "SALARY"), ("Ada Lovelace", "PERSON")]);
    let masked = mask(&masker, r#"["x \\u0041da Lovelace"]"#);
    assert!(!text(&masked).contains("Lovelace"));
    assert_eq!(masked.action(), DataAction::Mask);
}

#[test]
fn a_value_that_is_a_word_of_the_protocol_does_not_break_it() {
    let masker = masker_of(&[("content", "PERSON"), ("user", "PERSON"), ("text", "PERSON")]);
    let body = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a user"}]}]}"#;
    let masked = mask(&masker, body);
    let sent: Value = serde_json::from_slice(&masked.body).expect("JSON");
    assert_eq!(sent["messages"][0]["role"], "user");
    let said = sent["messages"][0]["content"][0]["text"].as_str().expect("the keys are there");
    assert!(said.starts_with("a PII-N"), "{said}");
    assert_eq!(masked.action(), DataAction::Mask);
}

#[test]
fn words_within_words_and_values_side_by_side() {
    let masker = masker_of(&[("Ann", "PERSON"), ("Anna", "PERSON"), ("Ann Lee", "PERSON")]);
    let sent = text(&mask(&masker, r#"["AnnAnnaAnn Lee","Ann"]"#));
    let words: Vec<String> = serde_json::from_str(&sent).expect("JSON");
    assert_eq!(words[0].len(), 3 * LENGTH);
    assert!(words[0].starts_with(&words[1]));
}
