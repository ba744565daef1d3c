//! Verification: everything is computed again from the entries, and compared with what was
//! signed. Nothing in the folder is believed but what the public key covers.

mod finding;
mod segments;
mod sessions;
mod tiles;

use std::path::{Path, PathBuf};

use remit_core::SessionId;

pub use self::finding::{Finding, FindingKind, Severity};
use self::{segments::Walk, sessions::Sessions, tiles::Tiles};
use crate::{
    LogError,
    files::{BOOT, CHECKPOINT, COMMIT_LOCK, HINT, LIVE_LOCK, OTHER, PUBLIC_KEY},
    merkle::{FullTile, Hash, TILE_WIDTH, Tree},
    note::{Checkpoint, VerifierKey},
    reader::{public_key, read_checkpoint},
    segment::{Segment, segment_number},
    tile::{TileKind, TileName, entries, push_entry},
};

/// What to trust besides the folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions<'a> {
    /// An older signed checkpoint that was kept elsewhere: the log must extend it.
    pub checkpoint: Option<&'a [u8]>,
    /// The log's public key, kept elsewhere. Without it the key in the folder is used, which
    /// whoever replaces the whole log can replace too.
    pub key: Option<&'a VerifierKey>,
}

/// What a verification saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// How many records the newest checkpoint covers.
    pub signed: u64,
    /// How many records there are.
    pub records: u64,
    /// Records that no checkpoint covers yet: of a session that runs, or of one that was killed
    /// and whose last records the next opening will sign.
    pub pending: u64,
    /// How many sessions there are.
    pub sessions: u64,
    /// Sessions without an end: they run, or were killed.
    pub unclosed: Vec<SessionId>,
    /// What was found, at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing was tampered with.
    pub fn intact(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Tampering)
    }
}

/// The most findings that a report holds; a log that is broken throughout needs no list.
pub const MAX_FINDINGS: usize = 1000;

/// Verifies the log in a folder, live or copied. Memory use does not grow with the log, apart
/// from the names of its files and sessions.
///
/// # Errors
/// [`LogError`] when there is nothing that could be verified: no such folder, no usable key, a
/// given checkpoint that is not signed by the key, or a file that cannot be read.
pub fn verify(audit: &Path, options: &VerifyOptions<'_>) -> Result<Report, LogError> {
    std::fs::read_dir(audit).map_err(LogError::at(audit))?;
    let mut findings = Findings::default();
    let key = match options.key {
        Some(key) => {
            if !matches!(public_key(audit), Ok(own) if own == *key) {
                findings.at_file(Severity::Tampering, FindingKind::ForeignKey, PUBLIC_KEY.into());
            }
            key.clone()
        }
        None => public_key(audit)?,
    };
    let trusted = match options.checkpoint {
        Some(note) => Some(
            Checkpoint::open(note, &key)
                .map_err(|source| LogError::Note { path: "the given checkpoint".into(), source })?,
        ),
        None => None,
    };
    let signed = signed_checkpoint(audit, &key, &mut findings)?;
    // After the checkpoint: whatever it covers is in a bundle or in one of these.
    let segments = segments::open(audit, &mut findings.placed())?;
    let tiles = Tiles::list(audit)?;
    for file in &tiles.odd {
        // A killed writer leaves its temporary file.
        let temporary = file.extension().is_some_and(|extension| extension == "tmp");
        let severity = if temporary { Severity::Notice } else { Severity::Tampering };
        findings.at_file(severity, FindingKind::UnexpectedFile, file.clone());
    }
    unexpected_files(audit, &mut findings)?;
    let mut pass = Pass {
        tree: Tree::default(),
        walk: Walk::new(audit, &segments),
        oldest: segments.iter().map(|segment: &Segment| segment.first).min(),
        tiles,
        sessions: Sessions::default(),
        signed: signed.as_ref(),
        trusted: trusted.as_ref(),
        findings,
    };
    pass.run()?;
    let Pass { tree, sessions, tiles, mut findings, .. } = pass;
    for file in tiles.left() {
        findings.at_file(Severity::Tampering, FindingKind::UnexpectedFile, file);
    }
    for hole in sessions.holes() {
        findings.push(hole);
    }
    let covered = signed.as_ref().map_or(0, |signed| signed.size);
    Ok(Report {
        origin: key.name().to_owned(),
        signed: covered,
        records: tree.size(),
        pending: tree.size().saturating_sub(covered),
        sessions: sessions.count(),
        unclosed: sessions.unclosed(),
        findings: findings.0,
    })
}

/// One pass over all entries.
struct Pass<'a> {
    tree: Tree,
    walk: Walk<'a>,
    /// First number that any segment has.
    oldest: Option<u64>,
    tiles: Tiles<'a>,
    sessions: Sessions,
    signed: Option<&'a Checkpoint>,
    trusted: Option<&'a Checkpoint>,
    findings: Findings,
}

