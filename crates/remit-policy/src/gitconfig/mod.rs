//! Judging a change of version-control configuration by its content.
//!
//! A change is harmless when every key that it adds or alters is known not to run a program and
//! not to redirect; unknown keys are not harmless. Removing keys always is.

mod safe;
mod syntax;

use std::collections::HashMap;

pub(crate) use syntax::{Setting, parse};

/// Largest configuration that is judged, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Why a change is not harmless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsafe {
    /// Beyond 1 MiB.
    #[error("the configuration is larger than 1 MiB")]
    TooLarge,
    /// Git itself would refuse it, or read it in another way than it looks.
    #[error("the configuration is malformed")]
    Malformed,
    /// This key is added or altered.
    #[error("{0}")]
    Key(String),
}

/// Judges the change from `old` (absent: no file) to `new`.
pub(crate) fn judge(old: Option<&[u8]>, new: &[u8]) -> Result<(), Unsafe> {
    if new.len() > LARGEST {
        return Err(Unsafe::TooLarge);
    }
    let settings = syntax::parse(new).ok_or(Unsafe::Malformed)?;
    // What cannot be read counts as nothing: then all of the new file must be harmless.
    let before = old.filter(|old| old.len() <= LARGEST).and_then(syntax::parse).unwrap_or_default();
    let mut kept: HashMap<&Setting, Vec<usize>> = HashMap::new();
    for (index, setting) in before.iter().enumerate() {
        kept.entry(setting).or_default().push(index);
    }
    // The last value of a key wins and includes work in order, so what is not harmless must keep
    // its order too: a subsequence of what was there.
    let mut reached = 0;
    for setting in &settings {
        if safe::setting(setting) {
            continue;
        }
        let places = kept.get(setting).map_or(&[][..], Vec::as_slice);
        let next = places.partition_point(|place| *place < reached);
        match places.get(next) {
            Some(place) => reached = place.saturating_add(1),
            None => return Err(Unsafe::Key(setting.name())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
