//! The one way in for every enforcement point: decide, ask, record, then act.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    AccessRequest, Action, Answer, AnswerReceiver, ApprovalId, ApprovalRequest, Approver,
    AuditError, AuditSink, Clock, CorrelationId, DataClass, Decision, Durability, Effect, EventId,
    HostTraffic, Obligation, Outcome, Pdp, ReasonCode, Record, Resource, RuleRef, SessionContext,
    Suggestion, Timestamp,
};

/// What the guard is made of.
pub struct GuardPorts {
    /// Decides.
    pub pdp: Arc<dyn Pdp>,
    /// Records.
    pub audit: Arc<dyn AuditSink>,
    /// Asks.
    pub approver: Arc<dyn Approver>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// One session's guard. Enforcement points share it behind an `Arc`.
pub struct Guard {
    session: SessionContext,
    ports: GuardPorts,
    patience: Duration,
    events: AtomicU64,
    correlations: AtomicU64,
    approvals: AtomicU64,
}

/// A yes: the record is in the log, the effect may happen.
#[derive(Clone, Debug)]
#[must_use]
pub struct Permit {
    /// Duties, in order.
    pub obligations: Vec<Obligation>,
    /// When the effect must end.
    pub until: Option<Timestamp>,
    /// Policy number that decided.
    pub generation: u64,
    /// Ties follow-up requests and effects to this one.
    pub correlation: CorrelationId,
}

/// A no, with what a person needs to know.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Why.
    pub reason: ReasonCode,
    /// The rule that made it.
    pub rule: Option<Arc<RuleRef>>,
    /// What to change.
    pub suggestion: Option<Box<Suggestion>>,
    /// The record of it, for `remit why`.
    pub event: EventId,
    /// What was asked for, as text.
    pub resource: String,
    /// What more the program may know of it: fixed words, which tell nothing of the machine.
    pub detail: Option<&'static str>,
    /// What was found in it, where that is the reason.
    pub data: Option<Box<DataDenial>>,
}

/// Findings that a payload was refused or held for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataDenial {
    /// Their classes.
    pub classes: Vec<DataClass>,
    /// The ticket, where it is held.
    pub ticket: Option<String>,
}

/// The guard's answer.
#[must_use]
pub enum Verdict {
    /// Act.
    Permit(Permit),
    /// Refuse.
    Deny(Denial),
    /// A person is being asked; wait in a thread or await.
    Pending(Pending),
}

/// A question under way.
pub struct Pending {
    guard: Arc<Guard>,
    request: AccessRequest,
    correlation: CorrelationId,
    approval: ApprovalId,
    receiver: AnswerReceiver,
}

