//! Looks for findings in a body and does what the rules say about each.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use remit_core::{
    DataAction, DataRules, Detector, Direction, Finding, Outcome, ReasonCode, RuleRef,
};

use super::{Exchange, Findings, Held, Output, Stage, Stop};

/// What the rules say about what is found, for one body or message.
pub(super) struct Judge {
    pub(super) exchange: Arc<Exchange>,
    pub(super) rules: Arc<DataRules>,
    pub(super) direction: Direction,
    /// What is to be masked was masked before: it is no finding any more.
    pub(super) masked: bool,
    alerted: Noted,
    redacted: Noted,
}

/// What was let through, and how much of it is in the trail.
#[derive(Default)]
struct Noted {
    found: Findings,
    recorded: u64,
    rule: Option<Arc<RuleRef>>,
}

impl Judge {
    pub(super) fn new(
        exchange: Arc<Exchange>,
        rules: Arc<DataRules>,
        direction: Direction,
        masked: bool,
    ) -> Self {
        let (alerted, redacted) = (Noted::default(), Noted::default());
        Self { exchange, rules, direction, masked, alerted, redacted }
    }

    /// Decides about the findings of a text; gives those that must be taken out. What is let
    /// through or taken out is in the trail before this returns.
    pub(super) fn decide(&mut self, findings: &[Finding]) -> Result<Vec<Finding>, Stop> {
        let mut worst: Option<(DataAction, Option<Arc<RuleRef>>)> = None;
        let (mut stopping, mut out, mut fresh) = (Findings::default(), Vec::new(), false);
        for finding in findings {
            let (action, rule) = self.rules.action(self.direction, &finding.class);
            let rule = rule.map(|rule| Arc::clone(&rule.at));
            match action {
                DataAction::Allow => {}
                DataAction::Mask if self.masked => {}
                DataAction::Quarantine if self.exchange.released => {}
                DataAction::Alert => fresh |= self.alerted.add(finding, rule),
                DataAction::Redact => {
                    fresh |= self.redacted.add(finding, rule);
                    out.push(finding.clone());
                }
                DataAction::Mask | DataAction::Quarantine | DataAction::Block => {
                    stopping.add(&finding.class);
                    if worst.as_ref().is_none_or(|(known, _)| *known < action) {
                        worst = Some((action, rule));
                    }
                }
            }
        }
        match worst {
            None => {}
            // A release would send what may only be sent masked: that is no person's to give.
            Some((DataAction::Quarantine, rule)) if !self.has_mask(findings) => {
                return Err(Stop::Held(Held { found: stopping, rule }));
            }
            Some((DataAction::Block, rule)) => {
                let detail = stopping.to_string();
                return Err(self.exchange.refuse(
                    self.direction,
                    ReasonCode::DataBlocked,
                    rule,
                    &stopping,
                    detail,
                ));
            }
            Some((_, rule)) => {
                let (reason, detail) = (ReasonCode::MaskElsewhere, stopping.to_string());
                return Err(self.exchange.refuse(self.direction, reason, rule, &stopping, detail));
            }
        }
        if fresh {
            self.record()?;
        }
        Ok(out)
    }

    /// Records what has come since the last record.
    pub(super) fn record(&mut self) -> Result<(), Stop> {
        let Self { exchange, direction, alerted, redacted, .. } = self;
        alerted.record(exchange, *direction, Outcome::Allowed, ReasonCode::DataFound)?;
        redacted.record(exchange, *direction, Outcome::Redacted, ReasonCode::DataRedacted)
    }

    fn has_mask(&self, findings: &[Finding]) -> bool {
        let masks =
            |one: &Finding| self.rules.action(self.direction, &one.class).0 == DataAction::Mask;
        !self.masked && findings.iter().any(masks)
    }
}

impl Noted {
    /// Counts a finding; whether its class is new.
    fn add(&mut self, finding: &Finding, rule: Option<Arc<RuleRef>>) -> bool {
        let new = !self.found.has(&finding.class);
        self.found.add(&finding.class);
        self.rule = rule.or_else(|| self.rule.take());
        new
    }

