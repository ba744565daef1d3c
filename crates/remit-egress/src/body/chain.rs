//! Decoder, stages and what goes on, for one body.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use remit_core::{Direction, ReasonCode};

use super::{
    Exchange, Findings, Output, Stage, Stages, Stop,
    coding::{Coding, Decoder, Undecodable},
};

/// The way of one body.
pub(crate) struct Chain {
    exchange: Arc<Exchange>,
    direction: Direction,
    decoder: Option<Decoder>,
    stages: Vec<Box<dyn Stage>>,
    tap: Option<Tap>,
    changed: bool,
    lenient: bool,
}

/// Coded bytes that go on as they came, once what they hold was let through.
struct Tap {
    /// Coded bytes, and how much is decoded once they are.
    waiting: VecDeque<(Bytes, u64)>,
    decoded: u64,
    passed: u64,
    /// Looks at the coded bytes themselves: codings have places that no decoder reads.
    coded: Vec<Box<dyn Stage>>,
}

impl Chain {
    /// `coded` are stages for the coded bytes, where they go on as they are.
    pub(crate) fn new(
        exchange: Arc<Exchange>,
        direction: Direction,
        codings: &[Coding],
        stages: Stages,
        coded: Stages,
    ) -> Self {
        let decoder = Decoder::new(codings);
        let taps = decoder.is_some() && !stages.changes;
        let tap = taps.then(|| Tap {
            waiting: VecDeque::new(),
            decoded: 0,
            passed: 0,
            coded: coded.stages,
        });
        Self {
            exchange,
            direction,
            decoder,
            stages: stages.stages,
            tap,
            changed: false,
            lenient: false,
        }
    }

    /// Takes the next bytes and gives what goes on.
    pub(crate) fn push(&mut self, part: Bytes) -> Result<Vec<Bytes>, Stop> {
        if let Some(tap) = &mut self.tap {
            through(&mut tap.coded, vec![part.clone()], false)?;
        }
        let plain = self.decoder.is_none() && self.tap.is_none();
        let decoded = match self.decode(|decoder| decoder.push(&part))? {
            Some(decoded) => decoded,
            None if plain => part.clone(),
            None => return Ok(self.as_it_is(part)),
        };
        self.go_on(part, decoded, false)
    }

    /// The body is over.
    pub(crate) fn finish(&mut self) -> Result<Vec<Bytes>, Stop> {
        if let Some(tap) = &mut self.tap {
            through(&mut tap.coded, Vec::new(), true)?;
        }
        let decoded = self.decode(Decoder::finish)?.unwrap_or_default();
        self.go_on(Bytes::new(), decoded, true)
    }

    /// Whether something is kept that somebody may wait for.
    pub(crate) fn waits(&self) -> bool {
        self.stages.iter().any(|stage| stage.waits())
    }

    /// Nothing has come for a while: gives what need not wait any longer.
    pub(crate) fn idle(&mut self) -> Result<Vec<Bytes>, Stop> {
        let mut parts = Vec::new();
        for stage in &mut self.stages {
            let mut out = Output::default();
            for part in parts {
                stage.push(part, &mut out)?;
            }
            stage.idle(&mut out);
            parts = out.parts;
        }
        Ok(self.free(parts, false))
    }

    /// What cannot be decoded goes on as it is: nothing in it would be stopped.
    pub(crate) const fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Whether something that went on is not what came in.
    pub(crate) const fn changed(&self) -> bool {
        self.changed
    }

    fn go_on(&mut self, part: Bytes, decoded: Bytes, last: bool) -> Result<Vec<Bytes>, Stop> {
        let length = decoded.len() as u64;
        let parts = if decoded.is_empty() { Vec::new() } else { vec![decoded] };
        let output = through(&mut self.stages, parts, last)?;
        self.changed |= output.changed;
        if let Some(tap) = &mut self.tap {
            tap.decoded = tap.decoded.saturating_add(length);
            if !part.is_empty() {
                tap.waiting.push_back((part, tap.decoded));
            }
        }
        Ok(self.free(output.parts, last))
    }

    /// What goes on once these parts were let through.
    fn free(&mut self, parts: Vec<Bytes>, last: bool) -> Vec<Bytes> {
        let Some(tap) = &mut self.tap else { return parts };
        let count = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        tap.passed = tap.passed.saturating_add(count);
        let mut free = Vec::new();
        while let Some((part, _)) = tap.waiting.pop_front_if(|(_, end)| *end <= tap.passed || last)
        {
            free.push(part);
        }
        free
    }

    /// All that waits, and this: it cannot be decoded.
    fn as_it_is(&mut self, part: Bytes) -> Vec<Bytes> {
        let waiting = self.tap.as_mut().map(|tap| std::mem::take(&mut tap.waiting));
        let waiting = waiting.into_iter().flatten().map(|(part, _)| part);
        waiting.chain([part]).collect()
    }

    /// Decodes, where there is something to decode. `None`: it cannot be, and need not.
    fn decode(
        &mut self,
        decode: impl FnOnce(&mut Decoder) -> Result<Vec<u8>, Undecodable>,
    ) -> Result<Option<Bytes>, Stop> {
        let Some(decoder) = &mut self.decoder else { return Ok(None) };
        match decode(decoder) {
            Ok(decoded) => Ok(Some(decoded.into())),
            Err(_) if self.lenient => {
                self.decoder = None;
                self.stages.clear();
                Ok(None)
            }
            Err(fault) => Err(unreadable(&self.exchange, self.direction, fault)),
        }
    }
}

/// Passes bytes through stage after stage.
fn through(
    stages: &mut [Box<dyn Stage>],
    mut parts: Vec<Bytes>,
    last: bool,
) -> Result<Output, Stop> {
    let mut changed = false;
    for stage in stages {
        let mut out = Output::default();
        for part in parts {
            stage.push(part, &mut out)?;
        }
        if last {
            stage.finish(&mut out)?;
        }
        changed |= out.changed;
        parts = out.parts;
    }
    Ok(Output { parts, changed })
}

/// What cannot be looked into does not pass.
pub(super) fn unreadable(exchange: &Exchange, direction: Direction, fault: Undecodable) -> Stop {
    let nothing = Findings::default();
    exchange.refuse(direction, ReasonCode::BodyUnreadable, None, &nothing, fault.to_string())
}
