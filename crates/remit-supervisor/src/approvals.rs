//! Questions that wait for a person, and what an answer does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

use remit_core::{
    Action, Answer, AnswerReceiver, AnswerSender, ApprovalId, ApprovalRequest, Approver,
    AuditError, GrantId, Guard, Outcome, ReasonCode, Timestamp, answer_channel,
};
use remit_policy::{Grant, GrantError, GrantScope, Lifetime, PolicyStore};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

/// How long a yes lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifetimeChoice {
    /// For the waiting attempt alone.
    Once,
    /// For this session, for everything that the asking rule covers.
    Session,
    /// Until a time, for everything that the asking rule covers.
    Until(Timestamp),
}

/// A waiting question, as people see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovalView {
    /// Its id.
    pub id: ApprovalId,
    /// What is attempted.
    pub action: Action,
    /// On what.
    pub resource: String,
    /// When it was asked.
    pub asked: Timestamp,
    /// When it is refused by itself.
    pub expires: Timestamp,
    /// JSON pointer of the rule that asks.
    pub rule: Option<String>,
    /// Process that waits, in the host's numbering.
    pub pid: Option<u32>,
}

/// Why an answer did not take effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AnswerError {
    /// Nobody waits for it (any more).
    #[error("no question with this id is waiting")]
    Unknown,
    /// The trail cannot take the record.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The grant cannot be made.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// Nothing can be granted for this request.
    #[error("this request cannot be granted")]
    Ungrantable,
}

struct Waiting {
    question: ApprovalRequest,
    sender: AnswerSender,
}

type BeforeGrant = Box<dyn Fn(&Grant, Option<u32>) + Send + Sync>;

/// One session's desk.
pub struct Desk {
    store: Arc<PolicyStore>,
    timers: Handle,
    guard: OnceLock<Weak<Guard>>,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    grants: std::sync::atomic::AtomicU64,
    before_grant: OnceLock<BeforeGrant>,
    changed: tokio::sync::watch::Sender<usize>,
    own: Weak<Self>,
}

/// Most questions that may wait at one time; more are refused at once.
const MOST_WAITING: usize = 256;

