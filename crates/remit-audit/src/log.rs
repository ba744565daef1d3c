//! The log as a session sees it: open, append, close.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use remit_core::{
    Action, AuditError, AuditSink, CorrelationId, Durability, EventId, Outcome, ReasonCode, Record,
    SessionId, Timestamp,
};

use crate::{
    LogError, LogPaths,
    append::Appender,
    frame::HEADER,
    intents,
    note::VerifierKey,
    open::{self, Opened},
    publish::{Closing, Publisher},
    tile::MAX_ENTRY,
    unrecorded::{self, Unrecorded},
};

/// How a log behaves. The default is right for sessions; tests make it small.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Bytes of the first segment; at least 256 KiB.
    pub segment_bytes: u64,
    /// Bytes to which segments grow in heavy use.
    pub largest_segment_bytes: u64,
    /// Bytes at the end of the last segment that only refusals, ends of sessions and the log's
    /// own records may use when no further segment can be made.
    pub reserve_bytes: u64,
    /// How long records are gathered before they go to disk together.
    pub window: Duration,
    /// How long synced records wait at most to be signed together.
    pub signing: Duration,
    /// How long records are accepted that cannot be signed.
    pub grace: Duration,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 4 << 20,
            largest_segment_bytes: 16 << 20,
            reserve_bytes: 768 << 10,
            window: Duration::from_millis(10),
            signing: Duration::from_millis(50),
            grace: Duration::from_secs(1),
        }
    }
}

/// An open log. Any number of processes may have the same log open.
///
/// A record is in the log when [`AuditSink::append`] returns: the kernel holds it, whatever
/// happens to this process. It is on disk at the latest one window and one disk sync later, with
/// [`Durability::Barrier`] at once, and under a signed checkpoint soon after.
pub struct AuditLog {
    shared: Arc<Shared>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    options: LogOptions,
    appender: Appender,
    publisher: Mutex<Publisher>,
    key: VerifierKey,
    /// Set while records wait to be published.
    waiting: AtomicBool,
    stopping: Mutex<bool>,
    wake: Condvar,
    /// Since when, and why, publishing fails.
    stalled: Mutex<Option<(Instant, Arc<str>)>>,
    is_stalled: AtomicBool,
    unrecorded: Mutex<Unrecorded>,
    own: OwnRecords,
    /// Keeps others from taking this process's unsigned records for a dead one's.
    _live: crate::files::FileLock,
}

impl AuditLog {
    /// Opens the log in `paths`, creating it where there is none, and signs what a dead process
    /// left unsigned.
    ///
    /// # Errors
    /// [`LogError`] when the folders cannot be used, or when going on would sign something that
    /// contradicts what is already signed.
    pub fn open(paths: LogPaths, options: LogOptions) -> Result<Arc<Self>, LogError> {
        let options = LogOptions {
            segment_bytes: options.segment_bytes.max(256 << 10),
            reserve_bytes: options.reserve_bytes.min(options.segment_bytes.max(256 << 10) / 4),
            ..options
        };
        let audit = paths.audit.clone();
        let Opened { appender, publisher, live, news } = open::open(paths, &options)?;
        let shared = Arc::new(Shared {
            key: publisher.signer().verifier().clone(),
            appender,
            publisher: Mutex::new(publisher),
            waiting: AtomicBool::new(false),
            stopping: Mutex::new(false),
            wake: Condvar::new(),
            stalled: Mutex::new(None),
            is_stalled: AtomicBool::new(false),
            unrecorded: Mutex::new(Unrecorded::default()),
            own: OwnRecords::new()?,
            options,
            _live: live,
        });
        if !news.is_empty() {
            for detail in news {
                shared.append_own(Action::ConfigChange, "audit log", detail)?;
            }
            shared.publish(Closing::No)?;
        }
        intents::take_in(&audit, |intent| {
            shared.append_own(intent.action, &intent.resource, intent.detail)?;
            shared.publish(Closing::No).map(drop)
        })?;
        let for_worker = Arc::clone(&shared);
        let worker = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || for_worker.work())
            .map_err(LogError::at(Path::new("audit thread")))?;
        Ok(Arc::new(Self { shared, worker: Mutex::new(Some(worker)) }))
    }

    /// The public key under which the log is signed.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.shared.key
    }

    /// Brings everything appended so far to disk and under a signed checkpoint. Returns the
    /// number of records in the log.
    ///
    /// # Errors
    /// [`LogError`] when the disk refuses.
    pub fn flush(&self) -> Result<u64, LogError> {
        self.shared.publish(Closing::No)
    }

    /// Records a fact for which no session speaks, under a session id of this process's own.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot take it.
    pub fn note(&self, action: Action, resource: &str, detail: String) -> Result<(), LogError> {
        self.shared.append_own(action, resource, detail)
    }

    /// [`AuditLog::flush`], then leaves the log in its complete C2SP form. Records that are
    /// appended later are still taken. Dropping the log does the same, but tells nobody whether
    /// it worked.
    ///
    /// # Errors
    /// [`LogError`] when the disk refuses.
    pub fn close(&self) -> Result<u64, LogError> {
        let worker = lock(&self.worker).take();
        if let Some(worker) = worker {
            *lock(&self.shared.stopping) = true;
            self.shared.wake.notify_all();
            // A panic of the worker has been reported by its thread already.
            let _ = worker.join();
        }
        self.shared.publish(Closing::Yes)
    }
}

