//! Protected files: names that make a tool run code or reach servers later.
//!
//! The list is data (`data/protected.json`), versioned and shipped inside the program. A rule of
//! the manifest that names the very path, or a place below it, lifts the protection there.

mod data;
mod pattern;

use std::{collections::HashMap, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

use remit_core::{FileKind, PathScope, RuleRef};

pub use data::ProtectedError;
use data::{File, Guarded};
use pattern::{Match, Pattern};

/// Version of the shipped list.
pub const PROTECTED_VERSION: u32 = 1;

const SHIPPED: &str = include_str!("../../data/protected.json");

/// The compiled list.
#[derive(Debug)]
pub(crate) struct Protected {
    entries: Vec<Entry>,
    /// Entries by the name that they begin with, in lower case.
    by_name: HashMap<Box<[u8]>, Vec<usize>>,
    /// Entries that begin with a wildcard.
    by_glob: Vec<usize>,
    /// Last and first letters of `by_glob`.
    edges: [[bool; 256]; 2],
    /// A bit for each first letter and length of `by_name`: most names are turned away here.
    seen: [u64; 256],
    config: Arc<RuleRef>,
}

#[derive(Debug)]
struct Entry {
    pattern: Pattern,
    except: Vec<Pattern>,
    /// Whole endings of paths, from above the match on, that the entry does not mean.
    unless: Vec<Pattern>,
    guarded: Guarded,
    deletable: bool,
    at: Arc<RuleRef>,
}

/// What the list says about a write.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing.
    Free,
    /// It must not happen.
    Refused(Arc<RuleRef>),
    /// It may happen by a lock file's rename, if the content is judged harmless.
    Gated(Arc<RuleRef>),
}

impl Protected {
    /// The list that ships with this version.
    pub(crate) fn shipped() -> Result<Self, ProtectedError> {
        Self::new(&data::read(SHIPPED)?)
    }

    fn new(file: &File) -> Result<Self, ProtectedError> {
        let mut list = Self {
            entries: Vec::new(),
            by_name: HashMap::new(),
            by_glob: Vec::new(),
            edges: [[false; 256]; 2],
            seen: [0; 256],
            config: crate::policy::built_in("protected/git: configuration"),
        };
        for group in &file.groups {
            for rule in &group.rules {
                for text in &rule.paths {
                    list.push(&group.tool, text, rule)?;
                }
            }
        }
        Ok(list)
    }

    fn push(&mut self, tool: &str, text: &str, rule: &data::Rule) -> Result<(), ProtectedError> {
        let pattern = Pattern::parse(text, rule.any_case)?;
        let except = |text: &String| Pattern::parse(text, true);
        let index = self.entries.len();
        match pattern.first_name() {
            Some(name) => {
                if let Some(slot) = name.first().and_then(|b| self.seen.get_mut(usize::from(*b))) {
                    *slot |= length_bit(name.len());
                }
                self.by_name.entry(name.into()).or_default().push(index);
            }
            None => {
                let (last, first) = pattern.first_edge();
                // A name of wildcards alone would have to be tried on every path.
                if last.or(first).is_none() {
                    return Err(ProtectedError::Pattern(text.to_owned()));
                }
                for (letters, letter) in self.edges.iter_mut().zip([last, first]) {
                    if let Some(slot) = letter.and_then(|b| letters.get_mut(usize::from(b))) {
                        *slot = true;
                    }
                }
                self.by_glob.push(index);
            }
        }
        self.entries.push(Entry {
            pattern,
            except: rule.except.iter().map(except).collect::<Result<_, _>>()?,
            unless: rule.unless.iter().map(except).collect::<Result<_, _>>()?,
            guarded: rule.guarded,
            deletable: rule.deletable,
            at: crate::policy::built_in(&format!("protected/{tool}: {text}")),
        });
        Ok(())
    }

    /// Judges a write to `path` that the rule with `scope` would permit. `moved` is where the
    /// entry comes from, unchanged, and how far below the renamed folder it lies.
    pub(crate) fn judge(
        &self,
        path: &Path,
        scope: &PathScope,
        kind: Option<FileKind>,
        delete: bool,
        moved: Option<(&Path, usize)>,
    ) -> Verdict {
        let parts = Parts::of(path);
        let mut gated = None;
        // How many components the rule itself names.
        let named = scope.depth().saturating_sub(1);
        for (start, name) in parts.iter().enumerate() {
            for entry in self.candidates(name) {
                let Some(found) = entry.matches(&parts, start) else { continue };
                let lifted = named >= start.saturating_add(found.anchor);
                let gone = delete && (entry.deletable || !found.complete);
                if lifted || gone || entry.permits(found, kind) {
                    continue;
                }
                if moved.is_some_and(|(from, below)| entry.came_along(from, &parts, start, below)) {
                    continue;
                }
                // What is gated by content is a regular file.
                let file = kind.is_none_or(|kind| kind == FileKind::File);
                if !(found.complete && entry.guarded == Guarded::Config && file) {
                    return Verdict::Refused(Arc::clone(&entry.at));
                }
                gated = Some(entry);
            }
        }
        gated.map_or(Verdict::Free, |entry| Verdict::Gated(Arc::clone(&entry.at)))
    }