impl Desk {
    pub(crate) fn new(store: Arc<PolicyStore>, timers: Handle) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            store,
            timers,
            guard: OnceLock::new(),
            waiting: Mutex::default(),
            grants: std::sync::atomic::AtomicU64::new(0),
            before_grant: OnceLock::new(),
            changed: tokio::sync::watch::Sender::new(0),
            own: own.clone(),
        })
    }

    /// Connects the guard whose trail answers are written to.
    pub(crate) fn serve(&self, guard: &Arc<Guard>) {
        let _ = self.guard.set(Arc::downgrade(guard));
    }

    /// Calls `act` with what is about to be granted and the thread that waits, before it is.
    pub(crate) fn before_grants(&self, act: impl Fn(&Grant, Option<u32>) + Send + Sync + 'static) {
        let _ = self.before_grant.set(Box::new(act));
    }

    /// Changes with every question and answer.
    pub(crate) fn changes(&self) -> tokio::sync::watch::Receiver<usize> {
        self.changed.subscribe()
    }

    /// What waits, oldest first.
    pub(crate) fn list(&self) -> Vec<ApprovalView> {
        self.waiting().values().map(|waiting| view(&waiting.question)).collect()
    }

    /// Says yes: records it, widens the policy, lets the caller go on.
    pub(crate) fn approve(
        &self,
        id: &ApprovalId,
        choice: LifetimeChoice,
        by: &str,
    ) -> Result<(), AnswerError> {
        let guard = self.guard()?;
        let Waiting { question, sender } = self.take(id)?;
        let grant = match self.grant(&question, choice) {
            Ok(grant) => grant,
            Err(error) => {
                sender.send(Answer::Denied);
                return Err(error);
            }
        };
        let how = match choice {
            LifetimeChoice::Once => "once".to_owned(),
            LifetimeChoice::Session => "for this session".to_owned(),
            LifetimeChoice::Until(time) => format!("until {time}"),
        };
        let text = format!("{} {how} by {by}", question.request.action.as_str());
        let note = |action, detail| {
            let (outcome, reason) = (Outcome::Allowed, ReasonCode::Approved);
            guard.note_approval(&question, action, outcome, reason, Some(detail))
        };
        // Decide, record, then act: a yes that cannot be recorded is a no.
        let recorded = note(Action::ApprovalDecision, text.clone())
            .and_then(|_| note(Action::Grant, format!("{} {how}", grant.id)));
        if let Err(error) = recorded {
            sender.send(Answer::Denied);
            return Err(error.into());
        }
        if let Some(act) = self.before_grant.get() {
            act(&grant, question.request.context.pid);
        }
        let added = self.store.add_grant(grant);
        sender.send(if added.is_ok() { Answer::Approved } else { Answer::Denied });
        added?;
        Ok(())
    }

    /// Says no.
    pub(crate) fn deny(&self, id: &ApprovalId, by: &str) -> Result<(), AnswerError> {
        let guard = self.guard()?;
        let Waiting { question, sender } = self.take(id)?;
        let recorded = guard.note_approval(
            &question,
            Action::ApprovalDecision,
            Outcome::Denied,
            ReasonCode::ApprovalDenied,
            Some(format!("{} by {by}", question.request.action.as_str())),
        );
        // A no stands whether or not it could be written.
        sender.send(Answer::Denied);
        recorded?;
        Ok(())
    }

    /// Ends every question: the session is over.
    pub(crate) fn close(&self) {
        let all = std::mem::take(&mut *self.waiting());
        for waiting in all.into_values() {
            waiting.sender.send(Answer::Aborted);
        }
    }

    fn time_out(&self, number: u64) {
        let Some(waiting) = self.waiting().remove(&number) else { return };
        if let Ok(guard) = self.guard() {
            let _ = guard.note_approval(
                &waiting.question,
                Action::ApprovalDecision,
                Outcome::Denied,
                ReasonCode::ApprovalTimeout,
                Some(waiting.question.request.action.as_str().to_owned()),
            );
        }
        waiting.sender.send(Answer::TimedOut);
        self.tell();
    }

    fn grant(
        &self,
        question: &ApprovalRequest,
        choice: LifetimeChoice,
    ) -> Result<Grant, AnswerError> {
        let (scope, lifetime) = match choice {
            LifetimeChoice::Once => (
                GrantScope::narrowest_for(&question.request),
                Lifetime::Once(question.correlation.clone()),
            ),
            LifetimeChoice::Session => {
                (self.store.widest_for(&question.request), Lifetime::Session)
            }
            LifetimeChoice::Until(time) => {
                (self.store.widest_for(&question.request), Lifetime::Until(time))
            }
        };
        let number = self.grants.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        Ok(Grant {
            id: GrantId::new(question.id.session().clone(), number),
            scope: scope.ok_or(AnswerError::Ungrantable)?,
            lifetime,
            approval: question.id.clone(),
            rule: match choice {
                LifetimeChoice::Once => None,
                LifetimeChoice::Session | LifetimeChoice::Until(_) => {
                    question.decision.rule.clone()
                }
            },
        })
    }

    fn guard(&self) -> Result<Arc<Guard>, AnswerError> {
        self.guard.get().and_then(Weak::upgrade).ok_or(AnswerError::Unknown)
    }

    fn take(&self, id: &ApprovalId) -> Result<Waiting, AnswerError> {
        let mut waiting = self.waiting();
        let known = waiting.get(&id.number()).is_some_and(|one| one.question.id == *id);
        let taken = if known { waiting.remove(&id.number()) } else { None };
        drop(waiting);
        self.tell();
        taken.ok_or(AnswerError::Unknown)
    }

    fn tell(&self) {
        let count = self.waiting().len();
        self.changed.send_replace(count);
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Approver for Desk {
    fn ask(&self, question: ApprovalRequest) -> AnswerReceiver {
        let (sender, receiver) = answer_channel();
        let (number, patience) = (question.id.number(), question.patience);
        {
            let mut waiting = self.waiting();
            if waiting.len() >= MOST_WAITING {
                sender.send(Answer::Denied);
                return receiver;
            }
            waiting.insert(number, Waiting { question, sender });
        }
        self.tell();
        if let Some(own) = self.own.upgrade() {
            self.timers.spawn(async move {
                tokio::time::sleep(patience).await;
                own.time_out(number);
            });
        }
        receiver
    }
}

fn view(question: &ApprovalRequest) -> ApprovalView {
    ApprovalView {
        id: question.id.clone(),
        action: question.request.action,
        resource: question.request.resource.describe(),
        asked: question.asked,
        expires: question.asked.after(question.patience),
        rule: question.decision.rule.as_ref().map(|rule| rule.pointer.clone()),
        pid: question.request.context.pid,
    }
}
