//! Looks for findings in a body and does what the rules say about each.

use std::sync::Arc;

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

    /// Refuses findings where nothing can be replaced.
    pub(super) fn unreplaceable(&self, found: &[Finding]) -> Stop {
        let rule = found.iter().find_map(|one| self.rules.action(self.direction, &one.class).1);
        let rule = rule.map(|rule| Arc::clone(&rule.at));
        let mut all = Findings::default();
        found.iter().for_each(|one| all.add(&one.class));
        let detail = format!("{all}; where nothing can be replaced");
        self.exchange.refuse(self.direction, ReasonCode::DataBlocked, rule, &all, detail)
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
    /// Bytes at the front of `kept` that have gone on: somebody waited for them.
    gone: usize,
    past: BytesMut,
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
        let (kept, past) = (BytesMut::new(), BytesMut::new());
        Self { judge, detector, kept, gone: 0, past, stops, events }
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

    /// Searches what is there, lets go on what is decided.
    fn advance(&mut self, over: bool, out: &mut Output) -> Result<(), Stop> {
        let ended = over || (self.events && ends_event(&self.kept));
        let length = self.kept.len();
        let keep = if ended { 0 } else { self.detector.undecided(&self.kept).min(length) };
        let decided = length.saturating_sub(keep);
        let mut findings = self.detector.find(&self.kept);
        // One that begins there may still become a longer one.
        findings.retain(|finding| finding.range.start < decided);
        self.look_behind_escapes(&findings)?;
        let mut replaced = self.judge.decide(&findings)?;
        if replaced.first().is_some_and(|finding| finding.range.start < self.gone) {
            return Err(self.judge.unreplaceable(&replaced));
        }
        let last = findings.last().map_or(0, |finding| finding.range.end);
        let text = self.kept.split_to(decided.max(last)).freeze();
        self.remember(&text);
        let gone = self.gone.min(text.len());
        self.gone = self.gone.saturating_sub(gone);
        let text = text.slice(gone..);
        if replaced.is_empty() {
            out.pass(text);
        } else {
            for Finding { range, .. } in &mut replaced {
                *range = range.start.saturating_sub(gone)..range.end.saturating_sub(gone);
            }
            out.put(redact(&text, &replaced).into());
        }
        Ok(())
    }

    /// Values spelled with the escapes of JSON, forms or URLs. They are stopped, but cannot be
    /// replaced in place.
    fn look_behind_escapes(&mut self, plain: &[Finding]) -> Result<(), Stop> {
        let text = [&self.past[..], &self.kept].concat();
        for reading in readings(&text) {
            let mut hidden = reading.search(&*self.detector);
            // Nearly always: what stands there plainly need not be looked for then.
            if hidden.is_empty() {
                continue;
            }
            for known in self.detector.find(&text).iter().chain(plain) {
                if let Some(at) = hidden.iter().position(|one| one.class == known.class) {
                    hidden.remove(at);
                }
            }
            if !self.judge.decide(&hidden)?.is_empty() {
                return Err(self.judge.unreplaceable(&hidden));
            }
            if !hidden.is_empty() {
                // Once is enough: what is remembered would be found again.
                self.past.clear();
            }
        }
        Ok(())
    }

    /// Keeps the end of what has gone on, in case a value in escapes goes on with it.
    fn remember(&mut self, text: &[u8]) {
        let most = self.detector.reach().saturating_mul(ESCAPED).min(MOST_PAST);
        self.past.extend_from_slice(text.get(text.len().saturating_sub(most)..).unwrap_or(text));
        let over = self.past.len().saturating_sub(most);
        let _ = self.past.split_to(over);
    }
}

impl Stage for Scan {
    fn push(&mut self, part: Bytes, out: &mut Output) -> Result<(), Stop> {
        if !self.stops {
            return self.look(part, out);
        }
        self.kept.extend_from_slice(&part);
        self.advance(false, out)
    }

    fn finish(&mut self, out: &mut Output) -> Result<(), Stop> {
        if self.stops {
            self.advance(true, out)?;
        }
        self.judge.record()
    }

    fn waits(&self) -> bool {
        self.stops && self.kept.len() > self.gone
    }

    fn idle(&mut self, out: &mut Output) {
        if self.waits() {
            out.pass(Bytes::copy_from_slice(self.kept.get(self.gone..).unwrap_or_default()));
            self.gone = self.kept.len();
        }
    }
}

/// Another way to read a text.
pub(super) struct Reading {
    pub(super) text: Vec<u8>,
    /// Shorter findings stand there by chance.
    least: usize,
}

impl Reading {
    pub(super) fn search(&self, detector: &dyn Detector) -> Vec<Finding> {
        let mut found = detector.find(&self.text);
        found.retain(|finding| finding.range.len() >= self.least);
        found
    }
}

/// What a text stands for: without the escapes of JSON (RFC 8259, 7), without those of URLs and
/// forms, and without the line breaks of encodings (RFC 2045, 6.8).
pub(super) fn readings(text: &[u8]) -> Vec<Reading> {
    let mut all = Vec::new();
    if text.contains(&b'\\') {
        all.push(Reading { text: unslashed(text), least: 0 });
    }
    if text.contains(&b'%') || text.contains(&b'+') {
        let plain = super::head::unescaped(text);
        let space = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
        all.push(Reading { text: plain.iter().map(space).collect(), least: 0 });
    }
    if text.contains(&b'\n') {
        let joined = text.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect();
        all.push(Reading { text: joined, least: LEAST_JOINED });
    }
    all
}

fn unslashed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let escape = (*byte == b'\\').then(|| after.split_first()).flatten();
        let Some((kind, behind)) = escape else {
            out.push(*byte);
            continue;
        };
        rest = behind;
        match kind {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => {
                let unit = |from: &[u8]| -> Option<u16> {
                    let digits = std::str::from_utf8(from.get(..4)?).ok()?;
                    u16::from_str_radix(digits, 16).ok()
                };
                let Some(first) = unit(behind) else { continue };
                rest = behind.get(4..).unwrap_or_default();
                let second = rest.strip_prefix(b"\\u").and_then(unit);
                let mut units = vec![first];
                units.extend(second.filter(|_| (0xd800..0xdc00).contains(&first)));
                if units.len() > 1 {
                    rest = rest.get(6..).unwrap_or_default();
                }
                out.extend_from_slice(String::from_utf16_lossy(&units).as_bytes());
            }
            other => out.push(*other),
        }
    }
    out
}

/// Whether an event ends here (HTML, "Server-sent events": an empty line dispatches).
fn ends_event(text: &[u8]) -> bool {
    [&b"\n\n"[..], b"\r\n\r\n", b"\r\r"].iter().any(|end| text.ends_with(end))
}

/// Bytes that one byte has at most in escapes (`\u0041`).
const ESCAPED: usize = 6;
/// Words that stand side by side make no finding of this length.
const LEAST_JOINED: usize = 16;
const MOST_PAST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        let read = |text: &str| {
            let all = readings(text.as_bytes());
            let text = |one: &Reading| String::from_utf8_lossy(&one.text).into_owned();
            all.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(read(r#"a\u0050b\n\"\ud83d\ude00"#), ["aPb\n\"\u{1f600}"]);
        assert_eq!(read("a%20b+c%zz"), ["a b c%zz"]);
        assert!(read("plain").is_empty());
    }
}
