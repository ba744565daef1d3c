//! Paths as rules see them: absolute, normalised, compared by component.

use std::{
    ffi::OsString,
    fmt,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

/// Why a text cannot be a scope.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// Scopes are absolute.
    #[error("the path is not absolute")]
    Relative,
    /// `..` would make the scope mean something else than it says.
    #[error("the path contains `..`")]
    Parent,
    /// The kernel cannot express it.
    #[error("the path contains a NUL byte")]
    Nul,
    /// Longer than the kernel's PATH_MAX (4096).
    #[error("the path is longer than 4096 bytes")]
    TooLong,
}

/// A file, or a folder with everything below it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathScope(PathBuf);

impl PathScope {
    /// A scope from an absolute path. `.` and repeated slashes are dropped; `..` is refused.
    ///
    /// # Errors
    /// [`PathError`] says which rule the path breaks.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, PathError> {
        let path = path.as_ref();
        let bytes = path.as_os_str().as_bytes();
        if bytes.contains(&0) {
            return Err(PathError::Nul);
        }
        if bytes.len() > 4096 {
            return Err(PathError::TooLong);
        }
        if !path.is_absolute() {
            return Err(PathError::Relative);
        }
        let mut normal = PathBuf::from("/");
        for part in path.components() {
            match part {
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
                Component::ParentDir => return Err(PathError::Parent),
                Component::Normal(name) => normal.push(name),
            }
        }
        Ok(Self(normal))
    }

    /// The normalised path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether `path` is this scope or lies below it, compared by component.
    pub fn covers(&self, path: &Path) -> bool {
        path.starts_with(&self.0)
    }

    /// Number of components; the longest scope that covers a path wins.
    pub fn depth(&self) -> usize {
        self.0.components().count()
    }
}

impl fmt::Debug for PathScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PathScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display_path(&self.0))
    }
}

/// A path as text without loss: bytes that are not UTF-8, control characters and backslashes
/// become `\xNN`, so two different paths never print alike and none can forge a log line.
pub fn display_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let plain = |text: &str| text.chars().all(|c| !c.is_control() && c != '\\');
    if let Ok(text) = std::str::from_utf8(bytes)
        && plain(text)
    {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len().saturating_mul(2));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    out.push_str(&format!("\\x{byte:02x}"));
                }
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

impl From<PathScope> for OsString {
    fn from(scope: PathScope) -> Self {
        Self::from_vec(scope.0.into_os_string().into_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_compare_by_component() {
        let scope = PathScope::new("/home//alice/./project/").unwrap();
        assert!(scope.covers(Path::new("/home/alice/project/src")));
        assert!(!scope.covers(Path::new("/home/alice/project2")));
        assert_eq!(PathScope::new("/a/../b"), Err(PathError::Parent));
        assert_eq!(PathScope::new("a"), Err(PathError::Relative));
    }

    #[test]
    fn display_is_injective_on_odd_bytes() {
        let raw = PathBuf::from(OsString::from_vec(b"/a\xff\n".to_vec()));
        assert_eq!(display_path(&raw), "/a\\xff\\x0a");
        assert_eq!(display_path(Path::new("/a\\xff")), "/a\\x5cxff");
    }
}
