//! What the policy decision point answers, with enough to explain it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{GrantId, Obligation, ReasonCode, Timestamp};

/// The answer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Let it happen, with the obligations.
    Permit,
    /// Refuse it.
    Deny,
    /// A person decides; until then it waits.
    Ask,
}

/// Where a rule comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
#[non_exhaustive]
pub enum RuleSource {
    /// The manifest's own text.
    Manifest,
    /// A grant that a person added to the running session.
    Grant(GrantId),
    /// What every session has or lacks, such as the protected files.
    BuiltIn,
}

/// The rule that made a decision, to point at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    /// JSON pointer (RFC 6901) into the manifest, or the name of a built-in rule.
    pub pointer: String,
    /// 1-based line in the manifest; 0 when the rule is not in it.
    pub line: u32,
    /// 1-based column (in characters) in the manifest; 0 when the rule is not in it.
    pub column: u32,
    /// Where the rule lives.
    pub source: RuleSource,
}

/// The narrowest manifest change that would permit a denied request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// JSON pointer of the array or key to change; `-` as last part means "append".
    pub pointer: String,
    /// The JSON value to put there.
    pub value: String,
}

/// A decision with its explanation.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Permit, deny or ask.
    pub effect: Effect,
    /// Why.
    pub reason: ReasonCode,
    /// The rule that made it, where one did.
    pub rule: Option<Arc<RuleRef>>,
    /// What to change so that it would be permitted; only on denials.
    pub suggestion: Option<Box<Suggestion>>,
    /// Duties, in the order they must be carried out.
    pub obligations: Vec<Obligation>,
    /// Number of the effective policy that decided.
    pub generation: u64,
    /// When the permission ends; the enforcement point must end the effect then.
    pub until: Option<Timestamp>,
}

impl Decision {
    /// A permit without obligations.
    pub fn permit(reason: ReasonCode, rule: Option<Arc<RuleRef>>, generation: u64) -> Self {
        Self::plain(Effect::Permit, reason, rule, generation)
    }

    /// A denial without a suggestion.
    pub fn deny(reason: ReasonCode, rule: Option<Arc<RuleRef>>, generation: u64) -> Self {
        Self::plain(Effect::Deny, reason, rule, generation)
    }

    /// A question to a person.
    pub fn ask(rule: Option<Arc<RuleRef>>, generation: u64) -> Self {
        Self::plain(Effect::Ask, ReasonCode::NeedsApproval, rule, generation)
    }

    /// The same decision with a suggestion.
    #[must_use]
    pub fn suggesting(mut self, pointer: impl Into<String>, value: impl Into<String>) -> Self {
        self.suggestion =
            Some(Box::new(Suggestion { pointer: pointer.into(), value: value.into() }));
        self
    }

    /// The same decision with one more duty.
    #[must_use]
    pub fn with(mut self, obligation: Obligation) -> Self {
        self.obligations.push(obligation);
        self
    }

    /// The same decision, ending at `until` if that is sooner.
    #[must_use]
    pub fn ending(mut self, until: Option<Timestamp>) -> Self {
        self.until = match (self.until, until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self
    }

    fn plain(
        effect: Effect,
        reason: ReasonCode,
        rule: Option<Arc<RuleRef>>,
        generation: u64,
    ) -> Self {
        Self {
            effect,
            reason,
            rule,
            suggestion: None,
            obligations: Vec::new(),
            generation,
            until: None,
        }
    }
}
