//! Payloads that wait for a person: held by sessions, encrypted on disk, decided on from any
//! terminal.
//!
//! A payload's ticket is a keyed hash of the agent and of what names the payload, so a repeated
//! request meets its own ticket, in this session or a later one of the same agent, and no other
//! request does. A release is used up by the first request that it lets through, and ends by
//! itself.

mod item;
mod people;
mod seal;
mod shelf;

pub use item::{HeldItem, ItemState};
pub use people::{Decided, Opened, QuarantineError, decide, list, show};
pub(crate) use shelf::Shelf;

use std::{fmt, str::FromStr, time::Duration};

use remit_core::SessionId;

/// Names a held payload: `q-` and 16 base32 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket(String);

impl Ticket {
    pub(crate) fn of(bytes: [u8; 10]) -> Self {
        let spelled = SessionId::from_random(bytes);
        Self(format!("q-{}", spelled.as_str().trim_start_matches("s-")))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no ticket.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a ticket of a held payload")]
pub struct TicketError(String);

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let known = text.strip_prefix("q-").is_some_and(|rest| {
            rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
        if known {
            Ok(Self(text.to_owned()))
        } else {
            Err(TicketError(text.chars().take(64).collect()))
        }
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long an undecided payload is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Payloads that may wait at one time, over all sessions.
const MOST_ITEMS: usize = 1000;
/// Bytes that they may have together.
const MOST_BYTES: u64 = 256 << 20;
