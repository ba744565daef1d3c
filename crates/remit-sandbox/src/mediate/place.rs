//! Which world a path belongs to.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf};

/// Who serves a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The kernel, under Landlock.
    Native,
    /// The mediator, without a decision.
    Scratch,
    /// The mediator, after the guard's decision.
    Data,
}

/// The view's prefixes; the longest wins.
#[derive(Debug)]
pub(super) struct Places {
    prefixes: Vec<(Vec<u8>, Class)>,
}

impl Places {
    pub(super) fn new(native: &[PathBuf], scratch: &[PathBuf], granted: &[PathBuf]) -> Self {
        let bytes = |path: &PathBuf| normal(path.as_os_str().as_bytes()).0;
        // Granted places come first: of two prefixes of one length the first wins.
        let mut prefixes: Vec<_> = granted
            .iter()
            .map(|path| (bytes(path), Class::Data))
            .chain(native.iter().map(|path| (bytes(path), Class::Native)))
            .chain(scratch.iter().map(|path| (bytes(path), Class::Scratch)))
            .collect();
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Self { prefixes }
    }

    /// The class of a normalised absolute path.
    pub(super) fn class(&self, path: &[u8]) -> Class {
        self.prefixes
            .iter()
            .find(|(prefix, _)| covers(prefix, path))
            .map_or(Class::Data, |(_, class)| *class)
    }
}

/// Whether `path` is `prefix` or below it, by component.
pub(super) fn covers(prefix: &[u8], path: &[u8]) -> bool {
    prefix == b"/"
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

/// Lexical normal form of an absolute path: no `.`, no doubled or final slashes; `..` takes its
/// parent away and is reported, because with symlinks it may mean something else.
pub(super) fn normal(path: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(path.len().saturating_add(1));
    let mut parents = false;
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parents = true;
                let keep = out.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                out.truncate(keep);
            }
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    (out, parents)
}

/// `dir` with `name` below it.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(dir.len().saturating_add(name.len()).saturating_add(1));
    out.extend_from_slice(dir);
    if out.last() != Some(&b'/') {
        out.push(b'/');
    }
    out.extend_from_slice(name);
    out
}

/// Bytes as a path.
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_and_components_are_whole() {
        let places = Places::new(
            &["/usr".into(), "/dev".into()],
            &["/dev/shm".into(), "/tmp/".into()],
            &["/tmp/project".into()],
        );
        assert_eq!(places.class(b"/tmp/project/x"), Class::Data);
        assert_eq!(places.class(b"/tmp/projects"), Class::Scratch);
        assert_eq!(places.class(b"/usr/lib/x"), Class::Native);
        assert_eq!(places.class(b"/usrlocal"), Class::Data);
        assert_eq!(places.class(b"/dev/null"), Class::Native);
        assert_eq!(places.class(b"/dev/shm/a"), Class::Scratch);
        assert_eq!(places.class(b"/tmp"), Class::Scratch);
        assert_eq!(places.class(b"/"), Class::Data);
    }

    #[test]
    fn normal_form() {
        assert_eq!(normal(b"//a/./b///c/"), (b"/a/b/c".to_vec(), false));
        assert_eq!(normal(b"/a/../../b"), (b"/b".to_vec(), true));
        assert_eq!(normal(b"///"), (b"/".to_vec(), false));
    }
}
