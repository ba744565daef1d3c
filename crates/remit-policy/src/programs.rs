//! Which programs may start.

use std::{path::Path, sync::Arc};

use remit_core::{Decision, ReasonCode, RuleRef};
use remit_manifest::{Execute, ProgramRule};

use crate::{
    policy::{Policy, built_in},
    suggest,
};

/// `permissions.execute`, compiled.
#[derive(Debug)]
pub(crate) struct ProgramRules {
    execute: Execute,
    entry: Arc<RuleRef>,
}

impl ProgramRules {
    pub(crate) fn new(execute: &Execute) -> Self {
        let mut execute = execute.clone();
        if let Execute::List(rules) = &mut execute {
            // The longest path that covers a program comes first.
            rules.sort_by_key(|rule| std::cmp::Reverse(rule.path.depth()));
        }
        Self { execute, entry: built_in("the entry executable") }
    }

    pub(crate) fn decide(
        &self,
        path: &Path,
        sha256: Option<&[u8; 32]>,
        policy: &Policy,
    ) -> Decision {
        // Entry programs are never writable, see `Policy::write`.
        if policy.env.entry_programs.iter().any(|program| program == path) {
            return Decision::permit(ReasonCode::Granted, Some(Arc::clone(&self.entry)), 0);
        }
        let rule = match &self.execute {
            Execute::List(rules) => rules.iter().find(|rule| rule.path.covers(path)),
            Execute::None(_) | Execute::All(_) => None,
        };
        if policy.files.writable(path) {
            let at = rule.map(|rule| &rule.at).or_else(|| self.position());
            return Decision::deny(ReasonCode::AgentWritten, at.cloned(), 0);
        }
        match (&self.execute, rule) {
            (Execute::List(_), Some(rule)) => listed(rule, sha256),
            (Execute::All(at), _) if policy.env.system_dirs.iter().any(|d| d.covers(path)) => {
                Decision::permit(ReasonCode::Granted, Some(Arc::clone(at)), 0)
            }
            _ => {
                let denial = Decision::deny(ReasonCode::NotExecutable, self.position().cloned(), 0);
                suggest::program(denial, path, &self.execute, &policy.present)
            }
        }
    }

    fn position(&self) -> Option<&Arc<RuleRef>> {
        match &self.execute {
            Execute::None(at) => at.as_ref(),
            Execute::All(at) => Some(at),
            Execute::List(_) => None,
        }
    }
}

fn listed(rule: &ProgramRule, sha256: Option<&[u8; 32]>) -> Decision {
    let at = Some(Arc::clone(&rule.at));
    // The digest of a public file is no secret, so an ordinary comparison will do.
    if let Some(pinned) = &rule.sha256
        && sha256 != Some(&pinned.0)
    {
        return suggest::digest(Decision::deny(ReasonCode::DigestMismatch, at, 0), rule, sha256);
    }
    if rule.ask { Decision::ask(at, 0) } else { Decision::permit(ReasonCode::Granted, at, 0) }
}
