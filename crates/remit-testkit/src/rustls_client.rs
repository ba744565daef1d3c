//! A client as many Rust programs are one: rustls with the roots that the system has.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Does each step, `get:URL` or `post:URL`, and prints status and body, or that it failed.
pub fn run(steps: impl Iterator<Item = String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    for step in steps {
        match runtime.block_on(one(&step)) {
            Ok(line) => println!("{line}"),
            Err(error) => println!("failed {error}"),
        }
    }
}

async fn one(step: &str) -> Result<String, Failure> {
    let (kind, url) = step.split_once(':').ok_or("no step")?;
    let uri: Uri = url.parse()?;
    let host = uri.host().ok_or("no host")?.to_owned();
    let stream = connect(&host).await?;
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let mut request = Request::builder().method(if kind == "post" { "POST" } else { "GET" });
    if h2 {
        request = request.uri(uri);
    } else {
        request = request.header(header::HOST, &host).uri(uri.path());
    }
    let body = if kind == "post" { Bytes::from_static(b"a body") } else { Bytes::new() };
    let request = request.body(Full::new(body))?;
    let io = TokioIo::new(stream);
    let response = if h2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(format!("{status} {}", String::from_utf8_lossy(&body).trim()))
}

async fn connect(host: &str) -> Result<TlsStream<TcpStream>, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect((host, 443)).await?;
    let name = ServerName::try_from(host.to_owned())?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}
