//! tar archives (POSIX ustar; pax and GNU headers are members that are read as text).

use super::{
    budget::{Budget, UnreadReason},
    explorer::{Member, Opened},
};
use crate::{found::Decoder, text::part};

const BLOCK: usize = 512;
/// More members are not looked at.
const MEMBERS: usize = 8192;

/// Whether the text starts with a header.
pub(super) fn is_one(text: &[u8]) -> bool {
    part(text, 257..262) == b"ustar" && checksum(part(text, 0..BLOCK))
}

/// The members, if the text is an archive.
pub(super) fn open(text: &[u8], budget: &mut Budget) -> Option<Opened> {
    if !is_one(text) {
        return None;
    }
    let mut opened = Opened::default();
    let mut at = 0;
    while at < text.len() && opened.members.len() < MEMBERS {
        let header = part(text, at..at + BLOCK);
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let size = octal(part(header, 124..136));
        let (true, Some(size)) = (checksum(header), size) else {
            opened.unread = Some(UnreadReason::Damaged);
            break;
        };
        let start = at + BLOCK;
        let end = start.saturating_add(size);
        if end > text.len() {
            opened.unread = Some(UnreadReason::Damaged);
        }
        let data = part(text, start..end);
        if !data.is_empty() {
            if !budget.take(data.len()) {
                opened.unread = Some(UnreadReason::TooLarge);
                break;
            }
            opened.members.push(Member {
                via: Decoder::Tar,
                text: data.to_vec(),
                range: start..start + data.len(),
                stored: true,
            });
        }
        at = start.saturating_add(size.div_ceil(BLOCK).saturating_mul(BLOCK));
    }
    Some(opened)
}

/// The sum of the header's bytes, with blanks in place of the sum itself.
fn checksum(header: &[u8]) -> bool {
    let sum: usize = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { usize::from(*byte) })
        .sum();
    header.len() == BLOCK && octal(part(header, 148..156)) == Some(sum)
}

fn octal(field: &[u8]) -> Option<usize> {
    let digits = field
        .iter()
        .skip_while(|byte| **byte == b' ')
        .take_while(|byte| matches!(byte, b'0'..=b'7'));
    let mut any = false;
    let value = digits.fold(0_usize, |value, byte| {
        any = true;
        value.saturating_mul(8).saturating_add(usize::from(byte - b'0'))
    });
    any.then_some(value)
}
