//! Anthropic Messages.

use remit_core::ModelApi;
use serde_json::{Value, json};

use super::{Answer, Api, History, event, events, parts};

pub(crate) struct Anthropic;

impl Api for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn api(&self) -> ModelApi {
        ModelApi::Anthropic
    }

    fn user(&self, text: &str) -> Value {
        json!({ "role": "user", "content": [{ "type": "text", "text": text }] })
    }

    fn body(&self, history: &History) -> String {
        format!(
            r#"{{"model":"claude","stream":true,"system":"Be brief, Ada Lovelace","messages":[{}] }}"#,
            history.join(",")
        )
    }

    fn stream(&self, answer: &Answer, size: usize) -> Vec<u8> {
        events_of(answer, size).iter().map(named).collect::<String>().into_bytes()
    }

    fn read(&self, stream: &[u8], thinking: &str) -> Answer {
        read(&events(stream), thinking)
    }

    fn messages(&self, answer: &Answer, thinking: &str, result: &str) -> Vec<Value> {
        let input: Value = serde_json::from_str(&answer.arguments).expect("arguments");
        vec![
            json!({ "role": "assistant", "content": [
                { "type": "thinking", "thinking": thinking, "signature": SIGNATURE },
                { "type": "text", "text": answer.text },
                { "type": "tool_use", "id": "toolu_1", "name": "read", "input": input },
            ]}),
            json!({ "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": result },
            ]}),
        ]
    }

    fn told(&self, body: &Value) -> (String, Vec<Answer>) {
        let mut latest = String::new();
        let mut answers = Vec::new();
        for message in body["messages"].as_array().expect("messages") {
            let content = &message["content"];
            if message["role"] == "assistant" {
                assert_eq!(content[0]["signature"], SIGNATURE);
                assert_eq!(
                    content[0]["thinking"], content[1]["text"],
                    "thinking came back changed"
                );
                answers.push(Answer {
                    text: content[1]["text"].as_str().expect("text").to_owned(),
                    arguments: content[2]["input"].to_string(),
                });
            } else {
                let text = content[0]["text"].as_str().or(content[0]["content"].as_str());
                latest = text.expect("text").to_owned();
            }
        }
        (latest, answers)
    }
}

/// The events of an answer.
pub(crate) fn events_of(answer: &Answer, size: usize) -> Vec<Value> {
    let mut all = vec![json!({ "type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude" } })];
    let start = |index: usize, block: Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
    let delta = |index: usize, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let stop = |index: usize| json!({ "type": "content_block_stop", "index": index });
    all.push(start(0, json!({ "type": "thinking", "thinking": "", "signature": "" })));
    for part in parts(&answer.text, size) {
        all.push(delta(0, json!({ "type": "thinking_delta", "thinking": part })));
    }
    all.push(delta(0, json!({ "type": "signature_delta", "signature": SIGNATURE })));
    all.push(stop(0));
    all.push(start(1, json!({ "type": "text", "text": "" })));
    for part in parts(&answer.text, size) {
        all.push(delta(1, json!({ "type": "text_delta", "text": part })));
    }
    all.push(json!({ "type": "ping" }));
    all.push(stop(1));
    let tool = json!({ "type": "tool_use", "id": "toolu_1", "name": "read", "input": {} });
    all.push(start(2, tool));
    for part in parts(&answer.arguments, size) {
        all.push(delta(2, json!({ "type": "input_json_delta", "partial_json": part })));
    }
    all.push(stop(2));
    all.push(json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" },
        "usage": { "output_tokens": 5 } }));
    all.push(json!({ "type": "message_stop" }));
    all
}

/// What a client makes of events.
pub(crate) fn read(events: &[Value], thinking: &str) -> Answer {
    let mut texts = [String::new(), String::new(), String::new()];
    let mut open: Option<u64> = None;
    for event in events {
        let index = event["index"].as_u64();
        match event["type"].as_str().expect("type") {
            "content_block_start" => open = index,
            "content_block_stop" => assert_eq!(std::mem::take(&mut open), index),
            "content_block_delta" => {
                assert_eq!(open, index, "text outside its block");
                let delta = &event["delta"];
                let text = delta["text"].as_str().or(delta["partial_json"].as_str());
                let text = text.or(delta["thinking"].as_str()).unwrap_or_default();
                texts[usize::try_from(index.expect("index")).expect("index")].push_str(text);
            }
            _ => {}
        }
    }
    let [thought, text, arguments] = texts;
    assert_eq!(thought, thinking, "thinking was touched");
    Answer { text, arguments }
}

fn named(data: &Value) -> String {
    event(data["type"].as_str().expect("type"), data)
}

pub(crate) const SIGNATURE: &str = "EqQBCkYIARgCKkDAdaLovelaceAAAABBBBCCCCDDDD";
