//! From a manifest's bytes to a checked [`Manifest`].
//!
//! [`ManifestSource`] holds the text with its digest; [`Manifest::parse`] turns it into newtypes or
//! reports every mistake with line, column and the nearest known key. Nothing is validated later:
//! what a [`Manifest`] holds cannot contradict itself. [`Manifest::needs`] names the keys whose
//! enforcement does not exist yet, so that a run is refused rather than degraded. [`schema`] is for
//! editors, [`format`] writes the canonical form.

mod check;
mod error;
mod format;
mod model;
mod needs;
mod parse;
mod prescan;
mod source;
mod units;
mod wire;
mod words;

pub use error::{Clash, ManifestError, ManifestErrors, Place, Problem};
pub use format::format;
pub use model::*;
pub use needs::Need;
pub use source::{ManifestSource, SourceError, Variables};
pub use wire::schema;
