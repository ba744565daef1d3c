//! What the strict reader and the request handler of one HTTP/1 connection tell each other.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

use tokio::time::Instant;

use crate::{live::lock, refusal::Fault};

/// Shared by the gate (which reads) and the flow (which answers).
#[derive(Debug)]
pub(crate) struct Wire {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Heads let through by the gate, requests taken up by the flow, and responses at their end.
    passed: u64,
    taken: u64,
    answered: u64,
    /// The end of the last response, at first the beginning of the connection.
    idle_since: Instant,
    /// The head with this number was refused; the request in its place is a placeholder.
    refused: Option<(u64, Fault)>,
    /// A fault inside a body.
    broken: Option<Fault>,
    upgrade: Upgrade,
    waker: Option<Waker>,
}

/// A request that was taken up; dropping it says that its response is over.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Wire>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.answered = state.answered.saturating_add(1);
        state.idle_since = Instant::now();
    }
}

/// How far an upgrade is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// None under way.
    #[default]
    None,
    /// Asked for: no byte passes until the server has answered.
    Asked,
    /// The server agreed: bytes are no longer HTTP.
    Done,
}

impl Wire {
    pub(crate) fn new() -> Arc<Self> {
        let state = State {
            passed: 0,
            taken: 0,
            answered: 0,
            idle_since: Instant::now(),
            refused: None,
            broken: None,
            upgrade: Upgrade::None,
            waker: None,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// The gate lets a head through.
    pub(crate) fn pass_head(&self, upgrade: bool) {
        let mut state = lock(&self.state);
        state.passed = state.passed.saturating_add(1);
        if upgrade {
            state.upgrade = Upgrade::Asked;
        }
    }

    /// The gate refuses a head and lets a placeholder through in its place.
    pub(crate) fn refuse_head(&self, fault: Fault) {
        let mut state = lock(&self.state);
        state.passed = state.passed.saturating_add(1);
        state.refused = Some((state.passed, fault));
    }

    /// The gate found a fault inside a body.
    pub(crate) fn break_body(&self, fault: Fault) {
        lock(&self.state).broken = Some(fault);
    }

    /// The flow takes up the next request; a fault says that it is a placeholder.
    pub(crate) fn take_up(self: &Arc<Self>) -> (UnderWay, Option<Fault>) {
        let mut state = lock(&self.state);
        state.taken = state.taken.saturating_add(1);
        let refused = state.refused.filter(|(number, _)| *number == state.taken);
        (UnderWay(Arc::clone(self)), refused.map(|(_, fault)| fault))
    }

    /// Since when no response is under way; `None` while one is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = lock(&self.state);
        (state.passed <= state.answered).then_some(state.idle_since)
    }

    /// The fault inside the body that was being read, once.
    pub(crate) fn take_broken(&self) -> Option<Fault> {
        lock(&self.state).broken.take()
    }

    /// The flow says how the upgrade ended.
    pub(crate) fn settle_upgrade(&self, agreed: bool) {
        let mut state = lock(&self.state);
        state.upgrade = if agreed { Upgrade::Done } else { Upgrade::None };
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// The gate asks how far an upgrade is, and is woken when it is settled.
    pub(crate) fn upgrade(&self, cx: &Context<'_>) -> Upgrade {
        let mut state = lock(&self.state);
        if state.upgrade == Upgrade::Asked {
            state.waker = Some(cx.waker().clone());
        }
        state.upgrade
    }
}
