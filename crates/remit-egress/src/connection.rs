//! One connection that stands for a name and a port, from its first byte to its last.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use remit_core::{AccessRequest, Action, Denial, Host, Outcome, ReasonCode, Resource, TlsMode};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::{
    engine::{Admission, Engine},
    http::{Flow, serve, serve_refusal},
    leg::{Leg, Side},
    live::pause_for,
    refusal::Fault,
    relay::{Unread, relay},
    sniff::{self, Opening, Patience, judge, opening, patience},
    tls::{self, Hello, Prefixed},
    upstream::Road,
};

/// Decides about and serves an accepted connection to `host:port`.
pub(crate) async fn handle(engine: Arc<Engine>, stream: TcpStream, host: Host, port: u16) {
    let Some(place) = engine.places.take() else {
        // No place, no connection: a reset is all that costs nothing.
        let _ = stream.set_zero_linger();
        return;
    };
    match engine.admit(&host, port, &place).await {
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
    // Only where bytes may pass unread can it matter that the server speaks first, or that the
    // client's protocol has no lines.
    let raw = !is_web(&admission) && Unread::new(&engine, &admission).is_some();
    let patience = Patience { silence: if raw { SERVER_FIRST } else { FIRST_BYTE }, raw };
    let Ok(first) = opening(&mut leg, &mut seen, patience).await else { return };
    match first {
        Opening::Silent if raw => serve_silent(engine, admission, leg).await,
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
    match first {
        Opening::Tls(hello) => {
            if let Err(fault) = check_hello(&admission, &hello) {
                refuse(&engine, &admission, fault.0, fault.1);
                tls::alert(&mut leg).await;
                return;
            }
            match admission.tls {
                TlsMode::Intercept => intercept(engine, admission, leg, seen).await,
                TlsMode::Passthrough => pass(engine, admission, leg, &seen, true).await,
            }
        }
        Opening::Http => {
            let flow = Arc::new(Flow::new(engine, admission, false));
            serve(flow, tls::AgentStream::Plain(Prefixed::new(leg, seen))).await;
        }
        Opening::Other if !is_web(&admission) => pass(engine, admission, leg, &seen, false).await,
        Opening::Other | Opening::Broken => {
            refuse(&engine, &admission, ReasonCode::UnsupportedProtocol, "neither TLS nor HTTP");
        }
        Opening::H2c => {
            refuse(&engine, &admission, ReasonCode::UnsupportedProtocol, "HTTP/2 without TLS");
        }
        Opening::Silent if !is_web(&admission) => {
            refuse(&engine, &admission, ReasonCode::UnsupportedProtocol, "nothing was said");
        }
        Opening::Silent | Opening::Closed => {}
    }
}

/// The client said nothing: perhaps the server speaks first. If the client begins after all, its
/// bytes are judged as ever; nothing of it was sent yet.
async fn serve_silent(engine: Arc<Engine>, admission: Admission, mut leg: Leg) {
    let Some(leave) = leave(&engine, &admission) else { return };
    let Ok((mut server, _)) = engine.dialer.tcp(&admission.target).await else { return };
    let mut seen = BytesMut::with_capacity(4096);
    let mut greeting = BytesMut::with_capacity(4096);
    loop {
        let begun = (!seen.is_empty()).then(|| patience(&seen));
        let first = tokio::select! {
            biased;
            read = leg.read_buf(&mut seen) => match read {
                Err(_) => return,
                // The program has said all; it may still listen.
                Ok(0) if seen.is_empty() => Opening::Other,
                Ok(0) => sniff::given_up(&seen),
                Ok(_) => match judge(&seen) {
                    None if seen.len() < MOST_SEEN => continue,
                    None => Opening::Broken,
                    Some(first) => first,
                },
            },
            read = server.read_buf(&mut greeting) => {
                // No server of TLS or HTTP speaks first.
                if let Ok(1..) = read {
                    let _ = relay_greeted(&leave, &mut leg, &mut server, &greeting, &seen).await;
                }
                return;
            }
            // Both may be silent as long as they like, but half a line is the end of it.
            () = pause_for(begun) => sniff::given_up(&seen),
        };
        if first == Opening::Other {
            let _ = relay(&leave, &mut leg, &mut server, &seen).await;
            return;
        }
        drop((server, leave));
        return serve_opened(engine, admission, leg, seen, first).await;
    }
}

async fn relay_greeted(
    leave: &Unread,
    leg: &mut Leg,
    server: &mut Road,
    greeting: &[u8],
    seen: &[u8],
) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt;
    leg.write_all(greeting).await?;
    relay(leave, leg, server, seen).await
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

async fn pass(
    engine: Arc<Engine>,
    admission: Admission,
    mut leg: Leg,
    seen: &[u8],
    encrypted: bool,
) {
    let Some(leave) = leave(&engine, &admission) else { return };
    let leave = if encrypted { leave.encrypted() } else { leave };
    let Ok((mut server, _)) = engine.dialer.tcp(&admission.target).await else { return };
    let _ = relay(&leave, &mut leg, &mut server, seen).await;
}

/// Leave to relay unread, asked for before anything is dialled; its absence is recorded.
fn leave(engine: &Engine, admission: &Admission) -> Option<Unread> {
    let leave = Unread::new(engine, admission);
    if leave.is_none() {
        let detail = "not HTTP, where the rules permit certain requests only";
        refuse(engine, admission, ReasonCode::UnsupportedProtocol, detail);
    }
    leave
}

/// On the web's own ports only TLS and HTTP are spoken.
const fn is_web(admission: &Admission) -> bool {
    matches!(admission.target.port, 80 | 443)
}

/// The server name must be the connection's. Only hosts that are literal addresses have none
/// (RFC 6066, 3: literal addresses are not permitted in it).
fn check_hello(admission: &Admission, hello: &Hello) -> Result<(), (ReasonCode, &'static str)> {
    if hello.encrypted_hello && admission.tls == TlsMode::Passthrough {
        return Err((ReasonCode::SniMismatch, "the server name is encrypted (ECH)"));
    }
    let host = &admission.target.host;
    match (host, &hello.server_name) {
        (Host::Name(_), None) => Err((ReasonCode::SniMismatch, "no server name")),
        (Host::Address(_), None) => Ok(()),
        (host, Some(name)) if server_name(name).is_some_and(|name| name == *host) => Ok(()),
        _ => Err((ReasonCode::SniMismatch, "another server name")),
    }
}

/// The host that a ClientHello names.
pub(crate) fn server_name(name: &[u8]) -> Option<Host> {
    std::str::from_utf8(name).ok().and_then(|name| Host::parse(name).ok())
}

fn refuse(engine: &Engine, admission: &Admission, reason: ReasonCode, detail: &str) {
    let question = admission.target.question(Some(detail.to_owned()));
    engine.refuse(&question, reason);
}

/// Tells a refused program why, if it speaks a protocol in which that can be said.
async fn explain(engine: &Engine, denial: Denial, host: &Host, mut leg: Leg) {
    let mut seen = BytesMut::with_capacity(4096);
    let Ok(first) = opening(&mut leg, &mut seen, SHORT).await else { return };
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
pub(crate) fn refuse_unnamed(engine: &Engine, what: &str, detail: &'static str) -> Denial {
    refuse_fault(engine, what, Fault::malformed(detail))
}

/// The same for a fault that was found already.
pub(crate) fn refuse_fault(engine: &Engine, what: &str, fault: Fault) -> Denial {
    let what: String = what.chars().filter(|c| !c.is_control()).take(300).collect();
    let mut request = AccessRequest::new(Action::Connect, Resource::Other(what));
    request.context.detail = Some(fault.detail.to_owned());
    engine.refuse(&request, fault.reason)
}

const FIRST_BYTE: Duration = Duration::from_secs(60);
const SERVER_FIRST: Duration = Duration::from_millis(300);
/// For a program that is refused anyway.
const SHORT: Patience = Patience { silence: SERVER_FIRST, raw: false };
const MOST_SEEN: usize = 80 << 10;
