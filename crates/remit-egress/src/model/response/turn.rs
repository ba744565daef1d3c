//! The events of one answer, whatever they are wrapped in.

use std::{borrow::Cow, sync::Arc};

use remit_core::ModelApi;

use super::{
    Restored,
    deltas::{Delta, Plan, Slot},
    restore,
};
use crate::model::{
    Vault,
    field::{Role, Roles, looks_opaque},
    json::{Edit, Kind, Node, Tape, map_to_raw, splice, unescape},
    vault::Thought,
};

/// Restores the events of one answer (or of one connection).
#[derive(Debug)]
pub(crate) struct Turn {
    vault: Arc<Vault>,
    api: ModelApi,
    held: Vec<Held>,
    thoughts: Vec<(Slot, Thought)>,
    counts: Restored,
}

/// What becomes of an event.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Events that carry text held so far; they go before it.
    pub(crate) before: Vec<Event>,
    /// The event's text when it changed.
    pub(crate) json: Option<Vec<u8>>,
}

/// An event of our own making, in the shape of one that came.
#[derive(Debug)]
pub(crate) struct Event {
    /// What the framing remembered of the one that came.
    pub(crate) frame: Box<[u8]>,
    pub(crate) json: Vec<u8>,
}

/// A part of a text that arrives in parts.
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    /// How often values are escaped.
    pub(super) times: u8,
    /// Whether nothing follows.
    pub(super) last: bool,
}

