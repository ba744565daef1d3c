//! What is known of a held payload without opening it.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use remit_core::{RuleRef, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Ticket;

/// A held payload, as people see it. Never a value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldItem {
    /// Its ticket.
    pub ticket: String,
    /// What a person said.
    pub state: ItemState,
    /// `agent:version` that sent or asked for it.
    pub agent: String,
    /// The person on whose behalf.
    pub principal: String,
    /// The session that held it.
    pub session: SessionId,
    /// Digest of the manifest in force.
    pub manifest: String,
    /// When it was held.
    pub held: Timestamp,
    /// When it goes by itself.
    pub expires: Timestamp,
    /// `http_request` or `http_response`.
    pub action: String,
    /// What was decided on.
    pub resource: String,
    /// Classes with their counts.
    pub classes: BTreeMap<String, u64>,
    /// Bytes of the body.
    pub bytes: u64,
    /// `sha256:<hex>` of the body.
    pub digest: String,
    /// The rule that holds it.
    #[serde(default)]
    pub rule: Option<RuleRef>,
    /// Who decided.
    #[serde(default)]
    pub decided_by: Option<String>,
}

/// What a person said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Nothing yet.
    Waiting,
    /// It may pass once, until it expires.
    Released,
    /// It may not pass.
    Rejected,
}

impl ItemState {
    /// As it is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Released => "released",
            Self::Rejected => "rejected",
        }
    }
}

/// The files of one item.
pub(super) struct Files {
    pub(super) about: PathBuf,
    pub(super) sealed: PathBuf,
}

impl Files {
    pub(super) fn of(folder: &Path, ticket: &Ticket) -> Self {
        let file = |kind: &str| folder.join(format!("{ticket}.{kind}"));
        Self { about: file("json"), sealed: file("sealed") }
    }

    /// What is known; `None` where there is no such item.
    pub(super) fn read(&self) -> io::Result<Option<HeldItem>> {
        match fs::read(&self.about) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, item: &HeldItem) -> io::Result<()> {
        replace(&self.about, &serde_json::to_vec(item)?)
    }

    /// Removes the item; whether this caller did.
    pub(super) fn remove(&self) -> bool {
        // What is known goes first: without it nobody asks for the rest.
        let own = fs::remove_file(&self.about).is_ok();
        let _ = fs::remove_file(&self.sealed);
        own
    }
}

/// Puts a whole file in place, for this person alone.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let fresh = path.with_extension(format!("{:016x}", u64::from_be_bytes(random)));
    let written = (|| {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&fresh, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}
