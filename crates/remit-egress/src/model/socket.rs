//! Model traffic over WebSocket: one JSON text a message.

use std::sync::Arc;

use remit_core::ModelApi;

use super::{Restored, Vault, response::Turn};

/// Restores the messages that come from a model over one connection.
#[derive(Debug)]
pub struct Socket {
    turn: Turn,
}

impl Socket {
    pub(crate) fn new(vault: Arc<Vault>, api: ModelApi) -> Self {
        Self { turn: Turn::new(vault, api) }
    }

    /// Takes one text message and gives the messages that go on in its place: itself, restored, and
    /// before it those that carry text held so far.
    pub fn message(&mut self, message: Vec<u8>) -> Vec<Vec<u8>> {
        let step = self.turn.event(&[], &message, false);
        let mut messages: Vec<_> = step.before.into_iter().map(|made| made.json).collect();
        messages.push(step.json.unwrap_or(message));
        messages
    }

    /// The connection ends: messages with what was held.
    pub fn finish(&mut self) -> Vec<Vec<u8>> {
        self.turn.end().into_iter().map(|made| made.json).collect()
    }

    /// What was done so far.
    pub fn restored(&self) -> Restored {
        self.turn.counts()
    }

    /// The most bytes of a text that are held back at the moment.
    pub fn held(&self) -> usize {
        self.turn.held()
    }
}
