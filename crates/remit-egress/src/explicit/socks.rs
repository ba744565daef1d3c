//! SOCKS5 (RFC 1928), CONNECT by name. Addresses are literal hosts and need a rule like any other.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use bytes::{Buf, BytesMut};
use remit_core::{Host, ReasonCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    connection::{refuse_unnamed, serve_admitted},
    engine::Engine,
    leg::{Leg, Side},
    places::Place,
};

/// Negotiates and serves.
pub(super) async fn handle(
    engine: Arc<Engine>,
    mut stream: TcpStream,
    seen: BytesMut,
    place: &Arc<Place>,
) {
    let negotiated = timeout(PATIENCE, negotiate(&mut stream, seen)).await;
    let (host, port) = match negotiated {
        Ok(Some(Ok(named))) => named,
        Ok(Some(Err((reply, detail)))) => {
            refuse_unnamed(&engine, "SOCKS5 request", detail);
            return answer(&mut stream, reply).await;
        }
        Ok(None) | Err(_) => return,
    };
    match engine.admit_said(&host, port, place).await {
        Err(denial) => {
            let reply = match denial.reason {
                ReasonCode::UpstreamFailed | ReasonCode::NameNotFound => UNREACHABLE,
                _ => NOT_ALLOWED,
            };
            answer(&mut stream, reply).await;
        }
        Ok(admission) => {
            answer(&mut stream, SUCCEEDED).await;
            let live = Arc::clone(&admission.registered.live);
            let leg = Leg::new(stream, Side::Agent(Arc::clone(&live)));
            tokio::select! {
                () = serve_admitted(engine, admission, leg) => {}
                () = live.ended() => {}
            }
        }
    }
}

type Named = Result<(Host, u16), (u8, &'static str)>;

/// `None` when the peer went away.
async fn negotiate(stream: &mut TcpStream, mut seen: BytesMut) -> Option<Named> {
    let methods = usize::from(*fill(stream, &mut seen, 2).await?.get(1)?);
    let greeting = fill(stream, &mut seen, methods.saturating_add(2)).await?;
    let open = greeting.get(2..).is_some_and(|methods| methods.contains(&NO_AUTHENTICATION));
    seen.advance(methods.saturating_add(2).min(seen.len()));
    if !seen.is_empty() {
        return Some(Err((GENERAL_FAILURE, "bytes before the method was chosen")));
    }
    if !open {
        let _ = stream.write_all(&[5, 0xff]).await;
        return None;
    }
    stream.write_all(&[5, NO_AUTHENTICATION]).await.ok()?;
    let [version, command, _, kind, first] = *fill(stream, &mut seen, 5).await?.first_chunk()?;
    if version != 5 {
        return Some(Err((GENERAL_FAILURE, "not SOCKS5")));
    }
    if command != CONNECT {
        return Some(Err((COMMAND_UNKNOWN, "only CONNECT is mediated")));
    }
    let length = match kind {
        1 => 4usize,
        3 => usize::from(first).saturating_add(1),
        4 => 16,
        _ => return Some(Err((KIND_UNKNOWN, "unknown kind of address"))),
    };
    let whole = length.saturating_add(6);
    let request = fill(stream, &mut seen, whole).await?;
    let early = request.len() > whole;
    let (address, port) = request.get(4..whole)?.split_at_checked(length)?;
    let port = u16::from_be_bytes(*port.first_chunk()?);
    if early {
        return Some(Err((GENERAL_FAILURE, "bytes before the answer")));
    }
    if port == 0 {
        return Some(Err((NOT_ALLOWED, "port 0")));
    }
    let named = named(kind, address);
    let odd = (NOT_ALLOWED, "host is not one in its canonical spelling");
    Some(named.map(|host| (host, port)).ok_or(odd))
}

/// The host in a request's address: four or sixteen bytes, or a name after its length.
///
/// NUL, user information, empty and overlong names are none, and literal addresses have kinds of
/// their own.
pub(crate) fn named(kind: u8, address: &[u8]) -> Option<Host> {
    match kind {
        1 => Some(Host::Address(Ipv4Addr::from(*address.first_chunk::<4>()?).into())),
        4 => Some(Host::Address(Ipv6Addr::from(*address.first_chunk::<16>()?).to_canonical())),
        _ => {
            let name = std::str::from_utf8(address.get(1..)?).ok()?;
            Host::parse(name).ok().filter(|_| !name.starts_with('['))
        }
    }
}

async fn fill<'a>(
    stream: &mut TcpStream,
    seen: &'a mut BytesMut,
    count: usize,
) -> Option<&'a BytesMut> {
    while seen.len() < count {
        if !matches!(stream.read_buf(seen).await, Ok(1..)) {
            return None;
        }
    }
    Some(seen)
}

async fn answer(stream: &mut TcpStream, reply: u8) {
    let _ = stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await;
}

const PATIENCE: Duration = Duration::from_secs(30);
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;
const GENERAL_FAILURE: u8 = 1;
const NOT_ALLOWED: u8 = 2;
const UNREACHABLE: u8 = 4;
const COMMAND_UNKNOWN: u8 = 7;
const KIND_UNKNOWN: u8 = 8;
