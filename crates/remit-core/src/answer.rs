//! A one-shot cell for a person's answer that both threads and tasks can wait on: the sandbox
//! waits in a thread, the proxy in a task, and the core knows no runtime.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::Answer;

/// A fresh pair. Dropping the sender unanswered answers [`Answer::Aborted`].
pub fn answer_channel() -> (AnswerSender, AnswerReceiver) {
    let cell = Arc::new(Cell::default());
    (AnswerSender { cell: Arc::clone(&cell) }, AnswerReceiver { cell })
}

#[derive(Default)]
struct Cell {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    answer: Option<Answer>,
    waker: Option<Waker>,
}

impl Cell {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is two plain options: a panic elsewhere cannot leave it half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, answer: Answer) {
        let waker = {
            let mut state = self.state();
            if state.answer.is_some() {
                return;
            }
            state.answer = Some(answer);
            state.waker.take()
        };
        self.ready.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The answering side.
pub struct AnswerSender {
    cell: Arc<Cell>,
}

impl AnswerSender {
    /// Answers; later calls change nothing.
    pub fn send(self, answer: Answer) {
        self.cell.settle(answer);
    }
}

impl Drop for AnswerSender {
    fn drop(&mut self) {
        self.cell.settle(Answer::Aborted);
    }
}

/// The waiting side: block on it, or await it.
pub struct AnswerReceiver {
    cell: Arc<Cell>,
}

impl AnswerReceiver {
    /// Waits in this thread.
    pub fn wait(self) -> Answer {
        let mut state = self.cell.state();
        loop {
            if let Some(answer) = state.answer {
                return answer;
            }
            state = self.cell.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for AnswerReceiver {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut state = self.cell.state();
        match state.answer {
            Some(answer) => Poll::Ready(answer),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_sender_aborts_and_first_answer_wins() {
        let (sender, receiver) = answer_channel();
        drop(sender);
        assert_eq!(receiver.wait(), Answer::Aborted);
        let (sender, receiver) = answer_channel();
        let waiter = std::thread::spawn(move || receiver.wait());
        sender.send(Answer::Approved);
        assert_eq!(waiter.join().unwrap(), Answer::Approved);
    }
}
