//! Literal values that always count as findings.

use std::{collections::HashMap, fmt};

use aho_corasick::{AhoCorasick, MatchKind};
use remit_core::{DataClass, Detector, Finding};

use crate::spelling;

/// Finds literal values, and the same values as hex, base64 or percent-encoded text.
///
/// Matching is by bytes and exact; of values that begin at the same place the longest counts.
#[derive(Clone)]
pub struct KnownValues {
    automaton: AhoCorasick,
    /// Class of each pattern.
    classes: Box<[DataClass]>,
    /// The patterns, sorted.
    patterns: Box<[Box<[u8]>]>,
    reach: usize,
}

/// Why a value cannot be looked for. The value itself is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It would be found everywhere.
    #[error(
        "value {index} ({class}) is shorter than {MIN_BYTES} bytes, so it would be found in \
         almost every text; give a longer one"
    )]
    Short {
        /// Its place in the list, from 0.
        index: usize,
        /// Its class.
        class: String,
    },
    /// It is not a value but a document.
    #[error("value {index} ({class}) is longer than {MAX_BYTES} bytes")]
    Long {
        /// Its place in the list, from 0.
        index: usize,
        /// Its class.
        class: String,
    },
    /// It is there twice with two meanings.
    #[error("value {index} stands in the list a second time, with another class ({class})")]
    TwoClasses {
        /// Its second place in the list, from 0.
        index: usize,
        /// Its second class.
        class: String,
    },
    /// There are too many.
    #[error("there are more than {MAX_VALUES} values, or they are too long together")]
    Many,
}

impl KnownValues {
    /// Finds these values.
    pub fn new<'a>(
        values: impl IntoIterator<Item = (&'a str, DataClass)>,
    ) -> Result<Self, ValueError> {
        let mut patterns: HashMap<Vec<u8>, DataClass> = HashMap::new();
        let mut plain: HashMap<&str, DataClass> = HashMap::new();
        for (index, (value, class)) in values.into_iter().enumerate() {
            let word = || class.as_str().to_owned();
            match value.len() {
                ..MIN_BYTES => return Err(ValueError::Short { index, class: word() }),
                MIN_BYTES..=MAX_BYTES => {}
                _ => return Err(ValueError::Long { index, class: word() }),
            }
            if plain.get(value).is_some_and(|other| *other != class) {
                return Err(ValueError::TwoClasses { index, class: word() });
            }
            if plain.insert(value, class).is_none() && plain.len() > MAX_VALUES {
                return Err(ValueError::Many);
            }
        }
        for (value, class) in &plain {
            for spelled in spelling::of(value) {
                patterns.entry(spelled).or_insert_with(|| class.clone());
            }
        }
        // A value that is also the encoding of another one is first of all itself.
        for (value, class) in plain {
            patterns.insert(value.as_bytes().to_vec(), class);
        }
        let mut patterns: Vec<_> = patterns.into_iter().collect();
        patterns.sort_unstable();
        let reach = patterns.iter().map(|(bytes, _)| bytes.len()).max().unwrap_or(0);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns.iter().map(|(bytes, _)| bytes))
            .map_err(|_| ValueError::Many)?;
        let classes = patterns.iter().map(|(_, class)| class.clone()).collect();
        let patterns = patterns.into_iter().map(|(bytes, _)| bytes.into_boxed_slice()).collect();
        Ok(Self { automaton, classes, patterns, reach })
    }
}

impl Detector for KnownValues {
    fn find(&self, text: &[u8]) -> Vec<Finding> {
        self.automaton
            .find_iter(text)
            .filter_map(|found| {
                let class = self.classes.get(found.pattern().as_usize())?.clone();
                Some(Finding { range: found.range(), class })
            })
            .collect()
    }

    fn reach(&self) -> usize {
        self.reach
    }

