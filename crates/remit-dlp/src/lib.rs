//! Finds sensitive data in bytes.
//!
//! Today that is what a manifest names itself ([`KnownValues`], `dlp.values`). Everything here is
//! pure: bytes in, findings out.

mod known;
mod spelling;

pub use known::{KnownValues, ValueError};
