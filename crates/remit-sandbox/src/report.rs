//! What each layer reports of itself: nothing degrades silently.

use std::io;

use serde::{Deserialize, Serialize};

/// How far a layer is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerStatus {
    /// Fully.
    InForce,
    /// In part; the detail says what is missing.
    Partial,
    /// Not at all.
    Absent,
}

/// One layer's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Stable name, `user_namespace` for example.
    pub name: String,
    /// How far it is in force.
    pub status: LayerStatus,
    /// Why not, or which version.
    pub detail: String,
}

impl Layer {
    /// A layer fully in force.
    pub fn in_force(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.into(), status: LayerStatus::InForce, detail: detail.into() }
    }
}

/// A layer that could not be put in force.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{layer}: {step}{}: {cause}", if subject.is_empty() { String::new() } else { format!(" {subject}") })]
pub struct LayerError {
    /// The layer's stable name.
    pub layer: String,
    /// What was being done.
    pub step: String,
    /// On what, may be empty.
    pub subject: String,
    /// The kernel's reason.
    pub cause: String,
    /// The kernel's error number, 0 where there is none.
    pub errno: i32,
}

impl LayerError {
    /// From a kernel error.
    pub fn new(layer: &str, step: &str, subject: impl Into<String>, error: &io::Error) -> Self {
        Self {
            layer: layer.into(),
            step: step.into(),
            subject: subject.into(),
            cause: error.to_string(),
            errno: error.raw_os_error().unwrap_or(0),
        }
    }
}

/// Shorthand for naming the layer and step at which a kernel call failed.
pub(crate) trait At<T> {
    /// Names the place.
    fn at(
        self,
        layer: &str,
        step: &str,
        subject: impl AsRef<std::path::Path>,
    ) -> Result<T, LayerError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(
        self,
        layer: &str,
        step: &str,
        subject: impl AsRef<std::path::Path>,
    ) -> Result<T, LayerError> {
        self.map_err(|error| {
            let subject = subject.as_ref().display().to_string();
            LayerError::new(layer, step, subject, &error.into())
        })
    }
}
