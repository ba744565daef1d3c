//! What a body passes on its way: decode → inspect and change → encode.
//!
//! An [`Inspector`] says what an exchange passes; its [`Stage`]s get the decoded bytes in order and
//! write what may go on. Where nothing inspects, bodies stream through untouched and none of this
//! is asked. Where stages only look, the original bytes go on, in their own coding, behind the
//! verdict; where they may change something, the body is sent without coding. Memory is bounded by
//! what a stage keeps: a scanner keeps the few bytes that may begin a finding.
//!
//! Large requests stream while they are scanned, so what stands before a finding has left when the
//! finding is refused; of the finding itself no byte has. Requests of up to [`GATHERED`] bytes are
//! judged whole, before their first byte leaves.

mod chain;
mod coding;
mod data;
mod exchange;
mod finding;
mod head;
mod hold;
mod mask;
mod message;
mod scan;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, request, response};
use remit_core::{Denial, Direction, Host, ModelApi, RuleRef};

pub use data::DataInspector;
pub use exchange::Exchange;
pub use finding::{Excerpt, Findings};
pub use hold::{Claim, HeldPayload, HoldError, Quarantine};
pub use message::{Message, MessageKind, MessageStage, Socket};

pub(crate) use chain::Chain;
pub(crate) use coding::{Coding, Undecodable, codings, decoded};
pub(crate) use finding::excerpts;

/// One step of a body's way. Gets decoded bytes as they come; keeps no more than it must.
pub trait Stage: Send {
    /// Takes the next bytes, and writes what may go on.
    ///
    /// # Errors
    /// [`Stop`]: nothing more goes on, nor what the stage still keeps.
    fn push(&mut self, part: Bytes, out: &mut Output) -> Result<(), Stop>;

    /// The body is over: writes what was kept.
    ///
    /// # Errors
    /// [`Stop`], as for [`Stage::push`].
    fn finish(&mut self, out: &mut Output) -> Result<(), Stop>;

    /// Whether bytes are kept only because they may begin a finding.
    fn waits(&self) -> bool {
        false
    }

    /// Nothing has come for a while, and somebody may wait for what is kept: lets it go on, and
    /// stops the rest if it turns out to be a finding after all.
    fn idle(&mut self, _: &mut Output) {}
}

/// What a stage lets go on.
#[derive(Debug, Default)]
pub struct Output {
    parts: Vec<Bytes>,
    changed: bool,
}

impl Output {
    /// Lets bytes go on that came in.
    pub fn pass(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    /// Lets bytes go on that did not come in like this.
    pub fn put(&mut self, part: Bytes) {
        self.changed = true;
        self.pass(part);
    }

    /// Notes that something was left out.
    pub const fn changed(&mut self) {
        self.changed = true;
    }
}

/// Why a body does not go on. What is refused was recorded.
#[derive(Debug)]
pub enum Stop {
    /// It is refused.
    Refused(Box<Denial>),
    /// A person must see it first.
    Held(Held),
}

/// What asks for a person.
#[derive(Clone, Debug)]
pub struct Held {
    /// What was found.
    pub found: Findings,
    /// The rule that says so.
    pub rule: Option<Arc<RuleRef>>,
}

/// What a body passes, in order. Empty: it streams untouched.
#[derive(Default)]
pub struct Stages {
    /// In order.
    pub stages: Vec<Box<dyn Stage>>,
    /// Whether one of them may change something.
    pub changes: bool,
    /// How much of it must be there before its first byte goes on.
    pub gather: Gather,
}

impl Stages {
    /// Whether there is nothing to pass.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }
}

/// How much of a body must be there before its first byte goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gather {
    /// Nothing.
    #[default]
    Nothing,
    /// All of it, up to so many bytes; a larger one streams.
    Small(usize),
    /// All of it; one of more bytes is refused.
    Whole(usize),
}

/// How closely one direction is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Not at all: bodies stream untouched.
    Nothing,
    /// Findings are recorded.
    Records,
    /// Findings may be stopped or replaced: what cannot be looked into does not pass.
    Stops,
}

/// Says what exchanges pass. Called for each request; pure and quick.
pub trait Inspector: Send + Sync {
    /// How closely what goes this way is looked at, for this endpoint.
    fn watches(&self, direction: Direction, host: &Host, model: Option<ModelApi>) -> Watch;

    /// Looks at the head of a request: target and headers.
    ///
    /// # Errors
    /// [`Stop`].
    fn request_head(&self, exchange: &Arc<Exchange>, head: &mut request::Parts)
    -> Result<(), Stop>;

    /// What the request's body passes.
    ///
    /// # Errors
    /// [`Stop`], where it cannot be looked into.
    fn request(&self, exchange: &Arc<Exchange>, head: &request::Parts) -> Result<Stages, Stop>;

    /// Looks at the head of the answer.
    ///
    /// # Errors
    /// [`Stop`].
    fn response_head(
        &self,
        exchange: &Arc<Exchange>,
        head: &mut response::Parts,
    ) -> Result<(), Stop>;

    /// What the answer's body passes.
    ///
    /// # Errors
    /// [`Stop`], where it cannot be looked into.
    fn response(&self, exchange: &Arc<Exchange>, head: &response::Parts) -> Result<Stages, Stop>;

    /// Looks at what comes after a body.
    ///
    /// # Errors
    /// [`Stop`].
    fn trailers(
        &self,
        exchange: &Arc<Exchange>,
        direction: Direction,
        trailers: &mut HeaderMap,
    ) -> Result<(), Stop>;

    /// What bytes pass that are no HTTP, towards the server.
    fn raw(&self, exchange: &Arc<Exchange>) -> Stages;

    /// What the messages of a WebSocket pass.
    ///
    /// # Errors
    /// [`Stop`], where they cannot be looked into.
    fn socket(&self, exchange: &Arc<Exchange>) -> Result<Socket, Stop>;

    /// A text of the head for the person who decides: what is sensitive in it is its class.
    fn shown(&self, text: &str) -> String;

    /// What is sensitive in a payload that is held, for the person who decides.
    fn excerpts(&self, payload: &[u8]) -> Vec<Excerpt>;
}

/// Bytes of a request that is judged whole, before its first byte leaves.
pub const GATHERED: usize = 1 << 20;
/// Bytes of a request that a person may have to judge: it is gathered to be held.
pub const HELD: usize = 8 << 20;
/// Bytes of a request whose contents are replaced.
pub const MASKED: usize = 32 << 20;
