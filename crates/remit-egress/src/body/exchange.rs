//! One request and its answer, as stages know it.

use std::sync::{Arc, Mutex};

use remit_core::{
    AccessRequest, Action, DataClass, DataDenial, Decision, Denial, Direction, EventId, Guard,
    Host, ModelApi, Outcome, ReasonCode, RuleRef,
};

use super::{Findings, Held, Stop};
use crate::live::lock;

/// One request that was permitted, and its answer.
pub struct Exchange {
    guard: Arc<Guard>,
    question: AccessRequest,
    /// The server.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Upper-case.
    pub method: String,
    /// Path and query, as they are sent.
    pub target: String,
    /// The model API that the host speaks.
    pub model: Option<ModelApi>,
    /// A person released this very request: nothing in it is held.
    pub(crate) released: bool,
    stopped: Mutex<Option<Stop>>,
}

impl Exchange {
    pub(crate) fn new(
        guard: Arc<Guard>,
        question: AccessRequest,
        (host, port): (Host, u16),
        (method, target): (String, String),
        model: Option<ModelApi>,
    ) -> Self {
        let stopped = Mutex::default();
        Self { guard, question, host, port, method, target, model, released: false, stopped }
    }

    /// Bytes towards an endpoint that are no HTTP.
    pub(crate) fn raw(guard: Arc<Guard>, question: AccessRequest, endpoint: (Host, u16)) -> Self {
        Self::new(guard, question, endpoint, (String::new(), String::new()), None)
    }

    /// The same exchange, released by a person.
    pub(crate) fn released(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
            question: self.question.clone(),
            host: self.host.clone(),
            port: self.port,
            method: self.method.clone(),
            target: self.target.clone(),
            model: self.model,
            released: true,
            stopped: Mutex::default(),
        }
    }

    /// Records what was found in, or done to, what goes in this direction.
    ///
    /// # Errors
    /// [`Stop::Refused`] where it cannot be recorded: it must then not happen.
    pub fn note(
        &self,
        direction: Direction,
        outcome: Outcome,
        reason: ReasonCode,
        rule: Option<Arc<RuleRef>>,
        detail: String,
    ) -> Result<EventId, Stop> {
        self.note_as(self.action(direction), outcome, reason, rule, detail)
    }

    /// [`Exchange::note`] under another action.
    ///
    /// # Errors
    /// As [`Exchange::note`].
    pub fn note_as(
        &self,
        action: Action,
        outcome: Outcome,
        reason: ReasonCode,
        rule: Option<Arc<RuleRef>>,
        detail: String,
    ) -> Result<EventId, Stop> {
        let question = self.question(action, detail);
        let decision = Decision::permit(reason, rule, 0);
        self.guard.note_finding(&question, &decision, outcome).map_err(|_| {
            Stop::Refused(Box::new(self.guard.refuse(&question, ReasonCode::AuditUnavailable)))
        })
    }

    /// Records a refusal.
    pub fn refuse(
        &self,
        direction: Direction,
        reason: ReasonCode,
        rule: Option<Arc<RuleRef>>,
        found: &Findings,
        detail: String,
    ) -> Stop {
        let mut denial = self.denied(self.action(direction), reason, rule, detail);
        denial.data = data(found, None);
        Stop::Refused(Box::new(denial))
    }

    pub(crate) fn denied(
        &self,
        action: Action,
        reason: ReasonCode,
        rule: Option<Arc<RuleRef>>,
        detail: String,
    ) -> Denial {
        let decision = Decision::deny(reason, rule, 0);
        self.guard.refuse_by(&self.question(action, detail), decision, Outcome::Denied)
    }

    /// Records that the payload waits in quarantine: the program gets this answer.
    pub(crate) fn held(&self, held: &Held, ticket: String) -> Denial {
        let decision = Decision::deny(ReasonCode::DataHeld, held.rule.clone(), 0);
        let question = self.question(Action::QuarantineHold, format!("{ticket}: {}", held.found));
        let mut denial = match self.guard.note_finding(&question, &decision, Outcome::Held) {
            Ok(event) => Denial {
                reason: decision.reason,
                rule: decision.rule,
                suggestion: None,
                event,
                resource: self.resource(),
                detail: None,
                data: None,
            },
            Err(_) => return self.guard.refuse(&question, ReasonCode::AuditUnavailable),
        };
        denial.data = data(&held.found, Some(ticket));
        denial
    }

    /// Keeps why a streaming body stopped, for whoever answers the program.
    pub(crate) fn stop(&self, stop: Stop) {
        lock(&self.stopped).get_or_insert(stop);
    }

    pub(crate) fn take_stop(&self) -> Option<Stop> {
        lock(&self.stopped).take()
    }

    /// What was decided on, in words.
    pub fn resource(&self) -> String {
        self.question.resource.describe()
    }

    /// What the records are about.
    const fn action(&self, direction: Direction) -> Action {
        match (self.question.action, direction) {
            (Action::Connect, _) => Action::Connect,
            (_, Direction::Output) => Action::HttpRequest,
            (_, Direction::Input) => Action::HttpResponse,
        }
    }

    fn question(&self, action: Action, detail: String) -> AccessRequest {
        let mut question = self.question.clone();
        question.action = action;
        question.context.detail = Some(detail);
        question
    }
}

fn data(found: &Findings, ticket: Option<String>) -> Option<Box<DataDenial>> {
    let classes: Vec<DataClass> = found.iter().map(|(class, _)| class.clone()).collect();
    (!classes.is_empty()).then(|| Box::new(DataDenial { classes, ticket }))
}