    fn record(
        &mut self,
        exchange: &Exchange,
        direction: Direction,
        outcome: Outcome,
        reason: ReasonCode,
    ) -> Result<(), Stop> {
        let total = self.found.total();
        if total > self.recorded {
            self.recorded = total;
            let detail = self.found.to_string();
            exchange.note(direction, outcome, reason, self.rule.clone(), detail)?;
        }
        Ok(())
    }
}

/// A text with findings replaced by their classes.
pub(super) fn redact(text: &[u8], out: &[Finding]) -> Vec<u8> {
    let mut redacted = Vec::with_capacity(text.len());
    let mut from = 0;
    for finding in out {
        redacted.extend_from_slice(text.get(from..finding.range.start).unwrap_or_default());
        redacted.extend_from_slice(format!("[{}]", finding.class.as_str()).as_bytes());
        from = finding.range.end;
    }
    redacted.extend_from_slice(text.get(from..).unwrap_or_default());
    redacted
}

/// The stage.
pub(super) struct Scan {
    judge: Judge,
    detector: Arc<dyn Detector>,
    kept: BytesMut,
    /// Whether a finding may have to be stopped: its first bytes then wait for its last.
    stops: bool,
    /// Server-sent events: no finding reaches over the empty line that ends one.
    events: bool,
}

impl Scan {
    pub(super) fn new(
        judge: Judge,
        detector: Arc<dyn Detector>,
        stops: bool,
        events: bool,
    ) -> Self {
        Self { judge, detector, kept: BytesMut::new(), stops, events }
    }

    /// Nothing needs to be stopped: bytes go on at once, and only copies of the last are kept.
    fn look(&mut self, part: Bytes, out: &mut Output) -> Result<(), Stop> {
        let known = self.kept.len();
        self.kept.extend_from_slice(&part);
        let mut findings = self.detector.find(&self.kept);
        findings.retain(|finding| finding.range.end > known);
        self.judge.decide(&findings)?;
        let last = findings.last().map_or(0, |finding| finding.range.end);
        let keep = self.detector.reach().saturating_sub(1);
        let from = self.kept.len().saturating_sub(keep).max(last);
        let _ = self.kept.split_to(from);
        out.pass(part);
        Ok(())
    }

    /// Lets everything go on but the last `keep` bytes.
    fn let_go(&mut self, findings: &[Finding], keep: usize, out: &mut Output) {
        let text = self.kept.split_to(self.kept.len().saturating_sub(keep)).freeze();
        let mut from = 0;
        for Finding { range: Range { start, end }, class } in findings {
            out.pass(text.slice(from.min(text.len())..(*start).min(text.len())));
            out.put(Bytes::from(format!("[{}]", class.as_str())));
            from = *end;
        }
        out.pass(text.slice(from.min(text.len())..));
    }
}

impl Stage for Scan {
    fn push(&mut self, part: Bytes, out: &mut Output) -> Result<(), Stop> {
        if !self.stops {
            return self.look(part, out);
        }
        self.kept.extend_from_slice(&part);
        let findings = self.detector.find(&self.kept);
        let replaced = self.judge.decide(&findings)?;
        let last = findings.last().map_or(0, |finding| finding.range.end);
        let rest = self.kept.get(last..).unwrap_or_default();
        let ended = self.events && ends_event(rest);
        let keep = if ended { 0 } else { self.detector.undecided(rest).min(rest.len()) };
        self.let_go(&replaced, keep, out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Output) -> Result<(), Stop> {
        if self.stops {
            // What is kept was searched already: there is no whole finding in it.
            self.let_go(&[], 0, out);
        }
        self.judge.record()
    }
}

/// Whether an event ends here (HTML, "Server-sent events": an empty line dispatches).
fn ends_event(text: &[u8]) -> bool {
    [&b"\n\n"[..], b"\r\n\r\n", b"\r\r"].iter().any(|end| text.ends_with(end))
}
