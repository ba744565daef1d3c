//! How far decoding goes.

use std::{fmt, io::Read, ops::Range};

/// Bounds of decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Encodings inside encodings.
    pub depth: usize,
    /// Bytes that decoders may make, for one of the input…
    pub ratio: usize,
    /// … but always so many…
    pub floor: usize,
    /// … and never more.
    pub bytes: usize,
    /// Bytes walked in all, at every depth, beyond eight times the input.
    pub work: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 8, ratio: 16, floor: 1 << 20, bytes: 32 << 20, work: 64 << 20 }
    }
}

/// A part of the input that could not be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Where, in bytes of the original.
    pub range: Range<usize>,
    /// Why.
    pub reason: UnreadReason,
}

/// Why something could not be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnreadReason {
    /// More encodings inside encodings than are undone.
    TooDeep,
    /// It would become larger than is allowed: a bomb, or a very large document.
    TooLarge,
    /// Looking further would take too long.
    TooMuchWork,
    /// It is encrypted.
    Encrypted,
    /// It ends early, or is damaged.
    Damaged,
    /// It is packed in a way that is not known.
    Unsupported,
}

impl fmt::Display for UnreadReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooDeep => "nested more deeply than is looked into",
            Self::TooLarge => "unpacks to more than is allowed",
            Self::TooMuchWork => "takes more work than is allowed",
            Self::Encrypted => "encrypted",
            Self::Damaged => "damaged or cut off",
            Self::Unsupported => "packed in an unknown way",
        })
    }
}

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    work: usize,
}

impl Budget {
    pub(super) fn new(limits: Limits, input: usize) -> Self {
        let bytes = input.saturating_mul(limits.ratio).max(limits.floor).min(limits.bytes);
        Self { bytes, work: limits.work.saturating_add(input.saturating_mul(8)) }
    }

    /// Pays for walking over so many bytes.
    pub(super) fn walk(&mut self, bytes: usize) -> bool {
        let paid = self.work.checked_sub(bytes);
        self.work = paid.unwrap_or(0);
        paid.is_some()
    }

    /// Pays for so many bytes that a decoder made.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let paid = self.bytes.checked_sub(bytes);
        self.bytes = paid.unwrap_or(0);
        paid.is_some()
    }

    /// Everything from a decoder, as far as the limits go; and why not all of it.
    pub(super) fn drain(&mut self, mut reader: impl Read) -> (Vec<u8>, Option<UnreadReason>) {
        let mut made = Vec::new();
        let mut block = [0; 8192];
        loop {
            match reader.read(&mut block) {
                Ok(0) => return (made, None),
                Ok(count) => {
                    if !self.take(count) {
                        return (made, Some(UnreadReason::TooLarge));
                    }
                    made.extend_from_slice(block.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return (made, Some(UnreadReason::Damaged)),
            }
        }
    }
}
