//! The threads of a mediator: who receives, who helps, who waits.

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::{AsRawFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::Receiver,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use remit_core::{AccessRequest, Pending, Permit};
use rustix::io::Errno;

use super::{
    awake::Awake,
    proc_status,
    sys::{self, Notification},
    turn::{Outcome, Reply, Shared, Stop, Turn, enter_view},
};

/// Calls that may wait at the same time; the next one is refused with `EAGAIN`.
const MAX_WAITING: usize = 64;
/// Threads that receive when the first one cannot keep up.
const MAX_HELPERS: usize = 3;
/// A receive that returns faster than this found its notification waiting.
const NO_WAIT: Duration = Duration::from_micros(2);
/// So many in a row call a helper.
const BACKLOG: u32 = 16;
/// A helper that waits longer than this is not needed any more.
const HELPER_IDLE: Duration = Duration::from_millis(2);
/// How often the janitor looks: for a stuck receiver, and for waits whose caller is gone.
const TICK: Duration = Duration::from_millis(100);
/// A receiver busy with one call for so many ticks gets a helper.
const STUCK_TICKS: u32 = 1;
/// An idle pool thread ends after this.
const POOL_IDLE: Duration = Duration::from_secs(10);
/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGTERM` as bits: what people end things with.
const ENDING_SIGNALS: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14;
/// `ERESTARTSYS` (include/linux/errno.h): never seen by programs; the kernel makes `EINTR` of it, or
/// the same call again.
const RESTART: Errno = Errno::from_raw_os_error(512);
/// Stack of each thread: the deepest calls hold a few buffers of 4 KiB.
const STACK: usize = 256 * 1024;

/// A call that moved to the pool.
struct Job {
    call: Notification,
    granted: Vec<(AccessRequest, Permit)>,
    question: Option<Box<(AccessRequest, Pending)>>,
    /// Kept open until the call is done.
    held: Option<OwnedFd>,
}

#[derive(Default)]
struct Pool {
    queue: VecDeque<Job>,
    idle: usize,
    threads: usize,
    /// What each thread that is at work does, by thread id.
    busy: HashMap<i32, Busy>,
    /// Helpers wanted right now.
    wanted: usize,
    helpers: usize,
    receivers: Vec<i32>,
}

/// The call that a pool thread works on.
#[derive(Clone, Copy)]
struct Busy {
    call: u64,
    /// Thread id of the caller.
    caller: u32,
    /// What it waits for just now, if it waits and has done nothing yet that a signal to the caller
    /// would come too late for.
    waits: Option<WaitsFor>,
}

/// What a call can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// A person's answer.
    Person,
    /// The other side of a FIFO.
    Fifo,
    /// The other side of a connection.
    Connection,
}

struct Crew {
    shared: Shared,
    pool: Mutex<Pool>,
    work: Condvar,
    help: Condvar,
    stopping: AtomicBool,
    /// Number of calls the first receiver has taken up; odd while it works on one.
    progress: AtomicU64,
}

pub(super) struct Threads {
    crew: Arc<Crew>,
    handles: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads").field("handles", &self.handles.len()).finish_non_exhaustive()
    }
}

impl Threads {
    pub(super) fn start(shared: Shared) -> io::Result<Self> {
        sys::prepare_interrupts()?;
        let crew = Arc::new(Crew {
            shared,
            pool: Mutex::default(),
            work: Condvar::new(),
            help: Condvar::new(),
            stopping: AtomicBool::new(false),
            progress: AtomicU64::new(0),
        });
        crew.pool().threads = 1;
        let mut begun = vec![
            spawn(&crew, "remit-mediate", |crew| crew.receive_first())?,
            spawn(&crew, "remit-wait", |crew| crew.wait_for_jobs(true))?,
        ];
        for _ in 0..helpers() {
            begun.push(spawn(&crew, "remit-help", |crew| crew.help())?);
        }
        // They set themselves up side by side; each proves that it could.
        let mut handles = Vec::new();
        for (handle, set_up) in begun {
            set_up.recv().map_err(|_| io::Error::other("a mediator thread ended at once"))??;
            handles.push(handle);
        }
        let janitor = Arc::clone(&crew);
        handles.push(
            std::thread::Builder::new()
                .name("remit-tidy".into())
                .stack_size(STACK)
                .spawn(move || janitor.tidy())?,
        );
        Ok(Self { crew, handles })
    }

    /// Dropping does it.
    pub(super) fn stop(self) {}
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.crew.stopping.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        let mut pause = Duration::from_micros(50);
        // An interruption may hit between the flag's check and the wait: repeat until done.
        // Who waits for a person's answer ends with that answer, not before.
        while begun.elapsed() < Duration::from_secs(1) {
            let pool = self.crew.pool();
            pool.receivers.iter().chain(pool.busy.keys()).for_each(|tid| sys::interrupt(*tid));
            drop(pool);
            self.crew.work.notify_all();
            self.crew.help.notify_all();
            self.handles.iter().for_each(|handle| handle.thread().unpark());
            if self.handles.iter().all(JoinHandle::is_finished) {
                break;
            }
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(Duration::from_millis(5));
        }
    }
}

fn helpers() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    processors.saturating_sub(1).clamp(1, MAX_HELPERS)
}

/// A thread inside the view; what it sends first is how its set-up went.
fn spawn(
    crew: &Arc<Crew>,
    name: &str,
    body: impl FnOnce(&Arc<Crew>) + Send + 'static,
) -> io::Result<(JoinHandle<()>, Receiver<io::Result<()>>)> {
    let (ready, set_up) = std::sync::mpsc::sync_channel(1);
    let crew = Arc::clone(crew);
    let handle =
        std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(move || {
            sys::take_signals(sys::Signals::Interrupts);
            let entered = enter_view(&crew.shared.view);
            let go = entered.is_ok();
            let _ = ready.send(entered);
            if go {
                body(&crew);
            }
        })?;
    Ok((handle, set_up))
}

impl Crew {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The one receiver of quiet times. Several would all be woken for each notification.
    fn receive_first(self: &Arc<Self>) {
        self.pool().receivers.push(sys::thread_id());
        let mut granted = Vec::new();
        let (mut backlog, mut last) = (0, 0);
        let mut awake = Awake::new();
        loop {
            let before = Instant::now();
            let received = sys::receive(self.shared.listener.as_raw_fd());
            // A caller has one call at a time: what comes at once from the same one did not wait.
            let caller = received.as_ref().map_or(last, |call| call.tid);
            let now = Instant::now();
            awake.call(now);
            if now.duration_since(before) < NO_WAIT && caller != last {
                backlog += 1;
                if backlog == BACKLOG {
                    self.call_helper();
                    backlog = 0;
                }
            } else {
                backlog = 0;
            }
            last = caller;
            match received {
                Ok(call) => {
                    self.progress.fetch_add(1, Ordering::Relaxed);
                    self.serve(call, &mut granted);
                    self.progress.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if !self.goes_on(error) => return,
                Err(_) => {}
            }
        }
    }

    /// Whether to receive again after `error`.
    fn goes_on(&self, error: Errno) -> bool {
        if self.stopping() {
            return false;
        }
        match error {
            Errno::INTR => true,
            // The notifying task died before we got it, or nobody uses the filter any more.
            Errno::NOENT => {
                let mut poll = [rustix::event::PollFd::new(
                    &self.shared.listener,
                    rustix::event::PollFlags::IN,
                )];
                let nothing = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
                let polled = rustix::event::poll(&mut poll, Some(&nothing));
                let over = poll
                    .first()
                    .is_some_and(|poll| poll.revents().contains(rustix::event::PollFlags::HUP));
                polled.is_ok() && !over
            }
            other => {
                tracing::error!(error = %other, "mediation cannot receive; the session's calls wait");
                std::thread::sleep(Duration::from_millis(10));
                true
            }
        }
    }

    fn call_helper(&self) {
        let mut pool = self.pool();
        if pool.wanted == 0 && pool.helpers < helpers() {
            pool.wanted = 1;
            self.help.notify_one();
        }
    }

    fn help(self: &Arc<Self>) {
        let tid = sys::thread_id();
        let mut granted = Vec::new();
        loop {
            {
                let mut pool = self.pool();
                while pool.wanted == 0 {
                    if self.stopping() {
                        return;
                    }
                    pool = self.help.wait(pool).unwrap_or_else(PoisonError::into_inner);
                }
                pool.wanted -= 1;
                pool.helpers += 1;
                pool.receivers.push(tid);
            }
            let mut over = false;
            loop {
                let before = Instant::now();
                match sys::receive(self.shared.listener.as_raw_fd()) {
                    Ok(call) => self.serve(call, &mut granted),
                    Err(error) if !self.goes_on(error) => over = true,
                    Err(_) => {}
                }
                if over || before.elapsed() > HELPER_IDLE {
                    break;
                }
            }
            let mut pool = self.pool();
            pool.helpers -= 1;
            pool.receivers.retain(|known| *known != tid);
            if over {
                return;
            }
        }
    }

    fn serve(self: &Arc<Self>, call: Notification, granted: &mut Vec<(AccessRequest, Permit)>) {
        granted.clear();
        match self.attempt(call, granted, None) {
            Err(Stop::Wait(question)) => {
                let granted = std::mem::take(granted);
                self.hand_over(Job { call, granted, question: Some(question), held: None });
            }
            Err(Stop::Pool) => {
                let granted = std::mem::take(granted);
                self.hand_over(Job { call, granted, question: None, held: None });
            }
            Err(Stop::PoolHolding(fd)) => {
                let granted = std::mem::take(granted);
                self.hand_over(Job { call, granted, question: None, held: Some(fd) });
            }
            outcome => self.conclude(call, outcome),
        }
    }

    /// Carries the call out once; in the `pool` with what an earlier attempt left open. A defect of ours fails this call, not the session.
    fn attempt(
        &self,
        call: Notification,
        granted: &mut Vec<(AccessRequest, Permit)>,
        pool: Option<Option<&OwnedFd>>,
    ) -> Outcome {
        let (may_block, held) = (pool.is_some(), pool.flatten());
        let shared = &self.shared;
        let waits = |what| self.waits_for(what);
        let turn =
            || Turn { shared, call, granted, may_block, held, names: None, waits: &waits }.run();
        catch_unwind(AssertUnwindSafe(turn)).unwrap_or_else(|_| {
            tracing::error!(call = call.number, "a mediated call panicked");
            Err(Errno::IO.into())
        })
    }

    /// Every way out answers; an answer that fails means that nobody waits for it any more.
    fn conclude(&self, call: Notification, outcome: Outcome) {
        let listener = self.shared.listener.as_raw_fd();
        let sent = match outcome {
            Ok(Reply::Value(value)) => sys::answer(listener, call.id, value),
            Ok(Reply::Descriptor { fd, close_on_exec }) => {
                match sys::answer_descriptor(listener, call.id, fd.as_raw_fd(), close_on_exec) {
                    Err(Errno::NOENT) | Ok(()) => Ok(()),
                    Err(error) => sys::answer_error(listener, call.id, error),
                }
            }
            Err(Stop::Errno(errno)) => sys::answer_error(listener, call.id, errno),
            Err(Stop::Continue) => sys::answer_continue(listener, call.id),
            Err(Stop::Opaque) => sys::answer_error(listener, call.id, Errno::ACCESS),
            Err(Stop::Wait(_) | Stop::Pool | Stop::PoolHolding(_)) => {
                sys::answer_error(listener, call.id, Errno::AGAIN)
            }
            Err(Stop::Gone) => sys::answer_error(listener, call.id, Errno::SRCH),
        };
        match sent {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => tracing::warn!(%error, call = call.number, "an answer was not taken"),
        }
    }

    fn hand_over(self: &Arc<Self>, job: Job) {
        let mut pool = self.pool();
        let waiting = pool.busy.len().saturating_add(pool.queue.len());
        if waiting >= MAX_WAITING {
            drop(pool);
            return self.conclude(job.call, Err(Errno::AGAIN.into()));
        }
        pool.queue.push_back(job);
        if pool.idle >= pool.queue.len() {
            drop(pool);
            return self.work.notify_one();
        }
        pool.threads += 1;
        drop(pool);
        // A spawn that waits for its set-up would need capabilities that this thread has dropped:
        // a thread inherits both our root and our lack of rights, so it is inside already.
        let crew = Arc::clone(self);
        let spawned = std::thread::Builder::new()
            .name("remit-wait".into())
            .stack_size(STACK)
            .spawn(move || {
                if sys::separate_directories().is_ok() {
                    crew.wait_for_jobs(false);
                }
            });
        if spawned.is_err() {
            // The job stays queued for a thread that becomes idle.
            self.pool().threads -= 1;
        }
    }

    fn wait_for_jobs(self: &Arc<Self>, permanent: bool) {
        let tid = sys::thread_id();
        loop {
            let job = {
                let mut pool = self.pool();
                let patience = Instant::now();
                loop {
                    if self.stopping() {
                        return;
                    }
                    if let Some(job) = pool.queue.pop_front() {
                        let (call, caller) = (job.call.id, job.call.tid);
                        pool.busy.insert(tid, Busy { call, caller, waits: None });
                        break job;
                    }
                    if !permanent && patience.elapsed() > POOL_IDLE {
                        pool.threads -= 1;
                        return;
                    }
                    pool.idle += 1;
                    let (woken, _) = self
                        .work
                        .wait_timeout(pool, POOL_IDLE)
                        .unwrap_or_else(PoisonError::into_inner);
                    pool = woken;
                    pool.idle -= 1;
                }
            };
            self.work_on(job);
            self.pool().busy.remove(&tid);
        }
    }

    fn work_on(&self, job: Job) {
        let (call, outcome) = self.carry_out(job);
        // The janitor takes an answered call for a dead one.
        sys::take_signals(sys::Signals::None);
        self.conclude(call, outcome);
        sys::take_signals(sys::Signals::Interrupts);
    }

    fn carry_out(&self, job: Job) -> (Notification, Outcome) {
        // What is held stays open until the call is done.
        let Job { call, mut granted, mut question, held } = job;
        loop {
            if let Some(question) = question.take() {
                let (request, pending) = *question;
                self.waits_for(Some(WaitsFor::Person));
                let answer = pending.wait();
                self.waits_for(None);
                match answer {
                    Ok(permit) => granted.push((request, permit)),
                    Err(_) => return (call, Err(Errno::ACCESS.into())),
                }
            }
            match self.attempt(call, &mut granted, Some(held.as_ref())) {
                Err(Stop::Wait(next)) => question = Some(next),
                // Interrupted by the janitor, or for nothing: see whether it still waits.
                Err(Stop::Errno(Errno::INTR)) => {
                    if self.stopping() || !sys::still_waits(self.shared.listener(), call.id) {
                        return (call, Err(Errno::INTR.into()));
                    }
                }
                outcome => return (call, outcome),
            }
        }
    }

    /// Frees pool threads whose caller has died, and the queue from a stuck receiver.
    fn tidy(&self) {
        let mut last = 0;
        let mut ticks = 0;
        while !self.stopping() {
            std::thread::park_timeout(TICK);
            let progress = self.progress.load(Ordering::Relaxed);
            ticks = if progress % 2 == 1 && progress == last { ticks + 1 } else { 0 };
            last = progress;
            if ticks >= STUCK_TICKS {
                self.call_helper();
            }
            // Under the lock: whoever stops waiting takes it before it acts.
            for (tid, busy) in &self.pool().busy {
                // Who waits at a FIFO looks now and then whether the other side has come and gone.
                if !sys::still_waits(self.shared.listener(), busy.call)
                    || self.signalled(busy)
                    || busy.waits == Some(WaitsFor::Fifo)
                {
                    sys::interrupt(*tid);
                }
            }
        }
    }

    /// Notes that this pool thread begins or ends to wait.
    fn waits_for(&self, what: Option<WaitsFor>) {
        if let Some(busy) = self.pool().busy.get_mut(&sys::thread_id()) {
            busy.waits = what;
        }
    }

    /// Lets a waiting caller go that has a signal to handle: a notified call takes none by itself
    /// but those that kill. A person is not asked again for each tick of a runtime's own signals.
    fn signalled(&self, busy: &Busy) -> bool {
        let (signals, answer) = match busy.waits {
            None => return false,
            Some(WaitsFor::Person) => (ENDING_SIGNALS, Errno::INTR),
            // As the kernel has it: again after the handler, where that is asked for.
            Some(WaitsFor::Fifo | WaitsFor::Connection) => (u64::MAX, RESTART),
        };
        let pending = proc_status::caught(&self.shared.view.proc, busy.caller);
        pending & signals != 0
            && sys::answer_error(self.shared.listener(), busy.call, answer).is_ok()
    }
}
