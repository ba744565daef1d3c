//! The tree: what a text holds itself, and what everything holds that it encodes.

use std::ops::Range;

use remit_core::{DataClass, Detector};

use super::{
    budget::{Budget, Limits, Unread, UnreadReason},
    compressed, fold, known,
    map::Map,
    pdf, rewrite, rewrites, runs, spaced, tar, utf16, zip,
};
use crate::{
    found::{Decoder, Hit},
    pass::{State, pass, resolve},
};

/// A text that a decoder made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) via: Decoder,
    pub(super) text: Vec<u8>,
    pub(super) map: Map,
    /// Only hits that overlap one of these count: the rest of the text was read before.
    pub(super) changed: Option<Vec<(usize, Decoder)>>,
}

/// A member of an archive, or the content of something packed.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) via: Decoder,
    pub(super) text: Vec<u8>,
    /// Where it is in the archive.
    pub(super) range: Range<usize>,
    /// Whether it stands there as it is.
    pub(super) stored: bool,
}

/// Explores one input.
#[derive(Debug)]
pub(crate) struct Explorer<'a> {
    limits: Limits,
    pub(super) budget: Budget,
    unread: Vec<Unread>,
    known: Option<KnownValues<'a>>,
    depth: usize,
}

struct KnownValues<'a> {
    detector: &'a dyn Detector,
    classes: Vec<DataClass>,
}

impl std::fmt::Debug for KnownValues<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KnownValues").finish_non_exhaustive()
    }
}

impl<'a> Explorer<'a> {
    /// For an input of so many bytes.
    pub(crate) fn new(limits: Limits, known: Option<&'a dyn Detector>, input: usize) -> Self {
        let known = known.map(|detector| KnownValues { detector, classes: Vec::new() });
        Self { limits, budget: Budget::new(limits, input), unread: Vec::new(), known, depth: 0 }
    }

    /// What could not be read, and the classes of known values.
    pub(crate) fn finish(self) -> (Vec<Unread>, Vec<DataClass>) {
        (self.unread, self.known.map(|known| known.classes).unwrap_or_default())
    }

    /// Every hit in a text and behind it, without overlaps.
    pub(crate) fn explore(&mut self, text: &[u8]) -> Vec<Hit> {
        if !self.budget.walk(text.len()) {
            self.report(0..text.len(), UnreadReason::TooMuchWork);
            return Vec::new();
        }
        if let Some(hits) = self.container(text) {
            return resolve(hits);
        }
        if let Some(made) = utf16::decode(text) {
            return resolve(self.below(made));
        }
        let mut hits = pass(text, 0, text.len(), &mut State::default());
        self.known_values(text, &mut hits);
        hits.extend(self.behind(text, 0..text.len()));
        hits.extend(self.embedded(text));
        resolve(hits)
    }