impl Guard {
    /// A guard for one session; questions wait `patience` at most.
    pub fn new(session: SessionContext, ports: GuardPorts, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            session,
            ports,
            patience,
            events: AtomicU64::new(0),
            correlations: AtomicU64::new(0),
            approvals: AtomicU64::new(0),
        })
    }

    /// The session this guard speaks for.
    pub const fn session(&self) -> &SessionContext {
        &self.session
    }

    /// Now, by the session's clock.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Decides a request and records the decision. A permit means the record is written.
    pub fn check(self: &Arc<Self>, request: AccessRequest) -> Verdict {
        let correlation = request.correlation.clone().unwrap_or_else(|| self.correlate());
        let decision = self.ports.pdp.decide(&request, &correlation);
        match decision.effect {
            Effect::Permit | Effect::Deny => self.settle(&request, correlation, decision, None),
            Effect::Ask => self.ask(request, correlation, decision),
        }
    }

    /// [`Guard::check`], waiting in this thread for a person where one is asked.
    ///
    /// # Errors
    /// The [`Denial`] of the request.
    pub fn check_blocking(self: &Arc<Self>, request: AccessRequest) -> Result<Permit, Denial> {
        match self.check(request) {
            Verdict::Permit(permit) => Ok(permit),
            Verdict::Deny(denial) => Err(denial),
            Verdict::Pending(pending) => pending.wait(),
        }
    }

    /// [`Guard::check`], awaiting a person where one is asked.
    ///
    /// # Errors
    /// The [`Denial`] of the request.
    pub async fn check_async(self: &Arc<Self>, request: AccessRequest) -> Result<Permit, Denial> {
        match self.check(request) {
            Verdict::Permit(permit) => Ok(permit),
            Verdict::Deny(denial) => Err(denial),
            Verdict::Pending(pending) => pending.resolved().await,
        }
    }

    /// What the policy says, without asking anybody and without a record. For work that leads up
    /// to one recorded decision, such as looking through a folder before it is renamed.
    pub fn peek(&self, request: &AccessRequest) -> Decision {
        let nobody = CorrelationId::new(self.session.id.clone(), 0);
        self.ports.pdp.decide(request, request.correlation.as_ref().unwrap_or(&nobody))
    }

    /// Judges a version-control configuration by content; see [`Pdp::judge_config`].
    pub fn judge_config(&self, path: &Path, old: Option<&[u8]>, new: &[u8]) -> Decision {
        self.ports.pdp.judge_config(path, old, new)
    }

    /// Records a refusal that the enforcement point itself must make (a malformed request, an
    /// address that failed vetting) and returns it as a denial.
    pub fn refuse(&self, request: &AccessRequest, reason: ReasonCode) -> Denial {
        let correlation = request.correlation.clone().unwrap_or_else(|| self.correlate());
        let decision = Decision::deny(reason, None, 0);
        let record = self.record(request, &correlation, &decision, Outcome::Denied, None);
        // A refusal stands whether or not it could be written.
        let _ = self.append(&record);
        deny(decision, record)
    }

    /// Records what was found in, or done to, something that was decided on before: `request` is
    /// its question, `decision` the rule about the finding.
    ///
    /// # Errors
    /// [`AuditError`]: what is recorded must not happen.
    pub fn note_finding(
        &self,
        request: &AccessRequest,
        decision: &Decision,
        outcome: Outcome,
    ) -> Result<EventId, AuditError> {
        let correlation = request.correlation.clone().unwrap_or_else(|| self.correlate());
        let record = self.record(request, &correlation, decision, outcome, None);
        self.append(&record)?;
        Ok(record.event_id)
    }

    /// [`Guard::refuse`], naming the rule that made the refusal, with an outcome of its own.
    pub fn refuse_by(
        &self,
        request: &AccessRequest,
        decision: Decision,
        outcome: Outcome,
    ) -> Denial {
        let correlation = request.correlation.clone().unwrap_or_else(|| self.correlate());
        let record = self.record(request, &correlation, &decision, outcome, None);
        // A refusal stands whether or not it could be written.
        let _ = self.append(&record);
        deny(decision, record)
    }

    /// Records a fact of the session's life or an effect's outcome.
    ///
    /// # Errors
    /// [`AuditError`]: what the fact announces must not happen.
    pub fn note(
        &self,
        action: Action,
        resource: Resource,
        outcome: Outcome,
        reason: ReasonCode,
        detail: Option<String>,
    ) -> Result<EventId, AuditError> {
        let mut request = AccessRequest::new(action, resource);
        request.context.detail = detail;
        let correlation = self.correlate();
        let decision = Decision::permit(reason, None, 0);
        let record = self.record(&request, &correlation, &decision, outcome, None);
        self.append(&record)?;
        Ok(record.event_id)
    }

    /// Records a session's end with what it sent where.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn note_end(
        &self,
        session: Resource,
        outcome: Outcome,
        detail: String,
        traffic: Vec<HostTraffic>,
    ) -> Result<EventId, AuditError> {
        let mut request = AccessRequest::new(Action::SessionEnd, session);
        request.context.detail = Some(detail);
        let decision = Decision::permit(ReasonCode::SessionLife, None, 0);
        let correlation = self.correlate();
        let mut record = self.record(&request, &correlation, &decision, outcome, None);
        record.traffic = traffic;
        self.append(&record)?;
        Ok(record.event_id)
    }

    /// Records what became of a question: its answer, or the grant that a yes brought.
    ///
    /// # Errors
    /// [`AuditError`]: the answer must not take effect.
    pub fn note_approval(
        &self,
        question: &ApprovalRequest,
        action: Action,
        outcome: Outcome,
        reason: ReasonCode,
        detail: Option<String>,
    ) -> Result<EventId, AuditError> {
        let mut request = question.request.clone();
        request.action = action;
        request.context.detail = detail;
        let mut decision = question.decision.clone();
        decision.reason = reason;
        let approval = Some(question.id.clone());
        let record = self.record(&request, &question.correlation, &decision, outcome, approval);
        self.append(&record)?;
        Ok(record.event_id)
    }

    fn ask(
        self: &Arc<Self>,
        request: AccessRequest,
        correlation: CorrelationId,
        decision: Decision,
    ) -> Verdict {
        let approval = ApprovalId::new(self.session.id.clone(), next(&self.approvals));
        let mut question =
            self.record(&request, &correlation, &decision, Outcome::Asked, Some(approval.clone()));
        question.action = Action::ApprovalRequest;
        question.detail = Some(request.action.as_str().to_owned());
        if self.append(&question).is_err() {
            return Verdict::Deny(deny(unrecorded(&decision), question));
        }
        let receiver = self.ports.approver.ask(ApprovalRequest {
            id: approval.clone(),
            request: request.clone(),
            decision,
            correlation: correlation.clone(),
            asked: question.timestamp,
            patience: self.patience,
        });
        Verdict::Pending(Pending {
            guard: Arc::clone(self),
            request,
            correlation,
            approval,
            receiver,
        })
    }

    fn settle(
        &self,
        request: &AccessRequest,
        correlation: CorrelationId,
        decision: Decision,
        approval: Option<ApprovalId>,
    ) -> Verdict {
        let permitted = decision.effect == Effect::Permit;
        let outcome = if permitted { Outcome::Allowed } else { Outcome::Denied };
        let record = self.record(request, &correlation, &decision, outcome, approval);
        match (permitted, self.append(&record)) {
            (true, Ok(())) => Verdict::Permit(Permit {
                obligations: decision.obligations,
                until: decision.until,
                generation: decision.generation,
                correlation,
            }),
            (true, Err(_)) => Verdict::Deny(deny(unrecorded(&decision), record)),
            (false, _) => Verdict::Deny(deny(decision, record)),
        }
    }

    fn append(&self, record: &Record) -> Result<(), AuditError> {
        let durability =
            if record.action.is_barrier() { Durability::Barrier } else { Durability::Grouped };
        self.ports.audit.append(record, durability)
    }

    fn correlate(&self) -> CorrelationId {
        CorrelationId::new(self.session.id.clone(), next(&self.correlations))
    }

    fn record(
        &self,
        request: &AccessRequest,
        correlation: &CorrelationId,
        decision: &Decision,
        outcome: Outcome,
        approval: Option<ApprovalId>,
    ) -> Record {
        Record {
            timestamp: self.ports.clock.now(),
            principal: Arc::clone(&self.session.principal),
            agent_id: Arc::clone(&self.session.agent_id),
            action: request.action,
            resource: request.resource.describe(),
            permission_manifest: Arc::clone(&self.session.manifest),
            token_id: None,
            network_targets: request.resource.network_targets(),
            outcome,
            event_id: EventId::new(self.session.id.clone(), next(&self.events)),
            session_id: self.session.id.clone(),
            correlation_id: correlation.clone(),
            approval_id: approval,
            reason: decision.reason,
            rule: decision.rule.clone(),
            suggestion: decision.suggestion.as_deref().cloned(),
            generation: decision.generation,
            pid: request.context.pid,
            detail: request.context.detail.clone(),
            traffic: Vec::new(),
        }
    }
}

