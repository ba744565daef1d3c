//! From places in what a decoder made to places in what it read.

use std::ops::Range;

/// Pieces within which so many bytes read make so many bytes.
#[derive(Clone, Debug)]
pub(super) struct Map {
    /// Place made, place read; in order.
    pieces: Vec<(usize, usize)>,
    read: usize,
    made: usize,
    end: (usize, usize),
}

impl Map {
    /// `read` bytes make `made` bytes; `start` is where the first one is.
    pub(super) fn new(start: usize, read: usize, made: usize) -> Self {
        Self { pieces: vec![(0, start)], read, made: made.max(1), end: (usize::MAX, usize::MAX) }
    }

    /// From `made` on, what was read starts at `read`.
    pub(super) fn piece(&mut self, made: usize, read: usize) {
        match self.pieces.last_mut() {
            Some(last) if last.0 == made => *last = (made, read),
            _ => self.pieces.push((made, read)),
        }
    }

    /// Both end here.
    pub(super) fn end(&mut self, made: usize, read: usize) {
        self.end = (made, read);
    }

    /// What was read to make a range.
    pub(super) fn source(&self, range: Range<usize>) -> Range<usize> {
        let start = self.place(range.start, false);
        let last = self.place(range.end.saturating_sub(1), true).max(start);
        let end = if range.end >= self.end.0 {
            self.end.1
        } else {
            self.place(range.end, true).max(last)
        };
        start..end.max(start)
    }

    fn place(&self, made: usize, up: bool) -> usize {
        let after = self.pieces.partition_point(|piece| piece.0 <= made);
        let Some((from, read)) = after.checked_sub(1).and_then(|at| self.pieces.get(at)) else {
            return 0;
        };
        let scaled = (made - from) * self.read;
        let offset = if up { scaled.div_ceil(self.made) } else { scaled / self.made };
        // Not beyond where the next piece starts.
        let next = self.pieces.get(after).map_or(self.end.1, |piece| piece.1);
        (read + offset).min(next.max(*read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_and_pieces() {
        let mut map = Map::new(10, 4, 3);
        map.end(30, 50);
        assert_eq!(map.source(0..3), 10..14);
        assert_eq!(map.source(29..30), 48..50);
        let mut map = Map::new(0, 1, 1);
        map.piece(5, 5);
        map.piece(6, 11);
        map.end(10, 15);
        assert_eq!(map.source(0..5), 0..5);
        assert_eq!(map.source(5..6), 5..11);
        assert_eq!(map.source(4..7), 4..12);
    }
}
