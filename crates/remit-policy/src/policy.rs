//! The compiled policy and the decision for one request, before any grant.

use std::{path::Path, sync::Arc};

use remit_core::{
    AccessRequest, Action, Decision, Effect, FileMode, Obligation, PathScope, ReasonCode, Resource,
    RuleRef, RuleSource, Timestamp, Via,
};
use remit_manifest::{Expiry, FileRule, Manifest, Present};

use crate::{
    HookFolder, PolicyEnv, ProtectedError,
    files::FileRules,
    network::NetworkRules,
    programs::ProgramRules,
    protect::{Protected, Verdict},
    suggest,
};

/// What the manifest and the machine permit. Immutable; shared behind an `Arc`.
#[derive(Debug)]
pub struct Policy {
    pub(crate) files: FileRules,
    pub(crate) network: NetworkRules,
    pub(crate) programs: ProgramRules,
    pub(crate) env: PolicyEnv,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) present: Present,
    timed: bool,
    protected: Protected,
    own: Arc<RuleRef>,
    hooks: Vec<HookFolder>,
    hook: Arc<RuleRef>,
    include: Arc<RuleRef>,
}

impl Policy {
    /// Compiles a manifest for this machine.
    ///
    /// # Errors
    /// [`ProtectedError`] when the shipped list of protected files cannot be read.
    pub fn new(manifest: &Manifest, env: PolicyEnv) -> Result<Self, ProtectedError> {
        let files = FileRules::new(&manifest.files);
        let network = NetworkRules::new(&manifest.network);
        let timed = manifest.expiry.is_some()
            || files.iter().any(|rule| rule.expiry.is_some())
            || network.iter().any(|rule| rule.expiry.is_some());
        Ok(Self {
            programs: ProgramRules::new(&manifest.execute),
            expiry: manifest.expiry.clone(),
            present: manifest.present,
            protected: Protected::shipped()?,
            own: built_in("remit's own files"),
            hooks: Vec::new(),
            hook: built_in("protected/git: core.hooksPath"),
            include: built_in("protected/git: included configuration"),
            files,
            network,
            env,
            timed,
        })
    }

    /// Protects also the folders of hooks that repositories of this machine name, and the
    /// configuration that theirs includes.
    #[must_use]
    pub fn with_hooks(self, hooks: Vec<HookFolder>) -> Self {
        Self { hooks, ..self }
    }

    /// Whether decisions depend on the time at all.
    pub(crate) const fn is_timed(&self) -> bool {
        self.timed
    }

    /// The decision from the manifest alone. `now` is asked for only when an end matters.
    pub(crate) fn decide(&self, request: &AccessRequest, now: Option<Timestamp>) -> Decision {
        if let Some(expiry) = &self.expiry
            && has_ended(Some(expiry.time), now)
        {
            return suggest::expired(
                Decision::deny(ReasonCode::Expired, Some(Arc::clone(&expiry.at)), 0),
                expiry.at.pointer.clone(),
                now,
            );
        }
        let decision = match (&request.resource, request.action) {
            (Resource::File(path), Action::ReadFile) => self.read(path, now),
            (Resource::File(path), Action::WriteFile | Action::DeleteFile) => {
                self.write(request, path, now)
            }
            (Resource::Program { path, sha256 }, Action::Execute) => {
                self.programs.decide(path, sha256.as_ref(), self)
            }
            (Resource::Name(host), Action::ResolveName) => {
                self.network.resolve(host, &self.present, now)
            }
            (Resource::Endpoint { host, port }, Action::Connect) => {
                self.network.connect(host, *port, &self.present, now)
            }
            (Resource::Address { address, port }, Action::Connect) => {
                self.network.address(*address, *port, &self.present, now)
            }
            (Resource::Http { host, port, method, path }, Action::HttpRequest) => {
                self.network.request((host, *port), (method, path), &self.present, now)
            }
            _ => Decision::deny(ReasonCode::NoGrant, None, 0),
        };
        match (&self.expiry, decision.effect) {
            (Some(expiry), Effect::Permit | Effect::Ask) => decision.ending(Some(expiry.time)),
            _ => decision,
        }
    }

    fn read(&self, path: &Path, now: Option<Timestamp>) -> Decision {
        if within(&self.env.hidden, path) {
            return Decision::deny(ReasonCode::Protected, Some(Arc::clone(&self.own)), 0);
        }
        match self.usable(path, FileMode::Read, now) {
            Ok(rule) => allowed(rule),
            Err(denial) => *denial,
        }
    }

