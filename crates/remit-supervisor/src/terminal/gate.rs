//! One screen, two writers: the agent's output and a question never mix, and what is typed goes to
//! one of the two.

use std::{
    io,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use super::modes::Modes;

/// Reads of typed bytes that may wait for the question; more are dropped.
const MOST_TYPED: usize = 64;

/// Closed while a question is shown: the agent's output waits (in its terminal's own buffer, so
/// that the agent's writes block), and typed bytes go to the question.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    question: Option<SyncSender<Vec<u8>>>,
    writing: bool,
    modes: Modes,
}

/// The gate is closed as long as this lives.
pub(super) struct Closed<'g> {
    gate: &'g Gate,
    /// What is typed.
    pub(super) typed: Receiver<Vec<u8>>,
}

impl Gate {
    /// Writes the agent's output when no question is shown, however long that takes.
    pub(super) fn pass(
        &self,
        output: &[u8],
        write: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = self.state();
        while state.question.is_some() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writing = true;
        state.modes.follow(output);
        drop(state);
        let written = write();
        self.state().writing = false;
        self.changed.notify_all();
        written
    }

    /// Takes screen and keys away from the agent.
    pub(super) fn close(&self) -> Closed<'_> {
        let (sender, typed) = sync_channel(MOST_TYPED);
        let mut state = self.state();
        state.question = Some(sender);
        while state.writing {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        Closed { gate: self, typed }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().question.is_some()
    }

    /// Gives typed bytes to the question; without one, they are the agent's.
    pub(super) fn to_question(&self, typed: &[u8]) -> bool {
        let Some(question) = self.state().question.clone() else { return false };
        // A full queue is a flood, and nobody's answer.
        let _ = question.try_send(typed.to_vec());
        true
    }

    /// Switches on again what the agent had on.
    pub(super) fn modes_again(&self) -> String {
        self.state().modes.again()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.gate.state().question = None;
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{sync::atomic::AtomicBool, sync::atomic::Ordering, time::Duration};

    use super::*;

    #[test]
    fn output_waits_while_a_question_is_shown() {
        let (gate, wrote) = (Gate::default(), AtomicBool::new(false));
        gate.pass(b"\x1b[?1000h", || Ok(())).unwrap();
        std::thread::scope(|scope| {
            let closed = gate.close();
            scope.spawn(|| {
                gate.pass(b"later", || {
                    wrote.store(true, Ordering::SeqCst);
                    Ok(())
                })
            });
            std::thread::sleep(Duration::from_millis(50));
            assert!(!wrote.load(Ordering::SeqCst));
            assert!(gate.to_question(b"x"));
            assert_eq!(closed.typed.recv().unwrap(), b"x");
            drop(closed);
        });
        assert!(wrote.load(Ordering::SeqCst));
        assert!(!gate.to_question(b"x"));
        assert_eq!(gate.modes_again(), "\x1b[?1000h");
    }

    #[test]
    fn a_flood_of_keys_is_bounded() {
        let gate = Gate::default();
        let closed = gate.close();
        (0..10_000).for_each(|_| assert!(gate.to_question(b"s")));
        assert_eq!(closed.typed.try_iter().count(), MOST_TYPED);
    }
}
