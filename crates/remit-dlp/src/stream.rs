//! A text that comes in pieces: what is found does not depend on where it was cut.

use crate::{
    Found, Scanner,
    decode::Explorer,
    found::Hit,
    pass::{State, pass, resolve},
};

/// A finding is decided when so many bytes after its start are there; no finding is longer.
pub(crate) const AHEAD: usize = 16 * 1024;
/// So much of what came before is kept, for words around a value.
const BEHIND: usize = 8 * 1024;
/// Work starts when so much is there; together with the others, less than 64 KB are held.
const BLOCK: usize = 16 * 1024;

/// Searches a stream. Holds less than 64 KB, whatever comes.
///
/// Archives and documents are not looked into here: their parts are apart in a stream. Hand whole
/// bodies to [`Scanner::inspect`].
#[derive(Debug)]
pub struct Stream {
    scanner: Scanner,
    state: State,
    held: Vec<u8>,
    /// Where `held` starts in the stream.
    base: usize,
    /// How much of `held` the walk has passed.
    done: usize,
    pending: Vec<Hit>,
}

impl Stream {
    /// At its start.
    #[must_use]
    pub fn new(scanner: Scanner) -> Self {
        Self {
            scanner,
            state: State::default(),
            held: Vec::new(),
            base: 0,
            done: 0,
            pending: Vec::new(),
        }
    }

    /// The next bytes; what is certain by now, with ranges in the whole stream.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        let mut rest = chunk;
        while !rest.is_empty() {
            let room = (BEHIND + BLOCK + AHEAD).saturating_sub(self.held.len()).max(1);
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.held.extend_from_slice(now);
            rest = later;
            // Blocks end at the same places of the stream, however it is cut.
            while self.held.len() >= self.done + BLOCK + AHEAD {
                let to = self.done + BLOCK;
                self.walk(to);
                found.extend(self.settle(self.base + to));
            }
        }
        found
    }

    /// Nothing more comes: what is left.
    pub fn finish(mut self) -> Vec<Found> {
        self.walk(self.held.len());
        self.settle(usize::MAX)
    }

    fn walk(&mut self, to: usize) {
        let from = self.done;
        let mut hits = pass(&self.held, from, to, &mut self.state);
        let (limits, known) = self.scanner.parts();
        let mut explorer = Explorer::new(limits, known, self.held.len());
        hits.extend(explorer.behind(&self.held, from..to));
        self.pending.extend(hits.into_iter().map(|hit| Hit {
            start: hit.start + self.base,
            end: hit.end + self.base,
            ..hit
        }));
        self.done = to;
        let drop = self.done.saturating_sub(BEHIND);
        self.held.drain(..drop);
        self.state.shift(drop);
        self.base += drop;
        self.done -= drop;
    }

    /// Findings that nothing to come can overlap.
    fn settle(&mut self, before: usize) -> Vec<Found> {
        let all = resolve(std::mem::take(&mut self.pending));
        let open = all.iter().position(|hit| hit.end >= before).unwrap_or(all.len());
        let mut all = all;
        self.pending = all.split_off(open);
        all.into_iter().filter_map(|hit| self.scanner.found(hit, &[])).collect()
    }
}
