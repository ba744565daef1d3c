//! gzip, zlib, bzip2, zstd and Brotli.

use std::io::Read;

use super::{
    budget::{Budget, UnreadReason},
    explorer::{Member, Opened},
};
use crate::found::Decoder;

/// What the first bytes say.
pub(super) fn sniff(text: &[u8]) -> Option<Decoder> {
    match text {
        [0x1f, 0x8b, 8, ..] => Some(Decoder::Gzip),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..] => Some(Decoder::Bzip2),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Decoder::Zstd),
        // RFC 1950: the method, a window, and a check over both bytes.
        [0x78, flags @ (0x01 | 0x5e | 0x9c | 0xda), ..]
            if (0x7800 + u16::from(*flags)).is_multiple_of(31) && text.len() > 8 =>
        {
            Some(Decoder::Deflate)
        }
        _ => None,
    }
}

/// The content, if the text is packed in one of these ways.
pub(super) fn open(text: &[u8], budget: &mut Budget) -> Option<Opened> {
    let (via, (made, unread)) = match sniff(text) {
        Some(Decoder::Gzip) => {
            (Decoder::Gzip, budget.drain(flate2::bufread::MultiGzDecoder::new(text)))
        }
        Some(Decoder::Bzip2) => (Decoder::Bzip2, budget.drain(bzip2_rs::DecoderReader::new(text))),
        Some(Decoder::Zstd) => (Decoder::Zstd, zstd(text, budget)),
        Some(via) => (via, budget.drain(flate2::bufread::ZlibDecoder::new(text))),
        None => return brotli(text, budget),
    };
    if via == Decoder::Deflate && made.is_empty() {
        // Two bytes are no proof.
        return None;
    }
    // What follows the end of the packed part is no damage.
    let unread = unread
        .filter(|reason| *reason != UnreadReason::Damaged || made.is_empty() || cut_off(text, via));
    Some(opened(text, via, made, unread))
}

fn opened(text: &[u8], via: Decoder, made: Vec<u8>, unread: Option<UnreadReason>) -> Opened {
    let members = if made.is_empty() {
        Vec::new()
    } else {
        vec![Member { via, text: made, range: 0..text.len(), stored: false }]
    };
    Opened { members, unread }
}

/// Whether a first member alone ends early.
fn cut_off(text: &[u8], via: Decoder) -> bool {
    let mut sink = std::io::sink();
    // The limit was kept by the run before, which made at least as much.
    let limited =
        |reader: &mut dyn Read| std::io::copy(&mut reader.take(64 << 20), &mut sink).is_err();
    match via {
        Decoder::Gzip => {
            let mut reader = flate2::bufread::GzDecoder::new(text);
            let mut limited = limited;
            limited(&mut reader)
        }
        _ => true,
    }
}

fn zstd(text: &[u8], budget: &mut Budget) -> (Vec<u8>, Option<UnreadReason>) {
    match ruzstd::decoding::StreamingDecoder::new(text) {
        Ok(reader) => budget.drain(reader),
        Err(_) => (Vec::new(), Some(UnreadReason::Damaged)),
    }
}

/// Brotli has no mark: bytes that are no text are tried, and count when text comes out.
fn brotli(text: &[u8], budget: &mut Budget) -> Option<Opened> {
    let sample = text.get(..text.len().min(512))?;
    let odd = sample
        .iter()
        .filter(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace() || **byte >= 0x80)
        .count();
    if text.len() < 12 || odd * 8 < sample.len() || std::str::from_utf8(sample).is_ok() {
        return None;
    }
    let mut first = [0; 256];
    let mut reader = brotli_decompressor::Decompressor::new(text, 4096);
    let mut count = 0;
    while let Some(rest) = first.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(_) => return None,
        }
    }
    let texty = super::runs::is_text(first.get(..count)?) && count >= 8;
    if !texty {
        return None;
    }
    let (made, unread) = budget.drain(brotli_decompressor::Decompressor::new(text, 4096));
    Some(opened(text, Decoder::Brotli, made, unread))
}
