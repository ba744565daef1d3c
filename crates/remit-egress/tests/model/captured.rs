//! Streams that a mock server of another project sent (`@copilotkit/aimock` 1.43.0, five characters
//! a part, told to say what stands in [`TEXT`] and [`THINKING`] with pseudonyms in place of the
//! values), restored at many sizes of pieces.

use remit_core::ModelApi;
use remit_egress::model::{Masker, ModelRequest};
use serde_json::Value;

use crate::{
    apis::{bedrock, events},
    support::{masker, restored},
};

const TEXT: &str = "Dear Ada Lovelace, or say \"hi\" to ZoëAda Lovelace; not PII-.";
const THINKING: &str = "Is it Ada Lovelace?";
const MASKED_THINKING: &str = "Is it PII-NTJ80TQ8CY5GY?";

/// A masker that has given out the two pseudonyms of the captures.
fn prepared() -> Masker {
    let masker = masker();
    let body = r#"["Ada Lovelace","say \"hi\" to Zoë"]"#;
    let request = ModelRequest {
        api: ModelApi::OpenAi,
        content_type: None,
        signed: false,
        body: body.as_bytes(),
    };
    let masked = masker.request(&request).expect("masked");
    let expected = r#"["PII-NTJ80TQ8CY5GY","PII-NSB91T01NQZEW"]"#;
    assert_eq!(masked.body, expected.as_bytes(), "the captures hold these");
    masker
}

/// The capture at many sizes of pieces.
fn all(api: ModelApi, content_type: &str, capture: &[u8]) -> Vec<Vec<u8>> {
    let masker = prepared();
    let sizes = (1..150).chain((150..capture.len()).step_by(97)).chain([capture.len()]);
    let mut all: Vec<_> = sizes
        .map(|size| restored(masker.response(api, Some(content_type)), capture, size))
        .collect();
    all.dedup();
    all
}

/// All strings that stand at a place in events, one behind the other.
fn joined(events: &[Value], place: &str) -> String {
    events.iter().filter_map(|event| event.pointer(place)?.as_str()).collect()
}

/// What the arguments say, whatever their form.
fn assert_arguments(text: &str) {
    let value: Value = serde_json::from_str(text).expect("arguments are JSON");
    assert_eq!(value["path"], "Ada Lovelace");
    assert_eq!(value["deep"], "{\"say\":\"say \"hi\" to Zoë\"}");
}

fn once<T>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1, "another size gives another answer");
    all.remove(0)
}

#[test]
fn anthropic() {
    let out = once(all(
        ModelApi::Anthropic,
        "text/event-stream",
        include_bytes!("captured/anthropic.sse"),
    ));
    let events = events(&out);
    assert_eq!(joined(&events, "/delta/text"), TEXT);
    assert_eq!(joined(&events, "/delta/thinking"), MASKED_THINKING);
    assert_arguments(&joined(&events, "/delta/partial_json"));
}

#[test]
fn chat() {
    let out = once(all(ModelApi::OpenAi, "text/event-stream", include_bytes!("captured/chat.sse")));
    let events = events(&out);
    assert_eq!(joined(&events, "/choices/0/delta/content"), TEXT);
    assert_eq!(joined(&events, "/choices/0/delta/reasoning_content"), THINKING);
    let arguments = "/choices/0/delta/tool_calls/0/function/arguments";
    assert_arguments(&joined(&events, arguments));
}

fn assert_responses(events: &[Value]) {
    let of = |kind: &str, place: &str| {
        let some: Vec<_> = events.iter().filter(|event| event["type"] == kind).cloned().collect();
        joined(&some, place)
    };
    assert_eq!(of("response.output_text.delta", "/delta"), TEXT);
    assert_eq!(of("response.output_text.done", "/text"), TEXT);
    assert_eq!(of("response.content_part.done", "/part/text"), TEXT);
    assert_eq!(of("response.reasoning_summary_text.delta", "/delta"), THINKING);
    assert_eq!(of("response.reasoning_summary_text.done", "/text"), THINKING);
    let arguments = of("response.function_call_arguments.delta", "/delta");
    assert_arguments(&arguments);
    assert_eq!(of("response.function_call_arguments.done", "/arguments"), arguments);
    let completed = events.last().expect("events");
    assert_eq!(completed["type"], "response.completed");
    let output = completed["response"]["output"].as_array().expect("output").clone();
    assert_eq!(joined(&output, "/content/0/text"), TEXT);
    assert_eq!(joined(&output, "/arguments"), arguments);
    assert!(!serde_json::to_string(events).expect("JSON").contains("PII-N"));
}

