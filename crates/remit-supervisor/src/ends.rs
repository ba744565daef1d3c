//! Ends of rights in a running session: names go, connections close, open descriptors die.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use remit_core::{Action, FileMode, Guard, Outcome, ReasonCode, Resource};
use remit_policy::{Ended, EndedRule, Grant, GrantScope, Lifetime, PolicyStore};
use remit_sandbox::{
    inside::MountsInside,
    plan::GrantMount,
    revoke::{Kept, Revoker, Rights, Session},
};

use crate::runnable::Runnable;

/// Longest sleep: a clock that was set forward is noticed within this time.
const LONGEST: Duration = Duration::from_secs(30);
/// How often processes are looked through again once something has ended, for descriptors that
/// were on their way between processes.
const SWEEP: Duration = Duration::from_millis(250);

/// Takes away what processes hold. Started with the first end: most sessions need none.
pub(crate) struct Hands {
    session: Box<dyn Fn() -> io::Result<Session> + Send + Sync>,
    revoker: OnceLock<Revoker>,
}

impl Hands {
    pub(crate) fn new(
        session: impl Fn() -> io::Result<Session> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { session: Box::new(session), revoker: OnceLock::new() })
    }

    /// A place that has ended is granted again. Must come before the grant.
    pub(crate) fn allow_again(&self, scope: &GrantScope) {
        if let (Some(revoker), GrantScope::File { scope, mode, .. }) = (self.revoker.get(), scope)
            && let Err(error) = revoker.allow_again(scope.as_path(), *mode)
        {
            tracing::warn!(%error, path = %scope, "a granted place may be swept once more");
        }
    }

    fn revoker(&self) -> io::Result<&Revoker> {
        if let Some(revoker) = self.revoker.get() {
            return Ok(revoker);
        }
        let made = Revoker::new((self.session)()?)?;
        Ok(self.revoker.get_or_init(|| made))
    }
}

/// Takes away what has ended, whenever something ends.
pub(crate) struct Ends {
    pub(crate) guard: Arc<Guard>,
    pub(crate) store: Arc<PolicyStore>,
    pub(crate) mounts: Arc<MountsInside>,
    pub(crate) granted: Vec<GrantMount>,
    pub(crate) hands: Arc<Hands>,
    pub(crate) programs: Arc<Runnable>,
    /// Ends the whole session: for processes that cannot be made to let go.
    pub(crate) kill: Box<dyn Fn() + Send + Sync>,
}

enum Wake {
    Changed,
    Stop,
}

/// The running watch; stops when dropped.
pub(crate) struct Watching {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Ends {
    /// Watches in a thread of its own: stopping processes takes its time.
    pub(crate) fn watch(self) -> io::Result<Watching> {
        let (wake, inbox) = channel();
        let changed = wake.clone();
        self.store.subscribe(Box::new(move |_| {
            let _ = changed.send(Wake::Changed);
        }));
        let thread = std::thread::Builder::new()
            .name("ends".into())
            .stack_size(256 << 10)
            .spawn(move || self.run(&inbox))?;
        Ok(Watching { wake, thread: Some(thread) })
    }

