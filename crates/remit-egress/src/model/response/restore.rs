//! Pseudonyms in one text, and the values they become.

use super::{Restored, turn::Part};
use crate::model::{
    Vault,
    json::{Edit, escape_into},
    pseudonym::{self, LENGTH, Shape},
};

/// The changes that restore a text; values are escaped `times` over. Leftmost first: a pseudonym
/// that is known takes its bytes, everything else is looked at from its second byte on.
pub(super) fn edits(vault: &Vault, text: &str, times: u8, counts: &mut Restored) -> Vec<Edit> {
    let mut edits = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = pseudonym::next_prefix(bytes, at) {
        at = start.saturating_add(1);
        match pseudonym::read(bytes, start) {
            Shape::Other => {}
            Shape::Mangled => counts.mangled = counts.mangled.saturating_add(1),
            Shape::Good(found) => match vault.value(&found) {
                None => counts.unknown = counts.unknown.saturating_add(1),
                Some(value) => {
                    at = start.saturating_add(LENGTH);
                    counts.restored = counts.restored.saturating_add(1);
                    let mut text = String::with_capacity(value.len());
                    escape_into(&value, times, &mut text);
                    edits.push(Edit { range: start..at, text });
                }
            },
        }
    }
    edits
}

/// The next part of a text that arrives in parts: changes of the part, and what of it is held for
/// the next one. `held` stands before it and is ASCII.
pub(super) fn part(
    vault: &Vault,
    held: &str,
    part: &Part<'_>,
    counts: &mut Restored,
) -> (Vec<Edit>, String) {
    let joined;
    let whole = if held.is_empty() {
        part.text
    } else {
        joined = format!("{held}{}", part.text);
        joined.as_str()
    };
    let mut edits = edits(vault, whole, part.times, counts);
    let done = edits.last().map_or(0, |edit| edit.range.end);
    let keep = if part.last {
        whole.len()
    } else {
        let rest = whole.as_bytes().get(done..).unwrap_or_default();
        done.saturating_add(pseudonym::held_from(rest))
    };
    let rest = whole.get(keep..).unwrap_or_default().to_owned();
    if !rest.is_empty() {
        edits.push(Edit { range: keep..whole.len(), text: String::new() });
    }
    (behind(held, edits), rest)
}

/// Changes of `held` and the part behind it, as changes of the part alone.
fn behind(held: &str, edits: Vec<Edit>) -> Vec<Edit> {
    if held.is_empty() {
        return edits;
    }
    // What stands before the part when everything in `held` is settled.
    let mut lead = String::new();
    let mut at = 0;
    let mut own = Vec::with_capacity(edits.len().saturating_add(1));
    for edit in edits {
        if edit.range.start < held.len() {
            lead.push_str(held.get(at..edit.range.start).unwrap_or_default());
            lead.push_str(&edit.text);
            at = edit.range.end;
        } else {
            let shift = |at: usize| at.saturating_sub(held.len());
            let range = shift(edit.range.start)..shift(edit.range.end);
            own.push(Edit { range, ..edit });
        }
    }
    lead.push_str(held.get(at..).unwrap_or_default());
    own.insert(0, Edit { range: 0..at.saturating_sub(held.len()), text: lead });
    own
}
