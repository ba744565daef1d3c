//! Opening: finds the log, or makes it; compares it with what was signed; takes over what dead
//! processes left.

use std::{fs, path::Path, sync::Arc};

use crate::{
    LogError, LogOptions,
    append::Appender,
    files::{
        BOOT, CHECKPOINT, COMMIT_LOCK, Care, FileLock, LIVE_LOCK, LogPaths, SEGMENTS,
        create_folder, read_small, replace,
    },
    frame::Step,
    keys,
    merkle::Hash,
    note::{Checkpoint, NoteSigner},
    publish::{Publisher, write_checkpoint},
    segment::{FRAMES, Segment, list_segments, remove_leftovers, segment_path},
    state::{State, Trust},
};

/// A log that is ready for use.
pub(crate) struct Opened {
    pub(crate) appender: Appender,
    pub(crate) publisher: Publisher,
    pub(crate) live: FileLock,
    /// What the log must say about itself.
    pub(crate) news: Vec<String>,
}

/// Opens or creates the log.
pub(crate) fn open(paths: LogPaths, options: &LogOptions) -> Result<Opened, LogError> {
    create_folder(&paths.keys)?;
    create_folder(&paths.audit.join(SEGMENTS))?;
    let mut lock = FileLock::open(paths.audit.join(COMMIT_LOCK))?;
    let locked = lock.exclusive()?;
    let live = FileLock::open(paths.audit.join(LIVE_LOCK))?;
    let alone = live.alone_or_shared()?;

    let mut news = Vec::new();
    let (signer, vanished) = keys::load_or_create(&paths)?;
    if let Some(head) = vanished {
        news.push(format!("the log {} with {} records is missing", head.origin, head.size));
    }
    let checkpoint = match signed_checkpoint(&paths, &signer)? {
        Some(checkpoint) => checkpoint,
        None => found(&paths, &signer, options)?,
    };
    let rebooted = alone && rebooted(&paths.audit)?;
    if alone {
        remove_leftovers(&paths.audit)?;
        ensure_segment(&paths.audit, &checkpoint, options)?;
    }
    let trust = if rebooted { Trust::Segments } else { Trust::Tiles };
    let state = State::load(&paths.audit, &checkpoint, trust)?;
    let tail = Tail::behind(&paths.audit, &state, alone)?;
    if alone {
        let count = tail.number.saturating_sub(checkpoint.size);
        if count > 0 || tail.cut {
            let cut = if tail.cut { ", cut what was not whole behind them" } else { "" };
            news.push(format!("recovered {count} records{cut}"));
        }
        live.share()?;
    }
    drop(locked);
    let appender =
        Appender::new(paths.audit.clone(), options, tail.segment, tail.end, tail.number)?;
    let publisher = Publisher::new(paths, signer, lock, state, checkpoint.size);
    Ok(Opened { appender, publisher, live, news })
}

/// The log's checkpoint, unless there is no log yet. It must not be older than what this machine
/// has signed.
fn signed_checkpoint(
    paths: &LogPaths,
    signer: &NoteSigner,
) -> Result<Option<Checkpoint>, LogError> {
    let path = paths.audit.join(CHECKPOINT);
    let head = keys::head(paths, signer.verifier())?;
    let Some(note) = read_small(&path, 64 << 10)? else {
        let signed = head.map_or(0, |head| head.size);
        let empty = list_segments(&paths.audit)?.is_empty() && !paths.audit.join("tile").exists();
        return match (signed, empty) {
            (0, true) => Ok(None),
            (0, false) => Err(LogError::Inconsistent { path, what: "no checkpoint" }),
            (signed, _) => Err(LogError::RolledBack { have: 0, signed }),
        };
    };
    let checkpoint = Checkpoint::open(&note, signer.verifier())
        .map_err(|source| LogError::Note { path, source })?;
    match head {
        Some(head) if head.size > checkpoint.size => {
            Err(LogError::RolledBack { have: checkpoint.size, signed: head.size })
        }
        Some(head) if head.size == checkpoint.size && head.root != checkpoint.root => {
            Err(LogError::Inconsistent { path: paths.audit.clone(), what: "two heads" })
        }
        _ => Ok(Some(checkpoint)),
    }
}

