//! Programs that wait for a person are mounted without the right to run. A yes makes one runnable:
//! for once, just while the start that was asked about happens; else as long as the grant lives.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use remit_policy::{Grant, GrantScope, Lifetime, PolicyStore};
use remit_sandbox::{
    inside::MountsInside,
    mediate::{Prepared, Programs},
};

/// How often it is looked whether a start has happened.
const LOOK: Duration = Duration::from_millis(1);
/// How long a start may take whose thread is not seen waiting inside of it.
const SHORT: Duration = Duration::from_millis(50);
/// How long any start may take: programs come from slow disks too.
const LONG: Duration = Duration::from_secs(1);
/// Yeses for once that wait for their start.
const MOST_APPROVED: usize = 256;

/// Makes approved programs executable right before they start.
pub(crate) struct Runnable {
    asked: Vec<PathBuf>,
    store: Arc<PolicyStore>,
    doors: Arc<Doors>,
    windows: Mutex<Sender<Window>>,
}

struct Doors {
    mounts: Arc<MountsInside>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Yeses for once: the program, and the thread that waits to start it.
    approved: Vec<(PathBuf, Option<u32>)>,
    /// Starts that are under way, by mount.
    open: HashMap<PathBuf, usize>,
    /// Mounts that stay runnable because of a grant.
    kept: BTreeSet<PathBuf>,
}

/// One start that is under way.
struct Window {
    mount: PathBuf,
    program: PathBuf,
    thread: Option<u32>,
    opened: Instant,
    /// The thread ran this program already, so that its start cannot be seen by that.
    again: bool,
}

impl Runnable {
    /// `asked` are the mounts without the right to run. Must be called with the supervisor's own
    /// rights: looking at the agent's threads needs them.
    pub(crate) fn new(
        asked: Vec<PathBuf>,
        store: Arc<PolicyStore>,
        mounts: Arc<MountsInside>,
    ) -> io::Result<Self> {
        let doors = Arc::new(Doors { mounts, state: Mutex::default() });
        let (windows, inbox) = channel();
        let own = Arc::clone(&doors);
        std::thread::Builder::new()
            .name("starts".into())
            .stack_size(256 << 10)
            .spawn(move || own.close_windows(&inbox))?;
        Ok(Self { asked, store, doors, windows: Mutex::new(windows) })
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
    fn before_exec(&self, path: &Path) -> Prepared {
        let Some(mount) = self.mount(path) else { return Prepared::Ready };
        let lasts = self.lasting().any(|other| other == path);
        let mut state = self.doors.state();
        let index = state.approved.iter().position(|(program, _)| program == path);
        let thread = match (lasts, index) {
            (true, _) => None,
            (false, Some(index)) => state.approved.remove(index).1,
            // A narrower rule permits it without a question, and has a mount of its own.
            (false, None) => return Prepared::Ready,
        };
        if let Err(error) = self.doors.mounts.set_runnable(mount, true) {
            tracing::warn!(%error, path = %path.display(), "cannot make runnable");
            return Prepared::Refused;
        }
        if lasts {
            state.kept.insert(mount.clone());
            return Prepared::Ready;
        }
        let count = state.open.entry(mount.clone()).or_default();
        *count = count.saturating_add(1);
        drop(state);
        let window = Window {
            mount: mount.clone(),
            program: path.to_owned(),
            thread,
            opened: Instant::now(),
            again: false,
        };
        let sent = self.windows.lock().unwrap_or_else(PoisonError::into_inner).send(window);
        if let Err(unsent) = sent {
            self.doors.close(&unsent.0);
            return Prepared::Refused;
        }
        Prepared::Ready
    }
}

impl Doors {
    /// Closes each window as soon as its start has happened or failed.
    fn close_windows(&self, inbox: &Receiver<Window>) {
        let mut open: Vec<Window> = Vec::new();
        loop {
            let next = if open.is_empty() {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(LOOK)
            };
            match next {
                Ok(mut window) => {
                    window.again = window.runs();
                    open.push(window);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    open.iter().for_each(|window| self.close(window));
                    return;
                }
            }
            open.retain(|window| {
                let over = window.is_over();
                if over {
                    self.close(window);
                }
                !over
            });
        }
    }

    fn close(&self, window: &Window) {
        let mut state = self.state();
        if let Some(count) = state.open.get_mut(&window.mount) {
            *count = count.saturating_sub(1);
        }
        self.close_unused(&state, &window.mount);
    }

    fn close_unused(&self, state: &State, mount: &PathBuf) {
        let used = state.open.get(mount).is_some_and(|count| *count > 0);
        if used || state.kept.contains(mount) {
            return;
        }
        if let Err(error) = self.mounts.set_runnable(mount, false) {
            tracing::error!(%error, path = %mount.display(), "cannot be made unrunnable again");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn is_over(&self) -> bool {
        let age = self.opened.elapsed();
        let started = !self.again && self.runs();
        let starting = age < LONG && self.thread.is_some_and(is_starting);
        started || (age >= SHORT && !starting)
    }

    /// Whether the thread's process runs the program. A thread that is not its process's first
    /// one is gone when the program has started.
    fn runs(&self) -> bool {
        self.thread.is_some_and(|thread| match fs::read_link(format!("/proc/{thread}/exe")) {
            Ok(running) => running == self.program,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        })
    }
}

/// Whether the thread waits inside of execve(2) or execveat(2) (proc_pid_syscall(5)).
fn is_starting(thread: u32) -> bool {
    let call = fs::read_to_string(format!("/proc/{thread}/syscall")).unwrap_or_default();
    let number = call.split_whitespace().next().and_then(|word| word.parse::<i64>().ok());
    number.is_some_and(|number| STARTS.contains(&number))
}

#[cfg(target_arch = "x86_64")]
const STARTS: [i64; 2] = [59, 322];
#[cfg(not(target_arch = "x86_64"))]
const STARTS: [i64; 2] = [221, 281];
