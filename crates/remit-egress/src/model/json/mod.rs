//! JSON text as it stands: where its strings are, what they say, and changes in place.
//!
//! Nothing is written anew, so every byte that is not changed stays the byte it was.

mod escape;
mod splice;
mod tape;

pub(crate) use escape::{escape_into, map_to_raw, unescape, unescape_and_tell};
pub(crate) use splice::{Edit, splice};
pub(crate) use tape::{Kind, Node, Tape, TapeError};
