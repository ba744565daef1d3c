//! OpenAI Chat Completions: two choices, interleaved.

use remit_core::ModelApi;
use serde_json::{Value, json};

use super::{Answer, Api, History, events, parts};

pub(crate) struct Chat;

impl Api for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn api(&self) -> ModelApi {
        ModelApi::OpenAi
    }

    fn user(&self, text: &str) -> Value {
        json!({ "role": "user", "content": text })
    }

    fn body(&self, history: &History) -> String {
        format!(r#"{{"model":"gpt","stream":true,"n":2,"messages":[{}] }}"#, history.join(","))
    }

    fn stream(&self, answer: &Answer, size: usize) -> Vec<u8> {
        let mut all = String::new();
        let mut say = |choices: Value| {
            let chunk = json!({ "id": "c1", "object": "chat.completion.chunk", "model": "gpt",
                "choices": choices });
            all.push_str(&format!("data: {chunk}\n\n"));
        };
        say(json!([{ "index": 0, "delta": { "role": "assistant", "content": "" } }]));
        let one = |index: u64, delta: Value| json!([{ "index": index, "delta": delta, "finish_reason": null }]);
        let texts = parts(&answer.text, size);
        let calls = parts(&answer.arguments, size);
        for (at, part) in texts.iter().enumerate() {
            say(one(0, json!({ "content": part })));
            // The other choice says the same, in other parts.
            if at % 2 == 0 {
                let both = format!("{part}{}", texts.get(at + 1).cloned().unwrap_or_default());
                say(one(1, json!({ "content": both })));
            }
        }
        let call = json!({ "index": 0, "id": "call_1", "type": "function",
            "function": { "name": "read", "arguments": "" } });
        say(one(0, json!({ "tool_calls": [call] })));
        for part in calls {
            let call = json!({ "index": 0, "function": { "arguments": part } });
            say(one(0, json!({ "tool_calls": [call] })));
        }
        say(json!([{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }]));
        say(json!([{ "index": 1, "delta": {}, "finish_reason": "stop" }]));
        say(json!([]));
        all.push_str("data: [DONE]\n\n");
        all.into_bytes()
    }

    fn read(&self, stream: &[u8], _thinking: &str) -> Answer {
        assert!(stream.ends_with(b"data: [DONE]\n\n"));
        let mut texts = [String::new(), String::new()];
        let mut ended = [false; 2];
        let mut arguments = String::new();
        for event in events(stream) {
            for choice in event["choices"].as_array().expect("choices") {
                let index =
                    usize::try_from(choice["index"].as_u64().expect("index")).expect("index");
                assert!(!ended[index], "text behind its end");
                ended[index] = choice["finish_reason"].is_string();
                let delta = &choice["delta"];
                if let Some(text) = delta["content"].as_str() {
                    texts[index].push_str(text);
                    assert!(arguments.is_empty() || text.is_empty() || index == 1);
                }
                if let Some(part) = delta["tool_calls"][0]["function"]["arguments"].as_str() {
                    arguments.push_str(part);
                }
            }
        }
        let [text, other] = texts;
        assert_eq!(text, other);
        Answer { text, arguments }
    }

    fn messages(&self, answer: &Answer, _thinking: &str, result: &str) -> Vec<Value> {
        vec![
            json!({ "role": "assistant", "content": answer.text, "tool_calls": [{
                "id": "call_1", "type": "function",
                "function": { "name": "read", "arguments": answer.arguments } }] }),
            json!({ "role": "tool", "tool_call_id": "call_1", "content": result }),
        ]
    }

    fn told(&self, body: &Value) -> (String, Vec<Answer>) {
        let mut latest = String::new();
        let mut answers = Vec::new();
        for message in body["messages"].as_array().expect("messages") {
            let text = message["content"].as_str().expect("text").to_owned();
            if message["role"] == "assistant" {
                let arguments = &message["tool_calls"][0]["function"]["arguments"];
                answers
                    .push(Answer { text, arguments: arguments.as_str().expect("text").to_owned() });
            } else {
                latest = text;
            }
        }
        (latest, answers)
    }
}