impl Pass<'_> {
    fn run(&mut self) -> Result<(), LogError> {
        self.compare_roots();
        let mut index = 0;
        loop {
            let before = self.tree.size();
            self.bundle(index)?;
            index += 1;
            if self.tree.size() != before.saturating_add(TILE_WIDTH as u64) {
                break;
            }
        }
        let have = self.tree.size();
        if let Some(signed) = self.signed.filter(|signed| signed.size > have) {
            self.findings.add(FindingKind::Truncated { have, signed: signed.size }, have);
        }
        if let Some(segment) = self.walk.beyond(have) {
            // Entries that nothing connects with the rest.
            self.findings.at_file(Severity::Tampering, FindingKind::UnexpectedFile, segment);
        }
        if let Some(trusted) = self.trusted.map(|trusted| trusted.size) {
            let signed = self.signed.map_or(0, |signed| signed.size);
            if signed < trusted {
                self.findings.add(FindingKind::RolledBack { have: signed, trusted }, signed);
            }
        }
        Ok(())
    }

    /// Reads one bundle's entries from wherever they are and compares every copy.
    fn bundle(&mut self, index: u64) -> Result<(), LogError> {
        let first = self.tree.size();
        let signed = self.signed.map_or(0, |signed| signed.size);
        let (bytes, source) = match self.tiles.bundle(index)? {
            Some(bytes) => {
                self.tiles.saw_bundle(index);
                (Some(bytes), TileName::full(TileKind::Entries, index))
            }
            None => match self.tiles.partial_bundle(index)? {
                Some((width, bytes)) => {
                    (Some(bytes), TileName::partial(TileKind::Entries, index, width))
                }
                None => (None, TileName::full(TileKind::Entries, index)),
            },
        };
        let full = source.width.is_none() && bytes.is_some();
        let from_file = self.parse(bytes.as_deref(), &source, first);
        let mut canonical = Vec::new();
        let mut ends = Vec::with_capacity(TILE_WIDTH);
        let mut hashes = Vec::with_capacity(TILE_WIDTH);
        let mut completed = Vec::new();
        let mut copy = Vec::new();
        for position in 0..TILE_WIDTH {
            let seq = first.saturating_add(position as u64);
            let own = from_file.get(position).copied();
            let in_segment = self.oldest.is_some_and(|oldest| oldest <= seq)
                && self.walk.entry(seq, signed, &mut copy, &mut self.findings.placed())?;
            let entry = match (own, in_segment) {
                (Some((offset, own)), true) if own != copy => {
                    let finding = FindingKind::CopyMismatch;
                    let at = Some(offset as u64);
                    self.findings.whole(Severity::Tampering, finding, Some(seq), source.path(), at);
                    own
                }
                (Some((_, own)), _) => own,
                (None, true) => &copy,
                // A short full bundle was reported; its place is kept so that what follows can
                // still be compared.
                (None, false) if full => &[],
                (None, false) => break,
            };
            if let Err(kind) = self.sessions.see(entry) {
                self.findings.add(kind, seq);
            }
            push_entry(&mut canonical, entry);
            ends.push(canonical.len());
            let leaf = Hash::leaf(entry);
            hashes.push(leaf);
            self.tree.push(leaf, |tile| completed.push(tile));
            self.compare_roots();
        }
        let in_segments = self.oldest.is_some_and(|oldest| oldest <= first);
        self.settle(index, &canonical, &ends, &hashes, &completed, full, in_segments)?;
        if hashes.is_empty() && self.tiles.bundles_after(index) {
            let file = TileName::full(TileKind::Entries, index).path();
            let kind = FindingKind::TileMissing;
            self.findings.whole(Severity::Tampering, kind, Some(first), file, None);
        }
        Ok(())
    }

    /// Compares the tiles that belong to a bundle.
    #[allow(clippy::too_many_arguments)]
    fn settle(
        &mut self,
        index: u64,
        canonical: &[u8],
        ends: &[usize],
        hashes: &[Hash],
        completed: &[FullTile],
        from_bundle: bool,
        in_segments: bool,
    ) -> Result<(), LogError> {
        let signed = self.signed.map_or(0, |signed| signed.size);
        let covered = self.tree.size() <= signed;
        // Full tiles are written before they are signed, but synced after: where the segments
        // still have the entries, a missing one can be a power cut's work and is made again.
        let must = match (covered, in_segments) {
            (true, false) => Some(Severity::Tampering),
            (true, true) => Some(Severity::Notice),
            (false, _) => None,
        };
        let findings = &mut self.findings;
        let mut report = |severity, kind, seq, file, offset| {
            findings.whole(severity, kind, seq, file, offset);
        };
        self.tiles.check_partial_bundles(index, canonical, ends, &mut report)?;
        self.tiles.check_hashes(0, index, hashes, must, &mut report)?;
        for FullTile { level, index, hashes } in completed.iter().filter(|tile| tile.level > 0) {
            self.tiles.check_hashes(*level, *index, hashes, must, &mut report)?;
        }
        if hashes.len() == TILE_WIDTH {
            if let Some(severity) = must.filter(|_| !from_bundle) {
                let file = TileName::full(TileKind::Entries, index).path();
                report(severity, FindingKind::TileMissing, None, file, None);
            }
            return Ok(());
        }
        // The end: the unfinished tiles above the leaves.
        for level in 1..self.tree.levels() {
            let index = self.tree.size().checked_shr(u32::from(level) * 8 + 8).unwrap_or(0);
            self.tiles.check_hashes(level, index, self.tree.edge(level), None, &mut report)?;
        }
        Ok(())
    }

    /// The entries in a bundle file; what is wrong with its form is reported.
    fn parse<'b>(
        &mut self,
        bytes: Option<&'b [u8]>,
        source: &TileName,
        first: u64,
    ) -> Vec<(usize, &'b [u8])> {
        let Some(bytes) = bytes else { return Vec::new() };
        let mut list = Vec::with_capacity(TILE_WIDTH);
        for entry in entries(bytes) {
            match entry {
                Ok(entry) => list.push(entry),
                Err(cut) => {
                    let seq = first.saturating_add(list.len() as u64);
                    let offset = Some(cut.0 as u64);
                    let (kind, file) = (FindingKind::CutEntry, source.path());
                    self.findings.whole(Severity::Tampering, kind, Some(seq), file, offset);
                }
            }
        }
        let wanted = source.width.map_or(TILE_WIDTH, usize::from);
        if list.len() != wanted {
            let kind = FindingKind::WrongCount { entries: list.len() };
            let severity = Severity::Tampering;
            self.findings.whole(severity, kind, Some(first), source.path(), None);
        }
        list.truncate(wanted);
        list
    }

    /// Compares the root with every checkpoint of exactly this size.
    fn compare_roots(&mut self) {
        let size = self.tree.size();
        let checks = [
            (self.signed, FindingKind::RootMismatch { size }),
            (self.trusted, FindingKind::NotExtending { trusted: size }),
        ];
        for (checkpoint, kind) in checks {
            if checkpoint.is_some_and(|checkpoint| {
                checkpoint.size == size && checkpoint.root != self.tree.root()
            }) {
                self.findings.push(Finding {
                    severity: Severity::Tampering,
                    kind,
                    seq: None,
                    file: None,
                    offset: None,
                });
            }
        }
    }
}

