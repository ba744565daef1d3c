//! Programs that wait for a person are mounted without the right to run. A yes makes one runnable:
//! for once, just while the start that was asked about happens; else as long as the grant lives.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Sender, channel, sync_channel},
    },
};

use remit_policy::{Grant, GrantScope, Lifetime, PolicyStore};
use remit_sandbox::{
    inside::MountsInside,
    mediate::{Prepared, Programs, Starter},
};

use crate::starts::{Proc, Start, Starts};

/// Yeses for once that wait for their start.
const MOST_APPROVED: usize = 256;

/// Makes approved programs executable right before they start.
pub(crate) struct Runnable {
    asked: Vec<PathBuf>,
    store: Arc<PolicyStore>,
    doors: Arc<Doors>,
    starts: Mutex<Sender<Start>>,
}

/// The mounts that are runnable or not.
pub(crate) struct Doors {
    set_runnable: SetRunnable,
    state: Mutex<State>,
}

type SetRunnable = Box<dyn Fn(&Path, bool) -> io::Result<()> + Send + Sync>;

#[derive(Default)]
struct State {
    /// Yeses for once: the program, and the thread that waits to start it.
    approved: Vec<(PathBuf, Option<u32>)>,
    /// The mounts that the one start under way needs.
    open: BTreeSet<PathBuf>,
    /// Mounts that stay runnable because of a grant.
    kept: BTreeSet<PathBuf>,
}

impl Runnable {
    /// `asked` are the mounts without the right to run. Must be called with the supervisor's own
    /// rights: looking at the agent's threads needs them.
    pub(crate) fn new(
        asked: Vec<PathBuf>,
        store: Arc<PolicyStore>,
        mounts: Arc<MountsInside>,
    ) -> io::Result<Self> {
        let set = move |mount: &Path, runnable| mounts.set_runnable(mount, runnable);
        let doors = Arc::new(Doors::new(Box::new(set)));
        let (starts, inbox) = channel();
        let desk = Starts::new(Arc::clone(&doors), Proc);
        std::thread::Builder::new()
            .name("starts".into())
            .stack_size(256 << 10)
            .spawn(move || desk.serve(&inbox))?;
        Ok(Self { asked, store, doors, starts: Mutex::new(starts) })
    }

    /// A person said yes; the thread waits to go on.
    pub(crate) fn approved(&self, grant: &Grant, thread: Option<u32>) {
        if let (GrantScope::Program { path }, Lifetime::Once(_)) = (&grant.scope, &grant.lifetime) {
            let mut state = self.doors.state();
            // The oldest belongs to a call that was given up.
            if state.approved.len() >= MOST_APPROVED {
                state.approved.remove(0);
            }
            state.approved.push((path.clone(), thread));
        }
    }

    /// A grant for this program has ended.
    pub(crate) fn ended(&self, path: &Path) {
        let Some(mount) = self.mount(path) else { return };
        let lives = self.lasting().any(|other| self.mount(&other).is_some_and(|m| m == mount));
        if !lives {
            let mut state = self.doors.state();
            state.kept.remove(mount);
            self.doors.close_unused(&state, mount);
        }
    }

    fn mount(&self, path: &Path) -> Option<&PathBuf> {
        let around = self.asked.iter().filter(|own| path.starts_with(own));
        around.max_by_key(|own| own.components().count())
    }

    /// Programs with a grant that is for longer than once.
    fn lasting(&self) -> impl Iterator<Item = PathBuf> {
        self.store.grants().into_iter().filter_map(|grant| match (grant.scope, grant.lifetime) {
            (_, Lifetime::Once(_)) => None,
            (GrantScope::Program { path }, _) => Some(path),
            _ => None,
        })
    }
}

impl Programs for Runnable {
    fn before_exec(&self, path: &Path, by: Starter) -> Prepared {
        let Starter { thread, call, may_wait } = by;
        if self.asked.is_empty() {
            return Prepared::Ready;
        }
        let once = match self.mount(path) {
            None => None,
            Some(mount) if self.lasting().any(|other| other == path) => {
                let mut state = self.doors.state();
                if let Err(error) = (self.doors.set_runnable)(mount, true) {
                    tracing::warn!(%error, path = %path.display(), "cannot make runnable");
                    return Prepared::Refused;
                }
                state.kept.insert(mount.clone());
                None
            }
            Some(mount) => {
                let mut state = self.doors.state();
                // This thread's own yes before one whose thread nobody knows.
                let of = |whose: Option<u32>| {
                    state.approved.iter().position(|(program, by)| program == path && *by == whose)
                };
                match of(Some(thread)).or_else(|| of(None)) {
                    Some(_) if !may_wait => return Prepared::Later,
                    Some(index) => {
                        state.approved.remove(index);
                        Some(mount.clone())
                    }
                    // A narrower rule permits it without a question, and has a mount of its own.
                    None => None,
                }
            }
        };
        let (reply, answer) = sync_channel(1);
        let start = Start { thread, call, once, may_wait, reply };
        let sent = self.starts.lock().unwrap_or_else(PoisonError::into_inner).send(start);
        match sent {
            Ok(()) => answer.recv().unwrap_or(Prepared::Refused),
            Err(_) => Prepared::Refused,
        }
    }
}

impl Doors {
    pub(crate) fn new(set_runnable: SetRunnable) -> Self {
        Self { set_runnable, state: Mutex::default() }
    }

    /// Makes the mount runnable for one start. `false`: that cannot be done.
    pub(crate) fn open(&self, mount: &Path) -> bool {
        let mut state = self.state();
        if let Err(error) = (self.set_runnable)(mount, true) {
            tracing::warn!(%error, path = %mount.display(), "cannot make runnable");
            return false;
        }
        state.open.insert(mount.to_owned());
        true
    }

    /// That start is over.
    pub(crate) fn shut(&self, mounts: &[PathBuf]) {
        let mut state = self.state();
        state.open.clear();
        mounts.iter().for_each(|mount| self.close_unused(&state, mount));
    }

    fn close_unused(&self, state: &State, mount: &Path) {
        if state.open.contains(mount) || state.kept.contains(mount) {
            return;
        }
        if let Err(error) = (self.set_runnable)(mount, false) {
            tracing::error!(%error, path = %mount.display(), "cannot be made unrunnable again");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
