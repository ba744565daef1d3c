//! Frames: how entries lie in a segment, so that a reader knows at each point whether the next
//! entry is there, not yet there, or torn.
//!
//! ```text
//! 0  magic F5 52   (F5 never occurs in UTF-8, so no part of an entry looks like a frame)
//! 2  length        u16 big-endian; 0 ends the segment
//! 4  CRC-32        of the segment's nonce, length, number and bytes; u32 big-endian
//! 8  number        u64 big-endian: the entry's index in the log
//! 16 the bytes
//! ```
//!
//! A zeroed header is the end. The checksum finds torn writes; tampering is the tree's business.

use std::{fs::File, io, os::unix::fs::FileExt};

/// Bytes before an entry.
pub(crate) const HEADER: usize = 16;

/// Random bytes of a segment; they keep frames of one from being read in another.
pub(crate) type Nonce = [u8; 16];

/// Fills the header of a frame whose entry already stands at [`HEADER`]; an empty entry ends the
/// segment. `false` when it does not fit a frame.
pub(crate) fn seal(frame: &mut [u8], nonce: &Nonce, number: u64) -> bool {
    let Some((header, entry)) = frame.split_first_chunk_mut::<HEADER>() else { return false };
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    *header = encode(length, checksum(nonce, length, number, entry), number);
    true
}

/// What stands at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// An entry.
    Entry {
        /// Its index in the log.
        number: u64,
        /// Where its frame begins in the file.
        offset: u64,
        /// Its bytes.
        entry: &'a [u8],
    },
    /// The segment ends here; the next one follows.
    Closed,
    /// Nothing yet.
    End,
    /// Something that is not a frame. `begun` when it looks like the beginning of one.
    Torn {
        /// Whether a frame's first bytes are there.
        begun: bool,
    },
}

/// Reads frames one after another, in large reads.
pub(crate) struct FrameReader<'f> {
    file: &'f File,
    nonce: Nonce,
    /// Where the next frame begins.
    offset: u64,
    /// The number it must have.
    number: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    base: u64,
}

impl<'f> FrameReader<'f> {
    pub(crate) const fn new(file: &'f File, nonce: Nonce, offset: u64, number: u64) -> Self {
        Self { file, nonce, offset, number, buffer: Vec::new(), base: offset }
    }

    /// Where the next frame begins, and its number.
    pub(crate) const fn position(&self) -> (u64, u64) {
        (self.offset, self.number)
    }

    /// What comes next. After anything but an entry it stays where it is.
    pub(crate) fn step(&mut self) -> io::Result<Step<'_>> {
        let Some(header) = self.bytes(self.offset, HEADER)?.first_chunk::<HEADER>().copied() else {
            // The file ends within a header: only a full segment may do that.
            let rest = self.bytes(self.offset, 0)?;
            let clean = rest.iter().all(|byte| *byte == 0);
            return Ok(if clean { Step::End } else { Step::Torn { begun: true } });
        };
        if header == [0; HEADER] {
            return Ok(Step::End);
        }
        let (length, crc, number) = decode(&header);
        // A write may be cut after its first byte.
        let begun = match header {
            [first, rest @ ..] if rest.iter().all(|byte| *byte == 0) => {
                MAGIC.first() == Some(&first)
            }
            _ => header.starts_with(&MAGIC),
        };
        if !header.starts_with(&MAGIC) || number != self.number {
            return Ok(Step::Torn { begun });
        }
        let (offset, nonce) = (self.offset, self.nonce);
        let total = HEADER + usize::from(length);
        // The borrow of the buffer must end before the position moves, hence the second look.
        let good = self
            .bytes(offset, total)?
            .get(HEADER..total)
            .is_some_and(|entry| checksum(&nonce, length, number, entry) == crc);
        if !good {
            return Ok(Step::Torn { begun: true });
        }
        if length == 0 {
            return Ok(Step::Closed);
        }
        self.offset = offset.saturating_add(total as u64);
        self.number = number.saturating_add(1);
        let entry = self.bytes(offset, total)?.get(HEADER..total).unwrap_or(&[]);
        Ok(Step::Entry { number, offset, entry })
    }

    /// Bytes of the file from `offset` on: at least `wanted` unless the file ends before.
    fn bytes(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let held = offset
            .checked_sub(self.base)
            .and_then(|start| usize::try_from(start).ok())
            .filter(|start| self.buffer.len().saturating_sub(*start) >= wanted.max(1));
        let start = match held {
            Some(start) => start,
            None => {
                self.refill(offset, wanted)?;
                0
            }
        };
        Ok(self.buffer.get(start..).unwrap_or(&[]))
    }

    fn refill(&mut self, offset: u64, wanted: usize) -> io::Result<()> {
        // Small at first: the common caller looks at one header and finds the end.
        let size = if self.buffer.is_empty() { FIRST_READ } else { LATER_READ };
        self.buffer.resize(size.max(wanted), 0);
        let mut filled = 0;
        while let Some(rest) = self.buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled = filled.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        self.base = offset;
        Ok(())
    }
}

