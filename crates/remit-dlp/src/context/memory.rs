//! The words that the walk has passed lately.

use super::{Role, Word};

/// For each role, where its last word stood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    last: [Option<(usize, usize)>; Role::ALL.len()],
}

impl Memory {
    /// Notes a word.
    pub(crate) fn note(&mut self, word: Word) {
        if let Some(slot) = self.last.get_mut(word.role.index()) {
            *slot = Some((word.start, word.end));
        }
    }

    /// The last word of this role: where it started and ended.
    pub(crate) fn last(&self, role: Role) -> Option<(usize, usize)> {
        self.last.get(role.index()).copied().flatten()
    }

    /// The role among `roles` whose word is the nearest one before `at`, not earlier than `from`.
    pub(crate) fn nearest(&self, roles: &[Role], from: usize, at: usize) -> Option<Role> {
        roles
            .iter()
            .filter_map(|role| Some((self.last(*role)?, *role)))
            .filter(|((start, end), _)| *start >= from && *end <= at)
            .max_by_key(|((_, end), _)| *end)
            .map(|(_, role)| role)
    }

    /// Moves every position back: the text lost its first `count` bytes.
    pub(crate) fn shift(&mut self, count: usize) {
        for slot in &mut self.last {
            *slot = slot.and_then(|(start, end)| {
                Some((start.checked_sub(count)?, end.checked_sub(count)?))
            });
        }
    }
}