/// The end of a text that may begin a pseudonym, and the event that will carry it.
#[derive(Debug)]
struct Held {
    slot: Slot,
    text: String,
    frame: Box<[u8]>,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Turn {
    pub(crate) fn new(vault: Arc<Vault>, api: ModelApi) -> Self {
        Self { vault, api, held: Vec::new(), thoughts: Vec::new(), counts: Restored::default() }
    }

    /// Takes an event. `frame` comes back with the events made in its shape. When it is the `last`
    /// one, nothing is held.
    pub(crate) fn event(&mut self, frame: &[u8], json: &[u8], last: bool) -> Step {
        let Ok(tape) = Tape::read(json) else {
            self.unread();
            return Step { before: if last { self.end() } else { Vec::new() }, json: None };
        };
        let plan = Plan::of(&tape, last);
        let mut step = Step::default();
        let mut at = 0;
        while let Some(held) = self.held.get(at) {
            let goes_on = plan.deltas.iter().any(|delta| delta.slot == held.slot);
            if plan.closes(&held.slot) && !goes_on {
                step.before.push(self.held.remove(at).event());
            } else {
                at = at.saturating_add(1);
            }
        }
        self.think(&tape, &plan);
        if plan.deltas.is_empty() && !may_hold_pseudonyms(json) && !may_hold_thinking(json) {
            return step;
        }
        let mut edits = Vec::new();
        let mut roles = Roles::new(self.api, &tape);
        let mut deltas = plan.deltas.iter().peekable();
        for (index, node) in tape.nodes() {
            let Some(role) = roles.next(index) else { continue };
            let first = edits.len();
            match deltas.next_if(|delta| delta.node == index) {
                Some(delta) => self.delta(&tape, node, delta, &plan, frame, &mut edits),
                None if role == Role::Kept => {
                    if !plan.thoughts.iter().any(|(thought, _)| *thought == index) {
                        self.whole_thought(&said(&tape, node));
                    }
                }
                None => self.whole(&tape, node, role, &mut edits),
            }
            let own = edits.get_mut(first..).unwrap_or_default();
            if node.escaped {
                map_to_raw(tape.raw(node), own.iter_mut().map(|edit| &mut edit.range));
            }
            let start = node.range().start;
            for edit in own {
                edit.range =
                    start.saturating_add(edit.range.start)..start.saturating_add(edit.range.end);
            }
        }
        if !edits.is_empty() {
            let mut text = Vec::with_capacity(json.len());
            splice(json, &edits, &mut text);
            step.json = Some(text);
        }
        step
    }

    /// The answer has ended: events with everything that was held.
    pub(crate) fn end(&mut self) -> Vec<Event> {
        for (_, thought) in self.thoughts.drain(..) {
            self.vault.hear(thought);
        }
        self.held.drain(..).map(Held::event).collect()
    }

    /// Notes something that went through unread.
    pub(crate) fn unread(&mut self) {
        self.counts.unread = self.counts.unread.saturating_add(1);
    }

    /// What was done so far.
    pub(crate) fn counts(&self) -> Restored {
        self.counts
    }

    /// The changes of the next part of a text outside events, and what is held of it.
    pub(super) fn part(&mut self, held: &str, part: &Part<'_>) -> (Vec<Edit>, String) {
        restore::part(&self.vault, held, part, &mut self.counts)
    }

    /// The most bytes held of one text.
    pub(crate) fn held(&self) -> usize {
        self.held.iter().map(|held| held.text.len()).max().unwrap_or(0)
    }

    /// Remembers thinking that goes on or ends with an event.
    fn think(&mut self, tape: &Tape<'_>, plan: &Plan) {
        let mut at = 0;
        while let Some((slot, _)) = self.thoughts.get(at) {
            if plan.closes(slot) {
                let (_, thought) = self.thoughts.remove(at);
                self.vault.hear(thought);
            } else {
                at = at.saturating_add(1);
            }
        }
        for (node, slot) in &plan.thoughts {
            let Some(node) = tape.node(*node) else { continue };
            let room = self.thoughts.len() < MAX_HELD;
            match self.thoughts.iter_mut().find(|(open, _)| open == slot) {
                Some((_, thought)) => thought.goes_on(&said(tape, node)),
                None if room => {
                    let mut thought = self.vault.thought();
                    thought.goes_on(&said(tape, node));
                    self.thoughts.push((slot.clone(), thought));
                }
                None => {}
            }
        }
    }

    fn whole_thought(&self, text: &str) {
        if !text.is_empty() {
            let mut thought = self.vault.thought();
            thought.goes_on(text);
            self.vault.hear(thought);
        }
    }

    fn delta(
        &mut self,
        tape: &Tape<'_>,
        node: &Node,
        delta: &Delta,
        plan: &Plan,
        frame: &[u8],
        out: &mut Vec<Edit>,
    ) {
        let before = self.held.iter().position(|held| held.slot == delta.slot);
        let held = before.map(|at| self.held.remove(at).text).unwrap_or_default();
        let text = said(tape, node);
        let full = self.held.len() >= MAX_HELD;
        let part = Part {
            text: &text,
            times: delta.times.saturating_add(1),
            last: full || plan.closes(&delta.slot),
        };
        let (edits, rest) = restore::part(&self.vault, &held, &part, &mut self.counts);
        out.extend(edits);
        if !rest.is_empty() {
            let (before, after) = delta.shape(tape, node);
            let slot = delta.slot.clone();
            self.held.push(Held { slot, text: rest, frame: frame.into(), before, after });
        }
    }

    fn whole(&mut self, tape: &Tape<'_>, node: &Node, role: Role, out: &mut Vec<Edit>) {
        let times = match role {
            Role::Text | Role::Key => 1,
            // A value in JSON in a string.
            Role::Nested => 2,
            Role::Data if !looks_opaque(tape.raw(node)) => 1,
            Role::Kept | Role::Opaque | Role::Data | Role::Id | Role::Word | Role::Base64 => return,
        };
        out.extend(restore::edits(&self.vault, &said(tape, node), times, &mut self.counts));
    }
}

impl Held {
    /// An event in the shape of the one that the text came in.
    fn event(self) -> Event {
        let mut json = self.before;
        // Never anything but capitals, digits and a dash: nothing to escape.
        json.extend_from_slice(self.text.as_bytes());
        json.extend_from_slice(&self.after);
        Event { frame: self.frame, json }
    }
}

fn said<'a>(tape: &Tape<'a>, node: &Node) -> Cow<'a, str> {
    debug_assert!(matches!(node.kind, Kind::String | Kind::Key));
    if node.escaped { unescape(tape.raw(node)) } else { Cow::Borrowed(tape.raw(node)) }
}

/// Whether a JSON text can hold a whole pseudonym, also one with an escaped character.
fn may_hold_pseudonyms(json: &[u8]) -> bool {
    crate::model::pseudonym::next_prefix(json, 0).is_some()
        || memchr::memmem::find(json, b"\\u").is_some()
}

/// Whether a JSON text can hold thinking.
fn may_hold_thinking(json: &[u8]) -> bool {
    [b"hinking".as_slice(), b"reasoningContent", b"\"thought\""]
        .into_iter()
        .any(|word| memchr::memmem::find(json, word).is_some())
}

/// Texts of which something is held at a time; beyond that a split pseudonym stays one.
const MAX_HELD: usize = 256;
