//! What the surroundings say a value is.

use crate::{
    context::{Columns, Memory, Role, label},
    text::part,
};

/// Words count so far before a value.
const NEAR: usize = 72;

/// Labels that say nothing about what kind of value follows.
const OPEN: [&str; 32] = [
    "value",
    "values",
    "number",
    "no",
    "num",
    "nr",
    "text",
    "content",
    "data",
    "input",
    "home",
    "work",
    "main",
    "primary",
    "message",
    "body",
    "msg",
    "note",
    "notes",
    "line",
    "q",
    "query",
    "args",
    "arguments",
    "output",
    "stdout",
    "description",
    "comment",
    "summary",
    "details",
    "office",
    "private",
];

/// The surroundings' answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cue {
    /// They name what was asked for.
    Yes,
    /// They name something else.
    No,
    /// They say nothing.
    Silent,
}

/// A text and what the walk knows about what came before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) memory: &'a Memory,
    pub(crate) columns: &'a Columns,
}

impl Around<'_> {
    /// Whether the value at `at` is what one of `roles` names.
    pub(crate) fn cue(&self, at: usize, roles: &[Role]) -> Cue {
        let role = self.labelled(at).or_else(|| {
            // A column's name says more than a word that happens to stand nearby.
            let column = self.columns.role(self.text, at, roles);
            column.map(Some).or_else(|| self.nearby(at).map(Some))
        });
        match role {
            Some(Some(role)) if roles.contains(&role) => Cue::Yes,
            Some(_) => Cue::No,
            None => Cue::Silent,
        }
    }

    /// The role that the label names; `Some(None)`: it names something unknown.
    fn labelled(&self, at: usize) -> Option<Option<Role>> {
        let label = label(self.text, at)?;
        let within = self.latest(label.name.start, at);
        if within.is_some() {
            return Some(within);
        }
        let name = part(self.text, label.name.clone()).to_ascii_lowercase();
        let open = OPEN.iter().any(|word| word.as_bytes() == name.as_slice());
        (label.field && !open).then_some(None)
    }

    /// The role of the last word before, on the same line.
    fn nearby(&self, at: usize) -> Option<Role> {
        let from = at.saturating_sub(NEAR);
        let front = part(self.text, from..at);
        let from = memchr::memrchr(b'\n', front).map_or(from, |found| from + found);
        self.latest(from, at)
    }

    /// The role of the last word between two places.
    fn latest(&self, from: usize, at: usize) -> Option<Role> {
        let roles = Role::ALL.map(|(role, _)| role);
        self.memory.nearest(&roles, from, at)
    }

    /// Whether words stand before the value on its line, rather than numbers and marks alone.
    pub(crate) fn worded(&self, at: usize) -> bool {
        let line = crate::text::line(self.text, at);
        let front = part(self.text, line.start..at);
        front.iter().filter(|byte| byte.is_ascii_alphabetic() || **byte >= 0x80).count() >= 4
    }

    /// Whether `word` (lower case) stands shortly before `at`, on the same line.
    pub(crate) fn said(&self, at: usize, word: &[u8]) -> bool {
        let from = at.saturating_sub(NEAR);
        let front = part(self.text, from..at);
        let from = memchr::memrchr(b'\n', front).map_or(0, |found| found + 1);
        crate::text::mentions(front.get(from..).unwrap_or_default(), word)
    }
}
