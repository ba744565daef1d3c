//! Keys that are understood but not enforced yet.

use std::sync::Arc;

use remit_core::RuleRef;

/// A key that the manifest uses and whose enforcement does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// JSON pointer of the key.
    pub key: String,
    /// What would have to be enforced, in a few plain words.
    pub feature: &'static str,
    /// Where it stands.
    pub at: Arc<RuleRef>,
}

impl Need {
    pub(crate) fn new(key: &str, feature: &'static str, at: Arc<RuleRef>) -> Self {
        Self { key: key.to_owned(), feature, at }
    }
}