impl AuditSink for AuditLog {
    fn append(&self, record: &Record, durability: Durability) -> Result<(), AuditError> {
        self.shared.append(record, durability).map_err(|error| {
            lock(&self.shared.unrecorded).add(&record.event_id);
            error.into()
        })
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("key", &self.shared.key).finish_non_exhaustive()
    }
}

impl Shared {
    fn append(&self, record: &Record, durability: Durability) -> Result<(), LogError> {
        if record.action == Action::SessionEnd {
            // After its end nothing of a session is missing without an explanation.
            self.confess();
        }
        self.append_frame(record, durability)
    }

    fn append_frame(&self, record: &Record, durability: Durability) -> Result<(), LogError> {
        let vital = matches!(record.outcome, Outcome::Denied | Outcome::Error)
            || matches!(record.action, Action::SessionEnd | Action::ConfigChange);
        if !vital {
            self.check_stall()?;
        }
        let mut frame = Vec::with_capacity(1024);
        frame.resize(HEADER, 0);
        serde_json::to_writer(&mut frame, record)?;
        if frame.len() > HEADER + MAX_ENTRY {
            return Err(LogError::TooLarge { bytes: frame.len() - HEADER });
        }
        let written = self.appender.append(&mut frame, vital)?;
        if !self.waiting.swap(true, Ordering::AcqRel) {
            // Taking the lock closes the gap between the worker's look and its sleep.
            drop(lock(&self.stopping));
            self.wake.notify_one();
        }
        match durability {
            Durability::Grouped => Ok(()),
            Durability::Barrier => {
                written.segment.check_place()?;
                written.segment.sync(written.end)
            }
        }
    }

    /// Refuses when signing has failed for too long: a trail that nobody can verify is none.
    fn check_stall(&self) -> Result<(), LogError> {
        if !self.is_stalled.load(Ordering::Relaxed) {
            return Ok(());
        }
        match &*lock(&self.stalled) {
            Some((since, cause)) if since.elapsed() >= self.options.grace => {
                Err(LogError::Stalled { cause: Arc::clone(cause) })
            }
            _ => Ok(()),
        }
    }

    fn publish(&self, closing: Closing) -> Result<u64, LogError> {
        // Before the entries are read: a record that comes later sets it again.
        self.waiting.store(false, Ordering::Release);
        self.confess();
        let result = lock(&self.publisher).publish(&self.appender, closing);
        let mut stalled = lock(&self.stalled);
        match &result {
            Ok(_) => *stalled = None,
            Err(error) => {
                let since = stalled.as_ref().map_or_else(Instant::now, |(since, _)| *since);
                *stalled = Some((since, error.to_string().into()));
                self.waiting.store(true, Ordering::Release);
            }
        }
        self.is_stalled.store(stalled.is_some(), Ordering::Relaxed);
        result
    }

