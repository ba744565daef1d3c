//! Values to look for, rules about them, and a shelf for what is held.

use std::sync::{Arc, Mutex};

use remit_core::{
    DataAction, DataClass, DataRule, DataRules, Detector, Finding, RuleRef, RuleSource,
};
use remit_egress::{Claim, HeldPayload, HoldError, Quarantine};

/// Finds literal strings, as they stand.
pub struct Values(pub Vec<(&'static str, &'static str)>);

impl Detector for Values {
    fn find(&self, text: &[u8]) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let hit = self.0.iter().find(|(value, _)| text[at..].starts_with(value.as_bytes()));
            match hit {
                Some((value, class)) => {
                    let class = DataClass::parse(class).unwrap();
                    found.push(Finding { range: at..at + value.len(), class });
                    at += value.len();
                }
                None => at += 1,
            }
        }
        found
    }

    fn reach(&self) -> usize {
        self.0.iter().map(|(value, _)| value.len()).max().unwrap_or(0)
    }

    fn undecided(&self, text: &[u8]) -> usize {
        let most = self.reach().saturating_sub(1).min(text.len());
        let begins = |count: &usize| {
            let end = &text[text.len() - count..];
            self.0
                .iter()
                .any(|(value, _)| value.len() > *count && value.as_bytes().starts_with(end))
        };
        (1..=most).rev().find(begins).unwrap_or(0)
    }
}

pub fn rules(outputs: &[(&str, DataAction)], inputs: &[(&str, DataAction)]) -> DataRules {
    let list = |rules: &[(&str, DataAction)], way: &str| {
        rules
            .iter()
            .map(|(class, action)| DataRule {
                class: DataClass::parse(class).unwrap(),
                action: *action,
                at: Arc::new(RuleRef {
                    pointer: format!("/dlp/{way}/{class}"),
                    line: 3,
                    column: 1,
                    source: RuleSource::Manifest,
                }),
            })
            .collect()
    };
    DataRules { outputs: list(outputs, "outputs"), inputs: list(inputs, "inputs") }
}

/// A quarantine in memory.
#[derive(Default)]
pub struct Shelf {
    pub held: Mutex<Vec<HeldPayload>>,
    pub said: Mutex<Option<bool>>,
}

impl Quarantine for Shelf {
    fn claim(&self, key: &[u8; 32]) -> Claim {
        let held = self.held.lock().unwrap();
        if !held.iter().any(|one| one.key == *key) {
            return Claim::Unknown;
        }
        match *self.said.lock().unwrap() {
            None => Claim::Waiting("q-1".into()),
            Some(true) => Claim::Released("q-1".into()),
            Some(false) => Claim::Rejected("q-1".into()),
        }
    }

    fn hold(&self, payload: HeldPayload) -> Result<String, HoldError> {
        self.held.lock().unwrap().push(payload);
        Ok("q-1".into())
    }
}
