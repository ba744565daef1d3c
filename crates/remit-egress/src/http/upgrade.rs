//! WebSocket (RFC 6455): the upgrade is asked of the server first; only its `101` opens the way,
//! and until then no byte beyond the request passes.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use remit_core::Denial;
use tokio::{io::copy_bidirectional_with_sizes, time::timeout};

use super::{
    flow::Flow,
    handshake, headers,
    payload::{Payload, Tail},
    wire::Wire,
};
use crate::{
    live::Effecting,
    ws::{self, Watched},
};

/// Whether an HTTP/1 request asks for a WebSocket; the strict reader saw the same.
pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
    let named = |name: header::HeaderName, word: &[u8]| {
        request.headers().get_all(name).iter().any(|value| {
            value
                .as_bytes()
                .split(|b| *b == b',')
                .any(|w| w.trim_ascii().eq_ignore_ascii_case(word))
        })
    };
    named(header::UPGRADE, b"websocket") && named(header::CONNECTION, b"upgrade")
}

/// Sends the upgrade and, when the server agrees, relays.
pub(crate) async fn forward(
    flow: Arc<Flow>,
    mut request: Request<Incoming>,
    wire: Arc<Wire>,
    effecting: Arc<Effecting>,
    watched: Option<Watched>,
) -> Result<Response<Payload>, Denial> {
    let agent = hyper::upgrade::on(&mut request);
    let (mut parts, body) = request.into_parts();
    headers::for_server(&mut parts.headers);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let key = parts.headers.get(header::SEC_WEBSOCKET_KEY).cloned();
    if watched.is_some() {
        // What is compressed could not be looked into.
        parts.headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    }
    let offered = parts.headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS);
    let mut request = Request::from_parts(parts, Payload::request(body, &effecting));
    flow.address(&mut request, Version::HTTP_11)?;
    let engine = &flow.engine;
    let mut sender = engine.pool.dedicated(&engine.dialer, &flow.target, flow.tls).await?;
    let failed = |cause: &str| engine.dialer.failed(&flow.target, cause);
    let mut response = match timeout(PATIENCE, sender.send_request(request)).await {
        Ok(answered) => answered.map_err(|error| failed(&error.to_string()))?,
        Err(_) => return Err(failed("no answer to the upgrade")),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (mut parts, body) = response.into_parts();
        headers::for_agent(&mut parts.headers);
        let tail = Some(Box::new(Tail { effecting: Some(effecting), ..Tail::default() }));
        return Ok(Response::from_parts(parts, Payload::Stream { body, tail }));
    }
    if let Some(cause) = handshake::fault(key.as_ref(), offered, response.headers()) {
        return Err(failed(cause));
    }
    let server = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    headers::for_agent(&mut parts.headers);
    // There is no body (RFC 9110, 8.6).
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    wire.settle_upgrade(true);
    tokio::spawn(relay(Arc::clone(&flow), agent, server, effecting, watched));
    Ok(Response::from_parts(parts, Payload::Full(None)))
}

async fn relay(
    flow: Arc<Flow>,
    agent: OnUpgrade,
    server: OnUpgrade,
    effecting: Arc<Effecting>,
    watched: Option<Watched>,
) {
    let relaying = async {
        let (Ok(agent), Ok(server)) = tokio::join!(agent, server) else { return };
        let (mut agent, mut server) = (TokioIo::new(agent), TokioIo::new(server));
        if let Some(watched) = watched {
            return ws::relay(watched, agent, server).await;
        }
        let _ = copy_bidirectional_with_sizes(&mut agent, &mut server, BUFFER, BUFFER).await;
    };
    tokio::select! {
        () = relaying => {}
        () = flow.registered.live.ended() => {}
    }
    drop(effecting);
}

const BUFFER: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(60);
