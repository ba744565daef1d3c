//! The session's egress bytes (`limits.egressBytes`).

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// Counts what leaves the machine, over all connections, TLS included.
///
/// Bytes are reserved before they are written, so the limit is never passed, not even by one
/// buffer.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    limit: Option<u64>,
    spent: AtomicU64,
    exceeded: AtomicBool,
    pub(crate) on_exceeded: Notify,
}

impl Budget {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Reserves `bytes`.
    pub(crate) fn spend(&self, bytes: usize) -> io::Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let limit = self.limit.unwrap_or(u64::MAX);
        let reserve = |spent: u64| spent.checked_add(bytes).filter(|sum| *sum <= limit);
        match self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve) {
            Ok(_) => Ok(()),
            Err(_) => {
                if !self.exceeded.swap(true, Ordering::Relaxed) {
                    self.on_exceeded.notify_one();
                }
                Err(io::Error::new(io::ErrorKind::QuotaExceeded, "egress bytes are spent"))
            }
        }
    }

    /// Returns what was reserved and not used.
    pub(crate) fn give_back(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let lower = |spent: u64| Some(spent.saturating_sub(bytes));
        let _ = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower);
    }

    /// Whether the limit stopped a write: nothing more may leave.
    pub(crate) fn is_spent(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    pub(crate) fn total(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_never_passed() {
        let budget = Budget::new(Some(10));
        assert!(budget.spend(6).is_ok());
        assert!(budget.spend(5).is_err());
        assert!(budget.is_spent());
        assert_eq!(budget.total(), 6);
        budget.give_back(2);
        assert_eq!(budget.total(), 4);
    }
}
