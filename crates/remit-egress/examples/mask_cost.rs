//! What masking costs: the CPU time of one Messages request of 100 KB with 50 values in it, and of
//! restoring an answer of 100 KB.
//!
//! ```sh
//! cargo run --release -p remit-egress --example mask_cost
//! ```

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
use remit_core::{DataAction, DataClass, ModelApi};
use remit_dlp::KnownValues;
use remit_egress::model::{MaskRules, Masker, ModelRequest, Vault};

struct MaskAll;

impl MaskRules for MaskAll {
    fn action(&self, _: &DataClass) -> DataAction {
        DataAction::Mask
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let values: Vec<String> =
        (0..50).map(|at| format!("person{at}.name@company.example")).collect();
    let class = DataClass::parse("EMAIL").ok_or("no such class")?;
    let known = KnownValues::new(values.iter().map(|value| (value.as_str(), class.clone())))?;
    let vault = Arc::new(Vault::new(&[1; 32]));
    let masker = Masker::new(vault, Arc::new(known), Arc::new(MaskAll));
    let body = body(&values);
    let request = ModelRequest {
        api: ModelApi::Anthropic,
        content_type: Some("application/json"),
        signed: false,
        body: body.as_bytes(),
    };
    let masked = masker.request(&request)?;
    let found: usize = masked.findings.iter().map(|found| found.count).sum();
    println!("request: {} bytes, {found} values", body.len());
    println!("masking: {:.3} ms (median)", median(|| masker.request(&request).map(drop))?);
    let plain = body.replace("@company", "-at-company");
    let request = ModelRequest { body: plain.as_bytes(), ..request };
    println!("nothing found: {:.3} ms (median)", median(|| masker.request(&request).map(drop))?);

    let answer = stream(&String::from_utf8_lossy(&masked.body));
    let restoring = median(|| {
        let mut unmasker = masker.response(ModelApi::Anthropic, Some("text/event-stream"));
        let mut out = BytesMut::new();
        for piece in answer.as_bytes().chunks(1400) {
            unmasker.push(piece, &mut out);
            out.clear();
        }
        unmasker.finish(&mut out);
        Ok::<_, std::convert::Infallible>(())
    })?;
    println!("restoring a stream of {} bytes: {restoring:.3} ms (median)", answer.len());
    Ok(())
}

/// A conversation about code, as agents send it: long texts with line breaks, tool results.
fn body(values: &[String]) -> String {
    let mut messages = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let code = "    let total = items.iter().map(|item| item.price * 2).sum();\n".repeat(28);
        let text = format!("fn main() {{\n{code}    // owner: {value}\n    \"C:\\\\tmp\"\n}}\n");
        messages.push(serde_json::json!({ "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": format!("toolu_{at}"), "content": text } ] }));
        messages.push(serde_json::json!({ "role": "assistant", "content": [
            { "type": "text", "text": "Next one." },
            { "type": "tool_use", "id": format!("toolu_{at}"), "name": "read",
              "input": { "path": format!("/src/{at}.rs"), "lines": [1, 200] } } ] }));
    }
    serde_json::json!({ "model": "claude", "system": "You are a coder.", "messages": messages })
        .to_string()
}

/// An answer that says all of it again, some 20 characters an event.
fn stream(text: &str) -> String {
    let all: Vec<char> = text.chars().collect();
    all.chunks(20)
        .map(|part| {
            let part: String = part.iter().collect();
            let event = serde_json::json!({ "type": "content_block_delta", "index": 0,
                "delta": { "type": "text_delta", "text": part } });
            format!("event: content_block_delta\ndata: {event}\n\n")
        })
        .collect()
}

/// The median time of one call, in milliseconds.
fn median<E>(mut call: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3))
}
