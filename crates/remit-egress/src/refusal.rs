//! How a refusal looks to the program: HTTP with a JSON body that names rule and remedy.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::ext::ReasonPhrase;
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
        "detail": denial.detail,
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

/// Says why in the status line too, all that many programs show of a failure; HTTP/2 has none.
fn phrase(denial: &Denial) -> String {
    let usual = status(denial.reason).canonical_reason().unwrap_or_default();
    format!("{usual} (Remit: {})", denial.reason.as_str())
}

/// What of a refusal the program shows to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The body, or nothing.
    Json,
    /// The body where it is text: git shows that line by line (`show_http_message` in its http.c).
    Text,
    /// The status of a gRPC call.
    Call,
}

impl Form {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let starts = |name, with: &[u8]| {
            request.headers().get(name).is_some_and(|value| value.as_bytes().starts_with(with))
        };
        let h2 = request.version() == Version::HTTP_2;
        if h2 && starts(header::CONTENT_TYPE, b"application/grpc") {
            Self::Call
        } else if starts(header::USER_AGENT, b"git/") {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// The response for a denial, in a form that the program shows.
pub(crate) fn answer(denial: &Denial, form: Form) -> Response<Payload> {
    if form == Form::Call {
        return to_call(denial);
    }
    let mut response = response(denial);
    if form == Form::Text {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
    }
    response
}

/// The response for a denial.
pub(crate) fn response(denial: &Denial) -> Response<Payload> {
    let body = body(denial);
    let mut response = Response::new(Payload::full(body));
    *response.status_mut() = status(denial.reason);
    if let Ok(phrase) = ReasonPhrase::try_from(phrase(denial)) {
        response.extensions_mut().insert(phrase);
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("remit-reason", HeaderValue::from_static(denial.reason.as_str()));
    response
}

/// The same for a call of gRPC, whose programs show the status of the call and no body: a response
/// of trailers only (gRPC over HTTP/2, "Responses"), as other proxies refuse such calls.
fn to_call(denial: &Denial) -> Response<Payload> {
    let code = match status(denial.reason) {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => "14",
        StatusCode::BAD_REQUEST => "13",
        _ => "7",
    };
    let mut response = Response::new(Payload::Full(None));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(code));
    let said = String::from_utf8_lossy(&body(denial)).trim_end().to_owned();
    if let Ok(message) = HeaderValue::try_from(percent_encoded(&said)) {
        headers.insert("grpc-message", message);
    }
    headers.insert("remit-reason", HeaderValue::from_static(denial.reason.as_str()));
    response
}

/// `grpc-message` is ASCII; all else is percent-encoded (gRPC over HTTP/2, "Responses").
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' => out.push_str("%25"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The same as raw HTTP/1.1 bytes that end the connection.
pub(crate) fn raw(denial: &Denial) -> Vec<u8> {
    let status = status(denial.reason);
    let body = body(denial);
    let mut out = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         remit-reason: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        phrase(denial),
        body.len(),
        denial.reason.as_str(),
    )
    .into_bytes();
    out.extend_from_slice(&body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_grpc_are_ascii_without_a_bare_percent_sign() {
        assert_eq!(percent_encoded("100 % für\n"), "100 %25 f%C3%BCr%0A");
    }
}
