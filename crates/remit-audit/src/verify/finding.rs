//! What a verification can find.

use std::{fmt, path::PathBuf};

use remit_core::SessionId;

use crate::note::NoteError;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The log is not what was signed.
    Tampering,
    /// What a crash or a session that still runs leaves behind; worth knowing, proves nothing.
    Notice,
}

/// One finding: what, and as far as it is known, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What.
    pub kind: FindingKind,
    /// Index of the record concerned.
    pub seq: Option<u64>,
    /// File concerned, below the log's folder.
    pub file: Option<PathBuf>,
    /// Byte offset in that file.
    pub offset: Option<u64>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// There is no checkpoint.
    CheckpointMissing,
    /// The checkpoint is not to be believed.
    CheckpointInvalid(NoteError),
    /// The public key in the folder is not the one that was given.
    ForeignKey,
    /// The entries do not give the signed root.
    RootMismatch {
        /// How many entries the root is over.
        size: u64,
    },
    /// Entries that were signed are gone.
    Truncated {
        /// How many entries there are.
        have: u64,
        /// How many were signed.
        signed: u64,
    },
    /// The log is signed up to fewer entries than the checkpoint that was given.
    RolledBack {
        /// How many it is signed up to.
        have: u64,
        /// How many the given checkpoint covers.
        trusted: u64,
    },
    /// The log does not begin with what the given checkpoint covers.
    NotExtending {
        /// How many entries the given checkpoint covers.
        trusted: u64,
    },
    /// An entry does not have the hash that its tile holds.
    EntryMismatch,
    /// A bundle ends within an entry.
    CutEntry,
    /// A bundle does not hold as many entries as its name says.
    WrongCount {
        /// How many it holds.
        entries: usize,
    },
    /// A tile of hashes is not what the entries give.
    TileMismatch,
    /// A bundle or tile is not there.
    TileMissing,
    /// Another copy of an entry differs.
    CopyMismatch,
    /// A file that does not belong to the log.
    UnexpectedFile,
    /// A segment cannot be read where it must be.
    SegmentDamaged,
    /// Bytes behind the end of a segment.
    TrailingBytes,
    /// The last record of a process that died while it wrote; it was never acknowledged.
    TornTail,
    /// An entry that is not a record.
    NotARecord,
    /// Two records with the same event id.
    DuplicateEvent {
        /// The id.
        event: String,
    },
    /// Events of a session that are not in the log and that the log does not explain.
    MissingEvents {
        /// The session.
        session: SessionId,
        /// Closed ranges of event numbers.
        numbers: Vec<(u64, u64)>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.severity {
            Severity::Tampering => f.write_str("tampered: ")?,
            Severity::Notice => f.write_str("note: ")?,
        }
        fmt::Display::fmt(&self.kind, f)?;
        if let Some(seq) = self.seq {
            write!(f, ", seq {seq}")?;
        }
        if let Some(file) = &self.file {
            write!(f, ", {}", file.display())?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CheckpointMissing => f.write_str("there is no checkpoint"),
            Self::CheckpointInvalid(error) => write!(f, "the checkpoint is invalid ({error})"),
            Self::ForeignKey => f.write_str("the public key is not the one that was given"),
            Self::RootMismatch { size } => {
                write!(f, "the first {size} records are not those that were signed")
            }
            Self::Truncated { have, signed } => {
                write!(f, "{signed} records were signed, {have} are there")
            }
            Self::RolledBack { have, trusted } => {
                write!(
                    f,
                    "rolled back: the log is signed up to {have} records, the checkpoint to trust up to {trusted}"
                )
            }
            Self::NotExtending { trusted } => {
                write!(f, "the first {trusted} records are not those of the given checkpoint")
            }
            Self::EntryMismatch => f.write_str("the record is not the one whose hash was kept"),
            Self::CutEntry => f.write_str("the bundle ends within a record"),
            Self::WrongCount { entries } => write!(f, "the bundle holds {entries} records"),
            Self::TileMismatch => f.write_str("the hashes are not those of the records"),
            Self::TileMissing => f.write_str("the tile is missing"),
            Self::CopyMismatch => f.write_str("two copies of the record differ"),
            Self::UnexpectedFile => f.write_str("the file does not belong to the log"),
            Self::SegmentDamaged => f.write_str("the segment is damaged"),
            Self::TrailingBytes => f.write_str("bytes behind the end of the segment"),
            Self::TornTail => f.write_str("a record that was being written when its process died"),
            Self::NotARecord => f.write_str("the entry is not a record"),
            Self::DuplicateEvent { event } => write!(f, "the event {event} is there twice"),
            Self::MissingEvents { session, numbers } => {
                write!(f, "session {session} has no record of its events")?;
                for (low, high) in numbers.iter().take(20) {
                    match low == high {
                        true => write!(f, " {low}")?,
                        false => write!(f, " {low}-{high}")?,
                    }
                }
                let more = numbers.len().saturating_sub(20);
                if more > 0 { write!(f, " and {more} ranges more") } else { Ok(()) }
            }
        }
    }
}
