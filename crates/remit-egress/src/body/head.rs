//! Findings in heads: request targets and header values.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use remit_core::{DataAction, Detector, Direction, Finding};

use super::{
    Stop,
    scan::{Judge, redact},
};

/// Looks at a request's target, as it is and with its escapes undone. Nothing can be taken out of
/// it: what was decided on is what is sent.
pub(super) fn target(judge: &mut Judge, detector: &dyn Detector, target: &str) -> Result<(), Stop> {
    let decoded = unescaped(target.as_bytes());
    let spaced: Vec<u8> =
        decoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let mut found = detector.find(target.as_bytes());
    for other in [&decoded, &spaced] {
        if found.is_empty() && *other != target.as_bytes() {
            found = detector.find(other);
        }
    }
    if judge.decide(&found)?.is_empty() { Ok(()) } else { Err(judge.unreplaceable(&found)) }
}

/// Looks at every header's value; what is to be taken out becomes its class.
pub(super) fn headers(
    judge: &mut Judge,
    detector: &dyn Detector,
    headers: &mut HeaderMap,
) -> Result<(), Stop> {
    let mut changes: Vec<HeaderName> = Vec::new();
    let rules = std::sync::Arc::clone(&judge.rules);
    let model = judge.direction == Direction::Output && judge.exchange.model.is_some();
    // Masking is for bodies: a header has no way back, so its value is taken out for good.
    let masks =
        |one: &Finding| model && rules.action(Direction::Output, &one.class).0 == DataAction::Mask;
    for (name, value) in headers.iter() {
        let bytes = value.as_bytes();
        let mut found = detector.find(bytes);
        let plain = !found.is_empty();
        if !plain {
            found = hidden(detector, name, bytes);
        }
        if found.is_empty() {
            continue;
        }
        let masked = plain && found.iter().any(masks);
        let rest: Vec<Finding> = found.iter().filter(|one| !masks(one)).cloned().collect();
        let out = judge.decide(&rest)?;
        if (!out.is_empty() || found.iter().any(masks)) && !plain {
            return Err(judge.unreplaceable(&found));
        }
        if (masked || !out.is_empty()) && !changes.contains(name) {
            changes.push(name.clone());
        }
    }
    judge.record()?;
    for name in changes {
        let values: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
        headers.remove(&name);
        for value in values {
            let mut out = detector.find(value.as_bytes());
            out.retain(|one| {
                let action = judge.rules.action(judge.direction, &one.class).0;
                matches!(action, DataAction::Redact | DataAction::Mask)
            });
            let text = redact(value.as_bytes(), &out);
            if let Ok(value) = HeaderValue::from_bytes(&text) {
                headers.append(&name, value);
            }
        }
    }
    Ok(())
}

/// Findings in what a value stands for: undone escapes, Basic credentials (RFC 7617).
fn hidden(detector: &dyn Detector, name: &HeaderName, value: &[u8]) -> Vec<Finding> {
    let decoded = unescaped(value);
    if decoded != value {
        let found = detector.find(&decoded);
        if !found.is_empty() {
            return found;
        }
    }
    if *name == header::AUTHORIZATION
        && let Some((scheme, coded)) = value.split_at_checked(6)
        && scheme.eq_ignore_ascii_case(b"basic ")
    {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        return STANDARD
            .decode(coded.trim_ascii())
            .map(|plain| detector.find(&plain))
            .unwrap_or_default();
    }
    Vec::new()
}

/// Percent escapes undone (RFC 3986, 2.1), twice where they are nested; broken ones stay.
pub(super) fn unescaped(text: &[u8]) -> Vec<u8> {
    let once = undo(text);
    if once.contains(&b'%') { undo(&once) } else { once }
}

fn undo(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| after.get(..2)).flatten().and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            let hex = digits.iter().all(u8::is_ascii_hexdigit);
            hex.then(|| u8::from_str_radix(text, 16).ok()).flatten()
        });
        match escaped {
            Some(value) => {
                out.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}
