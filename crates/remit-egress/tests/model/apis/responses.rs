//! OpenAI Responses: every text comes in parts and three times whole.

use remit_core::ModelApi;
use remit_egress::model::{LENGTH, Masker};
use serde_json::{Value, json};

use super::{Answer, Api, History, event, events, parts};

pub(crate) struct Responses;

impl Api for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn api(&self) -> ModelApi {
        ModelApi::OpenAi
    }

    fn user(&self, text: &str) -> Value {
        json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] })
    }

    fn body(&self, history: &History) -> String {
        format!(
            r#"{{"model":"gpt","stream":true,"instructions":"For Ada Lovelace","input":[{}] }}"#,
            history.join(",")
        )
    }

    fn stream(&self, answer: &Answer, size: usize) -> Vec<u8> {
        let named = |data: &Value| event(data["type"].as_str().expect("type"), data);
        events_of(answer, size).iter().map(named).collect::<String>().into_bytes()
    }

    fn read(&self, stream: &[u8], _thinking: &str) -> Answer {
        read(&events(stream))
    }

    fn messages(&self, answer: &Answer, _thinking: &str, result: &str) -> Vec<Value> {
        vec![
            reasoning(),
            json!({ "type": "message", "role": "assistant", "id": "msg_1",
                "content": [{ "type": "output_text", "text": answer.text }] }),
            json!({ "type": "function_call", "call_id": "call_1", "name": "read",
                "arguments": answer.arguments }),
            json!({ "type": "function_call_output", "call_id": "call_1", "output": result }),
        ]
    }

    fn told(&self, body: &Value) -> (String, Vec<Answer>) {
        let mut latest = String::new();
        let mut text = String::new();
        let mut answers = Vec::new();
        for item in body["input"].as_array().expect("input") {
            match item["type"].as_str().expect("type") {
                "reasoning" => assert_eq!(*item, reasoning(), "encrypted reasoning was touched"),
                "function_call" => answers.push(Answer {
                    text: std::mem::take(&mut text),
                    arguments: item["arguments"].as_str().expect("text").to_owned(),
                }),
                "function_call_output" => {
                    latest = item["output"].as_str().expect("text").to_owned()
                }
                _ => {
                    let said = item["content"][0]["text"].as_str().expect("text").to_owned();
                    *(if item["role"] == "assistant" { &mut text } else { &mut latest }) = said;
                }
            }
        }
        (latest, answers)
    }
}

/// The same events as WebSocket messages; here a line each.
pub(crate) struct Socket;

impl Api for Socket {
    fn name(&self) -> &'static str {
        "responses over WebSocket"
    }

    fn api(&self) -> ModelApi {
        ModelApi::OpenAi
    }

    fn restore(&self, masker: &Masker, stream: &[u8], _cut: usize) -> Vec<u8> {
        let mut socket = masker.socket(ModelApi::OpenAi);
        let mut out = Vec::new();
        for message in stream.split_inclusive(|byte| *byte == b'\n') {
            for mut message in socket.message(message.trim_ascii_end().to_vec()) {
                assert!(socket.held() < LENGTH);
                message.push(b'\n');
                out.extend(message);
            }
        }
        assert!(socket.finish().is_empty());
        out
    }

    fn user(&self, text: &str) -> Value {
        Responses.user(text)
    }

    fn body(&self, history: &History) -> String {
        format!(r#"{{"type":"response.create","model":"gpt","input":[{}] }}"#, history.join(","))
    }

    fn stream(&self, answer: &Answer, size: usize) -> Vec<u8> {
        let line = |data: &Value| format!("{data}\n");
        events_of(answer, size).iter().map(line).collect::<String>().into_bytes()
    }

    fn read(&self, stream: &[u8], _thinking: &str) -> Answer {
        let text = std::str::from_utf8(stream).expect("text");
        let events: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
        read(&events)
    }

    fn messages(&self, answer: &Answer, thinking: &str, result: &str) -> Vec<Value> {
        Responses.messages(answer, thinking, result)
    }

    fn told(&self, body: &Value) -> (String, Vec<Answer>) {
        Responses.told(body)
    }
}

pub(crate) fn events_of(answer: &Answer, size: usize) -> Vec<Value> {
    let part = json!({ "type": "output_text", "text": answer.text });
    let message =
        json!({ "type": "message", "id": "msg_1", "role": "assistant", "content": [part] });
    let call = json!({ "type": "function_call", "call_id": "call_1", "name": "read",
        "arguments": answer.arguments });
    let mut all = vec![json!({ "type": "response.created", "response": { "id": "resp_1" } })];
    all.push(
        json!({ "type": "response.output_item.done", "output_index": 0, "item": reasoning() }),
    );
    for text in parts(&answer.text, size) {
        all.push(json!({ "type": "response.output_text.delta", "item_id": "msg_1",
            "output_index": 1, "content_index": 0, "delta": text }));
    }
    all.push(json!({ "type": "response.output_text.done", "item_id": "msg_1", "output_index": 1,
        "content_index": 0, "text": answer.text }));
    all.push(json!({ "type": "response.content_part.done", "output_index": 1, "content_index": 0,
        "part": part }));
    all.push(json!({ "type": "response.output_item.done", "output_index": 1, "item": message }));
    for text in parts(&answer.arguments, size) {
        all.push(json!({ "type": "response.function_call_arguments.delta", "output_index": 2,
            "delta": text }));
    }
    all.push(json!({ "type": "response.function_call_arguments.done", "output_index": 2,
        "arguments": answer.arguments }));
    all.push(json!({ "type": "response.output_item.done", "output_index": 2, "item": call }));
    all.push(json!({ "type": "response.completed", "response": { "id": "resp_1",
        "instructions": "For you", "output": [reasoning(), message, call] } }));
    for (at, event) in all.iter_mut().enumerate() {
        event["sequence_number"] = json!(at);
    }
    all
}

pub(crate) fn read(events: &[Value]) -> Answer {
    let mut text = String::new();
    let mut arguments = String::new();
    let mut completed = false;
    for event in events {
        match event["type"].as_str().expect("type") {
            "response.output_text.delta" => text.push_str(event["delta"].as_str().expect("text")),
            "response.output_text.done" => assert_eq!(event["text"], text),
            "response.content_part.done" => assert_eq!(event["part"]["text"], text),
            "response.function_call_arguments.delta" => {
                arguments.push_str(event["delta"].as_str().expect("text"));
            }
            "response.function_call_arguments.done" => assert_eq!(event["arguments"], arguments),
            "response.output_item.done" => match event["output_index"].as_u64() {
                Some(0) => assert_eq!(event["item"], reasoning(), "reasoning was touched"),
                Some(1) => assert_eq!(event["item"]["content"][0]["text"], text),
                _ => assert_eq!(event["item"]["arguments"], arguments),
            },
            "response.completed" => {
                completed = true;
                let output = &event["response"]["output"];
                assert_eq!(output[1]["content"][0]["text"], text);
                assert_eq!(output[2]["arguments"], arguments);
            }
            _ => {}
        }
    }
    assert!(completed);
    Answer { text, arguments }
}

fn reasoning() -> Value {
    json!({ "type": "reasoning", "id": "rs_1", "summary": [],
        "encrypted_content": "gAAAAABAdaLovelaceMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MA==" })
}
