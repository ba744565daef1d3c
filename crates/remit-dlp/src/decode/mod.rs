//! What is behind encodings, archives and documents: a tree with hard bounds.
//!
//! Depth, bytes that decoders make, and work are bounded by [`Limits`]; whatever is beyond is
//! reported as [`Unread`], never passed over in silence. There is no clock: work is counted in bytes
//! walked, and a walk takes linear time, so that the bound on work is one on time.

mod budget;
mod compressed;
mod explorer;
mod fold;
mod known;
mod map;
mod office;
mod pdf;
mod rewrite;
mod rewrites;
mod runs;
mod spaced;
mod tar;
mod utf16;
mod zip;

pub use self::budget::{Limits, Unread, UnreadReason};
pub(crate) use self::explorer::Explorer;
