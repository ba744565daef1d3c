//! The publishing side: entries become a signed tree.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    LogError,
    append::Appender,
    files::{
        CHECKPOINT, COMMIT_LOCK, Care, FileLock, HEAD, LogPaths, exchange, read_small, settle,
    },
    merkle::TILE_WIDTH,
    note::{Checkpoint, NoteSigner},
    segment::{Segment, list_segments, segment_path},
    state::{State, Trust},
};

/// Whether the log is being closed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    No,
    /// The unfinished tiles are written too.
    Yes,
}

/// Signs what has been appended.
pub(crate) struct Publisher {
    lock: FileLock,
    desk: Desk,
}

/// What the holder of the commit lock works with.
struct Desk {
    paths: LogPaths,
    signer: NoteSigner,
    state: State,
    /// The checkpoint that this process last wrote or saw.
    note: Vec<u8>,
    published: u64,
    housekeeping: Arc<AtomicBool>,
}

impl Publisher {
    pub(crate) fn new(
        paths: LogPaths,
        signer: NoteSigner,
        lock: FileLock,
        state: State,
        published: u64,
    ) -> Self {
        let desk = Desk {
            paths,
            signer,
            state,
            note: Vec::new(),
            published,
            housekeeping: Arc::default(),
        };
        Self { lock, desk }
    }

    pub(crate) const fn signer(&self) -> &NoteSigner {
        &self.desk.signer
    }

    /// Brings everything appended so far to disk and under a signed checkpoint. Returns the
    /// number of entries.
    pub(crate) fn publish(
        &mut self,
        appender: &Appender,
        closing: Closing,
    ) -> Result<u64, LogError> {
        let _lock = self.lock.exclusive()?;
        self.desk.publish(appender, closing)
    }
}

impl Desk {
    fn publish(&mut self, appender: &Appender, closing: Closing) -> Result<u64, LogError> {
        let audit = self.paths.audit.clone();
        self.state.segment.check_place()?;
        self.follow(appender)?;
        self.state.advance(&audit, u64::MAX, &|first| appender.segment(first))?;
        // Whoever reads the checkpoint must find what it covers, even after a power cut.
        self.state.segment.wrote(self.state.offset);
        self.state.segment.sync(self.state.offset)?;
        let size = self.state.tree.size();
        if size != self.published || self.note.is_empty() {
            self.note = write_checkpoint(&self.paths, &self.signer, &self.state)?;
            self.published = size;
        }
        match closing {
            Closing::Yes => {
                self.state.write_partial(&audit)?;
                self.state.write_hint(&audit)?;
                settle(&audit.join(CHECKPOINT), &self.note)?;
                settle(&self.paths.keys.join(HEAD), &self.note)?;
            }
            Closing::No => self.keep_house(appender),
        }
        Ok(size)
    }

    /// Moves to what other processes have signed meanwhile. They may be so far ahead that the
    /// segments in between are gone; tiles hold those entries then.
    fn follow(&mut self, appender: &Appender) -> Result<(), LogError> {
        let path = self.paths.audit.join(CHECKPOINT);
        let Some(note) = read_small(&path, 64 << 10)? else {
            // Somebody removed it; it is written again.
            self.note.clear();
            return Ok(());
        };
        if note == self.note {
            return Ok(());
        }
        let signed = Checkpoint::open(&note, self.signer.verifier())
            .map_err(|source| LogError::Note { path: path.clone(), source })?;
        if signed.size < self.published {
            return Err(LogError::RolledBack { have: signed.size, signed: self.published });
        }
        let audit = &self.paths.audit;
        let open = |first| appender.segment(first);
        // Where a segment in between is gone, this stops short.
        let advanced = self.state.advance(audit, signed.size, &open);
        if advanced.is_err() || self.state.tree.size() < signed.size {
            self.state = State::load(audit, &signed, Trust::Tiles)?;
        }
        if self.state.tree.size() == signed.size && self.state.tree.root() != signed.root {
            return Err(LogError::Inconsistent { path, what: "another root" });
        }
        (self.note, self.published) = (note, signed.size);
        Ok(())
    }

    /// Retires segments that tiles have replaced and prepares the next one, beside the ordinary
    /// work, for both may wait long for the disk.
    fn keep_house(&self, appender: &Appender) {
        let audit = self.paths.audit.clone();
        let full = self.state.tree.size() / TILE_WIDTH as u64 * TILE_WIDTH as u64;
        let segments = list_segments(&audit).unwrap_or_default();
        // A segment is done with when its successor begins within what full tiles hold.
        let done = segments.iter().skip(1).filter(|next| **next <= full).count();
        let spare = appender.wants_spare().filter(|_| !Segment::has_spare(&audit));
        if (done == 0 && spare.is_none()) || self.housekeeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let running = Arc::clone(&self.housekeeping);
        let old: Vec<u64> = segments.into_iter().take(done).collect();
        let work = move || {
            if let Some(capacity) = spare {
                // A failure shows when the spare is needed.
                let _ = Segment::prepare_spare(&audit, capacity);
            }
            if !old.is_empty() {
                let _ = retire(&audit, &old);
            }
            running.store(false, Ordering::Release);
        };
        let thread = std::thread::Builder::new().name("audit-house".into()).spawn(work);
        if thread.is_err() {
            self.housekeeping.store(false, Ordering::Release);
        }
    }
}

/// Writes the checkpoint of a state, and remembers it beside the key.
pub(crate) fn write_checkpoint(
    paths: &LogPaths,
    signer: &NoteSigner,
    state: &State,
) -> Result<Vec<u8>, LogError> {
    let checkpoint = Checkpoint {
        origin: signer.verifier().name().to_owned(),
        size: state.tree.size(),
        root: state.tree.root(),
    };
    let note = checkpoint.sign(signer).into_bytes();
    exchange(&paths.audit.join(CHECKPOINT), &note, Care::Disk)?;
    // After the checkpoint: what is remembered is never newer than the log.
    exchange(&paths.keys.join(HEAD), &note, Care::Kernel)?;
    Ok(note)
}

/// Removes segments whose entries are all in full tiles, once those are on disk.
fn retire(audit: &Path, segments: &[u64]) -> Result<(), LogError> {
    // One sync for hundreds of small files.
    fs::File::open(audit)
        .and_then(|folder| rustix::fs::syncfs(&folder).map_err(Into::into))
        .map_err(LogError::at(audit))?;
    // Whoever holds this lock may rely on the segments that are there. Oldest first, so that a
    // missing segment never has an elder.
    let mut lock = FileLock::open(audit.join(COMMIT_LOCK))?;
    let _lock = lock.exclusive()?;
    for first in segments {
        let path = segment_path(audit, *first);
        fs::remove_file(&path).map_err(LogError::at(&path))?;
    }
    Ok(())
}