    /// What is behind the encodings that start in `range`.
    pub(crate) fn behind(&mut self, text: &[u8], range: Range<usize>) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut take = |explorer: &mut Self, made: Made| {
            let found = explorer.below(made);
            hits.extend(found.into_iter().filter(|hit| range.contains(&hit.start)));
        };
        let mut all = Vec::new();
        runs::find(text, range.clone(), |made| all.push(made));
        spaced::find(text, range.clone(), |made| all.push(made));
        for rules in rewrites::ALL {
            rewrite::find(text, range.clone(), rules, |made| all.push(made));
        }
        all.extend(fold::fold(text));
        for made in all {
            take(self, made);
        }
        hits
    }

    /// What is in a text that a decoder made, at its place in the text that was read.
    fn below(&mut self, made: Made) -> Vec<Hit> {
        let whole = made.map.source(0..made.text.len());
        if self.depth >= self.limits.depth {
            self.report(whole, UnreadReason::TooDeep);
            return Vec::new();
        }
        if !self.budget.take(made.text.len()) {
            self.report(whole, UnreadReason::TooLarge);
            return Vec::new();
        }
        let mark = self.unread.len();
        self.depth += 1;
        let hits = self.explore(&made.text);
        self.depth -= 1;
        for unread in self.unread.iter_mut().skip(mark) {
            unread.range = made.map.source(unread.range.clone());
        }
        hits.into_iter()
            .filter_map(|mut hit| {
                let via = match &made.changed {
                    None => made.via,
                    Some(changed) => {
                        let first = changed.partition_point(|(place, _)| *place < hit.start);
                        let (place, via) = changed.get(first)?;
                        (*place < hit.end).then_some(*via)?
                    }
                };
                let range = made.map.source(hit.start..hit.end);
                (hit.start, hit.end) = (range.start, range.end);
                hit.via.insert(0, via);
                Some(hit)
            })
            .collect()
    }

    /// The hits of an archive, a document or something packed, if the text is one.
    fn container(&mut self, text: &[u8]) -> Option<Vec<Hit>> {
        let opened = self.open(text)?;
        Some(self.members(opened, text.len()))
    }

    fn open(&mut self, text: &[u8]) -> Option<Opened> {
        if self.depth >= self.limits.depth && is_container(text) {
            return Some(Opened { members: Vec::new(), unread: Some(UnreadReason::TooDeep) });
        }
        compressed::open(text, &mut self.budget)
            .or_else(|| zip::open(text, &mut self.budget))
            .or_else(|| tar::open(text, &mut self.budget))
            .or_else(|| pdf::open(text, &mut self.budget))
    }

    fn members(&mut self, opened: Opened, length: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        if let Some(reason) = opened.unread {
            self.report(0..length, reason);
        }
        for member in opened.members {
            let mark = self.unread.len();
            self.depth += 1;
            let found = self.explore(&member.text);
            self.depth -= 1;
            let place = |range: Range<usize>| {
                if member.stored {
                    member.range.start + range.start..member.range.start + range.end
                } else {
                    member.range.clone()
                }
            };
            for unread in self.unread.iter_mut().skip(mark) {
                unread.range = place(unread.range.clone());
            }
            hits.extend(found.into_iter().map(|mut hit| {
                let range = place(hit.start..hit.end);
                (hit.start, hit.end) = (range.start, range.end);
                hit.via.insert(0, member.via);
                hit
            }));
        }
        // One finding of each kind in a member: they all have the member's range.
        hits.dedup_by(|left, right| {
            left.class == right.class && left.start == right.start && left.via == right.via
        });
        hits
    }

    /// Archives and documents inside other bytes, as in a form with files (RFC 7578).
    fn embedded(&mut self, text: &[u8]) -> Vec<Hit> {
        let marks: [&[u8]; 5] =
            [b"PK\x03\x04", b"\x1f\x8b\x08", b"%PDF-", b"\x28\xb5\x2f\xfd", b"BZh9"];
        let mut hits = Vec::new();
        for mark in marks {
            let mut from = 1;
            for _ in 0..8 {
                let Some(found) =
                    text.get(from..).and_then(|rest| memchr::memmem::find(rest, mark))
                else {
                    break;
                };
                let start = from + found;
                let rest = text.get(start..).unwrap_or_default();
                let paid = self.budget.walk(rest.len());
                let opened = if paid { self.open(rest) } else { None };
                if let Some(opened) = opened {
                    // Bytes that only look like the start of one are none.
                    let real = !opened.members.is_empty()
                        || matches!(
                            opened.unread,
                            Some(UnreadReason::Encrypted | UnreadReason::TooLarge)
                        );
                    if real {
                        let mark = self.unread.len();
                        let found = self.members(opened, rest.len());
                        for unread in self.unread.iter_mut().skip(mark) {
                            unread.range = unread.range.start + start..unread.range.end + start;
                        }
                        hits.extend(found.into_iter().map(|hit| Hit {
                            start: hit.start + start,
                            end: hit.end + start,
                            ..hit
                        }));
                        // A zip archive has this mark before every member.
                        break;
                    }
                }
                from = start + mark.len();
            }
        }
        hits
    }

    fn known_values(&mut self, text: &[u8], hits: &mut Vec<Hit>) {
        if let Some(known) = &mut self.known {
            known::find(text, known.detector, &mut known.classes, hits);
        }
    }

    fn report(&mut self, range: Range<usize>, reason: UnreadReason) {
        let unread = Unread { range, reason };
        // The first few say enough.
        if self.unread.len() < 64 && !self.unread.contains(&unread) {
            self.unread.push(unread);
        }
    }
}

/// What opening brought.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) members: Vec<Member>,
    pub(super) unread: Option<UnreadReason>,
}

/// Whether decoding these first bytes would go on.
pub(super) fn is_container(text: &[u8]) -> bool {
    compressed::sniff(text).is_some()
        || text.starts_with(b"PK\x03\x04")
        || text.starts_with(b"%PDF-")
        || tar::is_one(text)
}
