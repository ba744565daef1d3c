//! Encryption of held payloads: ChaCha20-Poly1305 (RFC 8439) in pieces, each bound to its ticket,
//! its place and whether it is the last, so that none can be left out, moved or cut off.

use std::{fs, io, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
};

use super::Ticket;

/// The key of this machine's quarantine.
pub(super) struct SealKey(hmac::Key);

impl SealKey {
    /// Reads the key, and makes it where there is none.
    pub(super) fn load_or_create(folder: &Path) -> io::Result<Self> {
        let path = folder.join("quarantine.key");
        match fs::read(&path) {
            Ok(bytes) => return Self::of(&bytes),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let fresh = folder.join(format!("quarantine.key.{}", std::process::id()));
        let _ = fs::remove_file(&fresh);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        // Two sessions may make one at the same time: the first link counts, for both.
        let linked = fs::hard_link(&fresh, &path);
        let _ = fs::remove_file(&fresh);
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Self::of(&fs::read(&path)?),
        }
    }

    fn of(bytes: &[u8]) -> io::Result<Self> {
        if bytes.len() != 32 {
            return Err(io::Error::other("quarantine.key has not 32 bytes"));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The ticket of what `agent` sends under this name.
    pub(super) fn ticket(&self, agent: &str, key: &[u8; 32]) -> Ticket {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"remit quarantine ticket 1\0");
        context.update(agent.as_bytes());
        context.update(b"\0");
        context.update(key);
        let mut bytes = [0; 10];
        for (byte, own) in bytes.iter_mut().zip(context.sign().as_ref()) {
            *byte = *own;
        }
        Ticket::of(bytes)
    }

    /// A key for another purpose.
    pub(super) fn derived(&self, purpose: &[u8], of: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose);
        context.update(of);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        bytes
    }

    /// Encrypts.
    pub(super) fn seal(&self, ticket: &Ticket, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        let key = self.key(&salt)?;
        let mut out = [MAGIC, &salt].concat();
        let pieces = plain.len().div_ceil(PIECE).max(1);
        for at in 0..pieces {
            let start = at.saturating_mul(PIECE);
            let end = start.saturating_add(PIECE).min(plain.len());
            let mut piece = plain.get(start..end).unwrap_or_default().to_vec();
            let nonce = nonce(at, at.saturating_add(1) == pieces);
            key.seal_in_place_append_tag(nonce, Aad::from(ticket.as_str()), &mut piece)
                .map_err(|_| io::Error::other("a payload could not be encrypted"))?;
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }

    /// Decrypts. Fails for anything but what was sealed under this ticket, whole.
    pub(super) fn open(&self, ticket: &Ticket, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "the held payload was changed");
        let rest = sealed.strip_prefix(MAGIC).ok_or_else(broken)?;
        let (salt, rest) = rest.split_at_checked(SALT).ok_or_else(broken)?;
        let key = self.key(salt)?;
        let tagged = PIECE.saturating_add(CHACHA20_POLY1305.tag_len());
        let pieces = rest.len().div_ceil(tagged);
        let mut out = Vec::with_capacity(rest.len());
        for (at, piece) in rest.chunks(tagged).enumerate() {
            let mut piece = piece.to_vec();
            let nonce = nonce(at, at.saturating_add(1) == pieces);
            let plain = key
                .open_in_place(nonce, Aad::from(ticket.as_str()), &mut piece)
                .map_err(|_| broken())?;
            out.extend_from_slice(plain);
        }
        if pieces == 0 { Err(broken()) } else { Ok(out) }
    }

    fn key(&self, salt: &[u8]) -> io::Result<LessSafeKey> {
        let bytes = self.derived(b"remit quarantine seal 1\0", salt);
        UnboundKey::new(&CHACHA20_POLY1305, &bytes)
            .map(LessSafeKey::new)
            .map_err(|_| io::Error::other("a key could not be derived"))
    }
}

/// The key is one payload's own, so its pieces are simply counted.
fn nonce(at: usize, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    for (byte, count) in bytes.iter_mut().skip(3).zip((at as u64).to_be_bytes()) {
        *byte = count;
    }
    if let Some(byte) = bytes.last_mut() {
        *byte = u8::from(last);
    }
    Nonce::assume_unique_for_key(bytes)
}

const MAGIC: &[u8] = b"remit-q1";
const SALT: usize = 16;
const PIECE: usize = 64 << 10;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_payload_under_its_own_ticket_opens() {
        let folder = tempfile::tempdir().unwrap();
        let key = SealKey::load_or_create(folder.path()).unwrap();
        let again = SealKey::load_or_create(folder.path()).unwrap();
        let ticket = key.ticket("org.test", &[7; 32]);
        assert_eq!(ticket, again.ticket("org.test", &[7; 32]));
        assert_ne!(ticket, key.ticket("org.other", &[7; 32]));
        let plain: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        for length in [0, 1, PIECE, PIECE + 1, plain.len()] {
            let sealed = key.seal(&ticket, &plain[..length]).unwrap();
            assert_eq!(again.open(&ticket, &sealed).unwrap(), &plain[..length]);
            let other = key.ticket("org.test", &[8; 32]);
            assert!(key.open(&other, &sealed).is_err(), "another ticket");
            assert!(key.open(&ticket, &sealed[..sealed.len() - 1]).is_err(), "cut off");
            let mut changed = sealed.clone();
            *changed.last_mut().unwrap() ^= 1;
            assert!(key.open(&ticket, &changed).is_err(), "changed");
        }
        let sealed = key.seal(&ticket, &plain[..2 * PIECE]).unwrap();
        let head = MAGIC.len() + SALT + PIECE + 16;
        assert!(key.open(&ticket, &sealed[..head]).is_err(), "without its last piece");
    }
}
