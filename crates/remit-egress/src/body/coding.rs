//! Content codings (RFC 9110, 8.4.1; RFC 7932; RFC 8878), decoded as bytes come, within bounds.

use std::io::{self, Write as _};

use brotli_decompressor::DecompressorWriter;
use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status, write::MultiGzDecoder};
use http::{HeaderMap, header};
use ruzstd::decoding::FrameDecoder;

/// A coding that can be taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Bytes that cannot be decoded, or too many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Undecodable(pub(crate) &'static str);

/// The codings of a message, outermost last; none for `identity`.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Undecodable> {
    let mut all = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.as_bytes().split(|byte| *byte == b',') {
            let name = name.trim_ascii().to_ascii_lowercase();
            match name.as_slice() {
                b"" | b"identity" => {}
                b"gzip" | b"x-gzip" => all.push(Coding::Gzip),
                b"deflate" => all.push(Coding::Deflate),
                b"br" => all.push(Coding::Brotli),
                b"zstd" => all.push(Coding::Zstd),
                _ => return Err(Undecodable("a content coding that is not known")),
            }
        }
    }
    if all.len() > MOST_CODINGS {
        return Err(Undecodable("more than two content codings"));
    }
    Ok(all)
}

/// A whole body without its codings.
pub(crate) fn decoded(codings: &[Coding], data: &[Bytes]) -> Result<Vec<u8>, Undecodable> {
    let Some(mut decoder) = Decoder::new(codings) else { return Ok(data.concat()) };
    let mut body = Vec::new();
    for part in data {
        body.extend(decoder.push(part)?);
    }
    body.extend(decoder.finish()?);
    Ok(body)
}

/// Takes all codings of a body off.
pub(crate) struct Decoder {
    layers: Vec<Layer>,
    came: u64,
    made: u64,
}

impl Decoder {
    /// `codings` as [`codings`] gives them; `None` where there is none.
    pub(crate) fn new(codings: &[Coding]) -> Option<Self> {
        if codings.is_empty() {
            return None;
        }
        let layers = codings.iter().rev().map(|coding| Layer::new(*coding)).collect();
        Some(Self { layers, came: 0, made: 0 })
    }

    /// Decodes the next bytes.
    pub(crate) fn push(&mut self, part: &[u8]) -> Result<Vec<u8>, Undecodable> {
        self.came = self.came.saturating_add(part.len() as u64);
        let limit = DECODED.max(self.came.saturating_mul(RATIO)).saturating_sub(self.made);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut bytes = part.to_vec();
        for layer in &mut self.layers {
            bytes = layer.push(&bytes, limit)?;
        }
        self.made = self.made.saturating_add(bytes.len() as u64);
        Ok(bytes)
    }

    /// The body is over: what was begun must be whole.
    pub(crate) fn finish(&mut self) -> Result<Vec<u8>, Undecodable> {
        if self.came == 0 {
            return Ok(Vec::new());
        }
        let mut last = Vec::new();
        for layer in &mut self.layers {
            if !last.is_empty() {
                last = layer.push(&last, END)?;
            }
            last.extend(layer.finish()?);
        }
        Ok(last)
    }
}

enum Layer {
    Gzip(Box<MultiGzDecoder<Sink>>),
    Deflate(Option<Box<Decompress>>, bool),
    Brotli(Box<DecompressorWriter<Sink>>),
    Zstd(Box<Zstd>),
}

impl Layer {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Sink::default()))),
            Coding::Deflate => Self::Deflate(None, false),
            Coding::Brotli => {
                Self::Brotli(Box::new(DecompressorWriter::new(Sink::default(), BUFFER)))
            }
            Coding::Zstd => Self::Zstd(Box::default()),
        }
    }

    fn push(&mut self, part: &[u8], limit: usize) -> Result<Vec<u8>, Undecodable> {
        match self {
            Self::Gzip(decoder) => {
                decoder.get_mut().limit = limit;
                decoder.write_all(part).map_err(|error| broken(&error))?;
                decoder.flush().map_err(|error| broken(&error))?;
                Ok(decoder.get_mut().take())
            }
            Self::Deflate(decoder, ended) => inflate(decoder, ended, part, limit),
            Self::Brotli(decoder) => {
                decoder.get_mut().limit = limit;
                decoder.write_all(part).map_err(|error| broken(&error))?;
                decoder.flush().map_err(|error| broken(&error))?;
                Ok(decoder.get_mut().take())
            }
            Self::Zstd(decoder) => decoder.push(part, limit),
        }
    }

    fn finish(&mut self) -> Result<Vec<u8>, Undecodable> {
        match self {
            Self::Gzip(decoder) => {
                decoder.get_mut().limit = END;
                decoder.try_finish().map_err(|error| broken(&error))?;
                Ok(decoder.get_mut().take())
            }
            Self::Deflate(_, ended) => {
                if *ended {
                    Ok(Vec::new())
                } else {
                    Err(CUT)
                }
            }
            Self::Brotli(decoder) => {
                decoder.get_mut().limit = END;
                decoder.close().map_err(|error| broken(&error))?;
                Ok(decoder.get_mut().take())
            }
            Self::Zstd(decoder) => decoder.finish().map(|()| Vec::new()),
        }
    }
}

