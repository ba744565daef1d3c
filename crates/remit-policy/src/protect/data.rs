//! The list's file format.

use serde::Deserialize;

use super::PROTECTED_VERSION;

/// Why a list of protected files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectedError {
    /// Not the expected JSON.
    #[error("the list of protected files is not readable")]
    Json(#[from] serde_json::Error),
    /// Written for another version of Remit.
    #[error("the list of protected files has version {0}")]
    Version(u32),
    /// A pattern outside of the small language.
    #[error("`{0}` is not a pattern for protected files")]
    Pattern(String),
}

/// The whole list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    version: u32,
    #[allow(dead_code, reason = "for the readers of the file")]
    about: Vec<String>,
    pub(super) groups: Vec<Group>,
}

/// The files of one tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) tool: String,
    #[allow(dead_code, reason = "for the readers of the file")]
    why: String,
    pub(super) rules: Vec<Rule>,
}

/// Patterns that are treated alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) paths: Vec<String>,
    #[serde(default)]
    pub(super) except: Vec<String>,
    #[serde(default)]
    pub(super) unless: Vec<String>,
    #[serde(default)]
    pub(super) guarded: Guarded,
    #[serde(default)]
    pub(super) deletable: bool,
    #[serde(default = "yes", rename = "anyCase")]
    pub(super) any_case: bool,
}

const fn yes() -> bool {
    true
}

/// How a matching path is guarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Guarded {
    /// Not written at all.
    #[default]
    Whole,
    /// Folders may be made; anything else of that name points elsewhere.
    Pointer,
    /// Changes by a lock file's rename when the content is harmless.
    Config,
}

/// Reads a list.
pub(super) fn read(text: &str) -> Result<File, ProtectedError> {
    let file: File = serde_json::from_str(text)?;
    if file.version != PROTECTED_VERSION {
        return Err(ProtectedError::Version(file.version));
    }
    Ok(file)
}