    /// Exactly the longest end that a value, in one of its spellings, begins with: streams are not
    /// held back for what cannot become a finding.
    fn undecided(&self, text: &[u8]) -> usize {
        let most = text.len().min(self.reach.saturating_sub(1));
        let begins = |count: &usize| {
            let end = text.get(text.len().saturating_sub(*count)..).unwrap_or_default();
            // The next one in order: a longer one that begins like this, where there is any.
            let at = self.patterns.partition_point(|pattern| **pattern <= *end);
            self.patterns.get(at).is_some_and(|next| next.starts_with(end))
        };
        (1..=most).rev().find(begins).unwrap_or(0)
    }
}

impl fmt::Debug for KnownValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownValues({} patterns, not shown)", self.classes.len())
    }
}

/// Shorter values would be found in almost every text.
const MIN_BYTES: usize = 3;
/// Longer ones are documents, which are recognised by fingerprints.
const MAX_BYTES: usize = 4096;
/// Larger tables are matched by their own index.
const MAX_VALUES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn class(word: &str) -> DataClass {
        DataClass::parse(word).expect(word)
    }

    fn found(values: &[(&str, &str)], text: &str) -> Vec<(String, String)> {
        let known = KnownValues::new(values.iter().map(|(value, word)| (*value, class(word))))
            .expect("values");
        known
            .find(text.as_bytes())
            .into_iter()
            .map(|finding| {
                assert!(finding.range.len() <= known.reach());
                (text[finding.range].to_owned(), finding.class.as_str().to_owned())
            })
            .collect()
    }

    #[test]
    fn the_longest_of_values_with_one_beginning_counts() {
        let values = [("Ada", "PERSON"), ("Ada Lovelace", "PERSON"), ("ada@x.example", "EMAIL")];
        let text = "Ada Lovelace, ada@x.example, Ada L, ada";
        let words: Vec<_> = found(&values, text).into_iter().map(|(word, _)| word).collect();
        assert_eq!(words, ["Ada Lovelace", "ada@x.example", "Ada"]);
    }

    #[test]
    fn only_what_may_become_a_finding_is_undecided() {
        let values = [("Ada", "PERSON"), ("Ada Lovelace", "PERSON")];
        let known = KnownValues::new(values.map(|(value, word)| (value, class(word)))).unwrap();
        for (text, expected) in [
            ("hello", 0),
            ("hello Ad", 2),
            ("Ada", 3),
            ("Ada Love", 8),
            ("Ada Lovelace", 0),
            ("", 0),
        ] {
            assert_eq!(known.undecided(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn an_encoded_value_is_found() {
        let values = [("correct horse", "PASSWORD")];
        for text in [
            "636f727265637420686f727365",
            "636F727265637420686F727365",
            "correct%20horse",
            // base64 of "correct horse" behind zero, one and two other bytes.
            "Y29ycmVjdCBob3JzZQ==",
            "LWNvcnJlY3QgaG9yc2Ut",
            "LS1jb3JyZWN0IGhvcnNlLS0=",
        ] {
            assert_eq!(found(&values, text).len(), 1, "{text}");
        }
        assert!(found(&values, "correct house, Y29ycmVjdCBob3VzZQ==").is_empty());
    }

    #[test]
    fn a_value_found_everywhere_is_refused_by_its_place() {
        let refused = KnownValues::new([("long enough", class("PERSON")), ("ab", class("PHONE"))]);
        let error = refused.expect_err("too short");
        assert_eq!(error, ValueError::Short { index: 1, class: "PHONE".into() });
        let refused = KnownValues::new([("same", class("PERSON")), ("same", class("PHONE"))]);
        assert!(matches!(refused, Err(ValueError::TwoClasses { index: 1, .. })));
        assert!(KnownValues::new([("same", class("PERSON")), ("same", class("PERSON"))]).is_ok());
    }

    #[test]
    fn values_are_not_printed() {
        let known = KnownValues::new([("hunter22", class("PASSWORD"))]).expect("values");
        assert!(!format!("{known:?}").contains("hunter"));
    }
}
