//! What data may be sensitive, who finds it, and what is done about it.

use std::{ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Host, RuleRef};

/// A class of findings, or a group of classes: `EMAIL`, `pii`, `EXACT:customers` (contract, "DLP
/// classes").
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataClass(Arc<str>);

/// A group of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataGroup {
    /// Personal data.
    Pii,
    /// What opens doors.
    Secrets,
    /// What somebody registered: tables, documents, canaries.
    Registered,
}

impl DataClass {
    /// Every class and group that has a fixed spelling.
    pub fn fixed() -> impl Iterator<Item = &'static str> {
        PII.into_iter().chain(SECRETS).chain(["CANARY", "pii", "secrets", "registered"])
    }

    /// The class or group of this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let named = ["EXACT:", "DOCUMENT:"]
            .iter()
            .filter_map(|prefix| text.strip_prefix(prefix))
            .any(|name| !name.is_empty() && name.len() <= 128 && !name.contains(char::is_control));
        (named || Self::fixed().any(|word| word == text)).then(|| Self(text.into()))
    }

    /// The contract's spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The group that the class belongs to; a group's own for a group.
    pub fn group(&self) -> DataGroup {
        let word = &*self.0;
        if word == "secrets" || SECRETS.contains(&word) {
            DataGroup::Secrets
        } else if word == "pii" || PII.contains(&word) {
            DataGroup::Pii
        } else {
            DataGroup::Registered
        }
    }

    /// Whether it is a group.
    pub fn is_group(&self) -> bool {
        matches!(&*self.0, "pii" | "secrets" | "registered")
    }

    /// Whether findings of `class` are meant: the class itself, or its group.
    pub fn covers(&self, class: &Self) -> bool {
        self == class || (self.is_group() && self.group() == class.group())
    }
}

/// A finding in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where, in bytes of the text that was searched.
    pub range: Range<usize>,
    /// What it is.
    pub class: DataClass,
}

/// Finds sensitive data. Pure: no I/O, no waiting.
pub trait Detector: Send + Sync {
    /// What is in `text`, in order of its start; findings do not overlap.
    fn find(&self, text: &[u8]) -> Vec<Finding>;

    /// Bytes that one finding spans at most: whoever searches a stream keeps that many, less one,
    /// from one chunk to the next.
    fn reach(&self) -> usize;

    /// Bytes at the end of `text` that may begin a finding whose end is not there yet: whoever
    /// must stop a finding keeps them until more has come. Never more than `reach() - 1`.
    fn undecided(&self, text: &[u8]) -> usize {
        text.len().min(self.reach().saturating_sub(1))
    }
}

/// Which way data goes, as the agent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the agent: answers, files.
    Input,
    /// From the agent: requests.
    Output,
}

/// What happens to a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataAction {
    /// Nothing.
    Allow,
    /// It is recorded.
    Alert,
    /// It is replaced on the way out and restored on the way back (model hosts only).
    Mask,
    /// It is removed.
    Redact,
    /// It waits for a reviewer.
    Quarantine,
    /// It is refused.
    Block,
}

impl DataAction {
    /// The contract's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Alert => "alert",
            Self::Mask => "mask",
            Self::Redact => "redact",
            Self::Quarantine => "quarantine",
            Self::Block => "block",
        }
    }
}

/// What a manifest says about one class or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataRule {
    /// The class or group.
    pub class: DataClass,
    /// What happens to its findings.
    pub action: DataAction,
    /// Where it stands.
    pub at: Arc<RuleRef>,
}

/// What happens to findings, by direction and class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataRules {
    /// What comes in.
    pub inputs: Vec<DataRule>,
    /// What goes out.
    pub outputs: Vec<DataRule>,
}

impl DataRules {
    /// What happens to findings of `class`, and the rule that says so. A rule about the class
    /// itself beats one about its group; without either, secrets do not go out, and everything
    /// else is recorded.
    pub fn action(
        &self,
        direction: Direction,
        class: &DataClass,
    ) -> (DataAction, Option<&DataRule>) {
        let rules = self.of(direction);
        let own = rules.iter().find(|rule| rule.class == *class);
        let rule = own.or_else(|| rules.iter().find(|rule| rule.class.covers(class)));
        let default = match (direction, class.group()) {
            (Direction::Output, DataGroup::Secrets) => DataAction::Block,
            _ => DataAction::Alert,
        };
        (rule.map_or(default, |rule| rule.action), rule)
    }

