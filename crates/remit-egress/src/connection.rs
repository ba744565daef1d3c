//! One connection that stands for a name and a port, from its first byte to its last.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use remit_core::{AccessRequest, Action, Denial, Host, Outcome, ReasonCode, Resource, TlsMode};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::{
    engine::{Admission, Engine},
    http::{Flow, serve, serve_refusal},
    leg::{Leg, Side},
    relay::relay,
    sniff::{Opening, judge, opening},
    tls::{self, Hello, Prefixed},
};

/// Decides about and serves an accepted connection to `host:port`.
pub(crate) async fn handle(engine: Arc<Engine>, stream: TcpStream, host: Host, port: u16) {
    let Ok(_place) = Arc::clone(&engine.places).try_acquire_owned() else {
        // No place, no connection: a reset is all that costs nothing.
        let _ = stream.set_zero_linger();
        return;
    };
    match engine.admit(&host, port).await {
        Ok(admission) => {
            let live = Arc::clone(&admission.registered.live);
            let leg = Leg::new(stream, Side::Agent(Arc::clone(&live)));
            tokio::select! {
                () = serve_admitted(engine, admission, leg) => {}
                () = live.ended() => {}
            }
        }
        Err(denial) => {
            let leg = Leg::new(stream, Side::Refused);
            explain(&engine, denial, &host, leg).await;
        }
    }
}

/// Serves a permitted connection.
pub(crate) async fn serve_admitted(engine: Arc<Engine>, admission: Admission, mut leg: Leg) {
    let mut seen = BytesMut::with_capacity(4096);
    let web = matches!(admission.target.port, 80 | 443);
    let silence = if web { FIRST_BYTE } else { SERVER_FIRST };
    let Ok(first) = opening(&mut leg, &mut seen, silence).await else { return };
    match first {
        Opening::Silent if !web => serve_silent(engine, admission, leg).await,
        Opening::Silent | Opening::Closed => {}
        first => serve_opened(engine, admission, leg, seen, first).await,
    }
}

async fn serve_opened(
    engine: Arc<Engine>,
    admission: Admission,
    mut leg: Leg,
    seen: BytesMut,
    first: Opening,
) {
    let web = matches!(admission.target.port, 80 | 443);
    match first {
        Opening::Tls(hello) => {
            if let Err(fault) = check_hello(&admission, &hello) {
                refuse(&engine, &admission, fault.0, fault.1);
                tls::alert(&mut leg).await;
                return;
            }
            match admission.tls {
                TlsMode::Intercept => intercept(engine, admission, leg, seen).await,
                TlsMode::Passthrough => pass(engine, admission, leg, &seen).await,
            }
        }
        Opening::Http => {
            let flow = Arc::new(Flow::new(engine, admission, false));
            serve(flow, tls::AgentStream::Plain(Prefixed::new(leg, seen))).await;
        }
        Opening::Other if !web => pass(engine, admission, leg, &seen).await,
        Opening::Other | Opening::Broken => {
            refuse(&engine, &admission, ReasonCode::UnsupportedProtocol, "neither TLS nor HTTP");
        }
        Opening::H2c => {
            refuse(&engine, &admission, ReasonCode::UnsupportedProtocol, "HTTP/2 without TLS");
        }
        Opening::Silent | Opening::Closed => {}
    }
}

/// The client said nothing: perhaps the server speaks first. If the client begins after all, its
/// bytes are judged as ever; nothing of it was sent yet.
async fn serve_silent(engine: Arc<Engine>, admission: Admission, mut leg: Leg) {
    let Ok((mut server, _)) = engine.dialer.tcp(&admission.target).await else { return };
    let mut seen = BytesMut::with_capacity(4096);
    let mut greeting = BytesMut::with_capacity(4096);
    loop {
        tokio::select! {
            biased;
            read = leg.read_buf(&mut seen) => match read {
                Ok(count) if count > 0 => match judge(&seen) {
                    None if seen.len() < MOST_SEEN => {}
                    None => return,
                    Some(Opening::Other) => {
                        let _ = relay(&mut leg, &mut server, &seen).await;
                        return;
                    }
                    Some(first) => {
                        drop(server);
                        return serve_opened(engine, admission, leg, seen, first).await;
                    }
                },
                _ => return,
            },
            read = server.read_buf(&mut greeting) => match read {
                // No server of TLS or HTTP speaks first.
                Ok(count) if count > 0 => {
                    let _ = relay_greeted(&mut leg, &mut server, &greeting, &seen).await;
                    return;
                }
                _ => return,
            },
            () = tokio::time::sleep(FIRST_BYTE) => return,
        }
    }
}

