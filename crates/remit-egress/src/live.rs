//! Live connections, and their ends: a permission that ends takes the connection with it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use remit_core::{
    AccessRequest, Effect, Guard, Host, HostTraffic, Outcome, Permit, ReasonCode, Resource,
    Timestamp,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use crate::{
    budget::Budget,
    info::{ConnectionInfo, EgressSummary},
    places::Place,
    traffic::TrafficTable,
};

/// One connection that the guard permitted.
pub(crate) struct Live {
    id: u64,
    host: Host,
    port: u16,
    since: Timestamp,
    up: AtomicU64,
    down: AtomicU64,
    permitted: AtomicU64,
    refused: AtomicU64,
    ended: AtomicBool,
    on_end: Notify,
    /// Permissions that this connection rests on now: the connect decision (key 0) and those of
    /// requests under way.
    held: Mutex<HashMap<u64, Held>>,
    next: AtomicU64,
}

struct Held {
    request: AccessRequest,
    until: Option<Timestamp>,
}

impl Live {
    /// Names the connection within its enforcement point.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn sent_up(&self, bytes: usize) {
        add(&self.up, bytes);
    }

    pub(crate) fn sent_down(&self, bytes: usize) {
        add(&self.down, bytes);
    }

    pub(crate) fn count_permitted(&self) {
        add(&self.permitted, 1);
    }

    pub(crate) fn count_refused(&self) {
        add(&self.refused, 1);
    }

    /// Ends the connection: whoever drives it stops and drops it.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.on_end.notify_waiters();
    }

    /// Resolves when the connection was ended by force.
    pub(crate) async fn ended(&self) {
        let notified = self.on_end.notified();
        tokio::pin!(notified);
        // Registered before the flag is read: an end in between is not missed.
        notified.as_mut().enable();
        if !self.is_ended() {
            notified.await;
        }
    }

    /// Adds what this connection counted to its host's totals.
    fn add_to(&self, traffic: &mut HostTraffic) {
        let more = |total: &mut u64, counter: &AtomicU64| {
            *total = total.saturating_add(counter.load(Ordering::Relaxed));
        };
        more(&mut traffic.permitted, &self.permitted);
        more(&mut traffic.refused, &self.refused);
        more(&mut traffic.bytes_up, &self.up);
        more(&mut traffic.bytes_down, &self.down);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        lock(&self.held)
    }

    fn info(&self) -> ConnectionInfo {
        let until = self.held().values().filter_map(|held| held.until).min();
        ConnectionInfo {
            host: self.host.to_string(),
            port: self.port,
            since: self.since,
            until,
            bytes_up: self.up.load(Ordering::Relaxed),
            bytes_down: self.down.load(Ordering::Relaxed),
            permitted: self.permitted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

/// A request under way; dropping it says that it is over.
pub(crate) struct Effecting {
    live: Arc<Live>,
    key: u64,
    /// Its share of what may be under way at once, where that is counted.
    pub(crate) share: Option<OwnedSemaphorePermit>,
}

impl Drop for Effecting {
    fn drop(&mut self) {
        self.live.held().remove(&self.key);
    }
}

/// A connection's place in the table; dropping it says that the connection is over.
pub(crate) struct Registered {
    table: Arc<LiveTable>,
    pub(crate) live: Arc<Live>,
    _place: Arc<Place>,
}

impl Registered {
    /// Notes that a request's permission is in use until the result is dropped.
    pub(crate) fn effecting(&self, request: AccessRequest, permit: &Permit) -> Effecting {
        self.holding(correlated(request, permit), permit.until)
    }

    /// The same for bytes that are relayed unread: `question` stands for all that they may ask.
    pub(crate) fn relaying(&self, question: AccessRequest, until: Option<Timestamp>) -> Effecting {
        self.holding(question, until)
    }

    fn holding(&self, question: AccessRequest, until: Option<Timestamp>) -> Effecting {
        let key = self.live.next.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.table.hold(&self.live, key, question, until);
        Effecting { live: Arc::clone(&self.live), key, share: None }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut inner = self.table.inner();
        if inner.open.remove(&self.live.id).is_some() {
            self.live.add_to(inner.traffic.of(&self.live.host, self.live.port));
        }
    }
}

/// All live connections of one enforcement point.
pub(crate) struct LiveTable {
    inner: Mutex<Inner>,
    /// When the watch wakes next, in Unix milliseconds; `i64::MAX` when no permission has an end.
    wakes: AtomicI64,
    deadlines: Notify,
}

impl Default for LiveTable {
    fn default() -> Self {
        Self { inner: Mutex::default(), wakes: AtomicI64::new(i64::MAX), deadlines: Notify::new() }
    }
}

#[derive(Default)]
struct Inner {
    next: u64,
    open: HashMap<u64, Arc<Live>>,
    connections: u64,
    ended: u64,
    traffic: TrafficTable,
}

impl Inner {
    /// Totals by host, those of open connections included.
    fn traffic(&self) -> Vec<HostTraffic> {
        let mut table = self.traffic.clone();
        for live in self.open.values() {
            let traffic = table.of(&live.host, live.port);
            live.add_to(traffic);
            traffic.open = traffic.open.saturating_add(1);
        }
        table.all()
    }
}

impl LiveTable {
    /// Enters a connection that was just permitted.
    pub(crate) fn enter(
        self: &Arc<Self>,
        (host, port): (&Host, u16),
        request: AccessRequest,
        permit: &Permit,
        since: Timestamp,
        place: &Arc<Place>,
    ) -> Registered {
        let live = {
            let mut inner = self.inner();
            inner.next = inner.next.saturating_add(1);
            inner.connections = inner.connections.saturating_add(1);
            let traffic = inner.traffic.of(host, port);
            traffic.connections = traffic.connections.saturating_add(1);
            let live = Arc::new(Live {
                id: inner.next,
                host: host.clone(),
                port,
                since,
                up: AtomicU64::new(0),
                down: AtomicU64::new(0),
                permitted: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                ended: AtomicBool::new(false),
                on_end: Notify::new(),
                held: Mutex::default(),
                next: AtomicU64::new(0),
            });
            inner.open.insert(live.id, Arc::clone(&live));
            live
        };
        self.hold(&live, 0, correlated(request, permit), permit.until);
        Registered { table: Arc::clone(self), live, _place: Arc::clone(place) }
    }

    /// Counts a refused name, connection or request. Port 0 stands for the name alone.
    pub(crate) fn count_refused(&self, host: &Host, port: u16) {
        let mut inner = self.inner();
        let traffic = inner.traffic.of(host, port);
        traffic.refused = traffic.refused.saturating_add(1);
    }

    pub(crate) fn connections(&self) -> Vec<ConnectionInfo> {
        self.all().iter().map(|live| live.info()).collect()
    }

    pub(crate) fn summary(&self, egress_bytes: u64) -> EgressSummary {
        let inner = self.inner();
        let hosts = inner.traffic();
        let sum = |count: fn(&HostTraffic) -> u64| {
            hosts.iter().map(count).fold(0u64, u64::saturating_add)
        };
        EgressSummary {
            open: inner.open.len(),
            connections: inner.connections,
            permitted: sum(|host| host.permitted),
            refused: sum(|host| host.refused),
            ended: inner.ended,
            egress_bytes,
            hosts,
        }
    }

    /// Ends every connection.
    pub(crate) fn end_all(&self) {
        for live in self.all() {
            live.end();
        }
    }

    /// Watches over the permissions until the policy's sender is gone and nothing is left.
    pub(crate) async fn watch(
        self: Arc<Self>,
        guard: Arc<Guard>,
        budget: Arc<Budget>,
        mut policy: watch::Receiver<u64>,
        on_policy: impl Fn() + Send + Sync,
    ) {
        let mut policy_open = true;
        loop {
            let pause = self.next_deadline(guard.now());
            tokio::select! {
                changed = policy.changed(), if policy_open => {
                    policy_open = changed.is_ok();
                    self.review(&guard, true);
                    on_policy();
                }
                () = self.deadlines.notified() => {}
                () = budget.on_exceeded.notified() => self.spent(&guard, &budget),
                () = pause_for(pause) => self.review(&guard, false),
            }
        }
    }

    fn hold(&self, live: &Live, key: u64, request: AccessRequest, until: Option<Timestamp>) {
        live.held().insert(key, Held { request, until });
        // Nearly every permission ends with the manifest, so the watch is woken only for one that
        // ends before it wakes anyway.
        if until.is_some_and(|until| millis(until) < self.wakes.load(Ordering::Acquire)) {
            self.deadlines.notify_one();
        }
    }

    /// Time to the next end; at most a second, since the wall clock can be set or sleep.
    fn next_deadline(&self, now: Timestamp) -> Option<Duration> {
        let first = self
            .all()
            .iter()
            .filter_map(|live| live.held().values().filter_map(|held| held.until).min())
            .min();
        // With nothing to end, the next hold wakes the watch.
        let second = Duration::from_secs(1);
        let next = first.map_or(i64::MAX, |first| millis(first.min(now.after(second))));
        self.wakes.store(next, Ordering::Release);
        let first = first?;
        Some(now.until(first).clamp(Duration::from_millis(1), Duration::from_secs(1)))
    }

    /// Asks again for what has ended, or for everything when the policy changed.
    fn review(&self, guard: &Guard, all: bool) {
        let now = guard.now();
        for live in self.all() {
            let mut ended = None;
            for held in live.held().values_mut() {
                if !all && held.until.is_none_or(|until| until > now) {
                    continue;
                }
                let decision = guard.peek(&held.request);
                held.until = decision.until;
                if decision.effect != Effect::Permit {
                    ended = Some(decision.reason);
                } else if decision.until.is_some_and(|until| until <= now) {
                    ended = Some(ReasonCode::Expired);
                }
            }
            if let Some(reason) = ended {
                self.end(guard, &live, reason);
            }
        }
    }

    fn spent(&self, guard: &Guard, budget: &Budget) {
        let detail = format!("egress bytes spent: {}", budget.total());
        let limit = Resource::Other("limits/egressBytes".into());
        let _ = guard.note(
            remit_core::Action::Contain,
            limit,
            Outcome::Denied,
            ReasonCode::LimitReached,
            Some(detail),
        );
        for live in self.all() {
            self.end(guard, &live, ReasonCode::LimitReached);
        }
    }

    fn end(&self, guard: &Guard, live: &Live, reason: ReasonCode) {
        if live.is_ended() {
            return;
        }
        let resource = Resource::Endpoint { host: live.host.clone(), port: live.port };
        let detail = format!(
            "connection closed; {} bytes up, {} down",
            live.up.load(Ordering::Relaxed),
            live.down.load(Ordering::Relaxed)
        );
        // The end is the safe direction: it happens whether or not it could be written.
        let _ = guard.note(
            remit_core::Action::Connect,
            resource,
            Outcome::Denied,
            reason,
            Some(detail),
        );
        live.end();
        let mut inner = self.inner();
        inner.ended = inner.ended.saturating_add(1);
        let traffic = inner.traffic.of(&live.host, live.port);
        traffic.ended = traffic.ended.saturating_add(1);
    }

    fn all(&self) -> Vec<Arc<Live>> {
        self.inner().open.values().cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

/// A grant for one use meets the request that it was given for by its correlation.
fn correlated(mut request: AccessRequest, permit: &Permit) -> AccessRequest {
    request.correlation = Some(permit.correlation.clone());
    request
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.unix_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// Sleeps for `pause`, or for ever.
pub(crate) async fn pause_for(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// These locks guard plain data that no panic can leave half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
