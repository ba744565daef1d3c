//! Proofs that stand alone: one text file (C2SP tlog-proof) that shows, with nothing but the
//! log's public key, that an event is in the log.

use std::{path::Path, str::FromStr as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use remit_core::EventId;

use crate::{
    LogError,
    merkle::Hash,
    note::{Checkpoint, NoteError, VerifierKey},
    proof,
    query::find,
    reader::Reader,
};

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Not the form of a proof.
    #[error("not a log proof (C2SP tlog-proof)")]
    Malformed,
    /// Its checkpoint is not to be believed.
    #[error("the proof's checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
    /// The hashes do not lead from the entry to the signed root.
    #[error("the entry is not in the log that was signed")]
    NotIncluded,
}

/// What a proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The entry: a record as JSON.
    pub entry: Vec<u8>,
    /// Its index in the log.
    pub seq: u64,
    /// The checkpoint that it is under.
    pub checkpoint: Checkpoint,
}

/// The proof that an event is in the log: its `extra` line carries the entry, so that the text
/// verifies offline.
///
/// # Errors
/// [`LogError`] when the event is not there or not yet under a signed checkpoint.
pub fn prove(audit: &Path, event: &EventId) -> Result<String, LogError> {
    let found = find(audit, event)?.ok_or_else(|| LogError::NoSuchEvent(event.to_string()))?;
    let reader = Reader::open(audit, None)?;
    let Checkpoint { size, root, .. } = reader.checkpoint;
    if found.seq >= size {
        return Err(LogError::NotYetSigned(event.to_string()));
    }
    let path = proof::inclusion(&reader, found.seq, size)?;
    let entry = found.json.as_bytes();
    if !proof::includes(&path, Hash::leaf(entry), found.seq, size, root) {
        return Err(LogError::Inconsistent { path: audit.to_owned(), what: "another root" });
    }
    let mut text = format!("{HEADER}\nextra {}\nindex {}\n", STANDARD.encode(entry), found.seq);
    for hash in path {
        text.push_str(&format!("{hash}\n"));
    }
    text.push('\n');
    text.push_str(&String::from_utf8_lossy(&reader.note));
    Ok(text)
}

/// Checks a proof against the log's public key.
///
/// # Errors
/// [`ProofError`] unless the entry in the proof is in the log that the key signed.
pub fn verify_proof(text: &str, key: &VerifierKey) -> Result<Proven, ProofError> {
    let (head, note) = text.split_once("\n\n").ok_or(ProofError::Malformed)?;
    let mut lines = head.split('\n');
    let mut after = |prefix: &str| lines.next().and_then(|line| line.strip_prefix(prefix));
    if after(HEADER) != Some("") {
        return Err(ProofError::Malformed);
    }
    let entry = after("extra ").and_then(|text| STANDARD.decode(text).ok());
    let entry = entry.ok_or(ProofError::Malformed)?;
    let index = after("index ").ok_or(ProofError::Malformed)?;
    let seq = u64::from_str(index).ok().filter(|number| number.to_string() == index);
    let seq = seq.ok_or(ProofError::Malformed)?;
    let path: Option<Vec<Hash>> = lines.take(MAX_PATH).map(Hash::from_base64).collect();
    let path = path.ok_or(ProofError::Malformed)?;
    let checkpoint = Checkpoint::open(note.as_bytes(), key)?;
    if proof::includes(&path, Hash::leaf(&entry), seq, checkpoint.size, checkpoint.root) {
        Ok(Proven { entry, seq, checkpoint })
    } else {
        Err(ProofError::NotIncluded)
    }
}

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A tree of 2^64 leaves has no longer path.
const MAX_PATH: usize = 65;
