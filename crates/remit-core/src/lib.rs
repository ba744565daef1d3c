//! The words every other crate speaks, and the ports between them.
//!
//! An enforcement point builds an [`AccessRequest`], hands it to the [`Guard`], and acts on the
//! [`Verdict`]. The guard is the only way in: it asks the [`Pdp`], waits for the [`Approver`] when
//! a person must answer, and writes the record to the [`AuditSink`] before it lets the effect
//! happen. Nothing here does I/O or knows a runtime; callers bring time, disks and sockets.

mod action;
mod answer;
mod data;
mod decision;
mod guard;
mod host;
mod ids;
mod obligation;
mod path;
mod ports;
mod reason;
mod record;
mod request;
mod session;
mod spelled;
mod time_point;
mod traffic;

pub use action::{Action, Outcome};
pub use answer::{AnswerReceiver, AnswerSender, answer_channel};
pub use data::{
    DataAction, DataClass, DataGroup, DataRule, DataRules, Detector, Direction, Finding, ModelApi,
};
pub use decision::{Decision, Effect, RuleRef, RuleSource, Suggestion};
pub use guard::{DataDenial, Denial, Guard, GuardPorts, Pending, Permit, Verdict};
pub use host::{Host, HostError, HostPattern};
pub use ids::{ApprovalId, CorrelationId, EventId, GrantId, IdError, SessionId};
pub use obligation::{AddressRule, Obligation, TlsMode};
pub use path::{PathError, PathScope, display_path};
pub use ports::{
    Answer, ApprovalRequest, Approver, AuditError, AuditSink, Clock, Durability, NoApprover, Pdp,
};
pub use reason::ReasonCode;
pub use record::Record;
pub use request::{AccessRequest, Context, FileKind, FileMode, Resource, Via};
pub use session::SessionContext;
pub use time_point::{Timestamp, TimestampError};
pub use traffic::HostTraffic;
