//! Changes of a text in place.

use std::ops::Range;

/// One change: what stands in a range becomes something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

/// The text with its changes, which are sorted and apart.
pub(crate) fn splice(text: &[u8], edits: &[Edit], out: &mut Vec<u8>) {
    let mut at = 0;
    for edit in edits {
        out.extend_from_slice(text.get(at..edit.range.start).unwrap_or_default());
        out.extend_from_slice(edit.text.as_bytes());
        at = at.max(edit.range.end);
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
}