/// Deflate as servers send it: with the zlib wrapper or, wrongly, without (RFC 9110, 8.4.1.2).
fn inflate(
    decoder: &mut Option<Box<Decompress>>,
    ended: &mut bool,
    part: &[u8],
    limit: usize,
) -> Result<Vec<u8>, Undecodable> {
    let Some(first) = part.first() else { return Ok(Vec::new()) };
    if *ended {
        return Err(AFTER);
    }
    let decoder = decoder.get_or_insert_with(|| Box::new(Decompress::new(first & 0x0f == 8)));
    let (mut out, mut rest) = (Vec::new(), part);
    loop {
        out.reserve(BUFFER);
        let (before, made) = (decoder.total_in(), out.len());
        let status = decoder
            .decompress_vec(rest, &mut out, FlushDecompress::None)
            .map_err(|_| Undecodable("broken deflate data"))?;
        let used = usize::try_from(decoder.total_in().saturating_sub(before)).unwrap_or(usize::MAX);
        rest = rest.get(used..).unwrap_or_default();
        if out.len() > limit {
            return Err(TOO_MUCH);
        }
        match status {
            Status::StreamEnd => {
                *ended = true;
                return if rest.is_empty() { Ok(out) } else { Err(AFTER) };
            }
            _ if used == 0 && out.len() == made => return Ok(out),
            _ => {}
        }
    }
}

/// Zstandard; frames of windows up to 8 MiB (RFC 9659, 3).
#[derive(Default)]
struct Zstd {
    decoder: Option<FrameDecoder>,
    kept: Vec<u8>,
}

impl Zstd {
    fn push(&mut self, part: &[u8], limit: usize) -> Result<Vec<u8>, Undecodable> {
        const BROKEN: Undecodable = Undecodable("broken zstd data");
        self.kept.extend_from_slice(part);
        let mut out = Vec::new();
        let mut target = vec![0; BUFFER];
        loop {
            // A frame's header has 18 bytes at most; a reader is not asked before all of it is here.
            if self.decoder.is_none() {
                let Some(length) = header_length(&self.kept)? else { return Ok(out) };
                if self.kept.len() < length {
                    return Ok(out);
                }
                let mut decoder = FrameDecoder::new();
                decoder.set_max_window_size(MOST_WINDOW);
                let mut head = self.kept.get(..length).unwrap_or_default();
                decoder.init(&mut head).map_err(|_| BROKEN)?;
                self.kept.drain(..length);
                self.decoder = Some(decoder);
            }
            let Some(decoder) = &mut self.decoder else { return Ok(out) };
            let (used, made) =
                decoder.decode_from_to(&self.kept, &mut target).map_err(|_| BROKEN)?;
            if used > self.kept.len() {
                return Ok(out);
            }
            self.kept.drain(..used);
            out.extend_from_slice(target.get(..made).unwrap_or_default());
            if out.len() > limit {
                return Err(TOO_MUCH);
            }
            if decoder.is_finished() && decoder.can_collect() == 0 {
                self.decoder = None;
                if self.kept.is_empty() {
                    return Ok(out);
                }
            } else if used == 0 && made == 0 {
                return if self.kept.len() > MOST_BLOCK { Err(BROKEN) } else { Ok(out) };
            }
        }
    }

    fn finish(&self) -> Result<(), Undecodable> {
        if self.decoder.is_none() && self.kept.is_empty() { Ok(()) } else { Err(CUT) }
    }
}

/// Bytes of the frame's header (RFC 8878, 3.1.1.1), once that can be known.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, Undecodable> {
    let Some(magic) = bytes.get(..4) else { return Ok(None) };
    if magic != [0x28, 0xb5, 0x2f, 0xfd] {
        // Skippable frames are a place to hide things in; nobody sends them over HTTP.
        return Err(Undecodable("not a zstd frame"));
    }
    let Some(descriptor) = bytes.get(4) else { return Ok(None) };
    let single = descriptor & 0x20 != 0;
    let size = match descriptor >> 6 {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let dictionary = match descriptor & 3 {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 4,
    };
    Ok(Some(5 + usize::from(!single) + dictionary + size))
}

/// Takes decoded bytes, as many as it may.
#[derive(Default)]
struct Sink {
    bytes: Vec<u8>,
    limit: usize,
}

