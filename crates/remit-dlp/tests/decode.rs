//! A value behind every encoding, at its place in the original.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::io::Write as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use remit_dlp::{Found, Scanner, UnreadReason};

/// Made up here so that no scanner takes this file for a leak.
fn key() -> String {
    format!("{}{}", "AKIA", "Q7RT2MZX4KPLW9VB")
}

fn sentence() -> String {
    format!("the deploy key is {} for now", key())
}

fn found(text: &[u8]) -> Vec<Found> {
    Scanner::new().scan(text).into_iter().filter(|one| one.class.as_str() == "API_KEY").collect()
}

/// `bzip2` of the sentence.
const BZIP2: &[u8] =
    b"\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\x11\x74\x36\x08\x00\x00\x15\x1f\x80\x40\
        \x00\x14\xa0\x30\x2e\x75\xd0\x07\x6d\xdc\xa0\x20\x00\x31\x8d\x31\x18\x46\x98\x00\
        \x00\x2a\x7a\x99\x00\x69\xa7\xa4\xde\xa4\x01\xe4\x9f\x0b\xe8\xc4\x88\x88\xc2\x00\
        \xce\x12\xd5\xce\x31\xb4\xa7\x37\xf3\xc7\x6d\x52\x62\x97\x88\x9e\xaa\xd2\xb6\x97\
        \xe2\xee\x48\xa7\x0a\x12\x02\x2e\x86\xc1\x00";

