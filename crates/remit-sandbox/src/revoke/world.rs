//! All threads of a session, stopped and let go again.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::{Duration, Instant},
};

use super::{
    proc::{Family, Proc},
    regs, sys,
    sys::State,
    visit::pause,
};

/// How long threads may take to stop. One that takes longer waits in the kernel for something that
/// no signal ends, and stops before it comes back.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long a session may multiply faster than it is stopped.
const MULTIPLYING: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug)]
struct Task {
    process: i32,
    stopped: bool,
}

/// The threads that we trace.
#[derive(Default)]
pub(super) struct World(BTreeMap<i32, Task>);

impl World {
    /// Stops every thread of the session that can be stopped.
    ///
    /// # Errors
    /// When the session multiplies faster than it can be stopped; all is let go then.
    pub(super) fn stop(&mut self, proc: &Proc, init: i32) -> io::Result<Family> {
        let begun = Instant::now();
        let mut dead = BTreeSet::new();
        let mut quiet = false;
        loop {
            let family = proc.family(init)?;
            let mut moved = false;
            for (process, threads) in &family {
                for thread in threads {
                    moved |= self.take(proc, *process, *thread, &mut dead);
                }
            }
            let listed = |tid: &i32| family.values().any(|threads| threads.contains(tid));
            let lost: Vec<i32> = self.0.keys().copied().filter(|tid| !listed(tid)).collect();
            for tid in lost {
                // Reaped by someone else, or renamed by an exec.
                if sys::look(tid) == State::Gone {
                    self.0.remove(&tid);
                    moved = true;
                }
            }
            self.settle();
            // A process whose parent dies between the readings of two lists of children is in
            // neither. It is a child of init then, and the next walk begins there: two walks in
            // which nothing is born and nothing dies have seen everything.
            if !moved && quiet {
                return Ok(family);
            }
            quiet = !moved;
            if begun.elapsed() > MULTIPLYING {
                self.release(proc);
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Begins to trace and stop a thread; whether anything has changed by it or for it.
    fn take(&mut self, proc: &Proc, process: i32, tid: i32, dead: &mut BTreeSet<i32>) -> bool {
        if let Some(known) = self.0.get_mut(&tid) {
            known.process = process;
            return false;
        }
        if let Err(error) = sys::seize(tid) {
            if error.raw_os_error() != Some(libc::EPERM) {
                return true;
            }
            if proc.is_dead(&format!("{process}/task/{tid}")) {
                return dead.insert(tid);
            }
            // After an exec a traced thread has its leader's number. What is not ours either
            // belongs to another tracer, or hides from us.
            if sys::interrupt(tid).is_err() {
                return dead.insert(tid);
            }
        } else {
            // If it has died meanwhile, its end is collected like a stop.
            let _ = sys::interrupt(tid);
        }
        self.0.insert(tid, Task { process, stopped: false });
        true
    }

    /// Waits until all that can stop have stopped.
    fn settle(&mut self) {
        let begun = Instant::now();
        let mut turns = 0;
        while !self.poll() && begun.elapsed() < PATIENCE {
            pause(&mut turns);
        }
    }

    /// Sees who has stopped meanwhile; whether all have.
    pub(super) fn poll(&mut self) -> bool {
        let mut all = true;
        self.0.retain(|tid, task| {
            if !task.stopped {
                match sys::look(*tid) {
                    State::Stopped => task.stopped = true,
                    State::Running => all = false,
                    State::Gone => return false,
                    // Any other stop ends our request to stop: ask again and let it go on.
                    State::Signal(signal) => {
                        let _ = sys::interrupt(*tid).and_then(|()| sys::go_on(*tid, signal));
                        all = false;
                    }
                    State::Syscall => {
                        let _ = sys::interrupt(*tid).and_then(|()| sys::go_on(*tid, 0));
                        all = false;
                    }
                }
            }
            true
        });
        all
    }

    /// Processes with a thread that was late to stop and now has.
    pub(super) fn arrived(&self) -> Vec<i32> {
        let mut out: Vec<i32> =
            self.0.values().filter(|task| task.stopped).map(|task| task.process).collect();
        out.dedup();
        out
    }

    /// Whether threads are traced that have not stopped yet.
    pub(super) fn is_waiting(&self) -> bool {
        !self.0.is_empty()
    }

    /// Of these threads one that is stopped, if possible within a system call: nothing of its own
    /// is half done there.
    pub(super) fn stopped(&self, tids: &[i32]) -> Option<i32> {
        let stopped = |tid: &&i32| self.0.get(*tid).is_some_and(|task| task.stopped);
        let in_call = |tid: &&i32| sys::registers(**tid).is_ok_and(|raw| regs::in_call(&raw));
        let mut all = tids.iter().filter(stopped);
        all.clone().find(in_call).or_else(|| all.next()).copied()
    }

    /// Whether one of these threads is traced, so that it stops before it runs on.
    pub(super) fn holds(&self, tids: &[i32]) -> bool {
        tids.iter().any(|tid| self.0.contains_key(tid))
    }

    /// A thread that did not come back from a visit as it should.
    pub(super) fn lost(&mut self, tid: i32) {
        if let Some(task) = self.0.get_mut(&tid) {
            task.stopped = false;
        }
    }

    /// Lets all stopped threads go on. Those that have not stopped stay traced.
    pub(super) fn release(&mut self, proc: &Proc) {
        self.0.retain(|tid, task| {
            if !task.stopped {
                return true;
            }
            again(proc, &format!("{}/task/{tid}", task.process), *tid);
            // A killed thread cannot be let go; its end is collected later.
            task.stopped = false;
            sys::detach(*tid).is_err()
        });
    }
}

/// A call that our stop alone has interrupted for good, made once more.
fn again(proc: &Proc, path: &str, tid: i32) {
    let Ok(raw) = sys::registers(tid) else { return };
    let Some(before) = regs::before_interrupted(&raw) else { return };
    if !proc.is_signalled(path) {
        let _ = sys::set_registers(tid, &before);
    }
}