impl Sink {
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl io::Write for Sink {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(part.len()) > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn broken(error: &io::Error) -> Undecodable {
    match error.kind() {
        io::ErrorKind::FileTooLarge => TOO_MUCH,
        io::ErrorKind::UnexpectedEof => CUT,
        _ => Undecodable("broken coded data"),
    }
}

const TOO_MUCH: Undecodable = Undecodable("it decodes to far more than it is");
const CUT: Undecodable = Undecodable("the coded data is cut off");
const AFTER: Undecodable = Undecodable("bytes after the end of the coded data");
const MOST_CODINGS: usize = 2;
/// What any body may decode to; beyond it, so many times what came.
const DECODED: u64 = 32 << 20;
const RATIO: u64 = 16;
/// What may still come out when a body ends.
const END: usize = 32 << 20;
const BUFFER: usize = 16 << 10;
const MOST_WINDOW: u64 = 8 << 20;
/// A block with its header, and a checksum (RFC 8878, 3.1.1.2).
const MOST_BLOCK: usize = (128 << 10) + 16;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::io::Write as _;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(codings: &[Coding], bytes: &[u8], step: usize) -> Result<Vec<u8>, Undecodable> {
        let mut decoder = Decoder::new(codings).unwrap();
        let mut out = Vec::new();
        for part in bytes.chunks(step) {
            out.extend(decoder.push(part)?);
        }
        out.extend(decoder.finish()?);
        Ok(out)
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn every_coding_is_decoded_however_it_is_cut() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&text).unwrap();
        let coded = [
            (vec![Coding::Gzip], gzip(&text)),
            (vec![Coding::Deflate], zlib.finish().unwrap()),
            (vec![Coding::Deflate], raw.finish().unwrap()),
            (vec![Coding::Zstd], zstd(&text)),
            (vec![Coding::Zstd, Coding::Gzip], gzip(&zstd(&text))),
            (vec![Coding::Zstd], [zstd(b"one"), zstd(b"two")].concat()),
        ];
        for (codings, bytes) in coded {
            for step in [1, 7, 4096, bytes.len()] {
                let out = decode(&codings, &bytes, step).unwrap();
                assert!(out == text || out == b"onetwo", "{codings:?} in steps of {step}");
                if bytes.len() > 8 {
                    let cut = decode(&codings, &bytes[..bytes.len() - 5], step);
                    assert!(cut.is_err(), "{codings:?} cut off");
                }
            }
            assert!(decode(&codings, &[&bytes[..], b"hidden"].concat(), 64).is_err());
        }
    }

    #[test]
    fn brotli_is_decoded() {
        // "hello world\n" by `brotli -c`.
        let coded = [
            0x8f, 0x05, 0x80, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64,
            0x0a, 0x03,
        ];
        for step in [1, 3, 16] {
            assert_eq!(decode(&[Coding::Brotli], &coded, step).unwrap(), b"hello world\n");
            assert!(decode(&[Coding::Brotli], &coded[..12], step).is_err());
        }
        let hidden = [&coded[..], b"hidden"].concat();
        assert!(decode(&[Coding::Brotli], &hidden, 64).is_err());
        assert!(decode(&[Coding::Brotli], &hidden, 1).is_err());
    }

    #[test]
    fn a_bomb_is_refused_before_it_fills_the_memory() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert_eq!(decode(&[Coding::Gzip], &bomb, 4096), Err(TOO_MUCH));
        let twice = gzip(&gzip(&vec![0; 64 << 20]));
        assert_eq!(decode(&[Coding::Gzip, Coding::Gzip], &twice, 4096), Err(TOO_MUCH));
        let fine = gzip(&vec![0; 16 << 20]);
        assert_eq!(decode(&[Coding::Gzip], &fine, 4096).unwrap().len(), 16 << 20);
    }

    #[test]
    fn unknown_and_many_codings_are_refused() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_ENCODING, text.parse().unwrap());
            codings(&headers)
        };
        assert_eq!(of("gzip, br"), Ok(vec![Coding::Gzip, Coding::Brotli]));
        assert_eq!(of("identity"), Ok(Vec::new()));
        assert!(of("compress").is_err());
        assert!(of("gzip, gzip, gzip").is_err());
    }

    proptest::proptest! {
        /// Broken data is an error or something else than was sent, never a panic.
        #[test]
        fn hostile_data_breaks_no_decoder(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
            at in 0usize..400,
            step in 1usize..64,
        ) {
            let coded = [
                (Coding::Gzip, gzip(&bytes)),
                (Coding::Zstd, zstd(&bytes)),
                (Coding::Deflate, bytes.clone()),
                (Coding::Brotli, bytes.clone()),
                (Coding::Zstd, [&[0x28, 0xb5, 0x2f, 0xfd], &bytes[..]].concat()),
            ];
            for (coding, mut coded) in coded {
                let _ = decode(&[coding], &coded, step);
                if let Some(byte) = coded.get_mut(at) {
                    *byte ^= 0x55;
                }
                let _ = decode(&[coding], &coded, step);
            }
        }
    }
}
