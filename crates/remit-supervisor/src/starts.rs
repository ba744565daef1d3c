//! One start at a time where a program is runnable for that start alone.
//!
//! Once the mediator lets the kernel start a program, a racing thread can put another path in the
//! call's place: what then starts is whatever the mounts leave runnable. So while a program is
//! runnable for one thread, every other start waits here and is decided on again afterwards; and it
//! becomes runnable only when all starts that were let go before have happened or failed.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};

use remit_sandbox::mediate::Prepared;

use crate::runnable::Doors;

/// How often it is looked whether a start has happened.
const LOOK: Duration = Duration::from_millis(1);
/// How long a program stays runnable for one start: programs come from slow disks too.
const LONG: Duration = Duration::from_secs(1);
/// How long earlier starts are waited for. Then the new one is refused.
const PATIENCE: Duration = Duration::from_secs(3);
/// From so many starts under way on, it is looked which of them are over.
const MANY: usize = 64;

/// A thread that is about to start a program.
pub(crate) struct Start {
    pub(crate) thread: u32,
    /// Its call: a script and its interpreters are asked about in one.
    pub(crate) call: u64,
    /// The mount that must be made runnable for this start alone.
    pub(crate) once: Option<PathBuf>,
    /// Whether the caller can wait.
    pub(crate) may_wait: bool,
    pub(crate) reply: SyncSender<Prepared>,
}

/// Who lets starts go, one thread for a session.
pub(crate) struct Starts<L> {
    doors: Arc<Doors>,
    look: L,
    /// Starts that the kernel was told to go on with, by thread.
    under_way: HashMap<u32, Seen>,
    turn: Turn,
    /// Starts that are decided on again when the turn is over.
    held: Vec<Start>,
    /// Whose turn is next.
    queue: VecDeque<(PathBuf, Start)>,
}

/// Whose start goes alone.
enum Turn {
    Nobody,
    /// Waits for those under way since then.
    Waiting(PathBuf, Start, Instant),
    /// Goes on since then.
    Going {
        mounts: Vec<PathBuf>,
        thread: u32,
        call: u64,
        seen: Seen,
        since: Instant,
    },
}

/// What is known of threads from outside.
pub(crate) trait Look {
    /// What a process looks like before its start.
    fn seen(&self, thread: u32) -> Seen;
    /// Whether the start has happened or failed since.
    fn is_over(&self, thread: u32, before: &Seen) -> bool;
}

/// The places of a process's program and stack in memory, which the kernel draws anew at each
/// start.
pub(crate) type Seen = Option<String>;

impl<L: Look> Starts<L> {
    pub(crate) fn new(doors: Arc<Doors>, look: L) -> Self {
        Self {
            doors,
            look,
            under_way: HashMap::new(),
            turn: Turn::Nobody,
            held: Vec::new(),
            queue: VecDeque::new(),
        }
    }

