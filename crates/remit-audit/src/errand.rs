//! File names, looked up in a thread of the log's own. The threads that append may live elsewhere:
//! those that mediate a session's calls see the session's root and have no rights on the log's
//! folder. Descriptors go with them, names do not.

use std::{
    io,
    path::Path,
    sync::{
        Mutex, PoisonError,
        mpsc::{Sender, channel, sync_channel},
    },
};

use crate::LogError;

type Errand = Box<dyn FnOnce() + Send>;

/// The thread; it ends when this is dropped.
pub(crate) struct Errands(Mutex<Sender<Errand>>);

impl Errands {
    /// Starts the thread, with the calling thread's root and rights.
    pub(crate) fn start(audit: &Path) -> Result<Self, LogError> {
        let (sender, inbox) = channel::<Errand>();
        std::thread::Builder::new()
            .name("audit-files".into())
            .stack_size(256 << 10)
            .spawn(move || inbox.into_iter().for_each(|errand| errand()))
            .map_err(LogError::at(audit))?;
        Ok(Self(Mutex::new(sender)))
    }

    /// Runs `errand` there and waits for it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        audit: &Path,
        errand: impl FnOnce() -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let gone = || LogError::at(audit)(io::ErrorKind::BrokenPipe.into());
        let (answer, result) = sync_channel(1);
        let job: Errand = Box::new(move || {
            let _ = answer.send(errand());
        });
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(job);
        sent.map_err(|_| gone())?;
        result.recv().map_err(|_| gone())?
    }
}