    fn write(&self, request: &AccessRequest, path: &Path, now: Option<Timestamp>) -> Decision {
        // Also a folder above them: moving or removing it would take them along.
        let own = [&self.env.hidden, &self.env.own];
        if own.iter().any(|scopes| within(scopes, path) || above(scopes, path)) {
            return Decision::deny(ReasonCode::Protected, Some(Arc::clone(&self.own)), 0);
        }
        let rule = match self.usable(path, FileMode::Write, now) {
            Ok(rule) => rule,
            Err(denial) => return *denial,
        };
        // The entry executable must stay what was checked before it started.
        if self.env.entry_programs.iter().any(|program| program.starts_with(path)) {
            return Decision::deny(ReasonCode::Protected, Some(Arc::clone(&self.own)), 0);
        }
        let kind = request.context.kind;
        let mut hooks = self.hooks.iter();
        let hook = hooks.find(|folder| folder.refuses(path, &rule.scope, kind));
        // Removing a hook gives no power.
        if let Some(hook) = hook.filter(|_| request.action != Action::DeleteFile) {
            let at = if hook.included { &self.include } else { &self.hook };
            let denial = Decision::deny(ReasonCode::Protected, Some(Arc::clone(at)), 0);
            return suggest::very_path(denial, path, &self.present);
        }
        let moved = match &request.context.via {
            Some(Via::TreeMove { from, below }) => Some((from.as_path(), *below)),
            _ => None,
        };
        let protected = &self.protected;
        let delete = request.action == Action::DeleteFile;
        match protected.judge(path, &rule.scope, request.context.kind, delete, moved) {
            Verdict::Free => allowed(rule),
            Verdict::Refused(built_in) => suggest::very_path(
                Decision::deny(ReasonCode::Protected, Some(built_in), 0),
                path,
                &self.present,
            ),
            Verdict::Gated(built_in) => match &request.context.via {
                Some(Via::LockRename) => allowed(rule).with(Obligation::JudgeConfig),
                // Nobody runs a configuration, so its permission bits give no power.
                Some(Via::ModeChange) => allowed(rule),
                _ => suggest::very_path(
                    Decision::deny(ReasonCode::UnsafeConfig, Some(built_in), 0),
                    path,
                    &self.present,
                ),
            },
        }
    }

    /// The longest rule that covers `path`, if it is live and wide enough.
    fn usable(
        &self,
        path: &Path,
        mode: FileMode,
        now: Option<Timestamp>,
    ) -> Result<&FileRule, Box<Decision>> {
        let Some(rule) = self.files.covering(path) else {
            let denial = Decision::deny(ReasonCode::NoGrant, None, 0);
            return Err(Box::new(suggest::file(denial, path, mode, &self.present)));
        };
        let at = Some(Arc::clone(&rule.at));
        // An ended rule still hides the wider one above it: falling back could widen.
        if has_ended(rule.expiry, now) {
            let denial = Decision::deny(ReasonCode::Expired, at, 0);
            let pointer = format!("{}/expiry", rule.at.pointer);
            return Err(Box::new(suggest::expired(denial, pointer, now)));
        }
        if mode == FileMode::Write && rule.mode == FileMode::Read {
            let denial = Decision::deny(ReasonCode::ReadOnly, at, 0);
            return Err(Box::new(suggest::writable(denial, path, rule, &self.present)));
        }
        Ok(rule)
    }

    pub(crate) fn judge_config(&self, path: &Path, old: Option<&[u8]>, new: &[u8]) -> Decision {
        match crate::gitconfig::judge(old, new) {
            Ok(()) => {
                let at = Some(self.protected.config_rule());
                Decision::permit(ReasonCode::Granted, at, 0)
            }
            Err(why) => suggest::very_path(
                Decision::deny(ReasonCode::UnsafeConfig, Some(config_key(&why)), 0),
                path,
                &self.present,
            ),
        }
    }
}

/// Permit or ask, as the rule says.
fn allowed(rule: &FileRule) -> Decision {
    let at = Some(Arc::clone(&rule.at));
    let decision =
        if rule.ask { Decision::ask(at, 0) } else { Decision::permit(ReasonCode::Granted, at, 0) };
    decision.ending(rule.expiry)
}

/// A moment that is reached has ended.
pub(crate) fn has_ended(end: Option<Timestamp>, now: Option<Timestamp>) -> bool {
    match (end, now) {
        (Some(end), Some(now)) => end <= now,
        // Nobody knows the time: nothing that ends can be trusted.
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// The built-in rule, naming the key that it refuses.
fn config_key(why: &crate::gitconfig::Unsafe) -> Arc<RuleRef> {
    built_in(&format!("protected/git: configuration: {why}"))
}

pub(crate) fn built_in(name: &str) -> Arc<RuleRef> {
    Arc::new(RuleRef { pointer: name.to_owned(), line: 0, column: 0, source: RuleSource::BuiltIn })
}

fn within(scopes: &[PathScope], path: &Path) -> bool {
    scopes.iter().any(|scope| scope.covers(path))
}

fn above(scopes: &[PathScope], path: &Path) -> bool {
    scopes.iter().any(|scope| scope.as_path().starts_with(path))
}
