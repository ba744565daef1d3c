//! Keeping a processor awake while calls come one after the other.
//!
//! Each mediated call puts its caller to sleep and wakes it again, mostly across processors. Under
//! a hypervisor a processor without work is halted, and waking it costs more than the whole call.
//! Guests have an idle poll for this (`haltpoll`), which is off by default; here it is done for as
//! long as it pays: a thread that runs only where nothing else would (`SCHED_IDLE`), from the
//! eighth call in a row until shortly after the last.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::Thread,
    time::{Duration, Instant},
};

use super::sys;

/// Calls no further apart than this are a row: a caller that does nothing but call, also where each
/// wake-up is slow. Beside work of its own the processor is better left to the scheduler.
const GAP: Duration = Duration::from_micros(80);
/// So many in a row are worth a wake-up of their own.
const ROW: u32 = 8;

/// The receiver's end.
pub(super) struct Awake {
    shared: Arc<Shared>,
    keeper: Option<Thread>,
    row: u32,
    last: Instant,
    /// Whether waking is expensive here at all.
    useful: bool,
}

struct Shared {
    begun: Instant,
    /// When the last call came, in nanoseconds since `begun`.
    last: AtomicU64,
    watching: AtomicBool,
    over: AtomicBool,
}

impl Awake {
    pub(super) fn new() -> Self {
        let begun = Instant::now();
        let shared = Shared {
            begun,
            last: AtomicU64::new(0),
            watching: AtomicBool::new(false),
            over: AtomicBool::new(false),
        };
        let several = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
        let useful = several && sys::is_virtual_machine();
        Self { shared: Arc::new(shared), keeper: None, row: 0, last: begun, useful }
    }

    /// A call has come.
    pub(super) fn call(&mut self, now: Instant) {
        if !self.useful {
            return;
        }
        let close = now.duration_since(self.last) < GAP;
        // One late call among many does not end a row, one among few does.
        self.row = if close { self.row.saturating_add(1).min(2 * ROW) } else { self.row / 2 };
        self.last = now;
        if self.row < ROW {
            return;
        }
        self.shared.last.store(self.shared.since(now), Ordering::Relaxed);
        if !self.shared.watching.swap(true, Ordering::AcqRel) {
            match &self.keeper {
                Some(keeper) => keeper.unpark(),
                None => self.keeper = self.hire(),
            }
        }
    }

    fn hire(&self) -> Option<Thread> {
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new()
            .name("remit-awake".into())
            .stack_size(64 << 10)
            .spawn(move || shared.keep());
        // Without it calls are slower; nothing else.
        spawned.ok().map(|handle| handle.thread().clone())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        if let Some(keeper) = &self.keeper {
            keeper.unpark();
        }
    }
}

impl Shared {
    fn since(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.begun).as_nanos()).unwrap_or(u64::MAX)
    }

    fn keep(&self) {
        // At any other priority it would take time from those that it is there for.
        if sys::yield_to_everybody().is_err() {
            return;
        }
        let gap = u64::try_from(GAP.as_nanos()).unwrap_or(u64::MAX);
        while !self.over.load(Ordering::Acquire) {
            let quiet =
                self.since(Instant::now()).saturating_sub(self.last.load(Ordering::Relaxed));
            if quiet < gap {
                (0..200).for_each(|_| std::hint::spin_loop());
                continue;
            }
            self.watching.store(false, Ordering::Release);
            std::thread::park();
        }
    }
}
