//! Accepting connections and handing requests to the site.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{Log, Reply, Seen, Site, builtin, forward};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Keeps the server's threads. Dropping it waits until they have let go of the address, so that the
/// next origin can have it.
pub(super) struct Runtime(Option<tokio::runtime::Runtime>);

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

pub(super) fn start(
    at: &str,
    tls: Option<Arc<ServerConfig>>,
    site: Site,
    log: Log,
) -> (Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let listener = runtime
        .block_on(TcpListener::bind(at))
        .unwrap_or_else(|error| panic!("an origin cannot listen on {at}: {error}"));
    let address = listener.local_addr().expect("a listener has an address");
    runtime.spawn(accept(listener, tls.map(TlsAcceptor::from), site, log));
    (Runtime(Some(runtime)), address)
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, site: Site, log: Log) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // A client that went away already is its own affair.
        let _ = stream.set_nodelay(true);
        tokio::spawn(connection(stream, tls.clone(), site.clone(), log.clone()));
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, site: Site, log: Log) {
    match tls {
        None => http(stream, None, site, log).await,
        Some(acceptor) => {
            // Refused handshakes are what many tests want; there is nobody to tell.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let sni = stream.get_ref().1.server_name().map(str::to_owned);
            http(stream, sni, site, log).await;
        }
    }
}

async fn http<S>(stream: S, sni: Option<String>, site: Site, log: Log)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (sni, site, log) = (sni.clone(), site.clone(), log.clone());
        async move { Ok::<_, Infallible>(answer(request, sni, site, log).await) }
    });
    // Errors here are clients that broke off.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    sni: Option<String>,
    site: Site,
    log: Log,
) -> Response<Body> {
    let mut seen = describe(&request, sni);
    let upgrading = request.headers().contains_key(http::header::UPGRADE);
    match site {
        Site::Forward(to) if upgrading => {
            log.add(seen);
            return forward::upgrade(request, to).await;
        }
        Site::Builtin if builtin::wants_websocket(&request) => {
            log.add(seen);
            return builtin::websocket(request);
        }
        _ => {}
    }
    let (parts, body) = request.into_parts();
    seen.body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return text(StatusCode::BAD_REQUEST, "the body broke off"),
    };
    log.add(seen.clone());
    let response = match site {
        Site::Function(function) => reply(function(&seen)),
        Site::Folder(folder) => builtin::file(&folder, &seen),
        Site::Forward(to) => forward::forward(Request::from_parts(parts, seen.body), to).await,
        _ => builtin::page(&seen),
    };
    if seen.method == http::Method::HEAD { without_body(response) } else { response }
}

/// As an answer to HEAD: the length that the body would have (RFC 9110, 9.3.2), and none.
fn without_body(mut response: Response<Body>) -> Response<Body> {
    if let Some(length) = hyper::body::Body::size_hint(response.body()).exact() {
        response.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
    }
    response.map(|_| full(Bytes::new()))
}

fn describe(request: &Request<Incoming>, sni: Option<String>) -> Seen {
    let uri = request.uri();
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    Seen {
        sni,
        version: request.version(),
        method: request.method().clone(),
        authority: uri.authority().map(|a| a.as_str()).or(host).unwrap_or_default().to_owned(),
        path: uri.path_and_query().map_or("", |path| path.as_str()).to_owned(),
        headers: request.headers().clone(),
        body: Bytes::new(),
    }
}

fn reply(reply: Reply) -> Response<Body> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let body = if reply.trailers.is_empty() {
        full(reply.body)
    } else {
        let pairs = reply.trailers.into_iter().map(|(name, value)| {
            let value = value.try_into().expect("a test's reply has legal trailers");
            (HeaderName::from_static(name), value)
        });
        let frames = [Frame::data(reply.body), Frame::trailers(pairs.collect())];
        let frames = frames.map(Ok::<_, Infallible>);
        StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
    };
    response.body(body).expect("a test's reply has legal headers")
}

pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    reply(Reply { status, ..Reply::ok(body) })
}

pub(super) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}
