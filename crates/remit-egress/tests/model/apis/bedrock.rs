//! AWS Bedrock: binary frames with the service's own events, or with a model's.

use base64::{Engine, engine::general_purpose::STANDARD};
use remit_core::ModelApi;
use serde_json::{Value, json};

use super::{Answer, Api, History, anthropic, parts};

/// `ConverseStream`.
pub(crate) struct Converse;

/// `InvokeModelWithResponseStream` of an Anthropic model.
pub(crate) struct Invoke;

impl Api for Converse {
    fn name(&self) -> &'static str {
        "converse"
    }

    fn api(&self) -> ModelApi {
        ModelApi::Bedrock
    }

    fn content_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn user(&self, text: &str) -> Value {
        json!({ "role": "user", "content": [{ "text": text }] })
    }

    fn body(&self, history: &History) -> String {
        format!(
            r#"{{"system":[{{"text":"For Ada Lovelace"}}],"messages":[{}] }}"#,
            history.join(",")
        )
    }

    fn stream(&self, answer: &Answer, size: usize) -> Vec<u8> {
        let mut all = frame("messageStart", &json!({ "role": "assistant", "p": "abc" }));
        let mut say = |name: &str, payload: Value| all.extend(frame(name, &payload));
        let delta = |block: u64, delta: Value| json!({ "contentBlockIndex": block, "delta": delta, "p": "ab" });
        for part in parts(&answer.text, size) {
            say("contentBlockDelta", delta(0, json!({ "reasoningContent": { "text": part } })));
        }
        let signature = json!({ "reasoningContent": { "signature": anthropic::SIGNATURE } });
        say("contentBlockDelta", delta(0, signature));
        say("contentBlockStop", json!({ "contentBlockIndex": 0, "p": "a" }));
        for part in parts(&answer.text, size) {
            say("contentBlockDelta", delta(1, json!({ "text": part })));
        }
        say("contentBlockStop", json!({ "contentBlockIndex": 1, "p": "a" }));
        let start = json!({ "toolUse": { "toolUseId": "t1", "name": "read" } });
        say("contentBlockStart", json!({ "contentBlockIndex": 2, "start": start }));
        for part in parts(&answer.arguments, size) {
            say("contentBlockDelta", delta(2, json!({ "toolUse": { "input": part } })));
        }
        say("contentBlockStop", json!({ "contentBlockIndex": 2, "p": "a" }));
        say("messageStop", json!({ "stopReason": "tool_use" }));
        say("metadata", json!({ "usage": { "inputTokens": 1 } }));
        all
    }

    fn read(&self, stream: &[u8], thinking: &str) -> Answer {
        let (mut thought, mut text, mut arguments) = (String::new(), String::new(), String::new());
        let mut stopped = Vec::new();
        for (name, payload) in frames(stream) {
            let block = payload["contentBlockIndex"].as_u64();
            if name == "contentBlockStop" {
                stopped.push(block);
            }
            if name != "contentBlockDelta" {
                continue;
            }
            assert!(!stopped.contains(&block), "text behind its end");
            let delta = &payload["delta"];
            thought += delta["reasoningContent"]["text"].as_str().unwrap_or_default();
            text += delta["text"].as_str().unwrap_or_default();
            arguments += delta["toolUse"]["input"].as_str().unwrap_or_default();
        }
        assert_eq!(thought, thinking, "thinking was touched");
        Answer { text, arguments }
    }

    fn messages(&self, answer: &Answer, thinking: &str, result: &str) -> Vec<Value> {
        let input: Value = serde_json::from_str(&answer.arguments).expect("arguments");
        let reasoning = json!({ "text": thinking, "signature": anthropic::SIGNATURE });
        vec![
            json!({ "role": "assistant", "content": [
                { "reasoningContent": { "reasoningText": reasoning } },
                { "text": answer.text },
                { "toolUse": { "toolUseId": "t1", "name": "read", "input": input } },
            ]}),
            json!({ "role": "user", "content": [
                { "toolResult": { "toolUseId": "t1", "content": [{ "json": { "all": result } }] } },
            ]}),
        ]
    }

    fn told(&self, body: &Value) -> (String, Vec<Answer>) {
        let mut latest = String::new();
        let mut answers = Vec::new();
        for message in body["messages"].as_array().expect("messages") {
            let content = &message["content"];
            if message["role"] == "assistant" {
                let reasoning = &content[0]["reasoningContent"]["reasoningText"];
                assert_eq!(reasoning["text"], content[1]["text"], "thinking came back changed");
                assert_eq!(reasoning["signature"], anthropic::SIGNATURE);
                answers.push(Answer {
                    text: content[1]["text"].as_str().expect("text").to_owned(),
                    arguments: content[2]["toolUse"]["input"].to_string(),
                });
            } else {
                let result = &content[0]["toolResult"]["content"][0]["json"]["all"];
                let text = content[0]["text"].as_str().or(result.as_str());
                latest = text.expect("text").to_owned();
            }
        }
        (latest, answers)
    }
}

