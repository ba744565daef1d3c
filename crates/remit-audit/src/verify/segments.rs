//! Segments as a second source of entries: walked in order, compared with bundles, and the only
//! source of what no bundle holds yet.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::finding::{FindingKind, Severity};
use crate::{
    LogError,
    frame::{FrameReader, HEADER, Step},
    segment::{FRAMES, Segment, list_segments, segment_path},
    tile::MAX_ENTRY,
};

/// Something found while walking, at a place in a file below the log's folder.
pub(super) type Report<'r> = &'r mut dyn FnMut(Severity, FindingKind, u64, PathBuf, u64);

/// Opens what can be opened; the rest is reported.
pub(super) fn open(audit: &Path, report: Report<'_>) -> Result<Vec<Segment>, LogError> {
    let mut segments = Vec::new();
    for first in list_segments(audit)? {
        let path = segment_path(audit, first);
        match Segment::open_to_read(&path) {
            Ok(segment) => segments.push(segment),
            Err(LogError::Inconsistent { .. }) => {
                let file = below(audit, &path);
                report(Severity::Tampering, FindingKind::SegmentDamaged, first, file, 0);
            }
            // Retired just now.
            Err(LogError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(segments)
}

/// Walks entries in ascending order.
pub(super) struct Walk<'s> {
    audit: &'s Path,
    segments: &'s [Segment],
    frames: Option<FrameReader<'s>>,
    at: usize,
}

impl<'s> Walk<'s> {
    pub(super) const fn new(audit: &'s Path, segments: &'s [Segment]) -> Self {
        Self { audit, segments, frames: None, at: 0 }
    }

    /// A segment that begins behind entry `have`.
    pub(super) fn beyond(&self, have: u64) -> Option<PathBuf> {
        let far = self.segments.iter().find(|segment| segment.first > have)?;
        Some(below(self.audit, &far.path))
    }

    /// Copies entry `number` to `into`; `false` when no segment has it. Numbers must be asked for
    /// in ascending order. `signed`: how many entries must be whole.
    pub(super) fn entry(
        &mut self,
        number: u64,
        signed: u64,
        into: &mut Vec<u8>,
        report: Report<'_>,
    ) -> Result<bool, LogError> {
        loop {
            let Some(segment) = self.segments.get(self.at) else { return Ok(false) };
            if segment.first > number {
                return Ok(false);
            }
            let frames = self.frames.get_or_insert_with(|| segment.frames(FRAMES, segment.first));
            let (offset, at) = frames.position();
            if at > number {
                return Ok(false);
            }
            let next_first = self.segments.get(self.at.saturating_add(1)).map(|next| next.first);
            let file = below(self.audit, &segment.path);
            match frames.step().map_err(LogError::at(&segment.path))? {
                Step::Entry { number: at, entry, .. } => {
                    if at == number {
                        into.clear();
                        into.extend_from_slice(entry);
                        return Ok(true);
                    }
                    continue;
                }
                Step::Closed => {
                    let behind = offset.saturating_add(HEADER as u64);
                    if let Some(odd) = last_byte(segment, behind)? {
                        report(Severity::Tampering, FindingKind::TrailingBytes, at, file, odd);
                    } else if next_first.is_some_and(|next| next != at) {
                        report(Severity::Tampering, FindingKind::SegmentDamaged, at, file, offset);
                    }
                }
                // A power cut can take the closing frame alone.
                Step::End if next_first == Some(at) => {
                    if let Some(odd) = last_byte(segment, offset)? {
                        report(Severity::Tampering, FindingKind::TrailingBytes, at, file, odd);
                    }
                }
                Step::End | Step::Torn { .. } if next_first.is_some() || at < signed => {
                    report(Severity::Tampering, FindingKind::SegmentDamaged, at, file, offset);
                }
                Step::End => {
                    if let Some(odd) = last_byte(segment, offset)?
                        && !grew(segment, offset, at)?
                    {
                        report(Severity::Tampering, FindingKind::TrailingBytes, at, file, odd);
                    }
                }
                Step::Torn { begun } => {
                    // One write that was cut, or more than that?
                    let reach = offset.saturating_add((HEADER + MAX_ENTRY) as u64);
                    let odd = last_byte(segment, offset)?;
                    match odd.filter(|odd| !begun || *odd >= reach) {
                        _ if grew(segment, offset, at)? => {}
                        Some(odd) => {
                            report(Severity::Tampering, FindingKind::TrailingBytes, at, file, odd);
                        }
                        None => report(Severity::Notice, FindingKind::TornTail, at, file, offset),
                    }
                }
            }
            self.at = self.at.saturating_add(1);
            self.frames = None;
        }
    }
}

/// Whether a live log has gone on since its end was read: the very next frame is there by now. What
/// came after the look is the next verification's.
fn grew(segment: &Segment, offset: u64, number: u64) -> Result<bool, LogError> {
    for wait in PATIENCE {
        std::thread::sleep(wait);
        // With a buffer of its own: what was read before may be half a write.
        let mut frames = segment.frames(offset, number);
        let step = frames.step().map_err(LogError::at(&segment.path))?;
        if matches!(step, Step::Entry { .. } | Step::Closed) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where the last byte that is not zero lies, from `offset` on.
fn last_byte(segment: &Segment, offset: u64) -> Result<Option<u64>, LogError> {
    use std::os::unix::fs::FileExt;
    let mut last = None;
    let mut buffer = vec![0u8; 256 << 10];
    let mut at = offset;
    loop {
        let count = segment.file.read_at(&mut buffer, at).map_err(LogError::at(&segment.path))?;
        if count == 0 {
            return Ok(last);
        }
        let read = buffer.get(..count).unwrap_or(&[]);
        if let Some(position) = read.iter().rposition(|byte| *byte != 0) {
            last = Some(at.saturating_add(position as u64));
        }
        at = at.saturating_add(count as u64);
    }
}

/// A path as findings name it.
pub(super) fn below(audit: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(audit).unwrap_or(path).to_owned()
}

/// How long a write that is under way may take, also on a busy machine.
const PATIENCE: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(50),
];