/// Found once, behind these, and no longer than the encoding of the value needs.
fn assert_found(name: &str, text: &[u8], via: &[&str]) {
    let all = found(text);
    assert!(
        !all.is_empty(),
        "{name}: nothing in {}",
        String::from_utf8_lossy(&text[..text.len().min(200)])
    );
    let chain: Vec<&str> = all[0].via.iter().map(|via| via.as_str()).collect();
    assert_eq!(chain, via, "{name}");
    assert!(all[0].range.end <= text.len(), "{name}");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(text).expect("memory");
    writer.finish().expect("memory")
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in members {
        let mut writer = DeflateEncoder::new(Vec::new(), Compression::default());
        writer.write_all(text).expect("memory");
        let packed = writer.finish().expect("memory");
        let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        common.extend(crc32fast::hash(text).to_le_bytes());
        common.extend(u32::try_from(packed.len()).expect("small").to_le_bytes());
        common.extend(u32::try_from(text.len()).expect("small").to_le_bytes());
        common.extend(u16::try_from(name.len()).expect("small").to_le_bytes());
        common.extend([0, 0]);
        let offset = u32::try_from(archive.len()).expect("small");
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(&packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = u32::try_from(archive.len()).expect("small");
    let count = u16::try_from(members.len()).expect("small");
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(u32::try_from(directory.len()).expect("small").to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

fn tar(text: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..5].copy_from_slice(b"a.txt");
    header[124..135].copy_from_slice(format!("{:011o}", text.len()).as_bytes());
    header[257..262].copy_from_slice(b"ustar");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.extend(text);
    header.resize(512 * (1 + text.len().div_ceil(512)) + 1024, 0);
    header
}

fn base32(text: &[u8]) -> String {
    let bits: String = text.iter().map(|byte| format!("{byte:08b}")).collect();
    bits.as_bytes()
        .chunks(5)
        .map(|chunk| {
            let chunk = String::from_utf8_lossy(chunk);
            let value = usize::from_str_radix(&format!("{chunk:0<5}"), 2).expect("bits");
            char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[value])
        })
        .collect()
}

#[test]
fn encodings_of_bytes() {
    let (key, sentence) = (key(), sentence());
    assert_found("plain", sentence.as_bytes(), &[]);
    let once = STANDARD.encode(&key);
    assert_found("base64", format!("x={once}").as_bytes(), &["base64"]);
    assert_found("base64 of a sentence", STANDARD.encode(&sentence).as_bytes(), &["base64"]);
    assert_found("base64 twice", STANDARD.encode(&once).as_bytes(), &["base64", "base64"]);
    assert_found("base64url", URL_SAFE_NO_PAD.encode(format!("{key}??>>")).as_bytes(), &["base64"]);
    let long = STANDARD.encode(format!("{sentence}\n").repeat(4));
    let lines: Vec<&str> =
        long.as_bytes().chunks(60).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    assert_found("base64 in lines", lines.join("\n").as_bytes(), &["base64"]);
    assert_found("base64 in indented lines", lines.join("\r\n  ").as_bytes(), &["base64"]);
    assert_found("base32", base32(sentence.as_bytes()).as_bytes(), &["base32"]);
    let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_found("hex", format!("data: {hex}").as_bytes(), &["hex"]);
    let spaced: Vec<String> = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_found("spaced hex", spaced.join(" ").as_bytes(), &["hex"]);
    assert_found("hex with colons", spaced.join(":").as_bytes(), &["hex"]);
    assert_found(
        "gzip in base64",
        STANDARD.encode(gzip(sentence.as_bytes())).as_bytes(),
        &["base64", "gzip"],
    );
}

#[test]
fn a_span_behind_base64_is_no_longer_than_its_encoding() {
    let text = STANDARD.encode(format!("{} {} {}", "x".repeat(300), key(), "y ".repeat(300)));
    let all = found(text.as_bytes());
    assert_eq!(all.len(), 1);
    assert!(all[0].range.len() <= key().len() * 2, "{:?}", all[0].range);
    assert!((390..=410).contains(&all[0].range.start), "{:?}", all[0].range);
}

#[test]
fn encodings_of_characters() {
    let key = key();
    let each = |make: &dyn Fn(char) -> String| key.chars().map(make).collect::<String>();
    assert_found(
        "percent",
        each(&|letter| format!("%{:02X}", u32::from(letter))).as_bytes(),
        &["percent"],
    );
    assert_found(
        "JSON",
        each(&|letter| format!("\\u{:04x}", u32::from(letter))).as_bytes(),
        &["escape"],
    );
    assert_found(
        "JavaScript",
        each(&|letter| format!("\\x{:02x}", u32::from(letter))).as_bytes(),
        &["escape"],
    );
    assert_found(
        "HTML",
        each(&|letter| format!("&#{};", u32::from(letter))).as_bytes(),
        &["html-entity"],
    );
    assert_found(
        "quoted-printable",
        each(&|letter| format!("={:02X}", u32::from(letter))).as_bytes(),
        &["quoted-printable"],
    );
    assert_found(
        "soft break",
        format!("{}=\r\n{}=3D", &key[..9], &key[9..]).as_bytes(),
        &["quoted-printable"],
    );
    assert_found("spaced out", each(&|letter| format!("{letter} ")).as_bytes(), &["spaced-out"]);
    assert_found(
        "zero width",
        each(&|letter| format!("{letter}\u{200b}")).as_bytes(),
        &["zero-width"],
    );
    assert_found(
        "full width",
        each(&|letter| char::from_u32(u32::from(letter) + 0xfee0).expect("a letter").to_string())
            .as_bytes(),
        &["full-width"],
    );
    assert_found(
        "homoglyphs",
        key.replace('A', "\u{410}").replace('K', "\u{41a}").as_bytes(),
        &["homoglyph"],
    );
    assert_found(
        "joined",
        format!("k = \"{}\" + \"{}\"", &key[..9], &key[9..]).as_bytes(),
        &["joined"],
    );
    assert_found(
        "joined lines",
        format!("k = ('{}'\n     '{}')", &key[..9], &key[9..]).as_bytes(),
        &["joined"],
    );
    let wide: Vec<u8> = sentence().encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_found("UTF-16", &wide, &["utf-16"]);
    let wide: Vec<u8> =
        [0xfeff].into_iter().chain(sentence().encode_utf16()).flat_map(u16::to_be_bytes).collect();
    assert_found("UTF-16 with a mark", &wide, &["utf-16"]);
}

#[test]
fn archives_and_documents() {
    let sentence = sentence();
    assert_found("gzip", &gzip(sentence.as_bytes()), &["gzip"]);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(sentence.as_bytes()).expect("memory");
    assert_found("zlib", &zlib.finish().expect("memory"), &["deflate"]);
    let bzip2 = BZIP2;
    assert_found("bzip2", bzip2, &["bzip2"]);
    let zstd = ruzstd::encoding::compress_to_vec(
        sentence.as_bytes(),
        ruzstd::encoding::CompressionLevel::Uncompressed,
    );
    assert_found("zstd", &zstd, &["zstd"]);
    let inner = zip(&[("a/b.txt", sentence.as_bytes())]);
    assert_found("zip", &inner, &["zip"]);
    assert_found("zip in zip", &zip(&[("inner.zip", &inner)]), &["zip", "zip"]);
    assert_found("tar", &tar(sentence.as_bytes()), &["tar"]);
    assert_found("tar.gz", &gzip(&tar(sentence.as_bytes())), &["gzip", "tar"]);
    let key = key();
    let document = format!(
        "<w:document><w:p><w:r><w:t>key {}</w:t></w:r><w:r><w:t>{}</w:t></w:r></w:p></w:document>",
        &key[..7],
        &key[7..]
    );
    assert_found(
        "docx",
        &zip(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", document.as_bytes())]),
        &["office"],
    );
    let shared = format!("<sst><si><t>mail</t></si><si><t>key {key}</t></si></sst>");
    let sheet = "<worksheet><sheetData><row><c t=\"s\"><v>0</v></c><c t=\"s\"><v>1</v></c></row></sheetData></worksheet>";
    assert_found(
        "xlsx",
        &zip(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("xl/sharedStrings.xml", shared.as_bytes()),
            ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ]),
        &["office"],
    );
    let content = format!(
        "BT /F1 12 Tf (key {}) Tj ET\nBT [({}) -20 ({})] TJ ET",
        "none",
        &key[..5],
        &key[5..]
    );
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(content.as_bytes()).expect("memory");
    let packed = zlib.finish().expect("memory");
    let mut pdf =
        format!("%PDF-1.4\n4 0 obj\n<< /Length {} /Filter /FlateDecode >>\nstream\n", packed.len())
            .into_bytes();
    pdf.extend(packed);
    pdf.extend(b"\nendstream\nendobj\ntrailer\n<< >>\n%%EOF\n");
    assert_found("PDF", &pdf, &["pdf"]);
    let mut form = b"--x\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n".to_vec();
    form.extend(&inner);
    form.extend(b"\r\n--x--\r\n");
    assert_found("a form with a file", &form, &["zip"]);
}

#[test]
fn a_decompression_bomb_is_reported_and_not_unpacked() {
    let bomb = gzip(&vec![0; 200 << 20]);
    let inspection = Scanner::new().inspect(&bomb);
    assert!(
        inspection.unread.iter().any(|unread| unread.reason == UnreadReason::TooLarge),
        "{:?}",
        inspection.unread
    );
    let mut nested = sentence().into_bytes();
    for _ in 0..12 {
        nested = gzip(&nested);
    }
    let inspection = Scanner::new().inspect(&nested);
    assert!(
        inspection.unread.iter().any(|unread| unread.reason == UnreadReason::TooDeep),
        "{:?}",
        inspection.unread
    );
}

#[test]
fn a_truncated_archive_is_reported_and_its_readable_part_read() {
    let text = format!(
        "{}\n{}",
        sentence(),
        (0..20_000).map(|number| format!("line {number}\n")).collect::<String>()
    );
    let whole = gzip(text.as_bytes());
    let inspection = Scanner::new().inspect(&whole[..whole.len() / 2]);
    assert!(inspection.unread.iter().any(|unread| unread.reason == UnreadReason::Damaged));
    assert!(inspection.found.iter().any(|one| one.class.as_str() == "API_KEY"));
    let archive = zip(&[("a.txt", sentence().as_bytes()), ("b.txt", text.as_bytes())]);
    let inspection = Scanner::new().inspect(&archive[..archive.len() - 300]);
    assert!(inspection.unread.iter().any(|unread| unread.reason == UnreadReason::Damaged));
    assert!(inspection.found.iter().any(|one| one.class.as_str() == "API_KEY"));
}

/// One value that somebody handed in.
struct Value(&'static [u8]);

impl remit_core::Detector for Value {
    fn find(&self, text: &[u8]) -> Vec<remit_core::Finding> {
        let class = remit_core::DataClass::parse("CANARY").expect("a class");
        let starts = (0..text.len()).filter(|start| text[*start..].starts_with(self.0));
        starts
            .map(|start| remit_core::Finding {
                range: start..start + self.0.len(),
                class: class.clone(),
            })
            .collect()
    }

    fn reach(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn a_known_value_is_found_in_every_encoding_also_reversed_and_shifted() {
    let scanner = Scanner::new().with_known(std::sync::Arc::new(Value(b"blue heron at noon")));
    let found = |text: &[u8]| -> Vec<Vec<&'static str>> {
        let all = scanner.scan(text);
        let known = all.into_iter().filter(|one| one.class.as_str() == "CANARY");
        known.map(|one| one.via.iter().map(|via| via.as_str()).collect()).collect()
    };
    assert_eq!(found(b"say blue heron at noon."), [Vec::<&str>::new()]);
    assert_eq!(found(b"say noon ta noreh eulb."), [["reversed"]]);
    assert_eq!(found(b"say oyhr ureba ng abba."), [["rot13"]]);
    let encoded = STANDARD.encode("say noon ta noreh eulb.");
    assert_eq!(found(encoded.as_bytes()), [["base64", "reversed"]]);
    assert!(found(b"say red heron at noon.").is_empty());
}

#[test]
fn a_packed_text_with_any_bit_flipped_is_read_without_a_panic() {
    let sentence = sentence();
    let zstd = ruzstd::encoding::compress_to_vec(
        sentence.as_bytes(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let archive = zip(&[("a.txt", sentence.as_bytes())]);
    for whole in [BZIP2, &zstd, &archive, &gzip(sentence.as_bytes()), &tar(sentence.as_bytes())] {
        for bit in 0..whole.len().min(700) * 8 {
            let mut damaged = whole.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            for one in Scanner::new().scan(&damaged) {
                assert!(one.range.end <= damaged.len());
            }
        }
    }
}
