//! zip archives (APPNOTE 6.3), and the office documents that are ones.

use super::{
    budget::{Budget, UnreadReason},
    explorer::{Member, Opened},
    office,
};
use crate::{found::Decoder, text::part};

/// More members are not looked at.
const MEMBERS: usize = 4096;

/// A member's header.
struct Entry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    packed: usize,
    /// Where its data starts.
    data: usize,
}

/// The members, if the text is an archive.
pub(super) fn open(text: &[u8], budget: &mut Budget) -> Option<Opened> {
    if !text.starts_with(b"PK\x03\x04") && !text.starts_with(b"PK\x05\x06") {
        return None;
    }
    let (entries, whole) = entries(text);
    let mut opened =
        Opened { members: Vec::new(), unread: (!whole).then_some(UnreadReason::Damaged) };
    let office = entries.iter().any(|entry| office::marks(&entry.name));
    for entry in entries {
        let range = entry.data..entry.data.saturating_add(entry.packed).min(text.len());
        // The names say things too.
        let data = part(text, range.clone());
        if entry.flags & 1 != 0 {
            opened.unread = Some(UnreadReason::Encrypted);
            continue;
        }
        let (made, unread) = match entry.method {
            0 => {
                if budget.take(data.len()) {
                    (data.to_vec(), None)
                } else {
                    (Vec::new(), Some(UnreadReason::TooLarge))
                }
            }
            8 => budget.drain(flate2::bufread::DeflateDecoder::new(data)),
            12 => budget.drain(bzip2_rs::DecoderReader::new(data)),
            93 => match ruzstd::decoding::StreamingDecoder::new(data) {
                Ok(reader) => budget.drain(reader),
                Err(_) => (Vec::new(), Some(UnreadReason::Damaged)),
            },
            _ => (Vec::new(), Some(UnreadReason::Unsupported)),
        };
        opened.unread = opened.unread.or(unread);
        if made.is_empty() {
            continue;
        }
        let text = if office { office::text(&entry.name, &made) } else { None };
        let stored = entry.method == 0 && text.is_none();
        let via = if office { Decoder::Office } else { Decoder::Zip };
        opened.members.push(Member { via, text: text.unwrap_or(made), range, stored });
        if unread == Some(UnreadReason::TooLarge) {
            break;
        }
    }
    if office {
        office::join_shared(&mut opened.members);
    }
    Some(opened)
}

/// The headers, from the central directory; from the members themselves where it is missing. And
/// whether they are all there.
fn entries(text: &[u8]) -> (Vec<Entry>, bool) {
    directory(text).map_or_else(|| (locals(text), false), |entries| (entries, true))
}

fn directory(text: &[u8]) -> Option<Vec<Entry>> {
    // The end record is the last thing but a comment of at most 64 KB.
    let tail = text.len().saturating_sub(66_000);
    let end = tail + memchr::memmem::rfind(text.get(tail..)?, b"PK\x05\x06")?;
    let count = usize::from(word(text, end + 10));
    let mut at = usize::try_from(long(text, end + 16)).ok()?;
    let mut entries = Vec::new();
    while part(text, at..at.saturating_add(4)) == b"PK\x01\x02" && entries.len() < MEMBERS {
        let (name, extra, comment) = (
            usize::from(word(text, at + 28)),
            usize::from(word(text, at + 30)),
            usize::from(word(text, at + 32)),
        );
        let local = usize::try_from(long(text, at + 42)).ok()?;
        if part(text, local..local.saturating_add(4)) != b"PK\x03\x04" {
            return None;
        }
        let data =
            local + 30 + usize::from(word(text, local + 26)) + usize::from(word(text, local + 28));
        entries.push(Entry {
            name: part(text, at + 46..at + 46 + name).to_vec(),
            flags: word(text, at + 8),
            method: word(text, at + 10),
            packed: usize::try_from(long(text, at + 20)).ok()?,
            data,
        });
        at += 46 + name + extra + comment;
    }
    (entries.len() == count || entries.len() == MEMBERS).then_some(entries)
}

/// The members one after another, as a truncated archive has them.
fn locals(text: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut at = 0;
    while part(text, at..at.saturating_add(4)) == b"PK\x03\x04" && entries.len() < MEMBERS {
        let (name, extra) = (usize::from(word(text, at + 26)), usize::from(word(text, at + 28)));
        let flags = word(text, at + 6);
        let data = at + 30 + name + extra;
        let mut packed = usize::try_from(long(text, at + 18)).unwrap_or(usize::MAX);
        if flags & 8 != 0 && packed == 0 {
            // The length comes after the data: up to the next header.
            let rest = text.get(data..).unwrap_or_default();
            packed = memchr::memmem::find(rest, b"PK\x03\x04")
                .or_else(|| memchr::memmem::find(rest, b"PK\x01\x02"))
                .unwrap_or(rest.len());
        }
        entries.push(Entry {
            name: part(text, at + 30..at + 30 + name).to_vec(),
            flags,
            method: word(text, at + 8),
            packed,
            data,
        });
        at = data.saturating_add(packed);
    }
    entries
}

fn word(text: &[u8], at: usize) -> u16 {
    text.get(at..at.saturating_add(2))
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u16::from_le_bytes)
}

fn long(text: &[u8], at: usize) -> u32 {
    text.get(at..at.saturating_add(4))
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}