#[test]
fn responses() {
    let out =
        once(all(ModelApi::OpenAi, "text/event-stream", include_bytes!("captured/responses.sse")));
    assert_responses(&events(&out));
}

#[test]
fn responses_over_websocket() {
    let mut socket = prepared().socket(ModelApi::OpenAi);
    let capture = include_str!("captured/socket.lines");
    let events: Vec<Value> = capture
        .lines()
        .flat_map(|line| socket.message(line.as_bytes().to_vec()))
        .map(|message| serde_json::from_slice(&message).expect("JSON"))
        .collect();
    assert_responses(&events);
}

#[test]
fn gemini() {
    let out =
        once(all(ModelApi::Gemini, "text/event-stream", include_bytes!("captured/gemini.sse")));
    let (mut text, mut thought) = (String::new(), String::new());
    let mut args = Value::Null;
    for event in events(&out) {
        for part in event["candidates"][0]["content"]["parts"].as_array().expect("parts") {
            let said = part["text"].as_str().unwrap_or_default();
            *(if part["thought"] == true { &mut thought } else { &mut text }) += said;
            if part["functionCall"].is_object() {
                args = part["functionCall"]["args"].clone();
            }
        }
    }
    assert_eq!((text.as_str(), thought.as_str()), (TEXT, MASKED_THINKING));
    assert_arguments(&args.to_string());
}

#[test]
fn bedrock_converse() {
    let out = once(all(
        ModelApi::Bedrock,
        "application/vnd.amazon.eventstream",
        include_bytes!("captured/converse.frames"),
    ));
    let events: Vec<_> = bedrock::frames(&out).into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(joined(&events, "/delta/text"), TEXT);
    assert_eq!(joined(&events, "/delta/reasoningContent/text"), MASKED_THINKING);
    assert_arguments(&joined(&events, "/delta/toolUse/input"));
}

#[test]
fn bedrock_invoke() {
    let out = once(all(
        ModelApi::Bedrock,
        "application/vnd.amazon.eventstream",
        include_bytes!("captured/invoke.frames"),
    ));
    // The mock sends the model's events without the service's base64 around them.
    let events: Vec<_> = bedrock::frames(&out).into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(joined(&events, "/delta/thinking"), MASKED_THINKING);
    assert_eq!(joined(&events, "/delta/text"), TEXT);
    assert_arguments(&joined(&events, "/delta/partial_json"));
}

#[test]
fn whole_answers() {
    for (api, capture, text, arguments) in [
        (
            ModelApi::Anthropic,
            include_bytes!("captured/anthropic.json").as_slice(),
            "/content/1/text",
            "/content/2/input",
        ),
        (
            ModelApi::OpenAi,
            include_bytes!("captured/chat.json"),
            "/choices/0/message/content",
            "/choices/0/message/tool_calls/0/function/arguments",
        ),
        (
            ModelApi::OpenAi,
            include_bytes!("captured/responses.json"),
            "/output/1/content/0/text",
            "/output/2/arguments",
        ),
        (
            ModelApi::Gemini,
            include_bytes!("captured/gemini.json"),
            "/candidates/0/content/parts/1/text",
            "/candidates/0/content/parts/2/functionCall/args",
        ),
        (
            ModelApi::Bedrock,
            include_bytes!("captured/converse.json"),
            "/output/message/content/1/text",
            "/output/message/content/2/toolUse/input",
        ),
    ] {
        let out = once(all(api, "application/json", capture));
        let answer: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(answer.pointer(text).expect(text), TEXT);
        let arguments = answer.pointer(arguments).expect(arguments);
        assert_arguments(arguments.as_str().unwrap_or(&arguments.to_string()));
    }
}