fn encode(length: u16, crc: u32, number: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let parts: [&[u8]; 4] =
        [&MAGIC, &length.to_be_bytes(), &crc.to_be_bytes(), &number.to_be_bytes()];
    for (to, from) in header.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    header
}

fn decode(header: &[u8; HEADER]) -> (u16, u32, u64) {
    let [_, _, l0, l1, c0, c1, c2, c3, number @ ..] = *header;
    (u16::from_be_bytes([l0, l1]), u32::from_be_bytes([c0, c1, c2, c3]), u64::from_be_bytes(number))
}

fn checksum(nonce: &Nonce, length: u16, number: u64, entry: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(nonce);
    crc.update(&length.to_be_bytes());
    crc.update(&number.to_be_bytes());
    crc.update(entry);
    crc.finalize()
}

const MAGIC: [u8; 2] = [0xf5, 0x52];
const FIRST_READ: usize = 4 << 10;
const LATER_READ: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(entries: &[Vec<u8>], nonce: &Nonce) -> Vec<u8> {
        let mut all = Vec::new();
        for (number, entry) in entries.iter().enumerate() {
            let mut frame = vec![0; HEADER];
            frame.extend_from_slice(entry);
            assert!(seal(&mut frame, nonce, 40 + number as u64));
            all.extend_from_slice(&frame);
        }
        all
    }

    fn read(bytes: &[u8], nonce: &Nonce) -> (Vec<Vec<u8>>, String) {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let mut reader = FrameReader::new(&file, *nonce, 0, 40);
        let mut entries = Vec::new();
        loop {
            match reader.step().unwrap() {
                Step::Entry { entry, .. } => entries.push(entry.to_vec()),
                end => return (entries, format!("{end:?}")),
            }
        }
    }

    fn lists() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..3000), 1..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn frames_round_trip_in_zeroed_space(list in lists(), nonce: Nonce, room in 0usize..6000) {
            let mut bytes = written(&list, &nonce);
            bytes.extend(vec![0; room]);
            let (read, end) = read(&bytes, &nonce);
            prop_assert_eq!(read, list);
            prop_assert_eq!(end, "End");
        }

        #[test]
        fn a_cut_loses_the_last_frame_only(list in lists(), nonce: Nonce, cut: usize, room in 0usize..6000) {
            let bytes = written(&list, &nonce);
            let last = HEADER + list.last().unwrap().len();
            let keep = bytes.len() - 1 - cut % (last - 1);
            let mut torn = bytes[..keep].to_vec();
            torn.extend(vec![0; room + last]);
            // A cut that takes away zeros only is no cut.
            prop_assume!(torn[..bytes.len()] != bytes[..]);
            let (read, end) = read(&torn, &nonce);
            prop_assert_eq!(read.as_slice(), &list[..list.len() - 1]);
            prop_assert!(end.starts_with("Torn") || end == "End", "{}", end);
        }

        #[test]
        fn a_flipped_bit_never_changes_an_entry(list in lists(), nonce: Nonce, bit: usize) {
            let mut bytes = written(&list, &nonce);
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (read, _) = read(&bytes, &nonce);
            prop_assert!(list.starts_with(&read) && read.len() < list.len());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, nonce: Nonce) {
            let (entries, _) = read(&bytes, &nonce);
            prop_assert!(entries.is_empty());
        }
    }

    #[test]
    fn frames_of_another_segment_or_number_are_not_read() {
        let bytes = written(&[b"one".to_vec(), b"two".to_vec()], &[1; 16]);
        assert!(read(&bytes, &[2; 16]).0.is_empty());
        assert!(read(&bytes[HEADER + 3..], &[1; 16]).0.is_empty());
    }
}
