//! How a refusal looks to the program: HTTP with a JSON body that names rule and remedy.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use remit_core::{DataClass, Denial, ReasonCode};
use serde_json::json;

use crate::http::Payload;

/// A reason that the enforcement point itself found, with a word for the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: ReasonCode,
    pub(crate) detail: &'static str,
}

impl Fault {
    pub(crate) const fn malformed(detail: &'static str) -> Self {
        Self { reason: ReasonCode::MalformedRequest, detail }
    }

    pub(crate) const fn new(reason: ReasonCode, detail: &'static str) -> Self {
        Self { reason, detail }
    }
}

/// The HTTP status for a reason.
pub(crate) const fn status(reason: ReasonCode) -> StatusCode {
    match reason {
        ReasonCode::MalformedRequest
        | ReasonCode::AmbiguousPath
        | ReasonCode::UnsupportedProtocol => StatusCode::BAD_REQUEST,
        ReasonCode::AuthorityMismatch | ReasonCode::SniMismatch => StatusCode::MISDIRECTED_REQUEST,
        ReasonCode::UpstreamFailed | ReasonCode::NameNotFound => StatusCode::BAD_GATEWAY,
        ReasonCode::AuditUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        // It may be repeated later (RFC 8470, 5.2, in its widest sense).
        ReasonCode::DataHeld => StatusCode::TOO_EARLY,
        ReasonCode::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::FORBIDDEN,
    }
}

/// The JSON of a denial.
pub(crate) fn body(denial: &Denial) -> Bytes {
    let rule = denial.rule.as_deref();
    let suggestion = denial.suggestion.as_deref();
    let failed = matches!(denial.reason, ReasonCode::UpstreamFailed | ReasonCode::NameNotFound);
    let error = match denial.reason {
        _ if failed => "upstream_failed",
        ReasonCode::DataHeld => "held_by_remit",
        _ => "denied_by_remit",
    };
    let mut value = json!({
        "error": error,
        "code": denial.reason.as_str(),
        "message": denial.reason.sentence(),
        "rule": rule.map(|rule| json!({ "pointer": rule.pointer, "line": rule.line })),
        "suggestion": suggestion.map(|change| json!({
            "pointer": change.pointer,
            "value": serde_json::from_str(&change.value)
                .unwrap_or(serde_json::Value::String(change.value.clone())),
        })),
        "event_id": denial.event.to_string(),
        "resource": denial.resource,
    });
    if let (Some(data), Some(value)) = (&denial.data, value.as_object_mut()) {
        let classes: Vec<&str> = data.classes.iter().map(DataClass::as_str).collect();
        value.insert("classes".into(), json!(classes));
        if let Some(ticket) = &data.ticket {
            let remedy = format!(
                "a person decides with `remit quarantine show {ticket}` and then `release` or \
                 `reject`; after a release the same request passes once"
            );
            value.insert("ticket".into(), json!(ticket));
            value.insert("remedy".into(), json!(remedy));
        }
    }
    let mut text = value.to_string();
    text.push('\n');
    Bytes::from(text)
}

/// The response for a denial.
pub(crate) fn response(denial: &Denial) -> Response<Payload> {
    let body = body(denial);
    let mut response = Response::new(Payload::full(body));
    *response.status_mut() = status(denial.reason);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("remit-reason", HeaderValue::from_static(denial.reason.as_str()));
    response
}

/// The same as raw HTTP/1.1 bytes that end the connection.
pub(crate) fn raw(denial: &Denial) -> Vec<u8> {
    let status = status(denial.reason);
    let body = body(denial);
    let mut out = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         remit-reason: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len(),
        denial.reason.as_str(),
    )
    .into_bytes();
    out.extend_from_slice(&body);
    out
}
