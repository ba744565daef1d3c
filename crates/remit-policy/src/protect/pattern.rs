//! The small pattern language of the list: names between slashes. `*` stands for any part of one
//! name, `**` for any number of names; at the end, `/**` also means the folder itself.

use super::ProtectedError;

/// A pattern over the trailing components of a path.
#[derive(Debug)]
pub(super) struct Pattern {
    steps: Vec<Step>,
    /// How many components the protected place has, before a trailing `/*` or `/**`.
    tail: Tail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// The place itself.
    Here,
    /// `/*`: what stands directly in it.
    Inside,
    /// `/**`: it and everything below it.
    Below,
}

#[derive(Debug)]
enum Step {
    Name(Part),
    Any,
}

/// A pattern for one name, with at most one `*`.
#[derive(Debug)]
pub(super) struct Part {
    before: Box<[u8]>,
    /// What follows the star; absent when there is none.
    after: Option<Box<[u8]>>,
    any_case: bool,
}

/// A place in a path that a pattern fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// Whether the path is protected, or only on the way to a protected name.
    pub(super) complete: bool,
    /// How many components from the start name the protected place itself.
    pub(super) anchor: usize,
    /// Whether `**` stands for the last of them, so that ordinary files are ordinary there.
    pub(super) loose: bool,
}

impl Pattern {
    pub(super) fn parse(text: &str, any_case: bool) -> Result<Self, ProtectedError> {
        let bad = || ProtectedError::Pattern(text.to_owned());
        let (body, tail) = if let Some(body) = text.strip_suffix("/**") {
            (body, Tail::Below)
        } else if let Some(body) = text.strip_suffix("/*") {
            (body, Tail::Inside)
        } else {
            (text, Tail::Here)
        };
        let mut steps = Vec::new();
        for name in body.split('/') {
            match name {
                "" | "." | ".." => return Err(bad()),
                "**" => steps.push(Step::Any),
                name => steps.push(Step::Name(Part::parse(name, any_case)?)),
            }
        }
        if matches!(steps.first(), Some(Step::Any)) || matches!(steps.last(), Some(Step::Any)) {
            return Err(bad());
        }
        Ok(Self { steps, tail })
    }

    /// For a first name `*.ending` its last letter, for one `beginning*` its first: lower case.
    /// Neither for any other.
    pub(super) fn first_edge(&self) -> (Option<u8>, Option<u8>) {
        let Some(Step::Name(Part { before, after: Some(after), .. })) = self.steps.first() else {
            return (None, None);
        };
        let last = after.last().filter(|_| after.starts_with(b".")).map(u8::to_ascii_lowercase);
        let first = before.first().filter(|_| after.is_empty()).map(u8::to_ascii_lowercase);
        (last, first)
    }

    /// The first name in lower case, where it has no wildcard.
    pub(super) fn first_name(&self) -> Option<Vec<u8>> {
        match self.steps.first() {
            Some(Step::Name(Part { before, after: None, .. })) => Some(before.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// Whether the components, from the first on, are protected or on the way to it.
    pub(super) fn matches(&self, parts: &[&[u8]]) -> Option<Match> {
        fit(&self.steps, parts, 0, self.tail)
    }
}

/// `used` components are spent already.
fn fit(steps: &[Step], parts: &[&[u8]], used: usize, tail: Tail) -> Option<Match> {
    let Some((step, rest)) = steps.split_first() else {
        return match (tail, parts.len()) {
            (Tail::Here, 0) | (Tail::Inside, 1) | (Tail::Below, _) => {
                Some(Match { complete: true, anchor: used, loose: false })
            }
            (Tail::Inside, 0) => Some(Match { complete: false, anchor: used, loose: false }),
            (Tail::Here | Tail::Inside, _) => None,
        };
    };
    let Some((part, others)) = parts.split_first() else {
        // The path ends before the pattern does: it is on the way, unless that is nowhere.
        return (used > 0).then_some(Match { complete: false, anchor: used, loose: false });
    };
    match step {
        Step::Name(name) => {
            if !name.matches(part) {
                return None;
            }
            fit(rest, others, used.saturating_add(1), tail)
        }
        Step::Any => {
            let mut way = None;
            for skip in 0..=parts.len() {
                let here = parts.get(skip..).unwrap_or(&[]);
                match fit(rest, here, used.saturating_add(skip), tail) {
                    Some(found) if found.complete => return Some(found),
                    found => way = way.or(found.map(|found| Match { loose: true, ..found })),
                }
            }
            way
        }
    }
}

impl Part {
    pub(super) fn parse(text: &str, any_case: bool) -> Result<Self, ProtectedError> {
        let (before, after) = match text.split_once('*') {
            None => (text, None),
            Some((_, after)) if after.contains('*') => {
                return Err(ProtectedError::Pattern(text.to_owned()));
            }
            Some((before, after)) => (before, Some(after.as_bytes().into())),
        };
        if text.contains(['?', '[', '\\', '/']) {
            return Err(ProtectedError::Pattern(text.to_owned()));
        }
        Ok(Self { before: before.as_bytes().into(), after, any_case })
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            if self.any_case { a.eq_ignore_ascii_case(b) } else { a == b }
        };
        let Some(after) = &self.after else { return same(&self.before, name) };
        let Some((head, rest)) = name.split_at_checked(self.before.len()) else { return false };
        let Some(middle) = rest.len().checked_sub(after.len()) else { return false };
        let Some((_, tail)) = rest.split_at_checked(middle) else { return false };
        same(&self.before, head) && same(after, tail)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(pattern: &str, path: &str) -> Option<(bool, usize)> {
        let parts: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
        let found = Pattern::parse(pattern, true).unwrap().matches(&parts)?;
        Some((found.complete, found.anchor))
    }

    #[test]
    fn patterns_fit_components() {
        assert_eq!(found(".git/hooks/*", ".git/hooks/pre-commit"), Some((true, 2)));
        assert_eq!(found(".git/hooks/*", ".GIT/Hooks"), Some((false, 2)));
        assert_eq!(found(".git/hooks/*", ".git/hooks/a/b"), None);
        assert_eq!(found(".git/hooks/*", ".git/hookss/a"), None);
        assert_eq!(found(".claude/**", ".claude"), Some((true, 1)));
        assert_eq!(found(".claude/**", ".claude/a/b"), Some((true, 1)));
        assert_eq!(found(".git/modules/**/config", ".git/modules/a/b/config"), Some((true, 5)));
        assert_eq!(found(".git/modules/**/config", ".git/modules/config"), Some((true, 3)));
        assert_eq!(found(".git/modules/**/config", ".git/modules/a"), Some((false, 3)));
        assert_eq!(found("*.git/config", "x.git/config"), Some((true, 2)));
        assert_eq!(found("a*b", "ab"), Some((true, 1)));
        assert_eq!(found("a*ba", "aba"), Some((true, 1)));
        assert_eq!(found("ab*ba", "aba"), None);
        for bad in ["", "/a", "a//b", "**/a", "a/../b", "a/**/**", "[a]", "**"] {
            assert!(Pattern::parse(bad, true).is_err(), "{bad}");
        }
    }
}
