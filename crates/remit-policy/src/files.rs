//! File rules: the longest path wins, found in a sorted list by one binary search.

use std::{cmp::Ordering, os::unix::ffi::OsStrExt, path::Path};

use remit_core::FileMode;
use remit_manifest::FileRule;

/// File rules sorted so that every folder stands right before what lies below it. Each knows the
/// longest rule above it, so the rules that cover a path are a chain.
#[derive(Debug, Default)]
pub(crate) struct FileRules {
    rules: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    rule: FileRule,
    above: Option<usize>,
}

impl FileRules {
    pub(crate) fn new(rules: &[FileRule]) -> Self {
        let mut sorted: Vec<&FileRule> = rules.iter().collect();
        sorted.sort_by(|a, b| order(bytes(a.scope.as_path()), bytes(b.scope.as_path())));
        sorted.dedup_by(|b, a| a.scope == b.scope);
        let mut entries: Vec<Entry> = Vec::with_capacity(sorted.len());
        for rule in sorted {
            // The entry before is a rule above this one, or shares the nearest rule above.
            let mut above = entries.len().checked_sub(1);
            while let Some(entry) = above.and_then(|index| entries.get(index)) {
                if entry.rule.scope.covers(rule.scope.as_path()) {
                    break;
                }
                above = entry.above;
            }
            entries.push(Entry { rule: rule.clone(), above });
        }
        Self { rules: entries }
    }

    /// The rule with the longest path that covers `path`.
    pub(crate) fn covering(&self, path: &Path) -> Option<&FileRule> {
        let path = bytes(path);
        let after = self.rules.partition_point(|entry| {
            order(bytes(entry.rule.scope.as_path()), path) != Ordering::Greater
        });
        let mut next = after.checked_sub(1);
        while let Some(entry) = next.and_then(|index| self.rules.get(index)) {
            if covers(bytes(entry.rule.scope.as_path()), path) {
                return Some(&entry.rule);
            }
            next = entry.above;
        }
        None
    }

    /// Whether the agent may write to `path` under some rule, now or after a yes.
    pub(crate) fn writable(&self, path: &Path) -> bool {
        self.covering(path).is_some_and(|rule| rule.mode == FileMode::Write)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &FileRule> {
        self.rules.iter().map(|entry| &entry.rule)
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Order by component: a slash sorts before every other byte.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let key = |rest: Option<&u8>| {
        rest.map_or(0, |byte| if *byte == b'/' { 1 } else { u16::from(*byte) + 2 })
    };
    key(a.get(same)).cmp(&key(b.get(same)))
}

/// Whether `scope` (normalised) is `path` or lies above it.
fn covers(scope: &[u8], path: &[u8]) -> bool {
    match path.strip_prefix(scope) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/") || scope == b"/",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_keeps_folders_before_their_contents() {
        assert_eq!(order(b"/a", b"/a/b"), Ordering::Less);
        assert_eq!(order(b"/a/b", b"/a-b"), Ordering::Less);
        assert_eq!(order(b"/", b"/a"), Ordering::Less);
        assert!(covers(b"/", b"/a"));
        assert!(!covers(b"/a", b"/ab"));
    }
}