    /// The built-in rule that judges version-control configuration.
    pub(crate) fn config_rule(&self) -> Arc<RuleRef> {
        Arc::clone(&self.config)
    }

    fn candidates(&self, name: &[u8]) -> impl Iterator<Item = &Entry> {
        let named = self.named(name).unwrap_or(&[]);
        let [lasts, firsts] = &self.edges;
        let hit = |letters: &[bool; 256], letter: Option<&u8>| {
            letter.and_then(|b| letters.get(usize::from(b.to_ascii_lowercase()))) == Some(&true)
        };
        // What a list may end a name in begins with a dot, and most names have none.
        let ends = || name.contains(&b'.') && hit(lasts, name.last());
        let globs: &[usize] = if hit(firsts, name.first()) || ends() { &self.by_glob } else { &[] };
        named.iter().chain(globs).filter_map(|index| self.entries.get(*index))
    }

    fn named(&self, name: &[u8]) -> Option<&[usize]> {
        let first = name.first()?.to_ascii_lowercase();
        if self.seen.get(usize::from(first))? & length_bit(name.len()) == 0 {
            return None;
        }
        // Longer names than this are in no list; see the bit for lengths.
        let mut buffer = [0_u8; 64];
        let lower = buffer.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.by_name.get(&*lower).map(Vec::as_slice)
    }
}

impl Entry {
    /// Whether an object of this kind may stand at the match.
    fn permits(&self, found: Match, kind: Option<FileKind>) -> bool {
        if found.complete {
            // A folder of that name is what the tool makes itself.
            return self.guarded == Guarded::Pointer && kind == Some(FileKind::Folder);
        }
        // On the way to a protected name a link would put unprotected names in its place.
        match kind {
            Some(FileKind::Folder | FileKind::File) => true,
            Some(_) => false,
            None => found.loose,
        }
    }

    fn matches(&self, parts: &Parts<'_>, start: usize) -> Option<Match> {
        let found = self.pattern.matches(parts.from(start))?;
        let ends = |pattern: &Pattern, above: usize| {
            pattern.matches(parts.from(above)).is_some_and(|found| found.complete)
        };
        if self.unless.iter().any(|one| (0..start).any(|above| ends(one, above))) {
            return None;
        }
        let excepted = |except: &Pattern| {
            except.matches(parts.from(start)).is_some_and(|found| found.complete)
        };
        (!self.except.iter().any(excepted)).then_some(found)
    }

    /// Whether the entry was protected by this very rule before a folder above all of it moved.
    fn came_along(&self, from: &Path, parts: &Parts<'_>, start: usize, below: usize) -> bool {
        let before = Parts::of(from);
        let length = parts.len().saturating_sub(start);
        // The whole match lies inside the moved folder, and is the same there as here.
        length <= below
            && before.len().checked_sub(length).is_some_and(|start_before| {
                before.from(start_before) == parts.from(start)
                    && self.matches(&before, start_before).is_some()
            })
    }
}

const fn length_bit(length: usize) -> u64 {
    if length < 64 { 1 << length } else { 0 }
}

/// The names of a path. Paths have few components, so they mostly live on the stack.
struct Parts<'p> {
    few: [&'p [u8]; 24],
    many: Vec<&'p [u8]>,
    count: usize,
}

impl<'p> Parts<'p> {
    fn of(path: &'p Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        let mut parts = Self { few: [&[]; 24], many: Vec::new(), count: 0 };
        for name in bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            match parts.few.get_mut(parts.count) {
                Some(slot) if parts.many.is_empty() => *slot = name,
                _ => {
                    if parts.many.is_empty() {
                        parts.many = parts.few.to_vec();
                    }
                    parts.many.push(name);
                }
            }
            parts.count = parts.count.saturating_add(1);
        }
        parts
    }

    fn all(&self) -> &[&'p [u8]] {
        let names = if self.many.is_empty() { &self.few[..] } else { &self.many };
        names.get(..self.count).unwrap_or(names)
    }

    fn iter(&self) -> impl Iterator<Item = &'p [u8]> + '_ {
        self.all().iter().copied()
    }

    const fn len(&self) -> usize {
        self.count
    }

    fn from(&self, start: usize) -> &[&'p [u8]] {
        self.all().get(start..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests;
