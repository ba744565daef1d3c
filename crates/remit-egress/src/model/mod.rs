//! Split execution: what goes to a model is masked, what comes back is restored.
//!
//! The agent sees real values, the model sees [pseudonyms](pseudonym). A value is replaced in place
//! inside the JSON as it stands, and by the same pseudonym every time, so the vendor's prompt cache
//! works and the model's own words come back to it byte for byte. Pure: bytes in, bytes out.
//!
//! * [`Masker::request`]: one body on its way out.
//! * [`Unmasker`]: one answer on its way back, as it arrives; also over WebSocket ([`Socket`]).
//!
//! What must hold, and where it ends:
//!
//! * Thinking, signatures and encrypted content go through untouched in both directions: vendors
//!   end a conversation whose thinking comes back changed. So a pseudonym in thinking stays one, and
//!   a value in thinking is refused on its way out, unless the vendor said that very thought.
//! * Reasoning *summaries* of `OpenAI` are shown to people and not signed: they are restored.
//! * A pseudonym that the agent writes itself is restored like any other. It goes towards the agent
//!   only, which has the value anyway; towards the model it stays what it is.
//! * Two values side by side may together be a third one (`Ann`, `Anna`): then what the model wrote
//!   as a pseudonym and letters comes back to it as one pseudonym. Nothing leaks; the model sees its
//!   words changed.
//! * A value that is split over several strings of one body is not found.

mod field;
mod json;
mod masker;
mod pseudonym;
mod request;
mod response;
mod socket;
mod vault;

pub use masker::{Found, MaskError, MaskRules, Masked, Masker, ModelRequest, Place, is_signed};
pub use pseudonym::LENGTH;
pub use response::{Restored, Unmasker};
pub use socket::Socket;
pub use vault::Vault;

/// Whether a text is read as JSON; for comparing with other readers.
#[doc(hidden)]
pub fn reads_as_json(text: &[u8]) -> bool {
    json::Tape::read(text).is_ok()
}
