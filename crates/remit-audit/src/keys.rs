//! The log's name and key pair, and the last checkpoint that this machine signed.

use std::fs;

use crate::{
    LogError,
    files::{
        CHECKPOINT, Care, HEAD, LogPaths, PUBLIC_KEY, SECRET_KEY, read_small, replace, sync_folder,
    },
    note::{Checkpoint, NoteError, NoteSigner, VerifierKey},
};

/// The key of the log in these folders, and the name of a log that should be there and is not.
///
/// A log that vanished is not continued: its key has signed more than what is there, so a new log
/// with a new name begins, and says so in its first record.
pub(crate) fn load_or_create(
    paths: &LogPaths,
) -> Result<(NoteSigner, Option<Checkpoint>), LogError> {
    let public_path = paths.audit.join(PUBLIC_KEY);
    let secret_path = paths.keys.join(SECRET_KEY);
    let public = match read_small(&public_path, LIMIT)? {
        Some(bytes) => Some(
            parse_public(&bytes)
                .map_err(|source| LogError::Note { path: public_path.clone(), source })?,
        ),
        None => None,
    };
    let signer = match read_small(&secret_path, LIMIT)? {
        Some(bytes) => Some(
            std::str::from_utf8(&bytes)
                .map_err(|_| NoteError::MalformedKey)
                .and_then(|text| NoteSigner::from_secret_text(text.trim_end()))
                .map_err(|source| LogError::Note { path: secret_path.clone(), source })?,
        ),
        None => None,
    };
    match (signer, public) {
        (Some(signer), Some(public)) if *signer.verifier() == public => Ok((signer, None)),
        (Some(signer), Some(public)) => Err(LogError::ForeignKey {
            origin: public.name().to_owned(),
            key: signer.verifier().name().to_owned(),
        }),
        (None, Some(public)) => {
            Err(LogError::KeyMissing { origin: public.name().to_owned(), path: secret_path })
        }
        (Some(signer), None) => {
            let head = head(paths, signer.verifier())?.filter(|head| head.size > 0);
            let log_is_there = paths.audit.join(CHECKPOINT).exists();
            match head {
                Some(head) if !log_is_there => Ok((create(paths)?, Some(head))),
                // Creation was interrupted, or only the public key was removed.
                _ => publish_key(paths, &signer).map(|()| (signer, None)),
            }
        }
        (None, None) => Ok((create(paths)?, None)),
    }
}

/// The last checkpoint that this machine signed with `key`, if it can still be read. It only ever
/// adds a check: whoever can change it holds the key too.
pub(crate) fn head(paths: &LogPaths, key: &VerifierKey) -> Result<Option<Checkpoint>, LogError> {
    let bytes = read_small(&paths.keys.join(HEAD), LIMIT)?;
    Ok(bytes.and_then(|bytes| Checkpoint::open(&bytes, key).ok()))
}

/// What this machine keeps beside a log, to verify the log's folder against.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The public half of the private key.
    pub key: VerifierKey,
    /// The last checkpoint that this machine signed.
    pub checkpoint: Option<Vec<u8>>,
}

/// What the folder of keys knows of its log; `None` without a private key that can be read.
pub fn kept(paths: &LogPaths) -> Option<Kept> {
    let secret = read_small(&paths.keys.join(SECRET_KEY), LIMIT).ok()??;
    let signer =
        NoteSigner::from_secret_text(std::str::from_utf8(&secret).ok()?.trim_end()).ok()?;
    let key = signer.verifier().clone();
    let head = || {
        let note = read_small(&paths.keys.join(HEAD), LIMIT).ok()??;
        Checkpoint::open(&note, &key).is_ok().then_some(note)
    };
    // A live log may change the file while it is read.
    let checkpoint = (0..4).find_map(|attempt| {
        std::thread::sleep(std::time::Duration::from_millis(attempt));
        head()
    });
    Some(Kept { key, checkpoint })
}

/// A public key file's key.
pub(crate) fn parse_public(bytes: &[u8]) -> Result<VerifierKey, NoteError> {
    let text = std::str::from_utf8(bytes).map_err(|_| NoteError::MalformedKey)?;
    text.strip_suffix('\n').unwrap_or(text).parse()
}

fn create(paths: &LogPaths) -> Result<NoteSigner, LogError> {
    let path = paths.keys.join(SECRET_KEY);
    let mut random = [0u8; 48];
    getrandom::fill(&mut random).map_err(|error| LogError::at(&path)(error.into()))?;
    let (seed, id) = random
        .split_first_chunk::<32>()
        .ok_or_else(|| LogError::Note { path: path.clone(), source: NoteError::MalformedKey })?;
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let signer = NoteSigner::from_seed(&format!("remit.local/{id}"), seed)
        .map_err(|source| LogError::Note { path: path.clone(), source })?;
    // The key first: a public key without its private half could never be continued.
    replace(&path, format!("{}\n", signer.to_secret_text()).as_bytes(), Care::Disk)?;
    sync_folder(&paths.keys)?;
    publish_key(paths, &signer)?;
    Ok(signer)
}

fn publish_key(paths: &LogPaths, signer: &NoteSigner) -> Result<(), LogError> {
    let path = paths.audit.join(PUBLIC_KEY);
    replace(&path, format!("{}\n", signer.verifier()).as_bytes(), Care::Disk)?;
    fs::File::open(&path).and_then(|file| file.sync_all()).map_err(LogError::at(&path))
}

const LIMIT: u64 = 64 << 10;
