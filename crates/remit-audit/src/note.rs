//! C2SP signed notes with Ed25519 keys, and the checkpoints (C2SP tlog-checkpoint) they carry.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::merkle::Hash;

/// Why a note, a key or a checkpoint is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not the form of a note.
    #[error("not a signed note")]
    Malformed,
    /// Not the form of a key.
    #[error("not a note key")]
    MalformedKey,
    /// Not the three lines of a checkpoint.
    #[error("the signed text is not a checkpoint")]
    MalformedCheckpoint,
    /// Signed, but not by the key that counts.
    #[error("no signature by the log's key")]
    UnknownKey,
    /// A signature by the right key that does not fit the text.
    #[error("the signature does not fit the text")]
    BadSignature,
}

/// A public key with a name (C2SP "vkey").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key's name, which is the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks a note and returns the text that this key signed.
    ///
    /// Signatures by other keys are ignored, as the specification demands, so that witnesses can
    /// add theirs.
    ///
    /// # Errors
    /// [`NoteError`] unless every signature by this key fits and there is at least one.
    pub fn open<'a>(&self, note: &'a [u8]) -> Result<&'a str, NoteError> {
        if note.len() > MAX_NOTE {
            return Err(NoteError::Malformed);
        }
        let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed)?;
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::Malformed);
        }
        let blank = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
        let (text, signatures) = note.split_at(blank + 1);
        let signatures = signatures.strip_prefix('\n').unwrap_or(signatures);
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let mut signed = false;
        for line in signatures.split('\n') {
            let (name, blob) = line
                .strip_prefix("\u{2014} ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or(NoteError::Malformed)?;
            let blob = STANDARD.decode(blob).map_err(|_| NoteError::Malformed)?;
            let (id, signature) = blob.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
            if name != self.name || u32::from_be_bytes(*id) != self.id {
                continue;
            }
            let signature =
                Signature::from_slice(signature).map_err(|_| NoteError::BadSignature)?;
            self.key
                .verify_strict(text.as_bytes(), &signature)
                .map_err(|_| NoteError::BadSignature)?;
            signed = true;
        }
        if signed { Ok(text) } else { Err(NoteError::UnknownKey) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let parse = || {
            let (name, rest) = text.split_once('+')?;
            let (id, key) = rest.split_once('+')?;
            let key = STANDARD.decode(key).ok()?;
            let key: &[u8; 32] = key.strip_prefix(&[ED25519])?.try_into().ok()?;
            let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak())?;
            let key = named(name, key)?;
            // The id and every other part in the one spelling that we would write.
            (id.len() == 8 && key.to_string() == text).then_some(key)
        };
        parse().ok_or(NoteError::MalformedKey)
    }
}

/// A private key with a name. It never shows itself.
pub struct NoteSigner {
    key: SigningKey,
    public: VerifierKey,
}

impl NoteSigner {
    /// The key with this seed (RFC 8032 private key).
    ///
    /// # Errors
    /// [`NoteError::MalformedKey`] when the name is empty or has spaces or plus signs.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let public = named(name, key.verifying_key()).ok_or(NoteError::MalformedKey)?;
        Ok(Self { key, public })
    }

    /// The public half.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.public
    }

    /// The note of a text, which must end with a newline.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes());
        let mut blob = self.public.id.to_be_bytes().to_vec();
        blob.extend_from_slice(&signature.to_bytes());
        format!("{text}\n\u{2014} {} {}\n", self.public.name, STANDARD.encode(blob))
    }

    /// The text form for a private file, as other tools write it:
    /// `PRIVATE+KEY+<name>+<id>+<base64>`.
    pub fn to_secret_text(&self) -> String {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        format!(
            "PRIVATE+KEY+{}+{:08x}+{}",
            self.public.name,
            self.public.id,
            STANDARD.encode(bytes)
        )
    }

    /// Reads [`NoteSigner::to_secret_text`].
    ///
    /// # Errors
    /// [`NoteError::MalformedKey`].
    pub fn from_secret_text(text: &str) -> Result<Self, NoteError> {
        let parse = || {
            let rest = text.strip_prefix("PRIVATE+KEY+")?;
            let (name, rest) = rest.split_once('+')?;
            let (_, key) = rest.split_once('+')?;
            let key = STANDARD.decode(key).ok()?;
            let seed: &[u8; 32] = key.strip_prefix(&[ED25519])?.try_into().ok()?;
            let signer = Self::from_seed(name, seed).ok()?;
            (signer.to_secret_text() == text).then_some(signer)
        };
        parse().ok_or(NoteError::MalformedKey)
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("public", &self.public).finish_non_exhaustive()
    }
}

