//! The policy in force: manifest and live grants behind a numbered generation.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use remit_core::{
    AccessRequest, Clock, CorrelationId, Decision, Effect, GrantId, Pdp, ReasonCode, Resource,
    RuleRef, RuleSource, Timestamp,
};

use crate::{Ended, EndedRule, Grant, GrantError, GrantScope, Lifetime, Policy};

/// Called with the new generation after every change, outside of all locks.
pub type Listener = Box<dyn Fn(u64) + Send + Sync>;

/// Most grants that may live at one time.
const MOST_GRANTS: usize = 4096;

/// The policy decision point of one session.
pub struct PolicyStore {
    clock: Arc<dyn Clock>,
    policy: Arc<Policy>,
    state: RwLock<State>,
    generation: AtomicU64,
    listeners: Mutex<Vec<Listener>>,
}

#[derive(Default)]
struct State {
    grants: Vec<Live>,
    /// Ends up to here have been reported by [`PolicyStore::expire`].
    reported: Option<Timestamp>,
}

struct Live {
    grant: Grant,
    at: Arc<RuleRef>,
}

impl PolicyStore {
    /// A store without grants, at generation 1.
    pub fn new(policy: Policy, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            policy: Arc::new(policy),
            state: RwLock::default(),
            generation: AtomicU64::new(1),
            listeners: Mutex::default(),
        }
    }

    /// The compiled manifest.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The number of the policy in force; it grows with every change.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Calls `listener` with the new generation after every change.
    pub fn subscribe(&self, listener: Listener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Adds a grant and returns the new generation.
    ///
    /// # Errors
    /// [`GrantError`]; nothing has changed then.
    pub fn add_grant(&self, grant: Grant) -> Result<u64, GrantError> {
        let now = self.clock.now();
        let manifest_end = self.policy.expiry.as_ref().map(|expiry| expiry.time);
        if [grant.lifetime.end(), manifest_end].iter().flatten().any(|end| *end <= now) {
            return Err(GrantError::Ended);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.grants.iter().any(|live| live.grant.id == grant.id) {
            return Err(GrantError::Exists);
        }
        if state.grants.len() >= MOST_GRANTS {
            return Err(GrantError::TooMany);
        }
        let at = Arc::new(RuleRef {
            pointer: grant.id.to_string(),
            line: 0,
            column: 0,
            source: RuleSource::Grant(grant.id.clone()),
        });
        state.grants.push(Live { grant, at });
        let generation = self.advance();
        drop(state);
        self.tell(generation);
        Ok(generation)
    }

    /// Ends a grant now; `None` when there is none with this id.
    pub fn revoke(&self, id: &GrantId) -> Option<Grant> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let index = state.grants.iter().position(|live| live.grant.id == *id)?;
        let live = state.grants.remove(index);
        let generation = self.advance();
        drop(state);
        self.tell(generation);
        Some(live.grant)
    }

    /// Ends the grants for one use whose attempt is over.
    pub fn finish(&self, correlation: &CorrelationId) -> Vec<Grant> {
        self.remove(|grant| matches!(&grant.lifetime, Lifetime::Once(own) if own == correlation))
    }

    /// What has ended at or before `now` and was not reported before, oldest first. Ended grants
    /// are removed; decisions have refused them since their end, this call or not.
    pub fn expire(&self, now: Timestamp) -> Vec<Ended> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let last = state.reported;
        let fresh = |end: Option<Timestamp>| {
            end.filter(|end| *end <= now && last.is_none_or(|last| *end > last))
        };
        let mut ended = self.rules_that_end(fresh);
        let (over, live): (Vec<Live>, Vec<Live>) = std::mem::take(&mut state.grants)
            .into_iter()
            .partition(|live| live.grant.lifetime.end().is_some_and(|end| end <= now));
        state.grants = live;
        state.reported = Some(last.map_or(now, |last| last.max(now)));
        ended.extend(over.into_iter().map(|live| Ended {
            when: live.grant.lifetime.end().unwrap_or(now),
            what: EndedRule::Grant(live.grant),
            at: None,
        }));
        if ended.is_empty() {
            return ended;
        }
        ended.sort_by_key(|ended| ended.when);
        let generation = self.advance();
        drop(state);
        self.tell(generation);
        ended
    }

    /// When the next rule or grant ends, after `now`.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let state = self.read();
        let grants = state.grants.iter().filter_map(|live| live.grant.lifetime.end());
        let files = self.policy.files.iter().filter_map(|rule| rule.expiry);
        let hosts = self.policy.network.iter().filter_map(|rule| rule.expiry);
        let all = self.policy.expiry.iter().map(|expiry| expiry.time);
        grants.chain(files).chain(hosts).chain(all).filter(|end| *end > now).min()
    }

    /// The grants that are live now.
    pub fn grants(&self) -> Vec<Grant> {
        let now = self.clock.now();
        let live = |grant: &Grant| grant.lifetime.end().is_none_or(|end| end > now);
        self.read().grants.iter().map(|live| live.grant.clone()).filter(live).collect()
    }

    /// The widest scope that a person may grant in answer to this request: all that the asking
    /// rule covers. `None` when the request is not one that a person is asked about.
    pub fn widest_for(&self, request: &AccessRequest) -> Option<GrantScope> {
        let decision = self.policy.decide(request, Some(self.clock.now()));
        let at = decision.rule.filter(|_| decision.effect == Effect::Ask)?;
        if let Resource::File(path) = &request.resource {
            let rule = self.policy.files.covering(path)?;
            let Some(GrantScope::File { mode, .. }) = GrantScope::narrowest_for(request) else {
                return None;
            };
            return Some(GrantScope::File { scope: rule.scope.clone(), mode, below: true });
        }
        let host = self.policy.network.iter().find(|rule| rule.at == at);
        match host {
            Some(rule) => Some(GrantScope::Host { pattern: rule.pattern.clone(), port: None }),
            None => GrantScope::narrowest_for(request),
        }
    }

    fn rules_that_end(&self, fresh: impl Fn(Option<Timestamp>) -> Option<Timestamp>) -> Vec<Ended> {
        let mut ended = Vec::new();
        if let Some(expiry) = &self.policy.expiry
            && let Some(when) = fresh(Some(expiry.time))
        {
            let at = Some(Arc::clone(&expiry.at));
            ended.push(Ended { what: EndedRule::Manifest, at, when });
        }
        for rule in self.policy.files.iter() {
            if let Some(when) = fresh(rule.expiry) {
                let what = EndedRule::File { scope: rule.scope.clone(), mode: rule.mode };
                ended.push(Ended { what, at: Some(Arc::clone(&rule.at)), when });
            }
        }
        for rule in self.policy.network.iter() {
            if let Some(when) = fresh(rule.expiry) {
                let (pattern, ports) = (rule.pattern.clone(), Arc::clone(&rule.ports));
                let what = EndedRule::Host { pattern, ports };
                ended.push(Ended { what, at: Some(Arc::clone(&rule.at)), when });
            }
        }
        ended
    }

    fn remove(&self, over: impl Fn(&Grant) -> bool) -> Vec<Grant> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let (gone, live): (Vec<Live>, Vec<Live>) =
            std::mem::take(&mut state.grants).into_iter().partition(|live| over(&live.grant));
        state.grants = live;
        if gone.is_empty() {
            return Vec::new();
        }
        let generation = self.advance();
        drop(state);
        self.tell(generation);
        gone.into_iter().map(|live| live.grant).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::AcqRel).saturating_add(1)
    }

    fn tell(&self, generation: u64) {
        for listener in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(generation);
        }
    }

    /// A grant's answer to a question that the manifest leaves to a person.
    fn answered(
        &self,
        question: Decision,
        request: &AccessRequest,
        correlation: &CorrelationId,
    ) -> Decision {
        let now = self.clock.now();
        let state = self.read();
        let granting = state.grants.iter().filter(|live| {
            let lives = match &live.grant.lifetime {
                Lifetime::Once(own) => own == correlation,
                Lifetime::Session => true,
                Lifetime::Until(end) => *end > now,
            };
            // A yes to one rule is none to another that covers some of the same.
            let asked = live.grant.rule.is_none() || live.grant.rule == question.rule;
            lives && asked && live.grant.scope.covers(request)
        });
        // The one that lasts longest: a shorter one must not end what another still permits.
        let Some(live) = granting
            .max_by_key(|live| live.grant.lifetime.end().map_or(i128::MAX, Timestamp::unix_nanos))
        else {
            return question;
        };
        Decision {
            effect: Effect::Permit,
            reason: ReasonCode::Approved,
            rule: Some(Arc::clone(&live.at)),
            ..question
        }
        .ending(live.grant.lifetime.end())
    }
}

impl Pdp for PolicyStore {
    fn decide(&self, request: &AccessRequest, correlation: &CorrelationId) -> Decision {
        let generation = self.generation();
        let now = self.policy.is_timed().then(|| self.clock.now());
        let mut decision = self.policy.decide(request, now);
        if decision.effect == Effect::Ask {
            decision = self.answered(decision, request, correlation);
        }
        decision.generation = generation;
        decision
    }

    fn judge_config(&self, path: &Path, old: Option<&[u8]>, new: &[u8]) -> Decision {
        let mut decision = self.policy.judge_config(path, old, new);
        decision.generation = self.generation();
        decision
    }
}
