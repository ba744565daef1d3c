//! The text of office documents: their XML without its marks (ECMA-376, ISO/IEC 26300).

use super::explorer::Member;
use crate::{found::Decoder, text::part};

/// Whether a member of this name makes the archive a document.
pub(super) fn marks(name: &[u8]) -> bool {
    name == b"[Content_Types].xml" || name == b"content.xml" || name == b"mimetype"
}

/// The text of a member; nothing for what is no document's XML.
pub(super) fn text(name: &[u8], xml: &[u8]) -> Option<Vec<u8>> {
    (name.ends_with(b".xml") || name.ends_with(b".rels")).then(|| plain(xml))
}

/// Excel keeps the text of cells in one list and numbers in another; both are read, and rows are
/// put together again where they name entries of the list.
pub(super) fn join_shared(members: &mut Vec<Member>) {
    let shared = members
        .iter()
        .find(|member| member.text.starts_with(SHARED))
        .map(|member| member.text.clone());
    let Some(shared) = shared else {
        return;
    };
    let strings: Vec<&[u8]> =
        shared.strip_prefix(SHARED).unwrap_or_default().split(|byte| *byte == b'\n').collect();
    for member in members.iter_mut().filter(|member| member.text.starts_with(SHEET)) {
        let mut joined = Vec::new();
        for line in member.text.strip_prefix(SHEET).unwrap_or_default().split(|byte| *byte == b'\n')
        {
            for (place, cell) in line.split(|byte| *byte == b'\t').enumerate() {
                if place > 0 {
                    joined.push(b'\t');
                }
                let entry = cell
                    .strip_prefix(b"\x1a")
                    .and_then(|number| std::str::from_utf8(number).ok()?.parse::<usize>().ok());
                joined.extend_from_slice(
                    entry.and_then(|entry| strings.get(entry)).map_or(cell, |string| *string),
                );
            }
            joined.push(b'\n');
        }
        member.text = joined;
    }
    members.retain(|member| member.via != Decoder::Office || !member.text.is_empty());
}

/// Marks a list of shared strings, one a line.
const SHARED: &[u8] = b"\x01shared\n";
/// Marks a sheet whose cells may name shared strings.
const SHEET: &[u8] = b"\x01sheet\n";

/// XML without marks: runs of a paragraph joined, cells with tabs between, paragraphs on lines.
fn plain(xml: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(xml.len() / 2);
    let shared = memchr::memmem::find(part(xml, 0..400), b"<sst").is_some();
    let sheet = memchr::memmem::find(part(xml, 0..1200), b"<worksheet").is_some();
    if shared {
        text.extend_from_slice(SHARED);
    } else if sheet {
        text.extend_from_slice(SHEET);
    }
    let mut at = 0;
    let mut cell_is_shared = false;
    while at < xml.len() {
        let rest = xml.get(at..).unwrap_or_default();
        let open = memchr::memchr(b'<', rest).unwrap_or(rest.len());
        let run = rest.get(..open).unwrap_or_default();
        if cell_is_shared && !run.is_empty() {
            text.push(0x1a);
        }
        unescape(run, &mut text);
        let Some(tag) = rest.get(open..).filter(|tag| !tag.is_empty()) else { break };
        let close = memchr::memchr(b'>', tag).map_or(tag.len(), |close| close + 1);
        let tag = tag.get(..close).unwrap_or_default();
        let name = tag
            .split(|byte| matches!(byte, b' ' | b'>' | b'/'))
            .find(|part| part.len() > 1 || part.first().is_some_and(|byte| *byte != b'<'))
            .unwrap_or_default();
        let name = name.strip_prefix(b"<").unwrap_or(name);
        let closing = tag.starts_with(b"</");
        let local = name.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        match local {
            b"si" if closing => text.push(b'\n'),
            b"p" | b"row" | b"table-row" | b"tr" | b"h" if closing => text.push(b'\n'),
            b"c" if !closing => {
                if !matches!(text.last(), None | Some(b'\n')) {
                    text.push(b'\t');
                }
                cell_is_shared = memchr::memmem::find(tag, b"t=\"s\"").is_some();
            }
            b"c" => cell_is_shared = false,
            b"tc" | b"table-cell" if closing => text.push(b'\t'),
            b"tab" | b"s" => text.push(b' '),
            b"br" | b"line-break" => text.push(b'\n'),
            _ => {}
        }
        // Links and comments keep values in attributes.
        if let Some(target) = memchr::memmem::find(tag, b"Target=\"") {
            text.extend(
                tag.get(target + 8..).unwrap_or_default().iter().take_while(|byte| **byte != b'"'),
            );
            text.push(b'\n');
        }
        at += open + close;
    }
    text
}

fn unescape(run: &[u8], text: &mut Vec<u8>) {
    let mut rest = run;
    while let Some(mark) = memchr::memchr(b'&', rest) {
        let (plain, tail) = rest.split_at(mark);
        text.extend_from_slice(plain);
        let (byte, length) = match tail {
            [b'&', b'a', b'm', b'p', b';', ..] => (b'&', 5),
            [b'&', b'l', b't', b';', ..] => (b'<', 4),
            [b'&', b'g', b't', b';', ..] => (b'>', 4),
            [b'&', b'q', b'u', b'o', b't', b';', ..] => (b'"', 6),
            [b'&', b'a', b'p', b'o', b's', b';', ..] => (b'\'', 6),
            _ => (b'&', 1),
        };
        text.push(byte);
        rest = tail.get(length..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
}
