//! The cases of the WHATWG URL standard (in the source of `url`) and of UTS 46 (in the source of
//! `idna`), through every place that takes a host.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, unreachable_pub)]

use std::{collections::BTreeSet, fs};

use remit_core::Host;

use super::hosts::{Agreement, agreement};

#[path = "../../tests/common/foreign.rs"]
mod lists;

#[test]
fn hosts_of_the_url_standard_mean_the_same_here() {
    let path = lists::source_of("url").join("tests/urltestdata.json");
    let cases: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut passing = BTreeSet::new();
    let mut count = 0;
    for case in cases.as_array().unwrap() {
        let Some(input) = case["input"].as_str() else { continue };
        for text in hosts_in(input) {
            count += 1;
            if agreement(&text) != Agreement::Stricter {
                passing.insert(text.escape_default().to_string());
            }
        }
    }
    assert!(count > 600, "{count}");
    lists::compare("urltestdata.passing", &passing);
}

/// The text in an input's place of a host, with and without user information and port; and the
/// input itself, since rules and requests may hold anything.
fn hosts_in(input: &str) -> Vec<String> {
    let mut found = vec![input.to_owned()];
    let Some((_, rest)) = input.split_once(':') else { return found };
    let rest = rest.trim_start_matches(['/', '\\']);
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    found.push(authority.to_owned());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    found.push(host.to_owned());
    if let Some((host, _)) = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        found.push(host.to_owned());
    }
    found.dedup();
    found
}

#[test]
fn names_of_uts_46_mean_the_same_here() {
    let path = lists::source_of("idna").join("tests/IdnaTestV2.txt");
    let text = fs::read_to_string(path).unwrap();
    let mut passing = BTreeSet::new();
    let mut count = 0;
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let columns: Vec<&str> = line.split(';').map(str::trim).collect();
        let [source, unicode, unicode_status, ascii, ascii_status, ..] = columns[..] else {
            continue;
        };
        let Some(source) = unescape(source) else { continue };
        count += 1;
        let or =
            |own: &str, other: &str| if own.is_empty() { other.to_owned() } else { own.to_owned() };
        let unicode = or(unicode, &source);
        let ascii = unescape(&or(ascii, &unicode)).unwrap_or_default();
        let status = or(ascii_status, unicode_status);
        let sound = matches!(status.as_str(), "" | "[]");
        let agrees = agreement(&source);
        if let Ok(host) = Host::parse(&source) {
            // Hyphens in places where UTS 46 wants none are in many names that exist.
            let hyphens =
                source.is_ascii() && matches!(status.as_str(), "[V2]" | "[V3]" | "[V2, V3]");
            // One dot at the end is dropped before all else.
            let dot = source.ends_with('.') && status.contains("A4_2");
            // The table knows Unicode 16; characters that were added later are sound now.
            let written = unescape(&unicode).unwrap_or_default();
            let later = status.contains("V7") && written.chars().any(is_later);
            let dot = dot && (status == "[A4_2]" || later);
            assert!(sound || hyphens || dot || later, "{source:?} has {status}");
            let ascii = if hyphens { source.to_ascii_lowercase() } else { ascii };
            assert_eq!(host.to_string(), ascii.strip_suffix('.').unwrap_or(&ascii), "{source:?}");
        }
        if agrees != Agreement::Stricter || !sound {
            passing.insert(number + 1);
        }
    }
    assert!(count > 6000, "{count}");
    lists::compare_lines("idna_test_v2.passing", &passing);
}

/// Ideographs and seal script that came after Unicode 16.
fn is_later(character: char) -> bool {
    matches!(u32::from(character), 0x323b0..=0x33479 | 0x3d000..=0x3fc3f)
}

/// `\uXXXX`, `\x{XXXX}` and `""`; nothing for what is no text (a lone surrogate).
fn unescape(text: &str) -> Option<String> {
    if text == "\"\"" {
        return Some(String::new());
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (digits, after) = match rest[at..].strip_prefix("\\x{") {
            Some(braced) => braced.split_once('}')?,
            None => (rest.get(at + 2..at + 6)?, rest.get(at + 6..)?),
        };
        out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[test]
fn other_spellings_of_an_address_match_no_rule() {
    for odd in [
        "2130706433",
        "0x7f000001",
        "0x7F.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.000.000.001",
        "127.0.0.0x1",
        "0x7f.1",
        "1２7.0.0.1",
        "127。0。0。1",
        "[::ffff:127.0.0.1]",
        "::ffff:127.0.0.1",
        "[::ffff:7f00:1]",
        "[::127.0.0.1%lo]",
        "[::1%25lo]",
        "::1%lo",
        "[fe80::1%eth0]",
        "[0:0:0:0:0:0:0:1]",
        "[::0001]",
        "[0::1]",
        "[::1",
        "::1]",
        "[[::1]]",
        "[127.0.0.1]",
        "%31%32%37.0.0.1",
        "127.0.0.1:80",
        " 127.0.0.1",
        "127.0.0.1 ",
        "4294967296",
    ] {
        assert!(Host::parse(odd).is_err(), "{odd:?}");
        assert_ne!(agreement(odd), Agreement::Same, "{odd:?}");
    }
    for own in ["127.0.0.1", "::1", "[::1]", "[2001:db8::1]", "FE80::1"] {
        assert_eq!(agreement(own), Agreement::Same, "{own:?}");
    }
}
