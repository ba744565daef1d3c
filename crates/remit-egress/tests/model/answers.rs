//! Answers of every form, cut anywhere.

use bytes::BytesMut;
use remit_core::ModelApi;
use remit_egress::model::{LENGTH, Masker, ModelRequest, Restored};

use crate::support::{masker, restored};

/// The pseudonym of a value.
fn pseudonym(masker: &Masker, value: &str) -> String {
    let body = serde_json::to_string(&[value]).expect("JSON");
    let request = ModelRequest {
        api: ModelApi::Anthropic,
        content_type: None,
        signed: false,
        body: body.as_bytes(),
    };
    let masked = masker.request(&request).expect("masked").body.into_owned();
    let [text]: [String; 1] = serde_json::from_slice(&masked).expect("JSON");
    assert_eq!(text.len(), LENGTH);
    text
}

/// Asserts what becomes of an answer in which `@` stands for the pseudonym of `say "hi" to Zoë`,
/// at every size of pieces.
fn assert_restored(content_type: &str, answer: &str, expected: &str) {
    let masker = masker();
    let answer = answer.replace('@', &pseudonym(&masker, "say \"hi\" to Zoë"));
    for size in 1..=answer.len() {
        let unmasker = masker.response(ModelApi::Anthropic, Some(content_type));
        let out = restored(unmasker, answer.as_bytes(), size);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{size}");
    }
}

fn delta(text: &str) -> String {
    format!(
        r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
    )
}

#[test]
fn every_line_end_is_read_and_kept() {
    for end in ["\n", "\r\n", "\r"] {
        let answer = [
            ": comment",
            "",
            "id: 7",
            "event: x",
            "retry: 5",
            "data: {\"a\":",
            "data:\"@\"}",
            "",
            "event: ping",
            "data: {\"type\": \"ping\"}",
            "",
            "",
            "data",
            "",
            "dataset: @",
            "",
        ];
        let expected = [
            ": comment",
            "",
            "id: 7",
            "event: x",
            "retry: 5",
            "data: {\"a\":",
            "data: \"say \\\"hi\\\" to Zoë\"}",
            "",
            "event: ping",
            "data: {\"type\": \"ping\"}",
            "",
            "",
            "data",
            "",
            "dataset: @",
            "",
        ];
        let masked = pseudonym(&masker(), "say \"hi\" to Zoë");
        let expected = expected.join(end).replace('@', &masked);
        assert_restored("text/event-stream; charset=utf-8", &answer.join(end), &expected);
    }
}

#[test]
fn what_is_held_comes_before_the_end_of_its_block() {
    let stop = r#"{"type":"content_block_stop","index":0}"#;
    let answer = format!("data: {}\n\ndata: {stop}\n\n", delta("so PII-E12"));
    let expected =
        format!("data: {}\n\ndata: {}\n\ndata: {stop}\n\n", delta("so "), delta("PII-E12"));
    assert_restored("text/event-stream", &answer, &expected);
}

#[test]
fn a_stream_that_breaks_off_loses_nothing() {
    let answer = format!("event: x\ndata: {}\n\n", delta("so PII-E12"));
    let expected =
        format!("event: x\ndata: {}\n\nevent: x\ndata: {}\n\n", delta("so "), delta("PII-E12"));
    assert_restored("text/event-stream", &answer, &expected);
    // In the middle of an event.
    let answer = format!("data: {}\n\ndata: {}", delta("so PII-E12"), delta("3 PII"));
    let expected = format!("data: {}\n\ndata: {}", delta("so "), delta("PII-E123 PII"));
    assert_restored("text/event-stream", &answer, &expected);
    let broken = "data: {\"type\":\"content_bl";
    assert_restored("text/event-stream", broken, broken);
}

#[test]
fn a_ping_does_not_wait_for_held_text() {
    let masker = masker();
    let mut unmasker = masker.response(ModelApi::Anthropic, Some("text/event-stream"));
    let mut out = BytesMut::new();
    unmasker.push(format!("data: {}\n\n", delta("PII-")).as_bytes(), &mut out);
    assert_eq!(unmasker.held(), 4);
    out.clear();
    let ping = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";
    unmasker.push(ping, &mut out);
    assert_eq!(out.as_ref(), ping);
}