impl Api for Invoke {
    fn name(&self) -> &'static str {
        "invoke"
    }

    fn api(&self) -> ModelApi {
        ModelApi::Bedrock
    }

    fn content_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn user(&self, text: &str) -> Value {
        anthropic::Anthropic.user(text)
    }

    fn body(&self, history: &History) -> String {
        anthropic::Anthropic.body(history)
    }

    fn stream(&self, answer: &Answer, size: usize) -> Vec<u8> {
        let wrap = |event: &Value| {
            let text = STANDARD.encode(event.to_string());
            frame("chunk", &json!({ "bytes": text, "p": "abcdef" }))
        };
        anthropic::events_of(answer, size).iter().flat_map(wrap).collect()
    }

    fn read(&self, stream: &[u8], thinking: &str) -> Answer {
        anthropic::read(&unwrapped(stream), thinking)
    }

    fn messages(&self, answer: &Answer, thinking: &str, result: &str) -> Vec<Value> {
        anthropic::Anthropic.messages(answer, thinking, result)
    }

    fn told(&self, body: &Value) -> (String, Vec<Answer>) {
        anthropic::Anthropic.told(body)
    }
}

/// One frame with the headers that the service sends.
pub(crate) fn frame(name: &str, payload: &Value) -> Vec<u8> {
    let mut headers = Vec::new();
    for (key, value) in
        [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")]
    {
        headers.push(u8::try_from(key.len()).expect("short"));
        headers.extend_from_slice(key.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let length = |bytes: usize| u32::try_from(bytes).expect("short").to_be_bytes();
    let mut all = Vec::new();
    all.extend_from_slice(&length(headers.len() + payload.len() + 16));
    all.extend_from_slice(&length(headers.len()));
    all.extend_from_slice(&crc32fast::hash(&all).to_be_bytes());
    all.extend_from_slice(&headers);
    all.extend_from_slice(payload.as_bytes());
    all.extend_from_slice(&crc32fast::hash(&all).to_be_bytes());
    all
}

/// The model's own events inside the frames of a stream.
pub(crate) fn unwrapped(stream: &[u8]) -> Vec<Value> {
    let inner = |(name, payload): (String, Value)| {
        assert_eq!(name, "chunk");
        let bytes = STANDARD.decode(payload["bytes"].as_str().expect("bytes")).expect("base64");
        serde_json::from_slice(&bytes).expect("an event")
    };
    frames(stream).into_iter().map(inner).collect()
}

/// The frames of a stream, with their event's name. Asserts every length and checksum.
pub(crate) fn frames(mut stream: &[u8]) -> Vec<(String, Value)> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four"));
    let mut all = Vec::new();
    while !stream.is_empty() {
        let total = usize::try_from(number(stream)).expect("length");
        let headers = usize::try_from(number(&stream[4..])).expect("length");
        assert_eq!(number(&stream[8..]), crc32fast::hash(&stream[..8]), "the prelude's checksum");
        let (frame, rest) = stream.split_at(total);
        let (covered, crc) = frame.split_at(total - 4);
        assert_eq!(number(crc), crc32fast::hash(covered), "the frame's checksum");
        let words = String::from_utf8_lossy(&frame[12..12 + headers]).into_owned();
        let name = words.split(":event-type\u{7}").nth(1).expect("a name");
        let name = name[2..].split('\r').next().expect("a name").to_owned();
        let payload = serde_json::from_slice(&covered[12 + headers..]).expect("JSON");
        all.push((name, payload));
        stream = rest;
    }
    all
}
