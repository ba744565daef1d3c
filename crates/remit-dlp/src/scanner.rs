//! The way in: a text, and what is in it.

use std::{fmt, sync::Arc};

use remit_core::{DataClass, Detector};

use crate::{
    decode::{Explorer, Limits, Unread},
    found::{Class, Confidence, Found, Hit},
};

/// Looks for secrets and personal data, also behind encodings.
#[derive(Clone, Default)]
pub struct Scanner {
    classes: Option<Arc<[DataClass]>>,
    known: Option<Arc<dyn Detector>>,
    limits: Limits,
}

/// What a scan says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// In order of their start; they do not overlap.
    pub found: Vec<Found>,
    /// What could not be looked into. Whoever holds data back holds back what has one.
    pub unread: Vec<Unread>,
}

impl Scanner {
    /// Looks for every class, within the usual limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these classes or groups.
    #[must_use]
    pub fn with_classes(mut self, classes: impl IntoIterator<Item = DataClass>) -> Self {
        self.classes = Some(classes.into_iter().collect());
        self
    }

    /// Also values that are known: in every encoding, back to front, and shifted by 13.
    #[must_use]
    pub fn with_known(mut self, known: Arc<dyn Detector>) -> Self {
        self.known = Some(known);
        self
    }

    /// Other limits for what is behind encodings.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is in `text`, in order of its start; findings do not overlap.
    #[must_use]
    pub fn scan(&self, text: &[u8]) -> Vec<Found> {
        self.inspect(text).found
    }

    /// What is in `text`, and what of it could not be read.
    #[must_use]
    pub fn inspect(&self, text: &[u8]) -> Inspection {
        let mut explorer = Explorer::new(self.limits, self.known.as_deref(), text.len());
        let hits = explorer.explore(text);
        let (unread, classes) = explorer.finish();
        let found = hits.into_iter().filter_map(|hit| self.found(hit, &classes)).collect();
        Inspection { found, unread }
    }

    /// The finding that a hit is, if its class is asked for.
    pub(crate) fn found(&self, hit: Hit, known: &[DataClass]) -> Option<Found> {
        let class = match hit.class {
            Class::Known(place) => known.get(place).cloned(),
            class => DataClass::parse(class.as_str()),
        }?;
        let wanted = self
            .classes
            .as_ref()
            .is_none_or(|classes| classes.iter().any(|wanted| wanted.covers(&class)));
        wanted.then(|| Found {
            range: hit.start..hit.end,
            class,
            confidence: Confidence::percent(hit.percent),
            via: hit.via,
            kind: hit.kind,
        })
    }

    /// The limits, and the detector of known values.
    pub(crate) fn parts(&self) -> (Limits, Option<&dyn Detector>) {
        (self.limits, self.known.as_deref())
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Scanner")
            .field("classes", &self.classes)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