#[test]
fn thinking_and_signatures_stay_as_they_are() {
    let masked = pseudonym(&masker(), "say \"hi\" to Zoë");
    for (content_type, answer) in [
        (
            "text/event-stream",
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"@"}}"#,
        ),
        (
            "text/event-stream",
            r#"data: {"type":"content_block_start","content_block":{"type":"thinking","thinking":"@"}}"#,
        ),
        ("application/json", r#"{"content":[{"type":"thinking","thinking":"@","signature":"@"}]}"#),
        (
            "application/json",
            r#"{"output":[{"type":"reasoning","encrypted_content":"@","id":"@"}]}"#,
        ),
    ] {
        let answer = format!("{answer}\n\n");
        assert_restored(content_type, &answer, &answer.replace('@', &masked));
    }
}

#[test]
fn reasoning_summaries_are_for_people_and_restored() {
    let event = |text: &str| {
        format!(
            "data: {{\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,\"summary_index\":0,\"delta\":\"{text}\"}}\n\n"
        )
    };
    assert_restored("text/event-stream", &event("@"), &event("say \\\"hi\\\" to Zoë"));
}

#[test]
fn documents_lines_and_texts_are_restored() {
    let json = r#" {"content":[{"text":"a @"},{"input":{"@":"@"}}],"arguments":"{\"a\":\"@\"}"} "#;
    let once = r#"say \"hi\" to Zoë"#;
    let twice = r#"say \\\"hi\\\" to Zoë"#;
    let read = json.replace(r#"\"@\""#, &format!(r#"\"{twice}\""#)).replace('@', once);
    assert_restored("application/json", json, &read);
    assert_restored("application/problem+json; charset=utf-8", json, &read);
    let lines = "{\"a\":\"@\"}\n\nno JSON\n{\"b\":\"@\"}";
    for content_type in ["application/x-jsonl", "application/octet-stream", ""] {
        assert_restored(content_type, lines, &lines.replace('@', once));
    }
    assert_restored("text/plain", "é@é PII- @", "ésay \"hi\" to Zoëé PII- say \"hi\" to Zoë");
    let array = "[ {\"a\":\"@]\"},\r\n 1, \"@\", [\"]\"], {\"b\":\"\\\"@\"} ]\n";
    let expected = array.replace('@', once);
    assert_restored("application/json", array, &expected);
}

#[test]
fn a_picture_passes_byte_for_byte() {
    let masker = masker();
    let picture: Vec<u8> = pseudonym(&masker, "Ada Lovelace").into_bytes();
    let unmasker = masker.response(ModelApi::OpenAi, Some("image/png"));
    assert_eq!(restored(unmasker, &picture, 3), picture);
}

#[test]
fn a_pseudonym_that_the_model_changed_stays_and_is_counted() {
    let masker = masker();
    let text = pseudonym(&masker, "Ada Lovelace");
    let changed = format!("{}{}", &text[..LENGTH - 1], if text.ends_with('0') { '1' } else { '0' });
    let body = format!("[\"{changed}\",\"{text}\",\"{}\"]", text.to_lowercase());
    let mut unmasker = masker.response(ModelApi::Anthropic, Some("text/plain"));
    let mut out = BytesMut::new();
    unmasker.push(body.as_bytes(), &mut out);
    unmasker.finish(&mut out);
    let expected = body.replace(&text, "Ada Lovelace");
    assert_eq!(String::from_utf8_lossy(&out), expected);
    assert_eq!(unmasker.restored(), Restored { restored: 1, mangled: 1, ..Restored::default() });
}

#[test]
fn another_sessions_pseudonym_is_not_restored() {
    let masker = masker();
    let other = pseudonym(&crate::support::masker(), "ada@example.org");
    let mut unmasker = masker.response(ModelApi::Anthropic, Some("text/plain"));
    let mut out = BytesMut::new();
    unmasker.push(other.as_bytes(), &mut out);
    unmasker.finish(&mut out);
    assert_eq!(out.as_ref(), other.as_bytes());
    assert_eq!(unmasker.restored(), Restored { unknown: 1, ..Restored::default() });
}

#[test]
fn frames_with_a_wrong_checksum_pass_unread() {
    let masker = masker();
    let text = pseudonym(&masker, "Ada Lovelace");
    let payload = serde_json::json!({ "contentBlockIndex": 0, "delta": { "text": text } });
    let mut frame = crate::apis::bedrock::frame("contentBlockDelta", &payload);
    let at = frame.len() - 10;
    frame[at] ^= 1;
    for size in 1..frame.len() {
        let content_type = Some("application/vnd.amazon.eventstream");
        let mut unmasker = masker.response(ModelApi::Bedrock, content_type);
        let mut out = BytesMut::new();
        for piece in frame.chunks(size) {
            unmasker.push(piece, &mut out);
        }
        unmasker.finish(&mut out);
        assert_eq!(out.as_ref(), frame);
        assert_eq!(unmasker.restored().unread, 1);
    }
}

#[test]
fn an_endless_event_costs_bounded_memory() {
    let masker = masker();
    let mut unmasker = masker.response(ModelApi::Anthropic, Some("text/event-stream"));
    let mut out = BytesMut::new();
    let piece = [b'x'; 1 << 20];
    let mut sent = 0;
    unmasker.push(b"data: ", &mut out);
    for _ in 0..40 {
        unmasker.push(&piece, &mut out);
        sent += out.len();
        out.clear();
    }
    assert!(sent > 35 << 20, "kept {} bytes", (40 << 20) - sent);
    // The next event is read again.
    unmasker.push(format!("\n\ndata: {}\n\n", delta("a")).as_bytes(), &mut out);
    assert!(out.ends_with(format!("{}\n\n", delta("a")).as_bytes()));
    assert_eq!(unmasker.restored().unread, 1);
}

#[test]
fn a_thought_of_the_vendors_own_goes_back_and_a_changed_one_does_not() {
    let thinking = |text: &str| {
        serde_json::json!({ "content": [{ "type": "thinking", "thinking": text, "signature": "" }] })
            .to_string()
    };
    let goes = |masker: &Masker, text: &str| {
        let body = thinking(text);
        masker.message(ModelApi::Anthropic, body.as_bytes()).expect("read").findings.is_empty()
    };
    let thought = "Who is Ada Lovelace? \"A countess\"";
    let event = |kind: &str, rest: serde_json::Value| {
        let mut event = rest;
        event["type"] = kind.into();
        format!("data: {event}\n\n")
    };
    let delta = |text: &str| {
        let delta = serde_json::json!({ "type": "thinking_delta", "thinking": text });
        event("content_block_delta", serde_json::json!({ "index": 0, "delta": delta }))
    };
    let stop = event("content_block_stop", serde_json::json!({ "index": 0 }));
    let (first, second) = thought.split_at(9);
    let stream = [delta(first), delta(second), stop].concat();
    for (content_type, answer) in
        [("text/event-stream", stream), ("application/json", thinking(thought))]
    {
        let masker = masker();
        assert!(!goes(&masker, thought), "nobody said it yet");
        let unmasker = masker.response(ModelApi::Anthropic, Some(content_type));
        assert_eq!(restored(unmasker, answer.as_bytes(), 7), answer.as_bytes());
        assert!(goes(&masker, thought));
        assert!(!goes(&masker, &format!("{thought} ")));
        assert!(!goes(&masker, "Ada Lovelace"));
    }
}

#[test]
fn an_event_with_very_many_choices_is_restored() {
    let masker = masker();
    let text = pseudonym(&masker, "Ada Lovelace");
    let choice = |index: u32| {
        serde_json::json!({ "index": index, "delta": { "content": text, "refusal": "PII-" },
            "finish_reason": "stop" })
    };
    let choices: Vec<_> = (0..2000).map(choice).collect();
    let answer = format!("data: {}\n\n", serde_json::json!({ "choices": choices }));
    let unmasker = masker.response(ModelApi::OpenAi, Some("text/event-stream"));
    let out = restored(unmasker, answer.as_bytes(), 1000);
    assert_eq!(String::from_utf8_lossy(&out), answer.replace(&text, "Ada Lovelace"));
}

#[test]
fn every_shape_of_a_part_is_put_together_and_flushed_in_its_own_shape() {
    let masker = masker();
    let text = pseudonym(&masker, "say \"hi\" to Zoë");
    // An event, where its text stands, and how often values in it are escaped.
    for (event, place, times) in [
        (r#"{"choices":[{"index":3,"text":"@"}]}"#, "/choices/0/text", 0),
        (r#"{"choices":[{"index":3,"delta":{"content":"@"}}]}"#, "/choices/0/delta/content", 0),
        (r#"{"choices":[{"index":3,"delta":{"refusal":"@"}}]}"#, "/choices/0/delta/refusal", 0),
        (
            r#"{"choices":[{"index":3,"delta":{"function_call":{"arguments":"@"}}}]}"#,
            "/choices/0/delta/function_call/arguments",
            1,
        ),
        (
            r#"{"choices":[{"index":3,"delta":{"tool_calls":[{"index":2,"id":"x","function":{"name":"n","arguments":"@"}}]}}]}"#,
            "/choices/0/delta/tool_calls/0/function/arguments",
            1,
        ),
        (
            r#"{"choices":[{"index":3,"delta":{"tool_calls":[{"index":2,"custom":{"input":"@"}}]}}]}"#,
            "/choices/0/delta/tool_calls/0/custom/input",
            0,
        ),
        (r#"{"type":"response.refusal.delta","output_index":3,"delta":"@"}"#, "/delta", 0),
        (r#"{"type":"response.custom_tool_call_input.delta","delta":"@"}"#, "/delta", 0),
        (r#"{"type":"response.code_interpreter_call_code.delta","delta":"@"}"#, "/delta", 0),
        (r#"{"type":"response.mcp_call_arguments.delta","delta":"@"}"#, "/delta", 1),
        (r#"{"type":"response.output_audio_transcript.delta","delta":"@"}"#, "/delta", 0),
        (
            r#"{"candidates":[{"index":3,"content":{"parts":[{"text":"@"}]}}]}"#,
            "/candidates/0/content/parts/0/text",
            0,
        ),
        (
            r#"{"response":{"candidates":[{"index":3,"content":{"parts":[{"text":"@"}]}}]}}"#,
            "/response/candidates/0/content/parts/0/text",
            0,
        ),
        (r#"{"contentBlockIndex":3,"delta":{"text":"@"}}"#, "/delta/text", 0),
        (r#"{"contentBlockIndex":3,"delta":{"toolUse":{"input":"@"}}}"#, "/delta/toolUse/input", 1),
        (r#"{"generation":"@"}"#, "/generation", 0),
        (r#"{"outputText":"@","index":3}"#, "/outputText", 0),
        (r#"{"type":"completion","completion":"@"}"#, "/completion", 0),
    ] {
        let said = format!("a{text}b{}", &text[..9]);
        for size in 1..said.len() {
            let stream: String = crate::apis::parts(&said, size)
                .iter()
                .map(|part| format!("data: {}\n\n", event.replace('@', part)))
                .collect();
            let unmasker = masker.response(ModelApi::OpenAi, Some("text/event-stream"));
            let out = restored(unmasker, stream.as_bytes(), 5);
            let events = crate::apis::events(&out);
            let got: String = events
                .iter()
                .map(|event| event.pointer(place).and_then(|text| text.as_str()).expect(place))
                .collect();
            let value = if times == 0 { "say \"hi\" to Zoë" } else { "say \\\"hi\\\" to Zoë" };
            assert_eq!(got, said.replacen(&text, value, 1), "{event} {size}");
            // Whoever reads it finds the text at the same index, and names only once.
            for index in ["/choices/0/index", "/candidates/0/index", "/contentBlockIndex"] {
                assert!(events.iter().all(|event| {
                    event.pointer(index).is_none_or(|index| index.as_u64() == Some(3))
                }));
            }
            let names = String::from_utf8_lossy(&out).matches("\"name\"").count();
            assert!(names <= crate::apis::parts(&said, size).len());
        }
    }
}

#[test]
fn texts_that_arrive_by_turns_are_kept_apart() {
    let masker = masker();
    let (first, second) =
        (pseudonym(&masker, "Ada Lovelace"), pseudonym(&masker, "ada@example.org"));
    for event in [
        r#"{"type":"content_block_delta","index":#,"delta":{"text":"@"}}"#,
        r#"{"type":"response.output_text.delta","output_index":#,"content_index":0,"delta":"@"}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":#,"delta":"@"}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":#,"delta":"@"}"#,
        r#"{"choices":[{"index":#,"delta":{"content":"@"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":#,"function":{"arguments":"@"}}]}}]}"#,
        r#"{"candidates":[{"index":#,"content":{"parts":[{"text":"@"}]}}]}"#,
        r#"{"contentBlockIndex":#,"delta":{"text":"@"}}"#,
    ] {
        for size in 1..LENGTH {
            let parts = |text: &str| crate::apis::parts(text, size);
            let by_turns: String = parts(&first)
                .iter()
                .zip(parts(&second))
                .flat_map(|(one, other)| {
                    let say = |index: &str, text: &str| {
                        format!("data: {}\n\n", event.replace('#', index).replace('@', text))
                    };
                    [say("0", one), say("1", &other)]
                })
                .collect();
            let unmasker = masker.response(ModelApi::OpenAi, Some("text/event-stream"));
            let out = restored(unmasker, by_turns.as_bytes(), 50);
            let out = String::from_utf8_lossy(&out);
            let whole = |value: &str| out.matches(&format!("\"{value}\"")).count();
            assert_eq!((whole("Ada Lovelace"), whole("ada@example.org")), (1, 1), "{event} {size}");
        }
    }
}
