//! Values that several keys share: names, times, sizes, paths.

use std::{path::PathBuf, sync::Arc};

use jsonc_parser::ast::Value;
use remit_core::{DataClass, PathError, PathScope, Timestamp};

use super::cursor::{Cursor, Item, shorten};
use crate::{Problem, Sha256Digest, units, words::nearest};

impl Cursor<'_> {
    /// 1 to `most` characters, none of them a control character.
    pub(super) fn text(&mut self, item: &Item<'_, '_>, most: usize) -> Option<Arc<str>> {
        let text = self.string(item)?;
        if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
            self.problem(item, Problem::Text(most));
            return None;
        }
        Some(text.into())
    }

    /// An RFC 3339 time.
    pub(super) fn time(&mut self, item: &Item<'_, '_>) -> Option<Timestamp> {
        let text = self.string(item)?;
        text.parse().map_err(|error| self.problem(item, Problem::Time(error))).ok()
    }

    /// A SHA-256 digest.
    pub(super) fn sha256(&mut self, item: &Item<'_, '_>) -> Option<Sha256Digest> {
        let digest = units::sha256(self.string(item)?);
        if digest.is_none() {
            self.problem(item, Problem::Sha256);
        }
        digest.map(Sha256Digest)
    }

    /// A whole number without sign, fraction or exponent.
    pub(super) fn whole(item: &Item<'_, '_>) -> Option<u64> {
        match item.value {
            Value::NumberLit(number) if number.value.bytes().all(|b| b.is_ascii_digit()) => {
                number.value.parse().ok()
            }
            _ => None,
        }
    }

    /// A path as rules take it: absolute, or beginning with `~` or `${WORKDIR}`.
    pub(super) fn path(&mut self, item: &Item<'_, '_>) -> Option<PathScope> {
        let text = self.string(item)?;
        let expanded = match expand(text, self.variables) {
            Ok(path) => path,
            Err(problem) => {
                self.problem(item, problem);
                return None;
            }
        };
        if text.contains(['*', '?', '[']) {
            self.problem(item, Problem::PathWildcard);
            return None;
        }
        PathScope::new(expanded).map_err(|error| self.problem(item, Problem::Path(error))).ok()
    }

    /// A class of findings or a group.
    pub(super) fn class(&mut self, item: &Item<'_, '_>, text: &str) -> Option<DataClass> {
        if let Some(class) = DataClass::parse(text) {
            return Some(class);
        }
        let near = nearest(text, DataClass::fixed());
        self.problem(
            item,
            Problem::UnknownWord {
                word: shorten(text),
                expected: "a class or group of findings",
                nearest: near.map(str::to_owned),
            },
        );
        None
    }
}

/// `~`, `~/…`, `${WORKDIR}`, `${WORKDIR}/…` and absolute paths.
fn expand(text: &str, variables: &crate::Variables) -> Result<PathBuf, Problem> {
    let below = |base: &PathBuf, rest: &str| -> Result<PathBuf, Problem> {
        match rest.strip_prefix('/') {
            // `join` would let a second slash replace the base.
            Some(inner) => Ok(base.join(inner.trim_start_matches('/'))),
            None if rest.is_empty() => Ok(base.clone()),
            None => Err(Problem::Variable),
        }
    };
    if let Some(rest) = text.strip_prefix('~') {
        below(&variables.home, rest)
    } else if let Some(rest) = text.strip_prefix("${WORKDIR}") {
        below(&variables.workdir, rest)
    } else if text.starts_with('$') {
        Err(Problem::Variable)
    } else if text.starts_with('/') {
        Ok(text.into())
    } else {
        Err(Problem::Path(PathError::Relative))
    }
}
