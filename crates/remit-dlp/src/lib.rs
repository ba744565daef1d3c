//! Finds secrets and personal data in bytes.
//!
//! One walk over the text yields candidates (a vendor's prefix, a name with a value, digits, `@`,
//! `://`), hand-written recognisers decide about them with checksums and context, and a bounded
//! tree of decoders looks behind encodings, archives and documents. Time is linear in what is read,
//! and what is read is bounded. Pure: callers feed bytes, and time where it matters.

mod context;
mod decode;
mod detector;
mod found;
mod known;
mod pass;
mod pii;
mod scanner;
mod secrets;
mod session;
mod spelling;
mod stream;
mod text;
mod walk;

pub use self::{
    decode::{Limits, Unread, UnreadReason},
    found::{Confidence, Decoder, Found},
    known::{KnownValues, ValueError},
    scanner::{Inspection, Scanner},
    session::SessionWindow,
    stream::Stream,
};