    /// Serves until nobody can ask any more.
    pub(crate) fn serve(mut self, inbox: &Receiver<Start>) {
        loop {
            let next = match self.turn {
                Turn::Nobody => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                _ => inbox.recv_timeout(LOOK),
            };
            match next {
                Ok(start) => self.take(start),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.end_turn();
                    return;
                }
            }
            self.go_on();
        }
    }

    fn take(&mut self, start: Start) {
        // Who asks again is done with its last start.
        self.under_way.remove(&start.thread);
        if let Turn::Going { thread, call, mounts, .. } = &mut self.turn
            && *thread == start.thread
        {
            if *call == start.call {
                let ready = start.once.as_ref().is_none_or(|mount| self.doors.open(mount));
                mounts.extend(start.once.clone());
                answer(&start, if ready { Prepared::Ready } else { Prepared::Refused });
                return;
            }
            self.end_turn();
        }
        let free = matches!(self.turn, Turn::Nobody);
        match &start.once {
            None if free => {
                if self.under_way.len() >= MANY {
                    self.forget_what_is_over();
                }
                self.under_way.insert(start.thread, self.look.seen(start.thread));
                answer(&start, Prepared::Ready);
            }
            _ if !start.may_wait => answer(&start, Prepared::Later),
            None => self.held.push(start),
            Some(mount) => {
                let mount = mount.clone();
                if free {
                    self.turn = Turn::Waiting(mount, start, Instant::now());
                } else {
                    self.queue.push_back((mount, start));
                }
            }
        }
    }

    fn go_on(&mut self) {
        match &self.turn {
            Turn::Nobody => {}
            Turn::Waiting(_, _, since) => {
                let late = since.elapsed() > PATIENCE;
                self.forget_what_is_over();
                if self.under_way.is_empty() {
                    self.open();
                } else if late {
                    if let Turn::Waiting(_, start, _) = &self.turn {
                        answer(start, Prepared::Refused);
                    }
                    self.end_turn();
                }
            }
            Turn::Going { thread, seen, since, .. } => {
                let late = since.elapsed() > LONG;
                if self.look.is_over(*thread, seen) {
                    self.end_turn();
                } else if late {
                    self.under_way.insert(*thread, seen.clone());
                    self.end_turn();
                }
            }
        }
    }

    fn open(&mut self) {
        let Turn::Waiting(mount, start, _) = std::mem::replace(&mut self.turn, Turn::Nobody) else {
            return;
        };
        if self.doors.open(&mount) {
            let (thread, call, since) = (start.thread, start.call, Instant::now());
            let seen = self.look.seen(thread);
            self.turn = Turn::Going { mounts: vec![mount], thread, call, seen, since };
            answer(&start, Prepared::Ready);
        } else {
            answer(&start, Prepared::Refused);
            self.end_turn();
        }
    }

    fn end_turn(&mut self) {
        if let Turn::Going { mounts, .. } = &self.turn {
            self.doors.shut(mounts);
        }
        self.turn = match self.queue.pop_front() {
            Some((mount, start)) => Turn::Waiting(mount, start, Instant::now()),
            None => Turn::Nobody,
        };
        for start in self.held.drain(..) {
            answer(&start, Prepared::Again);
        }
    }

    fn forget_what_is_over(&mut self) {
        let look = &self.look;
        self.under_way.retain(|thread, seen| !look.is_over(*thread, seen));
    }
}

fn answer(start: &Start, prepared: Prepared) {
    // A caller that is gone needs no answer.
    let _ = start.reply.try_send(prepared);
}

/// Looks in `/proc`; needs the supervisor's own rights.
pub(crate) struct Proc;

impl Look for Proc {
    fn seen(&self, thread: u32) -> Seen {
        let stat = fs::read_to_string(format!("/proc/{thread}/stat")).ok()?;
        places(&stat)
    }

    fn is_over(&self, thread: u32, before: &Seen) -> bool {
        match fs::read_to_string(Path::new(&format!("/proc/{thread}/syscall"))) {
            // A thread that is not its process's first one is gone when the program has started.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            // ESRCH: it has died meanwhile.
            Err(error) if error.raw_os_error() == Some(3) => return true,
            Err(_) => {}
            Ok(call) => {
                // "running" says nothing of where.
                let number = call.split_whitespace().next().and_then(|word| word.parse().ok());
                if number.is_some_and(|number: i64| !STARTS.contains(&number)) {
                    return true;
                }
            }
        }
        let now = self.seen(thread);
        before.is_some() && now.is_some() && now != *before
    }
}

/// Fields 26 to 28 and 45 to 51 (proc_pid_stat(5)): code and stack, data, arguments, environment.
fn places(stat: &str) -> Option<String> {
    // The name before may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The first one after the name is field 3.
    let some = fields.get(23..26)?.iter().chain(fields.get(42..49)?);
    Some(some.copied().collect::<Vec<_>>().join(" "))
}