/// Founds a log: its first segment, and a checkpoint that signs that there is nothing yet.
fn found(
    paths: &LogPaths,
    signer: &NoteSigner,
    options: &LogOptions,
) -> Result<Checkpoint, LogError> {
    let origin = signer.verifier().name().to_owned();
    let checkpoint = Checkpoint { origin, size: 0, root: Hash::empty_root() };
    ensure_segment(&paths.audit, &checkpoint, options)?;
    let state = State::load(&paths.audit, &checkpoint, Trust::Tiles)?;
    write_checkpoint(paths, signer, &state)?;
    Ok(checkpoint)
}

/// A log whose tiles are whole may be without segments, as in a copy of its C2SP form.
fn ensure_segment(
    audit: &Path,
    checkpoint: &Checkpoint,
    options: &LogOptions,
) -> Result<(), LogError> {
    if list_segments(audit)?.is_empty() {
        Segment::prepare_spare(audit, options.segment_bytes)?;
        Segment::create(audit, checkpoint.size, options.segment_bytes, || Ok(()))?;
    }
    Ok(())
}

/// Whether this is the first opening since the machine started. Tiles are synced late, so after a
/// power cut the newest may be missing.
fn rebooted(audit: &Path) -> Result<bool, LogError> {
    let now = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let path = audit.join(BOOT);
    if !now.is_empty() && read_small(&path, 4096)?.is_some_and(|then| then == now) {
        return Ok(false);
    }
    replace(&path, &now, Care::Kernel)?;
    Ok(true)
}

/// What lies behind the signed entries.
struct Tail {
    segment: Arc<Segment>,
    end: u64,
    number: u64,
    /// Whether something had to be cut off.
    cut: bool,
}

impl Tail {
    /// Walks to the end. `alone`: nobody else has the log open, so what is not whole there is a
    /// dead process's or a power cut's work, and is put in order.
    fn behind(audit: &Path, state: &State, alone: bool) -> Result<Self, LogError> {
        let mut tail = Self {
            segment: Arc::clone(&state.segment),
            end: state.offset,
            number: state.tree.size(),
            cut: false,
        };
        loop {
            let segment = Arc::clone(&tail.segment);
            let mut frames = segment.frames(tail.end, tail.number);
            let stop = loop {
                match frames.step().map_err(LogError::at(&segment.path))? {
                    Step::Entry { .. } => {}
                    Step::Closed => break Stop::Closed,
                    Step::End => break Stop::Open,
                    Step::Torn { .. } => break Stop::Torn,
                }
            };
            (tail.end, tail.number) = frames.position();
            segment.wrote(tail.end);
            if stop == Stop::Torn && alone {
                segment.wipe(tail.end)?;
                tail.cut = true;
            }
            let next = segment_path(audit, tail.number);
            let next_exists = tail.number > segment.first && next.exists();
            if stop != Stop::Closed && next_exists && alone {
                // Only the closing frame was lost with the power.
                segment.close(tail.end, tail.number)?;
            }
            if !next_exists || (stop != Stop::Closed && !alone) {
                if alone {
                    tail.cut |= remove_unreachable(audit, tail.number, &segment)?;
                }
                return Ok(tail);
            }
            tail.segment = Arc::new(Segment::open(&next)?.after(segment));
            tail.end = FRAMES;
        }
    }
}

/// What stands where a segment's entries end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Closed,
    Open,
    Torn,
}

/// Removes segments behind a hole that a power cut has left: their entries were never promised
/// to be on disk, and their numbers will be given anew.
fn remove_unreachable(audit: &Path, number: u64, last: &Segment) -> Result<bool, LogError> {
    let mut removed = false;
    for first in list_segments(audit)? {
        if first > last.first && first >= number {
            let path = segment_path(audit, first);
            fs::remove_file(&path).map_err(LogError::at(&path))?;
            removed = true;
        }
    }
    Ok(removed)
}
