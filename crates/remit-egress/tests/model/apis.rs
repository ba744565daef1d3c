//! One model API as a vendor and a client see it: a server that says again what it was told, and a
//! client that puts its answer together.

use remit_core::ModelApi;
use remit_egress::model::Masker;
use serde_json::{Value, json};

use crate::support::restored;

pub(crate) mod anthropic;
pub(crate) mod bedrock;
pub(crate) mod chat;
pub(crate) mod gemini;
pub(crate) mod responses;

/// What the server says in one answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// Arguments of a tool, as the text that was sent.
    pub(crate) arguments: String,
}

/// A conversation's messages as the agent keeps them: each as the text that it sends.
pub(crate) type History = Vec<String>;

pub(crate) trait Api {
    fn name(&self) -> &'static str;
    fn api(&self) -> ModelApi;
    fn content_type(&self) -> &'static str {
        "text/event-stream"
    }
    /// What reaches the agent of a stream that arrives in pieces of `cut` bytes.
    fn restore(&self, masker: &Masker, stream: &[u8], cut: usize) -> Vec<u8> {
        restored(masker.response(self.api(), Some(self.content_type())), stream, cut)
    }
    /// A message of the person.
    fn user(&self, text: &str) -> Value;
    /// The body of a request; everything before the last three bytes repeats in the next one.
    fn body(&self, history: &History) -> String;
    /// The stream of an answer whose texts are sent in parts of `size` characters.
    fn stream(&self, answer: &Answer, size: usize) -> Vec<u8>;
    /// What a client makes of a stream: the text, the arguments. Asserts that what is sent twice
    /// agrees, and that thinking is what the server sent.
    fn read(&self, stream: &[u8], thinking: &str) -> Answer;
    /// The messages that a client adds for an answer and the tool's result.
    fn messages(&self, answer: &Answer, thinking: &str, result: &str) -> Vec<Value>;
    /// Of a request: the latest text of person or tool, and the answers in it.
    fn told(&self, body: &Value) -> (String, Vec<Answer>);
}

/// What the server has to say to a text.
pub(crate) fn echo(text: &str) -> Answer {
    let deep = json!({ "in": text }).to_string();
    let arguments = json!({ "path": text, "deep": deep, text: [text, 1, true] }).to_string();
    Answer { text: format!("You said {text}{text}, or {text}"), arguments }
}

pub(crate) fn parts(text: &str, size: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(size).map(|part| part.iter().collect()).collect()
}

pub(crate) fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// The data of a stream's events. Asserts that each event's name is its type.
pub(crate) fn events(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).expect("text");
    assert!(text.ends_with("\n\n"), "{text}");
    let mut events = Vec::new();
    for event in text.split_terminator("\n\n") {
        let mut name = None;
        for line in event.lines() {
            if let Some(word) = line.strip_prefix("event: ") {
                name = Some(word);
            } else if let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]")
            {
                let data: Value = serde_json::from_str(data).expect(data);
                assert!(name.is_none() || data["type"].as_str() == name, "{event}");
                events.push(data);
            }
        }
    }
    events
}