fn signed_checkpoint(
    audit: &Path,
    key: &VerifierKey,
    findings: &mut Findings,
) -> Result<Option<Checkpoint>, LogError> {
    let kind = match read_checkpoint(audit, key) {
        Ok(Some((_, checkpoint))) => return Ok(Some(checkpoint)),
        Ok(None) => FindingKind::CheckpointMissing,
        Err(LogError::Note { source, .. }) => FindingKind::CheckpointInvalid(source),
        Err(error) => return Err(error),
    };
    findings.at_file(Severity::Tampering, kind, CHECKPOINT.into());
    Ok(None)
}

/// Files beside the tiles that no log has.
fn unexpected_files(audit: &Path, findings: &mut Findings) -> Result<(), LogError> {
    for folder in ["", "segment"] {
        let path = audit.join(folder);
        let Ok(list) = std::fs::read_dir(&path) else { continue };
        for entry in list {
            let entry = entry.map_err(LogError::at(&path))?;
            let file = Path::new(folder).join(entry.file_name());
            let name = file.to_string_lossy();
            let known = [
                PUBLIC_KEY,
                CHECKPOINT,
                COMMIT_LOCK,
                LIVE_LOCK,
                BOOT,
                HINT,
                "segment",
                "tile",
                "segment/spare",
            ]
            .contains(&name.as_ref())
                || name.strip_prefix("segment/").and_then(segment_number).is_some()
                || name.starts_with("segment/new-")
                || name.ends_with(".tmp")
                || [CHECKPOINT, HINT].iter().any(|twin| name == format!("{twin}.{OTHER}"));
            if !known {
                findings.at_file(Severity::Notice, FindingKind::UnexpectedFile, file);
            }
        }
    }
    Ok(())
}

/// Findings, up to the limit.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn push(&mut self, finding: Finding) {
        // Tampering is never crowded out by notices.
        if self.0.len() >= MAX_FINDINGS
            && finding.severity == Severity::Tampering
            && let Some(notice) = self.0.iter().position(|old| old.severity == Severity::Notice)
        {
            self.0.remove(notice);
        }
        if self.0.len() < MAX_FINDINGS {
            self.0.push(finding);
        }
    }

    fn add(&mut self, kind: FindingKind, seq: u64) {
        let severity = Severity::Tampering;
        self.push(Finding { severity, kind, seq: Some(seq), file: None, offset: None });
    }

    fn at_file(&mut self, severity: Severity, kind: FindingKind, file: PathBuf) {
        self.whole(severity, kind, None, file, None);
    }

    fn whole(
        &mut self,
        severity: Severity,
        kind: FindingKind,
        seq: Option<u64>,
        file: PathBuf,
        offset: Option<u64>,
    ) {
        self.push(Finding { severity, kind, seq, file: Some(file), offset });
    }

    /// For the walk over segments, which always knows the place.
    fn placed(&mut self) -> impl FnMut(Severity, FindingKind, u64, PathBuf, u64) + '_ {
        |severity, kind, seq, file, offset| {
            self.whole(severity, kind, Some(seq), file, Some(offset));
        }
    }
}
