//! HTTP proxying (RFC 9110, 9.3.6 and RFC 9112, 3.2.2).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use remit_core::{Denial, Host};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

use crate::{
    connection::{refuse_fault, refuse_unnamed, serve_admitted},
    engine::Engine,
    http::{Authority, Flow, Head, HeadError, Payload, Target, Wire, read_head, serve_forward},
    leg::{Leg, Side},
    live::{Live, lock},
    places::Place,
    refusal::{self, Fault},
    tls::{AgentStream, Prefixed},
};

/// Reads the first head and serves a tunnel or forwarded requests.
pub(super) async fn handle(
    engine: Arc<Engine>,
    mut stream: TcpStream,
    mut seen: BytesMut,
    place: Arc<Place>,
) {
    let head = match timeout(HEAD, first_head(&mut stream, &mut seen)).await {
        Ok(Some(Ok(head))) => head,
        Ok(Some(Err(fault))) => {
            let denial = refuse_fault(&engine, "proxy request", fault);
            return say_no(stream, &denial).await;
        }
        Ok(None) | Err(_) => return,
    };
    match head.target {
        Target::Tunnel(text) => {
            seen.advance(head.length);
            tunnel(engine, stream, &text, seen, &place).await;
        }
        Target::Resource => forward(engine, stream, seen, place).await,
    }
}

async fn first_head(stream: &mut TcpStream, seen: &mut BytesMut) -> Option<Result<Head, Fault>> {
    loop {
        match read_head(seen) {
            Ok(head) => return Some(Ok(head)),
            Err(HeadError::Fault(fault)) => return Some(Err(fault)),
            Err(HeadError::Incomplete) => {}
        }
        if !matches!(stream.read_buf(seen).await, Ok(1..)) {
            return None;
        }
    }
}

async fn tunnel(
    engine: Arc<Engine>,
    mut stream: TcpStream,
    text: &str,
    early: BytesMut,
    place: &Arc<Place>,
) {
    let named = match Authority::parse(text) {
        Ok(Authority { host, port: Some(port) }) => Ok((host, port)),
        Ok(_) => Err("CONNECT without a port"),
        Err(fault) => Err(fault.detail),
    };
    let (host, port) = match named {
        Ok(named) => named,
        Err(detail) => {
            let denial = refuse_unnamed(&engine, &format!("CONNECT {text}"), detail);
            return say_no(stream, &denial).await;
        }
    };
    let admission = match engine.admit_said(&host, port, place).await {
        Ok(admission) => admission,
        Err(denial) => return say_no(stream, &denial).await,
    };
    // Nothing may come before the answer: what is there already was not meant for this host.
    if !early.is_empty() {
        let denial = refuse_unnamed(&engine, &format!("CONNECT {text}"), "bytes before the answer");
        return say_no(stream, &denial).await;
    }
    // Connections live long: none keeps the room of its first bytes.
    drop(early);
    if stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
        return;
    }
    let live = Arc::clone(&admission.registered.live);
    let leg = Leg::new(stream, Side::Agent(Arc::clone(&live)));
    tokio::select! {
        () = serve_admitted(engine, admission, leg) => {}
        () = live.ended() => {}
    }
}

/// Requests in absolute form; each may name another host.
async fn forward(engine: Arc<Engine>, stream: TcpStream, seen: BytesMut, place: Arc<Place>) {
    let (current, mut changes) = watch::channel(None);
    let own = Arc::clone(&engine);
    let client = Arc::new(Client { engine: own, place, flows: Mutex::default(), current });
    let choose = move |request: Request<Incoming>, wire: Arc<Wire>| {
        let client = Arc::clone(&client);
        async move { client.answer(request, wire).await }
    };
    let leg = Leg::new(stream, Side::Refused);
    let serving = serve_forward(AgentStream::Plain(Prefixed::new(leg, seen)), choose);
    tokio::pin!(serving);
    loop {
        // HTTP/1 answers one request after the other, so one host's permission is in use.
        let live: Option<Arc<Live>> = changes.borrow_and_update().clone();
        let ended = async {
            match &live {
                Some(live) => live.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            fault = &mut serving => {
                if let Some(fault) = fault {
                    refuse_fault(&engine, "proxy request", fault);
                }
                return;
            }
            Ok(()) = changes.changed() => {}
            // What is streaming now ended; a client opens another connection.
            () = ended => return,
        }
    }
}

/// One client connection, and what it may reach by name and port.
struct Client {
    engine: Arc<Engine>,
    place: Arc<Place>,
    flows: Mutex<HashMap<(Host, u16), Arc<Flow>>>,
    current: watch::Sender<Option<Arc<Live>>>,
}

impl Client {
    async fn answer(&self, request: Request<Incoming>, wire: Arc<Wire>) -> Response<Payload> {
        let (under_way, fault) = wire.take_up();
        let chosen = match fault {
            None => self.choose(&request).await,
            Some(fault) => Err(refuse_fault(&self.engine, "proxy request", fault)),
        };
        match chosen {
            Ok(flow) => {
                let mut response = flow.answer_taken(request, Some(wire), None).await;
                response.body_mut().until_its_end(Some(under_way));
                response
            }
            Err(denial) => {
                // Nobody else says that an upgrade came to nothing.
                wire.settle_upgrade(false);
                let mut response = refusal::response(&denial);
                let upgrading = request.headers().contains_key(header::UPGRADE);
                if upgrading || response.status() == StatusCode::BAD_REQUEST {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                response
            }
        }
    }

    /// The flow of a request's host. Connections to it are decided on once per client connection,
    /// and again when the permission has ended.
    async fn choose(&self, request: &Request<Incoming>) -> Result<Arc<Flow>, Denial> {
        let uri = request.uri();
        let text = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let what = format!("proxy request {text}");
        let unnamed = |detail| refuse_unnamed(&self.engine, &what, detail);
        if uri.scheme_str() != Some("http") {
            return Err(unnamed("a proxied request must name an http: URL"));
        }
        let named = Authority::parse(text).map_err(|fault| unnamed(fault.detail))?;
        let key = (named.host, named.port.unwrap_or(80));
        let known = lock(&self.flows).get(&key).cloned();
        let flow = match known.filter(|flow| !flow.registered.live.is_ended()) {
            Some(flow) => flow,
            None => {
                let admission = self.engine.admit_said(&key.0, key.1, &self.place).await?;
                let flow = Arc::new(Flow::new(Arc::clone(&self.engine), admission, false));
                let mut flows = lock(&self.flows);
                if flows.len() >= MOST_FLOWS {
                    flows.clear();
                }
                flows.insert(key, Arc::clone(&flow));
                flow
            }
        };
        self.current.send_replace(Some(Arc::clone(&flow.registered.live)));
        Ok(flow)
    }
}

async fn say_no(mut stream: TcpStream, denial: &Denial) {
    let _ = stream.write_all(&refusal::raw(denial)).await;
    let _ = stream.shutdown().await;
    // Unread bytes would turn the close into a reset that can overtake the answer.
    let mut rest = [0u8; 1024];
    let drain = async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} };
    let _ = timeout(Duration::from_secs(1), drain).await;
}

const HEAD: Duration = Duration::from_secs(30);
const MOST_FLOWS: usize = 64;