    /// The rules of one direction.
    pub fn of(&self, direction: Direction) -> &[DataRule] {
        match direction {
            Direction::Input => &self.inputs,
            Direction::Output => &self.outputs,
        }
    }
}

/// Model APIs that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelApi {
    /// Anthropic Messages.
    Anthropic,
    /// `OpenAI` Chat Completions and Responses.
    OpenAi,
    /// Google Gemini.
    Gemini,
    /// AWS Bedrock.
    Bedrock,
}

impl ModelApi {
    /// The contract's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
        }
    }

    /// What a vendor's own host speaks.
    pub fn of_vendor(host: &Host) -> Option<Self> {
        let Host::Name(name) = host else { return None };
        let name = &**name;
        let vertex = name.ends_with("-aiplatform.googleapis.com");
        match name {
            "api.anthropic.com" => Some(Self::Anthropic),
            "api.openai.com" | "chatgpt.com" | "api.githubcopilot.com" => Some(Self::OpenAi),
            "generativelanguage.googleapis.com" | "aiplatform.googleapis.com" => Some(Self::Gemini),
            _ if name.ends_with(".openai.azure.com") => Some(Self::OpenAi),
            _ if vertex => Some(Self::Gemini),
            _ if name.starts_with("bedrock-runtime.") && name.ends_with(".amazonaws.com") => {
                Some(Self::Bedrock)
            }
            _ => None,
        }
    }
}

const PII: [&str; 15] = [
    "PERSON",
    "ADDRESS",
    "LOCATION",
    "ORGANIZATION",
    "EMAIL",
    "PHONE",
    "CREDIT_CARD",
    "IBAN",
    "BANK_ACCOUNT",
    "NATIONAL_ID",
    "DATE_OF_BIRTH",
    "IP_ADDRESS",
    "MEDICAL",
    "SALARY",
    "CRYPTO_WALLET",
];
const SECRETS: [&str; 7] =
    ["API_KEY", "PASSWORD", "PRIVATE_KEY", "JWT", "CONNECTION_STRING", "BEARER", "SEED_PHRASE"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_covers_its_classes() {
        let class = |text| DataClass::parse(text).expect(text);
        assert!(class("pii").covers(&class("EMAIL")));
        assert!(class("EMAIL").covers(&class("EMAIL")));
        assert!(class("registered").covers(&class("EXACT:customers")));
        assert!(!class("secrets").covers(&class("EMAIL")));
        assert!(!class("EMAIL").covers(&class("pii")));
        assert_eq!(class("API_KEY").group(), DataGroup::Secrets);
        assert_eq!(DataClass::parse("email"), None);
        assert_eq!(DataClass::parse("EXACT:"), None);
    }

    #[test]
    fn the_class_beats_its_group_and_secrets_stay_in_by_default() {
        let class = |text| DataClass::parse(text).expect(text);
        let at = Arc::new(RuleRef {
            pointer: String::new(),
            line: 0,
            column: 0,
            source: crate::RuleSource::Manifest,
        });
        let rule = |text, action| DataRule { class: class(text), action, at: Arc::clone(&at) };
        let outputs = vec![rule("pii", DataAction::Redact), rule("EMAIL", DataAction::Allow)];
        let rules = DataRules { inputs: Vec::new(), outputs };
        let action = |direction, text| rules.action(direction, &class(text)).0;
        assert_eq!(action(Direction::Output, "EMAIL"), DataAction::Allow);
        assert_eq!(action(Direction::Output, "PERSON"), DataAction::Redact);
        assert_eq!(action(Direction::Output, "API_KEY"), DataAction::Block);
        assert_eq!(action(Direction::Input, "API_KEY"), DataAction::Alert);
        assert_eq!(action(Direction::Output, "CANARY"), DataAction::Alert);
    }
}
