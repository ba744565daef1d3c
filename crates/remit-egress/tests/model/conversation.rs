//! One conversation, with every promise looked at from both ends.

use serde_json::Value;

use crate::{
    apis::{Answer, Api, History, echo},
    support::{ascii, assert_masked, assert_restored, masker},
};
use remit_egress::model::ModelRequest;

/// Holds a conversation: the person says the first text, tools answer with the others. Answers come
/// in parts of `size` characters and arrive in pieces of `cut` bytes.
pub(crate) fn hold(api: &dyn Api, texts: &[&str], size: usize, cut: usize, spell_ascii: bool) {
    let masker = masker();
    let spell = |value: &Value| if spell_ascii { ascii(value) } else { value.to_string() };
    let mut history: History = Vec::new();
    let mut said: Vec<Answer> = Vec::new();
    let mut before: Option<Vec<u8>> = None;
    history.push(spell(&api.user(texts[0])));
    for turn in 0..texts.len() {
        let body = api.body(&history);
        let request = ModelRequest {
            api: api.api(),
            content_type: Some("application/json"),
            signed: false,
            body: body.as_bytes(),
        };
        let masked = masker.request(&request).expect("masked");
        let sent = masked.body.to_vec();

        // No value reaches the vendor, in no spelling.
        assert_masked(&sent);
        // What went out in the last turn goes out again, byte for byte.
        if let Some(before) = &before {
            let prefix = &before[..before.len() - 3];
            assert!(sent.starts_with(prefix), "{}: the prefix changed", api.name());
        }
        // The model gets its own words back as it said them.
        let parsed: Value = serde_json::from_slice(&sent).expect("JSON stays JSON");
        let (told, answers) = api.told(&parsed);
        assert_eq!(answers, said, "{}: the model's words came back changed", api.name());

        let answer = echo(&told);
        let stream = api.stream(&answer, size);
        let stream = api.restore(&masker, &stream, cut);
        let read = api.read(&stream, &answer.text);

        // The agent sees real values only, and JSON that is JSON.
        assert_restored(&read.text);
        assert_restored(&read.arguments);
        assert_eq!(read.text, echo(texts[turn]).text, "{}", api.name());
        let arguments: Value = serde_json::from_str(&read.arguments).expect("arguments");
        assert_eq!(arguments["path"], texts[turn]);

        if let Some(next) = texts.get(turn + 1) {
            let messages = api.messages(&read, &answer.text, next);
            history.extend(messages.iter().map(spell));
        }
        said.push(answer);
        before = Some(sent);
    }
}
