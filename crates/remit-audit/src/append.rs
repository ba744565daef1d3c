//! The appending side: where the next entry goes, agreed upon by all processes.

use std::{
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    LogError, LogOptions,
    errand::Errands,
    frame::{self, HEADER, Step},
    segment::{FRAMES, Segment, list_segments, segment_path},
};

/// Where an entry went.
pub(crate) struct Written {
    pub(crate) segment: Arc<Segment>,
    /// Where its frame ends.
    pub(crate) end: u64,
}

/// Appends frames; shared by a process's threads.
pub(crate) struct Appender {
    audit: PathBuf,
    capacity: u64,
    largest: u64,
    reserve: u64,
    errands: Errands,
    cursor: Mutex<Cursor>,
}

struct Cursor {
    segment: Arc<Segment>,
    end: u64,
    number: u64,
    /// When the last attempt to make a segment failed: the disk is not asked again at once.
    failed: Option<Instant>,
    /// When the file was last seen to be in order.
    checked: Option<Instant>,
}

impl Appender {
    /// Appends from this place on, or behind what others have appended meanwhile.
    pub(crate) fn new(
        audit: PathBuf,
        options: &LogOptions,
        segment: Arc<Segment>,
        end: u64,
        number: u64,
    ) -> Result<Self, LogError> {
        let cursor = Mutex::new(Cursor { segment, end, number, failed: None, checked: None });
        Ok(Self {
            errands: Errands::start(&audit)?,
            audit,
            capacity: options.segment_bytes,
            largest: options.largest_segment_bytes,
            reserve: options.reserve_bytes,
            cursor,
        })
    }

    /// Writes a frame, whose entry stands at [`HEADER`]. Entries that are not `vital` leave the
    /// reserve alone when no further segment can be made.
    pub(crate) fn append(&self, frame: &mut [u8], vital: bool) -> Result<Written, LogError> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let segment = Arc::clone(&cursor.segment);
            let lock = segment.lock()?;
            // A closed segment may be gone already, when others are far ahead.
            if cursor.catch_up(&segment)? {
                let next = self.follow(&cursor)?;
                drop(lock);
                *cursor = next;
                continue;
            }
            cursor.check(&segment)?;
            let room = segment.capacity.saturating_sub(cursor.end).saturating_sub(HEADER as u64);
            let size = frame.len() as u64;
            let needed = if vital { size } else { size.saturating_add(self.reserve) };
            if room < needed {
                let next = self.rotate(&mut cursor, &segment)?;
                drop(lock);
                *cursor = next;
                continue;
            }
            if !frame::seal(frame, &segment.nonce, cursor.number) {
                return Err(LogError::TooLarge { bytes: frame.len().saturating_sub(HEADER) });
            }
            segment.file.write_all_at(frame, cursor.end).map_err(LogError::at(&segment.path))?;
            cursor.number = cursor.number.saturating_add(1);
            cursor.end = cursor.end.saturating_add(size);
            segment.wrote(cursor.end);
            drop(lock);
            return Ok(Written { segment, end: cursor.end });
        }
    }

    /// Returns when everything that this process has appended is on disk.
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        let cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let (segment, end) = (Arc::clone(&cursor.segment), cursor.end);
        drop(cursor);
        segment.sync(end)
    }

    /// The segment that begins with entry `first`, without opening it twice.
    pub(crate) fn segment(&self, first: u64) -> Result<Arc<Segment>, LogError> {
        let cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if cursor.segment.first == first {
            return Ok(Arc::clone(&cursor.segment));
        }
        drop(cursor);
        Segment::open(&segment_path(&self.audit, first)).map(Arc::new)
    }

    /// How large the next segment should be, when more than half of the current one is used.
    pub(crate) fn wants_spare(&self) -> Option<u64> {
        let cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let capacity = cursor.segment.capacity;
        (cursor.end > capacity / 2).then(|| self.next_capacity(capacity))
    }

    /// Heavy use gets larger segments, so that it turns over less often.
    fn next_capacity(&self, now: u64) -> u64 {
        now.saturating_mul(2).min(self.largest).max(self.capacity)
    }

    /// Closes the current segment, whose lock the caller holds, and makes the next one.
    fn rotate(&self, cursor: &mut Cursor, segment: &Arc<Segment>) -> Result<Cursor, LogError> {
        if let Some(failed) = cursor.failed
            && failed.elapsed() < RETRY
        {
            return Err(full(segment));
        }
        let (end, number) = (cursor.end, cursor.number);
        let capacity = self.next_capacity(segment.capacity);
        let (audit, closing) = (self.audit.clone(), Arc::clone(segment));
        let made = self.errands.run(&self.audit, move || {
            Segment::create(&audit, number, capacity, || closing.close(end, number))
        });
        made.map(|next| Cursor::after(next, segment))
            .inspect_err(|_| cursor.failed = Some(Instant::now()))
    }

    /// The segment after a closed one, whose lock the caller holds. Its maker may have died
    /// between closing the one and naming the other.
    fn follow(&self, cursor: &Cursor) -> Result<Cursor, LogError> {
        let (audit, capacity) = (self.audit.clone(), self.capacity);
        let (number, path) = (cursor.number, cursor.segment.path.clone());
        let next = self.errands.run(&self.audit, move || {
            match Segment::open(&segment_path(&audit, number)) {
                Err(error) if is_missing(&error) => {}
                opened => return opened,
            }
            if path.exists() {
                return Segment::create(&audit, number, capacity, || Ok(()));
            }
            // Others are many segments ahead and have retired what lies between: theirs is the
            // newest.
            let newest = list_segments(&audit)?.last().copied().ok_or(LogError::Removed)?;
            Segment::open(&segment_path(&audit, newest))
        });
        next.map(|next| Cursor::after(next, &cursor.segment))
    }
}

