//! Findings as they are recorded and shown: classes and counts, never values.

use std::{collections::BTreeMap, fmt};

use remit_core::{DataClass, Detector};
use serde::{Deserialize, Serialize};

/// How often each class was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(BTreeMap<DataClass, u64>);

impl Findings {
    /// Counts one more.
    pub fn add(&mut self, class: &DataClass) {
        let count = self.0.entry(class.clone()).or_default();
        *count = count.saturating_add(1);
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.values().copied().fold(0, u64::saturating_add)
    }

    /// Whether the class was found.
    pub fn has(&self, class: &DataClass) -> bool {
        self.0.contains_key(class)
    }

    /// Classes with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (&DataClass, u64)> {
        self.0.iter().map(|(class, count)| (class, *count))
    }
}

impl fmt::Display for Findings {
    /// `API_KEY 1, EMAIL 3`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (class, count)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} {count}", class.as_str())?;
        }
        Ok(())
    }
}

/// A finding with what stands around it; the finding itself is its class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// Its class.
    pub class: String,
    /// `… to [EMAIL] and …`
    pub text: String,
}

/// The first findings of a payload, with what stands around them.
pub(crate) fn excerpts(detector: &dyn Detector, payload: &[u8]) -> Vec<Excerpt> {
    let found = detector.find(payload);
    let mut all = Vec::new();
    for (at, finding) in found.iter().take(MOST_EXCERPTS).enumerate() {
        let before = at.checked_sub(1).and_then(|at| found.get(at)).map_or(0, |f| f.range.end);
        let after = found.get(at.saturating_add(1)).map_or(payload.len(), |f| f.range.start);
        let start = finding.range.start.saturating_sub(AROUND).max(before);
        let end = finding.range.end.saturating_add(AROUND).min(after);
        let text = |range: std::ops::Range<usize>| {
            String::from_utf8_lossy(payload.get(range).unwrap_or_default()).into_owned()
        };
        let class = finding.class.as_str();
        let (left, right) = (text(start..finding.range.start), text(finding.range.end..end));
        all.push(Excerpt { class: class.to_owned(), text: format!("{left}[{class}]{right}") });
    }
    all
}

const MOST_EXCERPTS: usize = 16;
const AROUND: usize = 40;
