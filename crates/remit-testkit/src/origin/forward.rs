//! Passing requests on to a plain HTTP/1.1 server, upgrades included.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::serve::{Body, full, text};

/// Headers that belong to one connection (RFC 9110, 7.6.1), unless the connection is upgraded.
const HOP_BY_HOP: [HeaderName; 5] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::TRAILER, header::UPGRADE];

/// Passes one request on whole; the answer streams.
pub(super) async fn forward(request: Request<Bytes>, to: SocketAddr) -> Response<Body> {
    settle(pass(request, to).await)
}

/// Passes one request on and, when the other side agrees, the connection that it becomes.
pub(super) async fn upgrade(request: Request<Incoming>, to: SocketAddr) -> Response<Body> {
    settle(become_tunnel(request, to).await)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn settle(done: Result<Response<Body>, Failure>) -> Response<Body> {
    done.unwrap_or_else(|error| text(StatusCode::BAD_GATEWAY, format!("{error}\n")))
}

async fn pass(request: Request<Bytes>, to: SocketAddr) -> Result<Response<Body>, Failure> {
    let mut request = towards(request.map(full))?;
    for name in HOP_BY_HOP {
        request.headers_mut().remove(name);
    }
    Ok(plain(send(request, to).await?))
}

async fn become_tunnel(
    mut request: Request<Incoming>,
    to: SocketAddr,
) -> Result<Response<Body>, Failure> {
    let ours = hyper::upgrade::on(&mut request);
    let mut response = send(towards(request.map(|_| full(Bytes::new())))?, to).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(plain(response));
    }
    let theirs = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        let (Ok(ours), Ok(theirs)) = (ours.await, theirs.await) else { return };
        let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
        // Either side may break off; the other then sees the end.
        let _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs).await;
    });
    Ok(response.map(|_| full(Bytes::new())))
}

async fn send(request: Request<Body>, to: SocketAddr) -> Result<Response<Incoming>, Failure> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender.send_request(request).await?)
}

fn plain(response: Response<Incoming>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    for name in HOP_BY_HOP {
        parts.headers.remove(name);
    }
    parts.version = Version::default();
    Response::from_parts(parts, until_error(body))
}

/// In origin form (RFC 9112, 3.2.1), with the authority as `Host`.
fn towards(mut request: Request<Body>) -> Result<Request<Body>, Failure> {
    if let Some(authority) = request.uri().authority() {
        let host = authority.as_str().parse()?;
        request.headers_mut().insert(header::HOST, host);
    }
    *request.uri_mut() =
        request.uri().path_and_query().map_or("/", |path| path.as_str()).parse()?;
    *request.version_mut() = Version::HTTP_11;
    Ok(request)
}

/// The body's frames; it just ends where the other side broke off.
fn until_error(body: Incoming) -> Body {
    let frames = futures_util::stream::unfold(body, |mut body| async move {
        let frame: Frame<Bytes> = body.frame().await?.ok()?;
        Some((Ok::<_, Infallible>(frame), body))
    });
    StreamBody::new(frames).boxed_unsync()
}