#[cfg(target_arch = "x86_64")]
const STARTS: [i64; 2] = [59, 322];
#[cfg(not(target_arch = "x86_64"))]
const STARTS: [i64; 2] = [221, 281];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Mutex, mpsc::sync_channel};

    use super::*;

    /// Threads whose start is not over.
    #[derive(Default, Clone)]
    struct Told(Arc<Mutex<Vec<u32>>>);

    impl Look for Told {
        fn seen(&self, _: u32) -> Seen {
            None
        }

        fn is_over(&self, thread: u32, _: &Seen) -> bool {
            !self.0.lock().unwrap().contains(&thread)
        }
    }

    fn start(thread: u32, once: bool, may_wait: bool) -> (Start, Receiver<Prepared>) {
        let (reply, answer) = sync_channel(1);
        let once = once.then(|| PathBuf::from("/p"));
        (Start { thread, call: thread.into(), once, may_wait, reply }, answer)
    }

    #[test]
    fn nobody_starts_while_one_program_is_runnable_for_one_thread() {
        let busy = Told::default();
        let opened = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&opened);
        let doors = Arc::new(Doors::new(Box::new(move |_, runnable| {
            log.lock().unwrap().push(runnable);
            Ok(())
        })));
        let mut starts = Starts::new(doors, busy.clone());
        let mut ask = |thread, once, may_wait| {
            let (start, answer) = start(thread, once, may_wait);
            starts.take(start);
            starts.go_on();
            answer
        };
        busy.0.lock().unwrap().extend([1, 2, 4]);
        let earlier = ask(1, false, false);
        assert_eq!(earlier.try_recv(), Ok(Prepared::Ready));
        // An earlier start is under way: the program is not runnable yet, and nobody else starts.
        let once = ask(2, true, true);
        assert!(once.try_recv().is_err() && opened.lock().unwrap().is_empty());
        let held = ask(3, false, true);
        assert!(held.try_recv().is_err());
        assert_eq!(ask(5, false, false).try_recv(), Ok(Prepared::Later));
        // The earlier one is over, seen by its next one.
        busy.0.lock().unwrap().retain(|thread| *thread != 1);
        let again = ask(1, false, true);
        assert!(again.try_recv().is_err());
        assert_eq!(once.try_recv(), Ok(Prepared::Ready));
        assert_eq!(*opened.lock().unwrap(), [true]);
        let next = ask(4, true, true);
        assert!(held.try_recv().is_err() && next.try_recv().is_err());
        // Its start has happened: shut first, then the others are decided on again.
        busy.0.lock().unwrap().retain(|thread| *thread != 2);
        let _ = ask(6, false, false);
        assert_eq!(*opened.lock().unwrap(), [true, false]);
        assert_eq!(held.try_recv(), Ok(Prepared::Again));
        assert_eq!(again.try_recv(), Ok(Prepared::Again));
        let _ = ask(6, false, false);
        assert_eq!(next.try_recv(), Ok(Prepared::Ready));
        assert_eq!(*opened.lock().unwrap(), [true, false, true]);
    }

    #[test]
    fn a_start_that_never_ends_holds_nobody_for_ever() {
        let busy = Told::default();
        let doors = Arc::new(Doors::new(Box::new(|_, _| Ok(()))));
        let (ask, inbox) = std::sync::mpsc::channel();
        busy.0.lock().unwrap().extend([1, 2]);
        let server = std::thread::spawn({
            let busy = busy.clone();
            move || Starts::new(doors, busy).serve(&inbox)
        });
        let (once, answer) = start(1, true, true);
        ask.send(once).unwrap();
        assert_eq!(answer.recv(), Ok(Prepared::Ready));
        let (other, released) = start(3, false, true);
        ask.send(other).unwrap();
        assert_eq!(released.recv_timeout(LONG * 3), Ok(Prepared::Again));
        // It may still happen: nothing becomes runnable until then, and that is refused in time.
        let (second, refused) = start(2, true, true);
        ask.send(second).unwrap();
        assert_eq!(refused.recv_timeout(PATIENCE * 2), Ok(Prepared::Refused));
        drop(ask);
        server.join().unwrap();
    }

    #[test]
    fn a_start_shows_from_outside() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let sleeping = child.id();
        let own = Proc.seen(std::process::id()).unwrap();
        let its = Proc.seen(sleeping).unwrap();
        assert_ne!(own, its);
        // Either it sleeps, which is no start, or its places are its own.
        assert!(Proc.is_over(sleeping, &Some(own)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Proc.is_over(sleeping, &Some(its)));
    }
}
