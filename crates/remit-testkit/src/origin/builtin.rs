//! The pages of [`Site::Builtin`](super::Site::Builtin) and files of a folder.

use std::{convert::Infallible, fs, path::Path, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use super::{
    Seen,
    serve::{Body, full, text},
};

pub(super) fn page(seen: &Seen) -> Response<Body> {
    let path = seen.path.split('?').next().unwrap_or_default();
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    match (parts.next().unwrap_or_default(), parts.next()) {
        ("echo", _) => echo(seen),
        ("bytes", Some(count)) => text(StatusCode::OK, "x".repeat(count.parse().unwrap_or(0))),
        ("status", Some(code)) => {
            text(code.parse().unwrap_or(StatusCode::BAD_REQUEST), "a status\n")
        }
        ("redirect", Some(to)) => {
            let to = http::HeaderValue::try_from(to).unwrap_or(http::HeaderValue::from_static("/"));
            let mut response = text(StatusCode::FOUND, "elsewhere\n");
            response.headers_mut().insert(header::LOCATION, to);
            response
        }
        ("sse", _) => events(),
        _ => text(StatusCode::OK, "ok\n"),
    }
}

/// A file below `folder`, as bytes. A path that leaves the folder is not found.
pub(super) fn file(folder: &Path, seen: &Seen) -> Response<Body> {
    if seen.method != Method::GET && seen.method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
    }
    let path = seen.path.split('?').next().unwrap_or_default().trim_start_matches('/');
    if path.split('/').any(|part| part == "..") {
        return text(StatusCode::NOT_FOUND, "not found\n");
    }
    match fs::read(folder.join(path)) {
        Ok(bytes) => text(StatusCode::OK, bytes),
        Err(_) => text(StatusCode::NOT_FOUND, "not found\n"),
    }
}

fn echo(seen: &Seen) -> Response<Body> {
    let headers: Vec<_> = seen
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let body = json!({
        "method": seen.method.as_str(),
        "path": seen.path,
        "authority": seen.authority,
        "version": format!("{:?}", seen.version),
        "headers": headers,
        "body": String::from_utf8_lossy(&seen.body),
    });
    let mut response = text(StatusCode::OK, format!("{body:#}\n"));
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn events() -> Response<Body> {
    let frames = stream::unfold(0_u8, |number| async move {
        if number == 10 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let event = format!("event: tick\ndata: {number}\n\n");
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(event))), number + 1))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

pub(super) fn wants_websocket<B>(request: &Request<B>) -> bool {
    request.uri().path() == "/ws" && request.headers().contains_key(header::SEC_WEBSOCKET_KEY)
}

/// Accepts (RFC 6455, 4.2.2) and echoes texts and binaries until the client closes.
pub(super) fn websocket(mut request: Request<Incoming>) -> Response<Body> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    let accept = derive_accept_key(key.as_ref().map_or(&[][..], |key| key.as_bytes()));
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let io = TokioIo::new(upgraded);
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            let echo = message.is_text() || message.is_binary();
            if echo && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(full(Bytes::new()))
        .expect("these headers are legal")
}