    fn run(mut self, inbox: &Receiver<Wake>) {
        loop {
            for ended in self.store.expire(self.guard.now()) {
                self.end(&ended);
            }
            let now = self.guard.now();
            let mut wait =
                self.store.next_end(now).map_or(LONGEST, |end| now.until(end).min(LONGEST));
            if let Some(revoker) = self.hands.revoker.get() {
                if let Err(error) = revoker.sweep() {
                    tracing::warn!(%error, "descriptors of ended places could not be swept");
                }
                wait = wait.min(SWEEP);
            }
            match inbox.recv_timeout(wait) {
                Ok(Wake::Changed) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn end(&mut self, ended: &Ended) {
        let what = match &ended.what {
            EndedRule::Manifest => "manifest".to_owned(),
            EndedRule::File { scope, .. } => scope.to_string(),
            EndedRule::Host { pattern, .. } => pattern.to_string(),
            EndedRule::Grant(grant) => grant.id.to_string(),
            other => format!("{other:?}"),
        };
        // The right is gone already (every decision refuses since its end); the record says when
        // it was taken out of the session.
        let pointer = ended.at.as_ref().map(|at| at.pointer.clone());
        let (outcome, reason) = (Outcome::Allowed, ReasonCode::Expired);
        let resource = Resource::Other(what);
        if let Err(error) = self.guard.note(Action::RevokeGrant, resource, outcome, reason, pointer)
        {
            tracing::warn!(%error, "an end could not be recorded");
        }
        match &ended.what {
            EndedRule::Manifest => {
                let all: Vec<_> = self.granted.drain(..).map(|grant| grant.path).collect();
                // Deepest first: a place goes only when nothing is mounted inside.
                for path in all.iter().rev() {
                    self.take_away(path);
                }
            }
            EndedRule::File { scope, .. } => {
                self.granted.retain(|grant| grant.path != scope.as_path());
                self.take_away(scope.as_path());
            }
            EndedRule::Grant(grant) => match &grant.scope {
                GrantScope::File { scope, mode, .. } => {
                    self.end_grant(grant, scope.as_path(), *mode);
                }
                GrantScope::Program { path } => self.programs.ended(path),
                _ => {}
            },
            _ => {}
        }
    }

    fn take_away(&self, path: &Path) {
        self.let_go(path, Rights::All, Vec::new());
        let inner = self.granted.iter().map(|grant| grant.path.as_path());
        let inner: Vec<PathBuf> =
            inner.filter(|one| one.starts_with(path)).map(Path::to_owned).collect();
        let wider = self.granted.iter().any(|grant| path.starts_with(&grant.path));
        if inner.is_empty() && !wider {
            if let Err(error) = self.mounts.remove(path) {
                tracing::debug!(%error, path = %path.display(), "nothing to unmount");
            }
            return;
        }
        // Without a mount of its own the place would show what a wider grant has there, to calls
        // that no decision is needed for (stat(2), readlink(2)).
        if let Err(error) = self.mounts.cover(path, &inner) {
            self.contain(path, &error);
        }
    }

    /// What another live grant still permits stays.
    fn end_grant(&self, ended: &Grant, path: &Path, mode: FileMode) {
        let live = self.store.grants();
        let others = live.iter().filter_map(|grant| match (&grant.scope, &grant.lifetime) {
            // What was opened once belongs to nobody's longer yes.
            (_, Lifetime::Once(_)) => None,
            (GrantScope::File { scope, mode, below }, _) => Some((grant, scope, *mode, *below)),
            _ => None,
        });
        let (mut rights, mut kept) = (Rights::All, Vec::new());
        for (grant, scope, own, below) in others {
            let place = scope.as_path();
            if grant.rule == ended.rule && (place == path || (below && scope.covers(path))) {
                if own == FileMode::Write || mode == FileMode::Read {
                    return;
                }
                rights = Rights::Write;
            } else if place != path && place.starts_with(path) {
                kept.push(Kept { path: place.to_owned(), mode: own });
            }
        }
        self.let_go(path, rights, kept);
    }

    /// Descriptors, mappings and working directories at `path` die, except in narrower places that
    /// are still granted.
    fn let_go(&self, path: &Path, rights: Rights, mut kept: Vec<Kept>) {
        let mode = |write| if write { FileMode::Write } else { FileMode::Read };
        let inner = self.granted.iter();
        let inner = inner.filter(|grant| grant.path.starts_with(path) && grant.path != path);
        kept.extend(
            inner.map(|grant| Kept { path: PathBuf::clone(&grant.path), mode: mode(grant.write) }),
        );
        let outcome =
            self.hands.revoker().and_then(|revoker| revoker.take_away(path, rights, &kept));
        match outcome {
            Ok(outcome) => tracing::debug!(?outcome, path = %path.display(), "taken away"),
            Err(error) => self.contain(path, &error),
        }
    }

    /// An end that cannot be enforced ends the session.
    fn contain(&self, path: &Path, error: &io::Error) {
        tracing::error!(%error, path = %path.display(), "cannot be taken away");
        let resource = Resource::Other(path.display().to_string());
        let (outcome, reason) = (Outcome::Denied, ReasonCode::Expired);
        let _ = self.guard.note(Action::Contain, resource, outcome, reason, None);
        (self.kill)();
    }
}