    /// Writes down which events could not be written down, so that their missing numbers are
    /// explained.
    fn confess(&self) {
        let mut unrecorded = lock(&self.unrecorded);
        while let Some((session, detail)) = unrecorded.first() {
            let action = Action::ConfigChange;
            if self.append_own(action, unrecorded::RESOURCE, detail).is_err() {
                return;
            }
            unrecorded.remove(&session);
        }
    }

    /// Appends one of the log's own records. What could not be written takes no number: nobody
    /// would explain the hole.
    fn append_own(&self, action: Action, resource: &str, detail: String) -> Result<(), LogError> {
        let mut last = lock(&self.own.last);
        let number = last.saturating_add(1);
        let record = self.own.record(number, action, resource, detail);
        self.append_frame(&record, Durability::Grouped)?;
        *last = number;
        Ok(())
    }

    /// The worker: syncs what waits once a window and signs it at most a little later.
    fn work(&self) {
        let mut signed = Instant::now();
        let mut unsigned = false;
        loop {
            let since_signing = signed.elapsed();
            if !self.rest(unsigned.then(|| self.options.signing.saturating_sub(since_signing))) {
                return;
            }
            let synced = if self.waiting.swap(false, Ordering::AcqRel) {
                unsigned = true;
                self.appender.sync()
            } else {
                Ok(())
            };
            if synced.is_ok() && signed.elapsed() < self.options.signing {
                continue;
            }
            signed = Instant::now();
            unsigned = self.publish(Closing::No).is_err();
            if unsigned && !self.pause(RETRY) {
                // What fails for lack of space or rights is not tried a hundred times a second.
                return;
            }
        }
    }

    /// Sleeps until something waits and its window is over, or until `limit`. `false`: the log is
    /// being closed.
    fn rest(&self, limit: Option<Duration>) -> bool {
        let idle = |stopping: &mut bool| !*stopping && !self.waiting.load(Ordering::Acquire);
        let stopping = lock(&self.stopping);
        let stopping = match limit {
            Some(limit) => {
                let woken = self.wake.wait_timeout_while(stopping, limit, idle);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let woken = self.wake.wait_while(stopping, idle);
                woken.unwrap_or_else(PoisonError::into_inner)
            }
        };
        if *stopping {
            return false;
        }
        drop(stopping);
        !self.waiting.load(Ordering::Acquire) || self.pause(self.options.window)
    }

    /// Sleeps for so long. `false`: the log is being closed.
    fn pause(&self, time: Duration) -> bool {
        let woken = self.wake.wait_timeout_while(lock(&self.stopping), time, |stop| !*stop);
        !*woken.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The log's own records, under a session id of their own.
struct OwnRecords {
    session: SessionId,
    /// The number of the last one.
    last: Mutex<u64>,
}

impl OwnRecords {
    fn new() -> Result<Self, LogError> {
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes)
            .map_err(|error| LogError::at(Path::new("getrandom"))(error.into()))?;
        Ok(Self { session: SessionId::from_random(bytes), last: Mutex::new(0) })
    }

    fn record(&self, number: u64, action: Action, resource: &str, detail: String) -> Record {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = i128::try_from(since_epoch.as_nanos()).unwrap_or(i128::MAX);
        Record {
            timestamp: Timestamp::from_unix_nanos(nanos),
            principal: "remit".into(),
            agent_id: concat!("remit:", env!("CARGO_PKG_VERSION")).into(),
            action,
            resource: resource.into(),
            permission_manifest: "".into(),
            token_id: None,
            network_targets: Vec::new(),
            outcome: Outcome::Allowed,
            event_id: EventId::new(self.session.clone(), number),
            session_id: self.session.clone(),
            correlation_id: CorrelationId::new(self.session.clone(), number),
            approval_id: None,
            reason: ReasonCode::SessionLife,
            rule: None,
            suggestion: None,
            generation: 0,
            pid: Some(std::process::id()),
            detail: Some(detail),
            traffic: Vec::new(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every holder leaves plain values in order at every point where it could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pause after a failed publication.
const RETRY: Duration = Duration::from_millis(100);
