//! Payloads that a person must see first.

use std::sync::Arc;

use aws_lc_rs::digest;
use http::HeaderMap;
use remit_core::{Action, Denial, Direction, Outcome, ReasonCode};

use crate::{
    Inspection,
    body::{Claim, Exchange, Held, HeldPayload, HoldError, Stop},
};

/// Settles what becomes of a held payload. `Ok` only where a person has released this very one,
/// which is in the trail then.
pub(crate) async fn settle(
    inspection: &Arc<Inspection>,
    exchange: &Arc<Exchange>,
    direction: Direction,
    headers: &HeaderMap,
    held: Held,
    body: Vec<u8>,
) -> Result<(), Denial> {
    let action = match direction {
        Direction::Output => Action::HttpRequest,
        Direction::Input => Action::HttpResponse,
    };
    let refuse = |detail: String| {
        exchange.denied(action, ReasonCode::DataBlocked, held.rule.clone(), detail)
    };
    let Some(quarantine) = inspection.quarantine.clone() else {
        return Err(refuse(format!("{}; {}", held.found, HoldError::Absent)));
    };
    let key = key(exchange, direction, &body);
    let payload = HeldPayload {
        key,
        action: action.as_str(),
        resource: exchange.resource(),
        head: shown(inspection, exchange, headers),
        excerpts: inspection.inspector.excerpts(&body),
        body,
        found: held.found.clone(),
        rule: held.rule.clone(),
    };
    let settled = tokio::task::spawn_blocking(move || match quarantine.claim(&key) {
        Claim::Unknown => quarantine.hold(payload).map(Claim::Waiting),
        known => Ok(known),
    });
    match settled.await {
        Ok(Ok(Claim::Released(ticket))) => {
            let (outcome, reason) = (Outcome::Allowed, ReasonCode::DataReleased);
            let detail = format!("{ticket}: {}", held.found);
            match exchange.note(direction, outcome, reason, held.rule.clone(), detail) {
                Ok(_) => Ok(()),
                Err(Stop::Refused(denial)) => Err(*denial),
                Err(Stop::Held(_)) => Err(refuse(held.found.to_string())),
            }
        }
        Ok(Ok(Claim::Waiting(ticket))) => Err(exchange.held(&held, ticket)),
        Ok(Ok(Claim::Rejected(ticket))) => {
            let detail = format!("{ticket}: {}", held.found);
            Err(exchange.denied(action, ReasonCode::DataRejected, held.rule, detail))
        }
        Ok(Ok(Claim::Unknown)) => Err(refuse(held.found.to_string())),
        Ok(Err(error)) => Err(refuse(format!("{}; {error}", held.found))),
        Err(_) => Err(refuse(format!("{}; it could not be held", held.found))),
    }
}

/// Names this very payload. Every part has its length before it, so that none can reach into the
/// next.
fn key(exchange: &Exchange, direction: Direction, body: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    let way: &[u8] = match direction {
        Direction::Output => b"request",
        Direction::Input => b"response",
    };
    let (host, port) = (exchange.host.to_string(), exchange.port.to_string());
    let parts = [
        way,
        exchange.method.as_bytes(),
        host.as_bytes(),
        port.as_bytes(),
        exchange.target.as_bytes(),
        body,
    ];
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// The head for a person: what authenticates is left out.
fn shown(
    inspection: &Inspection,
    exchange: &Exchange,
    headers: &HeaderMap,
) -> Vec<(String, String)> {
    const SECRET: [&str; 6] = [
        "authorization",
        "cookie",
        "set-cookie",
        "proxy-authorization",
        "x-api-key",
        "x-goog-api-key",
    ];
    let first = std::iter::once((exchange.method.clone(), exchange.target.clone()));
    let rest = headers.iter().take(MOST_SHOWN).map(|(name, value)| {
        let name = name.as_str();
        let hidden = SECRET.contains(&name)
            || ["token", "secret", "key"].iter().any(|word| name.contains(word));
        let value =
            if hidden { "(left out)".into() } else { String::from_utf8_lossy(value.as_bytes()) };
        (name.to_owned(), value.into_owned())
    });
    let shown = |(name, value): (String, String)| {
        let value = inspection.inspector.shown(&value);
        (name, value.chars().take(MOST_VALUE).collect())
    };
    first.chain(rest).map(shown).collect()
}

const MOST_SHOWN: usize = 64;
const MOST_VALUE: usize = 256;
