//! Google Gemini, as server-sent events and as an array that grows.

use remit_core::ModelApi;
use serde_json::{Value, json};

use super::{Answer, Api, History, events, parts};

pub(crate) struct Gemini {
    pub(crate) array: bool,
}

impl Api for Gemini {
    fn name(&self) -> &'static str {
        if self.array { "gemini array" } else { "gemini" }
    }

    fn api(&self) -> ModelApi {
        ModelApi::Gemini
    }

    fn content_type(&self) -> &'static str {
        if self.array { "application/json; charset=UTF-8" } else { "text/event-stream" }
    }

    fn user(&self, text: &str) -> Value {
        json!({ "role": "user", "parts": [{ "text": text }] })
    }

    fn body(&self, history: &History) -> String {
        format!(
            r#"{{"systemInstruction":{{"parts":[{{"text":"For Ada Lovelace"}}]}},"contents":[{}] }}"#,
            history.join(",")
        )
    }

    fn stream(&self, answer: &Answer, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut say = |parts: Value, end: Option<&str>| {
            let mut candidate =
                json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
            if let Some(end) = end {
                candidate["finishReason"] = json!(end);
            }
            all.push(json!({ "candidates": [candidate], "modelVersion": "gemini" }));
        };
        for part in parts(&answer.text, size) {
            say(json!([{ "text": part, "thought": true }]), None);
        }
        for two in parts(&answer.text, size).chunks(2) {
            let texts: Vec<_> = two.iter().map(|part| json!({ "text": part })).collect();
            say(Value::Array(texts), None);
        }
        let args: Value = serde_json::from_str(&answer.arguments).expect("arguments");
        say(
            json!([{ "functionCall": { "name": "read", "args": args },
            "thoughtSignature": SIGNATURE }]),
            None,
        );
        say(json!([{ "text": "" }]), Some("STOP"));
        if self.array {
            let all: Vec<_> = all.iter().map(|one| format!("{one:#}")).collect();
            format!("[{}\n]\n", all.join("\n,\r\n")).into_bytes()
        } else {
            all.iter().map(|one| format!("data: {one}\r\n\r\n")).collect::<String>().into_bytes()
        }
    }

    fn read(&self, stream: &[u8], thinking: &str) -> Answer {
        let all = if self.array {
            serde_json::from_slice::<Vec<Value>>(stream).expect("an array")
        } else {
            let text = std::str::from_utf8(stream).expect("text").replace("\r\n", "\n");
            events(text.as_bytes())
        };
        let (mut thought, mut text, mut arguments) = (String::new(), String::new(), String::new());
        for event in all {
            for part in event["candidates"][0]["content"]["parts"].as_array().expect("parts") {
                if part["functionCall"].is_object() {
                    assert_eq!(part["thoughtSignature"], SIGNATURE);
                    arguments = part["functionCall"]["args"].to_string();
                } else {
                    let said = part["text"].as_str().expect("text");
                    assert!(arguments.is_empty() || said.is_empty(), "text behind the call");
                    *(if part["thought"] == true { &mut thought } else { &mut text }) += said;
                }
            }
        }
        assert_eq!(thought, thinking, "thinking was touched");
        Answer { text, arguments }
    }

    fn messages(&self, answer: &Answer, thinking: &str, result: &str) -> Vec<Value> {
        let args: Value = serde_json::from_str(&answer.arguments).expect("arguments");
        vec![
            json!({ "role": "model", "parts": [
                { "text": thinking, "thought": true },
                { "text": answer.text },
                { "functionCall": { "name": "read", "args": args }, "thoughtSignature": SIGNATURE },
            ]}),
            json!({ "role": "user", "parts": [
                { "functionResponse": { "name": "read", "response": { "output": result } } },
            ]}),
        ]
    }

    fn told(&self, body: &Value) -> (String, Vec<Answer>) {
        let mut latest = String::new();
        let mut answers = Vec::new();
        for message in body["contents"].as_array().expect("contents") {
            let parts = &message["parts"];
            if message["role"] == "model" {
                assert_eq!(parts[0]["text"], parts[1]["text"], "thinking came back changed");
                assert_eq!(parts[2]["thoughtSignature"], SIGNATURE);
                answers.push(Answer {
                    text: parts[1]["text"].as_str().expect("text").to_owned(),
                    arguments: parts[2]["functionCall"]["args"].to_string(),
                });
            } else {
                let output = &parts[0]["functionResponse"]["response"]["output"];
                let text = parts[0]["text"].as_str().or(output.as_str());
                latest = text.expect("text").to_owned();
            }
        }
        (latest, answers)
    }
}

const SIGNATURE: &str = "CpcBAdaLovelaceQQQQRRRRSSSSTTTTUUUUVVVVWWWW==";
