//! Repeated identical denials: the first is recorded at once, the rest are counted and noted when
//! the window closes. Nothing is dropped silently, and nobody can flood the trail by asking.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use remit_core::{Action, Guard, Host, Outcome, ReasonCode, Resource};

use crate::live::lock;

/// Names denied lately.
pub(super) struct Repeats {
    guard: Arc<Guard>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    denied: HashMap<Host, Denied>,
    /// Questions beyond the rate, not answered one by one.
    overflow: u64,
    tokens: f64,
    filled: Option<Instant>,
}

struct Denied {
    since: Instant,
    reason: ReasonCode,
    again: u64,
}

impl Repeats {
    pub(super) fn new(guard: Arc<Guard>) -> Self {
        let inner = Inner { tokens: BURST, ..Inner::default() };
        Self { guard, inner: Mutex::new(inner) }
    }

    /// The reason, if the same name was denied within the window; counts it.
    pub(super) fn denied_lately(&self, host: &Host) -> Option<ReasonCode> {
        let mut inner = lock(&self.inner);
        let denied = inner.denied.get_mut(host)?;
        if denied.since.elapsed() >= WINDOW {
            return None;
        }
        denied.again = denied.again.saturating_add(1);
        Some(denied.reason)
    }

    /// A denial was just recorded.
    pub(super) fn remember(&self, host: &Host, reason: ReasonCode) {
        self.flush();
        let mut inner = lock(&self.inner);
        if inner.denied.len() < MOST {
            let denied = Denied { since: Instant::now(), reason, again: 0 };
            inner.denied.insert(host.clone(), denied);
        }
    }

    /// Whether one more question may be looked at; the rest are counted.
    pub(super) fn admit(&self) -> bool {
        let mut inner = lock(&self.inner);
        let now = Instant::now();
        let passed = inner.filled.map_or(0.0, |filled| now.duration_since(filled).as_secs_f64());
        inner.filled = Some(now);
        inner.tokens = (inner.tokens + passed * RATE).min(BURST);
        if inner.tokens >= 1.0 {
            inner.tokens -= 1.0;
            return true;
        }
        inner.overflow = inner.overflow.saturating_add(1);
        false
    }

    /// The policy changed: what was denied may be permitted now.
    pub(super) fn forget(&self) {
        self.flush_older_than(Duration::ZERO);
    }

    /// Notes what has accumulated in windows that are over.
    pub(super) fn flush(&self) {
        self.flush_older_than(WINDOW);
    }

    fn flush_older_than(&self, age: Duration) {
        let (over, overflow) = {
            let mut inner = lock(&self.inner);
            let over: Vec<(Host, Denied)> =
                inner.denied.extract_if(|_, denied| denied.since.elapsed() >= age).collect();
            (over, std::mem::take(&mut inner.overflow))
        };
        for (host, denied) in over {
            if denied.again > 0 {
                let detail = format!("asked {} more times in {WINDOW:?}", denied.again);
                self.note(Resource::Name(host), denied.reason, detail);
            }
        }
        if overflow > 0 {
            let detail = format!("{overflow} questions beyond {RATE} a second were refused");
            self.note(Resource::Other("names".into()), ReasonCode::LimitReached, detail);
        }
    }

    fn note(&self, resource: Resource, reason: ReasonCode, detail: String) {
        // The denials themselves stand; a trail that cannot be written stops all permits anyway.
        let _ =
            self.guard.note(Action::ResolveName, resource, Outcome::Denied, reason, Some(detail));
    }
}

impl Drop for Repeats {
    fn drop(&mut self) {
        self.forget();
    }
}

const WINDOW: Duration = Duration::from_secs(10);
const MOST: usize = 4096;
const RATE: f64 = 200.0;
const BURST: f64 = 400.0;
