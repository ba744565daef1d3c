//! Servers: a lenient one that logs raw bytes, and a proper one made of hyper.

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// A certificate authority of the outside world.
pub struct World509 {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl World509 {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub fn server(&self, names: &[&str], alpn: &[&str]) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], der)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// What a lenient server got, connection by connection.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Vec<u8>>>>);

impl Log {
    pub fn text(&self) -> String {
        let all = self.0.lock().unwrap();
        all.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// Connection by connection.
    pub fn all(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }

    /// Forgets the bytes so far, not the connections.
    pub fn clear(&self) {
        self.0.lock().unwrap().iter_mut().for_each(Vec::clear);
    }

    pub fn connections(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Answers anything that ends in an empty line with `reply`, and logs every byte.
pub fn lenient(
    at: &str,
    tls: Option<Arc<ServerConfig>>,
    reply: &'static [u8],
) -> (SocketAddr, Log) {
    let listener = TcpListener::bind(at).unwrap();
    let address = listener.local_addr().unwrap();
    let log = Log::default();
    let kept = log.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), tls, log) = (stream, tls.clone(), kept.clone()) else { continue };
            std::thread::spawn(move || {
                let index = {
                    let mut all = log.0.lock().unwrap();
                    all.push(Vec::new());
                    all.len() - 1
                };
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                match tls {
                    None => converse(stream, &log, index, reply),
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config).unwrap();
                        let stream = rustls::StreamOwned::new(connection, stream);
                        converse(stream, &log, index, reply);
                    }
                }
            });
        }
    });
    (address, log)
}

fn converse(mut stream: impl Read + Write, log: &Log, index: usize, reply: &[u8]) {
    let mut buffer = [0u8; 4096];
    let mut fresh = Vec::new();
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            break;
        }
        log.0.lock().unwrap()[index].extend_from_slice(&buffer[..count]);
        fresh.extend_from_slice(&buffer[..count]);
        while let Some(at) = fresh.windows(4).position(|part| part == b"\r\n\r\n") {
            fresh.drain(..at + 4);
            if stream.write_all(reply).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }
}

pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The same from a server that wants no more requests on the connection: what of a body comes
/// after its answer is then no second request to it.
pub const LAST: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

type Body = BoxBody<Bytes, Infallible>;

/// A proper server: `/echo` sends the body and its trailers back, `/sse` sends events 100 ms
/// apart, `/big` sends 64 MiB, `/headers` says what it got, `/early` answers and reads
/// on, `/hang` never answers.
pub fn proper(at: &str, tls: Option<Arc<ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind(at).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let tls = tls.clone();
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let builder =
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    match tls {
                        None => {
                            let service = service_fn(respond);
                            let _ = builder
                                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                                .await;
                        }
                        Some(config) => {
                            let acceptor = tokio_rustls::TlsAcceptor::from(config);
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            let service = service_fn(respond);
                            let _ = builder
                                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                                .await;
                        }
                    }
                });
            }
        });
    });
    address
}

async fn respond(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let full = |text: String| Full::new(Bytes::from(text)).boxed();
    let response = match request.uri().path() {
        "/echo" => {
            let body = request.into_body().collect().await;
            let Ok(body) = body else { return Ok(Response::new(full("broken".into()))) };
            let trailers = body.trailers().cloned();
            let data = Frame::data(body.to_bytes());
            let mut frames = vec![Ok(data)];
            frames.extend(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            Response::new(StreamBody::new(futures_lite(frames)).boxed())
        }
        "/headers" => {
            let mut text =
                format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
            for (name, value) in request.headers() {
                text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
            }
            Response::new(full(text))
        }
        "/sse" => {
            let (sender, receiver) =
                tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
            tokio::spawn(async move {
                for n in 0..50 {
                    let event = Bytes::from(format!("data: {n}\n\n"));
                    if sender.send(Ok(Frame::data(event))).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
            let mut response = Response::new(StreamBody::new(Channel(receiver)).boxed());
            response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
            response
        }
        "/big" => {
            let (sender, receiver) =
                tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(4);
            tokio::spawn(async move {
                let chunk = Bytes::from(vec![b'x'; 64 << 10]);
                for _ in 0..1024 {
                    if sender.send(Ok(Frame::data(chunk.clone()))).await.is_err() {
                        return;
                    }
                }
            });
            Response::new(StreamBody::new(Channel(receiver)).boxed())
        }
        "/count" => {
            let mut total = 0usize;
            while let Some(Ok(frame)) = request.frame().await {
                total += frame.data_ref().map_or(0, Bytes::len);
            }
            Response::new(full(total.to_string()))
        }
        "/hang" => std::future::pending().await,
        "/early" => {
            tokio::spawn(async move { while let Some(Ok(_)) = request.frame().await {} });
            Response::new(full("taken".into()))
        }
        "/ws" if request.headers().contains_key("upgrade") => {
            let key = request.headers().get("sec-websocket-key").cloned();
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let Ok(stream) = upgrade.await else { return };
                let mut stream = TokioIo::new(stream);
                let mut buffer = [0u8; 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    let _ = stream.write_all(&buffer[..count]).await;
                }
            });
            let mut response = Response::new(full(String::new()));
            *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert("upgrade", "websocket".parse().unwrap());
            response.headers_mut().insert("connection", "upgrade".parse().unwrap());
            if let Some(key) = key {
                let accept = accept_for(key.as_bytes()).parse().unwrap();
                response.headers_mut().insert("sec-websocket-accept", accept);
            }
            response
        }
        "/nothing" => {
            let mut response = Response::new(full(String::new()));
            *response.status_mut() = http::StatusCode::NO_CONTENT;
            response
        }
        _ => {
            let mut response = Response::new(full("x".repeat(1024)));
            response.headers_mut().insert("alt-svc", "h3=\":443\"".parse().unwrap());
            response
        }
    };
    Ok(response)
}

/// RFC 6455, 4.2.2.
fn accept_for(key: &[u8]) -> String {
    use base64::Engine as _;
    let all = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &all);
    base64::engine::general_purpose::STANDARD.encode(digest)
}

pub struct Channel<T>(tokio::sync::mpsc::Receiver<T>);

impl<T> futures_core::Stream for Channel<T> {
    type Item = T;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}

pub fn futures_lite<T>(items: Vec<T>) -> Channel<T> {
    let (sender, receiver) = tokio::sync::mpsc::channel(items.len().max(1));
    for item in items {
        let _ = sender.try_send(item);
    }
    Channel(receiver)
}
