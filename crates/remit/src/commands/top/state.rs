//! What the screen shows: the last look, and what changed since the one before.

use std::collections::HashMap;

use remit_core::SessionId;

use super::look::Observed;

/// What stands in the lower half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    Hosts,
    Connections,
}

/// Bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) up: u64,
    pub(super) down: u64,
}

/// The screen's state.
pub(super) struct State {
    pub(super) observed: Vec<Observed>,
    pub(super) rates: HashMap<SessionId, Rate>,
    pub(super) below: Below,
    chosen: Option<SessionId>,
}

impl State {
    pub(super) fn new(observed: Vec<Observed>) -> Self {
        let mut state =
            Self { observed: Vec::new(), rates: HashMap::new(), below: Below::Hosts, chosen: None };
        state.update(observed);
        state
    }

    /// Takes in a new look.
    pub(super) fn update(&mut self, observed: Vec<Observed>) {
        let before: HashMap<_, _> =
            self.observed.iter().map(|one| (&one.running.info.session, one)).collect();
        let rates = observed.iter().filter_map(|one| {
            let id = &one.running.info.session;
            Some((id.clone(), rate(before.get(id)?, one)))
        });
        self.rates = rates.collect();
        self.observed = observed;
        if self.position().is_none() {
            self.chosen = self.observed.first().map(|one| one.running.info.session.clone());
        }
    }

    /// Chooses another session, so many lines away.
    pub(super) fn choose(&mut self, lines: isize) {
        let last = self.observed.len().saturating_sub(1);
        let at = self.position().unwrap_or(0).saturating_add_signed(lines).min(last);
        self.chosen = self.observed.get(at).map(|one| one.running.info.session.clone());
    }

    pub(super) fn switch(&mut self) {
        self.below = match self.below {
            Below::Hosts => Below::Connections,
            Below::Connections => Below::Hosts,
        };
    }

    /// Where the chosen session stands; sessions come and go, the choice stays with its own.
    pub(super) fn position(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.observed.iter().position(|one| one.running.info.session == *chosen)
    }

    pub(super) fn chosen(&self) -> Option<&Observed> {
        self.observed.get(self.position()?)
    }
}

/// Bytes of all hosts: from the program, to the program.
pub(super) fn bytes(observed: &Observed) -> (u64, u64) {
    let hosts = &observed.egress.summary.hosts;
    let up = hosts.iter().fold(0u64, |sum, host| sum.saturating_add(host.bytes_up));
    let down = hosts.iter().fold(0u64, |sum, host| sum.saturating_add(host.bytes_down));
    (up, down)
}

fn rate(before: &Observed, now: &Observed) -> Rate {
    let millis = u64::try_from(before.seen.until(now.seen).as_millis()).unwrap_or(u64::MAX).max(1);
    let per_second = |before: u64, now: u64| {
        now.saturating_sub(before).saturating_mul(1000).checked_div(millis).unwrap_or(0)
    };
    let ((up_before, down_before), (up, down)) = (bytes(before), bytes(now));
    Rate { up: per_second(up_before, up), down: per_second(down_before, down) }
}