async fn relay_greeted(
    leg: &mut Leg,
    server: &mut Leg,
    greeting: &[u8],
    seen: &[u8],
) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt;
    leg.write_all(greeting).await?;
    relay(leg, server, seen).await
}

async fn intercept(engine: Arc<Engine>, admission: Admission, leg: Leg, seen: BytesMut) {
    let host = &admission.target.host;
    let accepted = tls::accept(&engine.authority, host, Prefixed::new(leg, seen)).await;
    match accepted {
        Ok(stream) => serve(Arc::new(Flow::new(engine, admission, true)), stream).await,
        // Often a program that does not trust the session's authority: people look for this.
        Err(error) => {
            let question = admission.target.question(None);
            let detail = format!("TLS with the program failed: {error}");
            // Nothing follows from it, so a trail that cannot be written changes nothing.
            let _ = engine.guard.note(
                question.action,
                question.resource,
                Outcome::Error,
                ReasonCode::UnsupportedProtocol,
                Some(detail.chars().filter(|c| !c.is_control()).take(200).collect()),
            );
        }
    }
}

async fn pass(engine: Arc<Engine>, admission: Admission, mut leg: Leg, seen: &[u8]) {
    let Ok((mut server, _)) = engine.dialer.tcp(&admission.target).await else { return };
    let _ = relay(&mut leg, &mut server, seen).await;
}

/// The server name must be the connection's. Only hosts that are literal addresses have none
/// (RFC 6066, 3: literal addresses are not permitted in it).
fn check_hello(admission: &Admission, hello: &Hello) -> Result<(), (ReasonCode, &'static str)> {
    if hello.encrypted_hello && admission.tls == TlsMode::Passthrough {
        return Err((ReasonCode::SniMismatch, "the server name is encrypted"));
    }
    let same = match (&admission.target.host, &hello.server_name) {
        (Host::Name(_), None) => return Err((ReasonCode::SniMismatch, "no server name")),
        (Host::Address(_), None) => true,
        (host, Some(name)) => std::str::from_utf8(name)
            .ok()
            .and_then(|name| Host::parse(name).ok())
            .is_some_and(|name| name == *host),
    };
    if same { Ok(()) } else { Err((ReasonCode::SniMismatch, "another server name")) }
}

fn refuse(engine: &Engine, admission: &Admission, reason: ReasonCode, detail: &str) {
    let question = admission.target.question(Some(detail.to_owned()));
    engine.refuse(&question, reason);
}

/// Tells a refused program why, if it speaks a protocol in which that can be said.
async fn explain(engine: &Engine, denial: Denial, host: &Host, mut leg: Leg) {
    let mut seen = BytesMut::with_capacity(4096);
    let Ok(first) = opening(&mut leg, &mut seen, SERVER_FIRST).await else { return };
    let stream = match first {
        Opening::Http => tls::AgentStream::Plain(Prefixed::new(leg, seen)),
        Opening::Tls(_) => {
            match tls::accept(&engine.authority, host, Prefixed::new(leg, seen)).await {
                Ok(stream) => stream,
                Err(_) => return,
            }
        }
        _ => return,
    };
    let _ = timeout(FIRST_BYTE, serve_refusal(denial, stream)).await;
}

/// A refusal before there is a name to connect to.
pub(crate) fn refuse_unnamed(engine: &Engine, what: &str, detail: &str) -> Denial {
    let what: String = what.chars().filter(|c| !c.is_control()).take(300).collect();
    let mut request = AccessRequest::new(Action::Connect, Resource::Other(what));
    request.context.detail = Some(detail.to_owned());
    engine.refuse(&request, ReasonCode::MalformedRequest)
}

const FIRST_BYTE: Duration = Duration::from_secs(60);
const SERVER_FIRST: Duration = Duration::from_millis(300);
const MOST_SEEN: usize = 80 << 10;