/// What a log commits to when it signs: so many entries with this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's own name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The note that `signer` makes of it.
    pub fn sign(&self, signer: &NoteSigner) -> String {
        signer.sign(&self.to_string())
    }

    /// Opens a note; the origin must be the key's name.
    ///
    /// # Errors
    /// [`NoteError`] when it is not signed by `key` or not a checkpoint.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, NoteError> {
        let checkpoint: Self = key.open(note)?.parse()?;
        if checkpoint.origin == key.name() {
            Ok(checkpoint)
        } else {
            Err(NoteError::MalformedCheckpoint)
        }
    }
}

impl fmt::Display for Checkpoint {
    /// The text to sign.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

impl FromStr for Checkpoint {
    type Err = NoteError;

    /// Extension lines are refused: this log writes none.
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let parse = || {
            let lines: Vec<&str> = text.strip_suffix('\n')?.split('\n').collect();
            let [origin, size, root] = lines.as_slice() else { return None };
            let checkpoint = Self {
                origin: (*origin).to_owned(),
                size: size.parse().ok()?,
                root: Hash::from_base64(root)?,
            };
            (!origin.is_empty() && checkpoint.to_string() == text).then_some(checkpoint)
        };
        parse().ok_or(NoteError::MalformedCheckpoint)
    }
}

fn named(name: &str, key: VerifyingKey) -> Option<VerifierKey> {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
        return None;
    }
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    let id = u32::from_be_bytes(*hash.first_chunk::<4>()?);
    Some(VerifierKey { name: name.to_owned(), id, key })
}

/// The signature type of Ed25519 in C2SP signed-note.
const ED25519: u8 = 1;

/// Longest note that is looked at, in bytes.
const MAX_NOTE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    // Key and note of the package documentation of golang.org/x/mod/sumdb/note.
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn foreign_note_opens() {
        let key: VerifierKey = VKEY.parse().unwrap();
        assert_eq!(key.to_string(), VKEY);
        assert!(key.open(NOTE.as_bytes()).unwrap().ends_with("problem is.\n"));
    }

    #[test]
    fn any_flipped_bit_of_a_note_or_key_is_refused() {
        let key: VerifierKey = VKEY.parse().unwrap();
        for bit in 0..NOTE.len() * 8 {
            let mut bytes = NOTE.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(&bytes).is_err(), "bit {bit}");
        }
        for bit in 0..VKEY.len() * 8 {
            let mut bytes = VKEY.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let opened = text
                .parse::<VerifierKey>()
                .and_then(|key| key.open(NOTE.as_bytes()).map(str::to_owned));
            assert!(opened.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn checkpoints_round_trip_and_have_one_spelling() {
        let signer = NoteSigner::from_seed("remit.local/test", &[7; 32]).unwrap();
        let again = NoteSigner::from_secret_text(&signer.to_secret_text()).unwrap();
        assert_eq!(again.verifier(), signer.verifier());
        assert!(!format!("{signer:?}").contains(&STANDARD.encode([7; 32])));
        let checkpoint =
            Checkpoint { origin: "remit.local/test".into(), size: 3, root: Hash::leaf(b"x") };
        let note = checkpoint.sign(&signer);
        assert_eq!(Checkpoint::open(note.as_bytes(), signer.verifier()).unwrap(), checkpoint);
        for odd in ["a\n03\nX\n", "a\n+3\n", "", "\n1\n\n", "a\n1\nAAAA\n"] {
            assert!(odd.parse::<Checkpoint>().is_err(), "{odd:?}");
        }
        let extended = signer.sign(&format!("{checkpoint}more\n"));
        assert!(Checkpoint::open(extended.as_bytes(), signer.verifier()).is_err());
        let foreign = NoteSigner::from_seed("remit.local/test", &[8; 32]).unwrap();
        let note = checkpoint.sign(&foreign);
        let opened = Checkpoint::open(note.as_bytes(), signer.verifier());
        assert_eq!(opened, Err(NoteError::UnknownKey));
        assert!(NoteSigner::from_seed("with space", &[1; 32]).is_err());
    }
}
