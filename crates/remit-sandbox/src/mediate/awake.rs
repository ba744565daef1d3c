//! Keeping a processor awake while calls come one after the other.
//!
//! Each mediated call puts its caller to sleep and wakes it again, mostly across processors. Under
//! a hypervisor a processor without work is halted, and waking it costs more than the whole call.
//! Guests have an idle poll for this (`haltpoll`), which is off by default; here it is done for as
//! long as it pays: a thread that runs only where nothing else would, from the eighth call in a row
//! until shortly after the last.
//!
//! Where there are just two processors it does better. A woken thread is put on an idle processor,
//! and one that runs `SCHED_IDLE` counts as idle (`select_idle_sibling`, kernel/sched/fair.c): so
//! each call crosses over and back. With a thread of the lowest ordinary priority there the other
//! processor is not idle, and caller and mediator take turns on one. It gives way when somebody
//! else has work there: then the processor is not idle by itself.

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

/// A thread that does nothing but look at the clock and misses so much was put aside for another.
const PUT_ASIDE: Duration = Duration::from_micros(300);
/// How long it then leaves the processor alone.
const RETREAT: Duration = Duration::from_millis(3);

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
    /// There is one processor beside the caller's.
    single: bool,
}

impl Awake {
    pub(super) fn new() -> Self {
        let begun = Instant::now();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shared = Shared {
            begun,
            single: processors == 2,
            last: AtomicU64::new(0),
            watching: AtomicBool::new(false),
            over: AtomicBool::new(false),
        };
        let useful = processors > 1 && sys::is_virtual_machine();
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
        // At a higher priority it would take time from those that it is there for.
        let low = if self.single { sys::yield_to_most() } else { sys::yield_to_everybody() };
        if low.is_err() {
            return;
        }
        let gap = u64::try_from(GAP.as_nanos()).unwrap_or(u64::MAX);
        let mut before = None;
        while !self.over.load(Ordering::Acquire) {
            let now = Instant::now();
            let quiet = self.since(now).saturating_sub(self.last.load(Ordering::Relaxed));
            if quiet < gap {
                let missed = before.map_or(Duration::ZERO, |before| now.duration_since(before));
                before = Some(now);
                if self.single && missed > PUT_ASIDE {
                    std::thread::park_timeout(RETREAT);
                    before = None;
                }
                (0..200).for_each(|_| std::hint::spin_loop());
                continue;
            }
            before = None;
            self.watching.store(false, Ordering::Release);
            std::thread::park();
        }
    }
}
