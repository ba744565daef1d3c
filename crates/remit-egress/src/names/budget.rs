//! How much a session can say by the names it makes up. Under a wildcard the agent chooses the
//! labels, and a connection to such a name tells them to the domain's own name server: so the
//! bytes of new names are counted, by parent domain.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
    time::{Duration, Instant},
};

use remit_core::Host;

use crate::live::lock;

/// Names that clients of the explicit proxy connected to. It has no directory, and it may run for
/// weeks: the budget is a day's.
#[derive(Debug, Default)]
pub(crate) struct SaidNames {
    inner: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    since: Option<Instant>,
    known: HashSet<Host>,
    budget: NameBudget,
}

impl SaidNames {
    /// Whether `host` is known already, or may still be made known.
    pub(crate) fn admit(&self, host: &Host) -> bool {
        let mut said = lock(&self.inner);
        if said.since.is_none_or(|since| since.elapsed() >= DAY) {
            *said = Said { since: Some(Instant::now()), ..Said::default() };
        }
        if said.known.contains(host) {
            return true;
        }
        let new = said.known.len() < MOST_NAMES && said.budget.spend(host);
        if new {
            said.known.insert(host.clone());
        }
        new
    }
}

/// Bytes of new labels, per parent, for the session.
#[derive(Debug, Default)]
pub(super) struct NameBudget {
    spent: HashMap<Box<str>, usize>,
}

impl NameBudget {
    /// Whether a name that was never seen may still be made known.
    pub(super) fn spend(&mut self, host: &Host) -> bool {
        let Some(name) = host.as_name() else { return true };
        let labels: Vec<&str> = name.split('.').collect();
        // The owner's domain is at least the last two labels; a finer cut is not needed, since
        // the budget is ample for names that a person listed.
        let kept = labels.len().min(2);
        let (own, parent) = labels.split_at(labels.len().saturating_sub(kept));
        let bytes = own.iter().map(|label| label.len().saturating_add(1)).sum::<usize>();
        let spent = self.spent.entry(parent.join(".").into()).or_default();
        let after = spent.saturating_add(bytes);
        if after > MOST_BYTES {
            return false;
        }
        *spent = after;
        true
    }
}

const MOST_BYTES: usize = 16 << 10;
const MOST_NAMES: usize = 4096;
const DAY: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn long_made_up_names_run_out_and_other_domains_do_not() {
        let mut budget = NameBudget::default();
        let label = "x".repeat(50);
        let made = (0..2000)
            .take_while(|n| budget.spend(&Host::parse(&format!("{label}{n}.acme.com")).unwrap()))
            .count();
        assert!((200..400).contains(&made), "{made}");
        assert!(budget.spend(&Host::parse("api.other.com").unwrap()));
    }
}