impl Cursor {
    fn after(segment: Segment, before: &Arc<Segment>) -> Self {
        let number = segment.first;
        Self {
            segment: Arc::new(segment.after(Arc::clone(before))),
            end: FRAMES,
            number,
            failed: None,
            checked: None,
        }
    }

    /// Looks now and then, not at each record, whether the file is still there.
    fn check(&mut self, segment: &Segment) -> Result<(), LogError> {
        if self.checked.is_none_or(|checked| checked.elapsed() > CHECK) {
            segment.check()?;
            self.checked = Some(Instant::now());
        }
        Ok(())
    }

    /// Moves behind what other processes have appended. `true` when the segment is closed. The
    /// caller holds the segment's lock, so a frame that is not whole was left by a dead process
    /// and never acknowledged.
    fn catch_up(&mut self, segment: &Segment) -> Result<bool, LogError> {
        let mut header = [0u8; HEADER];
        segment.file.read_exact_at(&mut header, self.end).map_err(LogError::at(&segment.path))?;
        if header == [0; HEADER] {
            return Ok(false);
        }
        let mut frames = segment.frames(self.end, self.number);
        let closed = loop {
            match frames.step().map_err(LogError::at(&segment.path))? {
                Step::Entry { .. } => {}
                Step::Closed => break true,
                Step::End => break false,
                Step::Torn { .. } => {
                    segment.wipe(frames.position().0)?;
                    break false;
                }
            }
        };
        (self.end, self.number) = frames.position();
        segment.wrote(self.end);
        Ok(closed)
    }
}

fn is_missing(error: &LogError) -> bool {
    matches!(error, LogError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

fn full(segment: &Segment) -> LogError {
    LogError::at(&segment.path)(std::io::ErrorKind::StorageFull.into())
}

/// How often the file is looked at.
const CHECK: Duration = Duration::from_millis(5);

/// How long after a failure the disk is asked again.
const RETRY: Duration = Duration::from_millis(50);