impl Pending {
    /// Waits in this thread.
    ///
    /// # Errors
    /// The [`Denial`], also when nobody answered in time.
    pub fn wait(self) -> Result<Permit, Denial> {
        let Self { guard, request, correlation, approval, receiver } = self;
        let answer = receiver.wait();
        conclude(&guard, &request, correlation, approval, answer)
    }

    /// Waits as a task.
    ///
    /// # Errors
    /// The [`Denial`], also when nobody answered in time.
    pub async fn resolved(self) -> Result<Permit, Denial> {
        let Self { guard, request, correlation, approval, receiver } = self;
        let answer = receiver.await;
        conclude(&guard, &request, correlation, approval, answer)
    }
}

/// A yes widened the policy before it was answered, so the decision is simply made again: the
/// effect rests on a rule, never on the answer alone.
fn conclude(
    guard: &Arc<Guard>,
    request: &AccessRequest,
    correlation: CorrelationId,
    approval: ApprovalId,
    answer: Answer,
) -> Result<Permit, Denial> {
    let mut decision = guard.ports.pdp.decide(request, &correlation);
    let refused = match answer {
        Answer::Approved => ReasonCode::Expired,
        Answer::Denied => ReasonCode::ApprovalDenied,
        Answer::TimedOut => ReasonCode::ApprovalTimeout,
        Answer::Aborted => ReasonCode::Aborted,
    };
    if answer != Answer::Approved || decision.effect == Effect::Ask {
        decision.effect = Effect::Deny;
        decision.reason = refused;
    }
    match guard.settle(request, correlation, decision, Some(approval)) {
        Verdict::Permit(permit) => Ok(permit),
        Verdict::Deny(denial) => Err(denial),
        Verdict::Pending(pending) => Err(guard.refuse(&pending.request, ReasonCode::Aborted)),
    }
}

fn unrecorded(decision: &Decision) -> Decision {
    Decision::deny(ReasonCode::AuditUnavailable, decision.rule.clone(), decision.generation)
}

fn deny(decision: Decision, record: Record) -> Denial {
    Denial {
        reason: decision.reason,
        rule: decision.rule,
        suggestion: decision.suggestion,
        event: record.event_id,
        resource: record.resource,
        detail: None,
        data: None,
    }
}

fn next(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed).saturating_add(1)
}
