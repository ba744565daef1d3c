//! What the core needs from outside: decisions, a trail, people, time.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    AccessRequest, AnswerReceiver, ApprovalId, CorrelationId, Decision, Record, Timestamp,
    answer_channel,
};

/// The policy decision point. Pure and quick: no I/O, no waiting.
pub trait Pdp: Send + Sync {
    /// Decides one request under the policy in force now. A `correlation` lets a grant for one
    /// use only meet the request that it was given for.
    fn decide(&self, request: &AccessRequest, correlation: &CorrelationId) -> Decision;

    /// Judges a change to a version-control configuration file by its content (the duty
    /// [`Obligation::JudgeConfig`](crate::Obligation::JudgeConfig)): `old` and `new` are whole
    /// files, `old` absent when the file does not exist yet.
    fn judge_config(&self, path: &Path, old: Option<&[u8]>, new: &[u8]) -> Decision;
}

/// How far a record must be before its effect may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// In the log, out of reach of any process's death; on disk within 20 ms.
    Grouped,
    /// On disk.
    Barrier,
}

/// Why the trail cannot take a record. Nothing may happen then.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the audit log cannot take records: {cause}")]
pub struct AuditError {
    /// The operating system's or the log's reason.
    pub cause: Arc<str>,
}

/// The trail.
pub trait AuditSink: Send + Sync {
    /// Writes a record; returns when it has reached `durability`.
    ///
    /// # Errors
    /// [`AuditError`]: the record may be lost, so its effect must not happen.
    fn append(&self, record: &Record, durability: Durability) -> Result<(), AuditError>;
}

/// A question to a person.
#[derive(Clone, Debug)]
pub struct ApprovalRequest {
    /// The question's id.
    pub id: ApprovalId,
    /// What the waiting call wants.
    pub request: AccessRequest,
    /// Why a person is asked.
    pub decision: Decision,
    /// Ties question, answer and effect together.
    pub correlation: CorrelationId,
    /// When it was asked.
    pub asked: Timestamp,
    /// How long the caller waits; then the answer is no.
    pub patience: Duration,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes: the policy now holds a grant; decide again.
    Approved,
    /// No.
    Denied,
    /// Nobody answered in time, or nobody can.
    TimedOut,
    /// The session ends.
    Aborted,
}

/// People. Implementations put the question to a person and, on a yes, widen the policy *before*
/// they answer.
pub trait Approver: Send + Sync {
    /// Puts the question; the receiver resolves exactly once, at the latest after `patience`.
    fn ask(&self, request: ApprovalRequest) -> AnswerReceiver;
}

/// An approver for programs that nobody attends: every answer is no.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoApprover;

impl Approver for NoApprover {
    fn ask(&self, _request: ApprovalRequest) -> AnswerReceiver {
        let (sender, receiver) = answer_channel();
        sender.send(Answer::TimedOut);
        receiver
    }
}

/// Wall-clock time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
