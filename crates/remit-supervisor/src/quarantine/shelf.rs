//! A session's side: payloads are put in, and asked for again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use remit_core::{Clock as _, SessionContext, Timestamp};
use remit_egress::{Claim, HeldPayload, HoldError, Quarantine};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    KEPT, MOST_BYTES, MOST_ITEMS, Ticket,
    item::{Files, HeldItem, ItemState, replace},
    seal::SealKey,
};
use crate::{RemitHome, SystemClock};

/// Quarantine as one session uses it.
pub(crate) struct Shelf {
    folder: PathBuf,
    key: SealKey,
    context: SessionContext,
    /// One payload after the other, so that the limits hold.
    turn: Mutex<()>,
}

/// What is sealed beside the body.
#[derive(Serialize, Deserialize)]
pub(super) struct Inside {
    pub(super) head: Vec<(String, String)>,
    pub(super) excerpts: Vec<remit_egress::Excerpt>,
}

impl Shelf {
    pub(crate) fn open(home: &RemitHome, context: &SessionContext) -> io::Result<Self> {
        let key = SealKey::load_or_create(&home.config)?;
        let (folder, context) = (home.quarantine.clone(), context.clone());
        Ok(Self { folder, key, context, turn: Mutex::default() })
    }

    /// The key of the agent's pseudonyms: the same in every session, so that a conversation that
    /// is taken up again goes on with the pseudonyms that it has.
    pub(crate) fn pseudonym_key(&self) -> [u8; 32] {
        self.key.derived(b"remit pseudonyms 1\0", self.agent().as_bytes())
    }

    /// The agent without its version: a release outlives an update.
    fn agent(&self) -> &str {
        self.context.agent_id.split(':').next().unwrap_or_default()
    }

    fn put(&self, ticket: &Ticket, payload: HeldPayload) -> Result<(), HoldError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.now();
        let (items, bytes) = sweep(&self.folder, now)?;
        let size = payload.body.len() as u64;
        if items >= MOST_ITEMS || bytes.saturating_add(size) > MOST_BYTES {
            return Err(HoldError::Full);
        }
        let inside = Inside { head: payload.head, excerpts: payload.excerpts };
        let inside = serde_json::to_vec(&inside).map_err(io::Error::from)?;
        let length = u32::try_from(inside.len()).map_err(io::Error::other)?;
        let plain = [&length.to_be_bytes()[..], &inside, &payload.body].concat();
        let files = Files::of(&self.folder, ticket);
        replace(&files.sealed, &self.key.seal(ticket, &plain)?)?;
        let digest = Sha256::digest(&payload.body);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        files.write(&HeldItem {
            ticket: ticket.to_string(),
            state: ItemState::Waiting,
            agent: self.context.agent_id.to_string(),
            principal: self.context.principal.to_string(),
            session: self.context.id.clone(),
            manifest: self.context.manifest.to_string(),
            held: now,
            expires: now.after(KEPT),
            action: payload.action.to_owned(),
            resource: payload.resource,
            classes: payload
                .found
                .iter()
                .map(|(class, count)| (class.as_str().to_owned(), count))
                .collect(),
            bytes: size,
            digest: format!("sha256:{digest}"),
            rule: payload.rule.as_deref().cloned(),
            decided_by: None,
        })?;
        Ok(())
    }
}

impl Quarantine for Shelf {
    fn claim(&self, key: &[u8; 32]) -> Claim {
        let ticket = self.key.ticket(self.agent(), key);
        let files = Files::of(&self.folder, &ticket);
        let Ok(Some(item)) = files.read() else { return Claim::Unknown };
        if item.expires <= SystemClock.now() {
            files.remove();
            return Claim::Unknown;
        }
        let text = ticket.to_string();
        match item.state {
            ItemState::Waiting => Claim::Waiting(text),
            ItemState::Rejected => Claim::Rejected(text),
            // Whoever removes it has it; a second request at the same time has not.
            ItemState::Released if files.remove() => Claim::Released(text),
            ItemState::Released => Claim::Unknown,
        }
    }

    fn hold(&self, payload: HeldPayload) -> Result<String, HoldError> {
        let ticket = self.key.ticket(self.agent(), &payload.key);
        self.put(&ticket, payload)?;
        Ok(ticket.to_string())
    }
}

/// Removes what has expired; gives how many items there are, and their bytes.
fn sweep(folder: &Path, now: Timestamp) -> io::Result<(usize, u64)> {
    let (mut items, mut bytes) = (0usize, 0u64);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(ticket) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
            bytes = bytes.saturating_add(entry.metadata().map_or(0, |meta| meta.len()));
            continue;
        };
        let Ok(ticket) = ticket.parse() else { continue };
        let files = Files::of(folder, &ticket);
        match files.read() {
            Ok(Some(item)) if item.expires <= now => {
                files.remove();
            }
            _ => items = items.saturating_add(1),
        }
    }
    Ok((items, bytes))
}
