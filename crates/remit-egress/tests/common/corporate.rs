//! Upstream proxies: one that works, and ones that do not.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::ServerConfig;

use super::client::read_head;

/// What a proxy does with a CONNECT.
#[derive(Clone, Copy)]
pub enum Manner {
    /// Connects to this address, whatever it was asked for.
    Relay(SocketAddr),
    /// The same, if this line is in the head; else 407.
    Only(&'static str, SocketAddr),
    /// Says this and ends.
    Say(&'static str),
    /// Says this, and then nothing for a long time.
    Stall(&'static str),
}

/// A running proxy, with the heads that it got.
#[derive(Clone)]
pub struct CorpProxy {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl CorpProxy {
    pub fn new(at: &str, tls: Option<Arc<ServerConfig>>, manner: Manner) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        let own = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let heads = Arc::clone(&own.heads);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heads, tls) = (Arc::clone(&heads), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream.try_clone().unwrap(), stream, &heads, manner),
                    Some(config) => serve_tls(config, stream, &heads, manner),
                });
            }
        });
        own
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The targets of all CONNECTs.
    pub fn targets(&self) -> Vec<String> {
        let target = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.heads().iter().map(target).collect()
    }
}

/// Relays through a plain proxy of its own inside, so that TLS is a matter of two copies.
fn serve_tls(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    heads: &Arc<Mutex<Vec<String>>>,
    manner: Manner,
) {
    let inner = CorpProxy::new("127.0.0.1:0", None, manner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        let Ok(mut outer) = acceptor.accept(stream).await else { return };
        let mut plain = tokio::net::TcpStream::connect(inner.address).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut outer, &mut plain).await;
    });
    heads.lock().unwrap().extend(inner.heads());
}

fn serve(mut read: TcpStream, mut write: TcpStream, heads: &Mutex<Vec<String>>, manner: Manner) {
    let head = read_head(&mut read);
    if head.is_empty() {
        return;
    }
    heads.lock().unwrap().push(head.clone());
    let to = match manner {
        Manner::Relay(to) => to,
        Manner::Only(line, to) if head.to_lowercase().contains(&line.to_lowercase()) => to,
        Manner::Only(..) => {
            let _ = write.write_all(
                b"HTTP/1.1 407 Proxy Authentication Required\r\n\
                  proxy-authenticate: Basic realm=\"corp\"\r\ncontent-length: 0\r\n\r\n",
            );
            return;
        }
        Manner::Say(text) => {
            let _ = write.write_all(text.as_bytes());
            return;
        }
        Manner::Stall(text) => {
            let _ = write.write_all(text.as_bytes());
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
    };
    let Ok(mut server) = TcpStream::connect(to) else { return };
    // What a server says first comes in one piece with the answer.
    server.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut first = vec![0; 1024];
    let count = server.read(&mut first).unwrap_or(0);
    let answer = [b"HTTP/1.1 200 Connection established\r\nvia: 1.1 corp\r\n\r\n", &first[..count]];
    write.write_all(&answer.concat()).unwrap();
    server.set_read_timeout(None).unwrap();
    let mut back = server.try_clone().unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut write);
        let _ = write.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut read, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Write);
}
