//! Values in one text, also behind further escapes.

use std::{borrow::Cow, ops::Range};

use remit_core::Finding;

use super::{Search, shift};
use crate::model::{
    MaskError, Place,
    json::{Edit, map_to_raw, unescape_and_tell},
};

impl Search<'_> {
    /// The changes that mask a text, which begins at `offset` of whatever it stands in.
    pub(super) fn text(
        &mut self,
        text: &str,
        offset: usize,
        out: &mut Vec<Edit>,
    ) -> Result<(), MaskError> {
        let mut hits: Vec<Range<usize>> = Vec::new();
        for finding in self.everywhere(text) {
            if self.count(&finding.class, Place::Text) {
                self.pseudonym_of(text, &finding, &mut hits, out)?;
            }
        }
        if let Some(first) = out.len().checked_sub(hits.len()) {
            shift(out.get_mut(first..).unwrap_or_default(), offset);
        }
        Ok(())
    }

    /// A text that must not change: what is found in it is refused. Shorter findings than `least`
    /// bytes stand there by chance.
    pub(super) fn fixed(&mut self, text: &str, least: usize, place: Place) {
        for finding in self.everywhere(text) {
            if finding.range.len() >= least {
                self.count(&finding.class, place);
            }
        }
    }

    fn pseudonym_of(
        &mut self,
        text: &str,
        finding: &Finding,
        hits: &mut Vec<Range<usize>>,
        out: &mut Vec<Edit>,
    ) -> Result<(), MaskError> {
        // A detector of bytes may cut a character: the value is the whole of it.
        let start = text.floor_char_boundary(finding.range.start);
        let end = text.ceil_char_boundary(finding.range.end);
        let value = text.get(start..end).unwrap_or_default();
        let pseudonym = self.masker.vault.pseudonym(value, &finding.class);
        let pseudonym = pseudonym.map_err(|_| MaskError::Full)?;
        let pseudonym = String::from_utf8_lossy(&pseudonym).into_owned();
        hits.push(start..end);
        out.push(Edit { range: start..end, text: pseudonym });
        Ok(())
    }

    /// What is found in a text as it stands, and as it reads when its backslash escapes are read:
    /// code, JSON or logs inside a text. The ranges are the text's own, in order and apart. A value
    /// is masked in the very spelling it has, so that it comes back in that spelling.
    fn everywhere(&self, text: &str) -> Vec<Finding> {
        let mut found = self.masker.detector.find(text.as_bytes());
        if memchr::memchr(b'\\', text.as_bytes()).is_none() {
            return found;
        }
        let mut readings = vec![Cow::Borrowed(text)];
        for _ in 0..MAX_READINGS {
            let Some(last) = readings.last() else { break };
            let (next, said) = unescape_and_tell(last);
            if said.is_empty() {
                break;
            }
            let mut more = self.near(&next, &said);
            for reading in readings.iter().rev() {
                map_to_raw(reading, more.iter_mut().map(|finding| &mut finding.range));
            }
            found = self.merge(found, more);
            readings.push(Cow::Owned(next));
        }
        found
    }

    /// What is found around the characters that escapes said; the rest was searched before.
    fn near(&self, text: &str, said: &[Range<usize>]) -> Vec<Finding> {
        let reach = self.masker.detector.reach();
        let mut found: Vec<Finding> = Vec::new();
        let mut at = 0;
        while let Some(first) = said.get(at) {
            let start = first.start.saturating_sub(reach);
            let mut end = first.end.saturating_add(reach);
            at = at.saturating_add(1);
            while let Some(next) = said.get(at).filter(|next| next.start <= end) {
                end = next.end.saturating_add(reach);
                at = at.saturating_add(1);
            }
            let window = text.as_bytes().get(start..end.min(text.len())).unwrap_or_default();
            found.extend(self.masker.detector.find(window).into_iter().map(|finding| Finding {
                range: start.saturating_add(finding.range.start)
                    ..start.saturating_add(finding.range.end),
                ..finding
            }));
        }
        // Windows may touch.
        self.merge(found, Vec::new())
    }

    /// Both, with what overlaps made one of the class that asks for most.
    fn merge(&self, first: Vec<Finding>, second: Vec<Finding>) -> Vec<Finding> {
        let mut all: Vec<_> = first.into_iter().chain(second).collect();
        all.sort_by_key(|finding| (finding.range.start, std::cmp::Reverse(finding.range.end)));
        let mut apart: Vec<Finding> = Vec::with_capacity(all.len());
        for finding in all {
            match apart.last_mut() {
                Some(last) if finding.range.start < last.range.end => {
                    last.range.end = last.range.end.max(finding.range.end);
                    let action = |class| self.masker.rules.action(class);
                    if action(&finding.class) > action(&last.class) {
                        last.class = finding.class;
                    }
                }
                _ => apart.push(finding),
            }
        }
        apart
    }
}

/// How often escapes are read again: JSON in JSON in a text.
const MAX_READINGS: usize = 3;
