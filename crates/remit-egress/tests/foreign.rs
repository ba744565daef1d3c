//! The cases of `http_desync_guardian` (Apache-2.0), each sent raw: what it classifies as ambiguous
//! or severe is refused, or reaches the server written anew, so that it classifies what the server
//! got as compliant or acceptable.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{collections::BTreeSet, fs};

use common::{
    foreign::{compare, source_of},
    front::{Answers, Form, Fronts},
    netns::isolated,
    policy::Rule,
};
use http_desync_guardian::{RequestSafetyTier, request_analyzer::HttpRequestData};

#[derive(Debug, Default)]
struct Case {
    name: String,
    method: Vec<u8>,
    uri: Vec<u8>,
    version: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    tier: String,
}

const FORMS: [Form; 3] =
    [Form::Transparent { tls: false }, Form::Connect { tls: true }, Form::Socks { tls: false }];

#[test]
fn what_desync_guardian_calls_ambiguous_is_never_forwarded_as_it_came() {
    if !isolated() {
        return;
    }
    let cases = cases();
    assert!(cases.len() >= 159, "{}", cases.len());
    // Where a rule restricts, there is something to get around.
    let methods = ["GET", "POST", "PUT", "HEAD"];
    let fronts = Fronts::new(vec![Rule::new("api.test", &[80, 443]).methods(&methods)]);
    let (mut passing, mut unsafe_ones) = (BTreeSet::new(), Vec::new());
    for case in &cases {
        let mut passes = true;
        for form in FORMS {
            for request in [case.bytes(false), case.bytes(true)] {
                fronts.forget();
                // What is sound, and for our host, is to pass; a busy machine may need longer.
                let wanted = case.tier == "Compliant" && request == case.bytes(true);
                let answered = |came: &Answers| came.statuses.first() == Some(&200);
                let mut came = fronts.send_briefly(form, &request);
                if wanted && !answered(&came) {
                    came = fronts.send(form, &request);
                }
                let reached = fronts.reached();
                let arrived: Vec<_> =
                    reached.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
                let tiers = arrived.iter().map(|(_, bytes)| classify(bytes));
                let safe = tiers.clone().all(|tier| tier <= RequestSafetyTier::Acceptable);
                let undecided = fronts.undecided();
                if !safe || undecided.is_some() {
                    let tiers: Vec<_> = tiers.collect();
                    let name = &case.name;
                    unsafe_ones
                        .push(format!("{name} {form:?} {tiers:?} {undecided:?} {}", arrived.len()));
                }
                passes &= safe;
                passes &= !wanted || answered(&came);
            }
        }
        if passes {
            passing.insert(case.name.clone());
        }
    }
    assert!(unsafe_ones.is_empty(), "{unsafe_ones:#?}");
    compare("desync_guardian.passing", &passing);
}

/// The worst of the heads in one connection's bytes; their bodies are as long as they say.
fn classify(bytes: &[u8]) -> RequestSafetyTier {
    let end =
        bytes.windows(4).position(|part| part == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    HttpRequestData::analyze_raw_request(&bytes[..end]).tier
}

impl Case {
    /// The request; `ours` makes it one to our host, as whoever attacks would.
    fn bytes(&self, ours: bool) -> Vec<u8> {
        let mut out = [&self.method[..], b" ", &self.uri, b" ", &self.version, b"\r\n"].concat();
        let mut body = b"0\r\n\r\n".to_vec();
        let mut named = false;
        for (name, value) in &self.headers {
            let host = name.eq_ignore_ascii_case(b"host");
            named |= host;
            let value = if ours && host { b"api.test" } else { &value[..] };
            out.extend_from_slice(&[&name[..], b": ", value, b"\r\n"].concat());
            if name.eq_ignore_ascii_case(b"content-length")
                && let Some(length) = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok())
            {
                body = vec![b'a'; usize::min(length, 10_000)];
            }
        }
        if ours && !named {
            out.extend_from_slice(b"Host: api.test\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if self.method != b"GET" || body != b"0\r\n\r\n" {
            out.extend_from_slice(&body);
        }
        out
    }
}

/// All cases. The files use one shape of YAML only, so one is enough to read them.
fn cases() -> Vec<Case> {
    let folder = source_of("http_desync_guardian").join("tests");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|one| one.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = scalar(value.trim());
            let case: Option<&mut Case> = cases.last_mut();
            match (key, case) {
                ("- name", _) => cases.push(Case {
                    name: format!("{stem}: {}", value.escape_ascii()),
                    ..Case::default()
                }),
                ("  uri", Some(case)) => case.uri = value,
                ("  method", Some(case)) => case.method = value,
                ("  version", Some(case)) => case.version = value,
                ("    - name", Some(case)) => case.headers.push((value, Vec::new())),
                ("      value", Some(case)) => case.headers.last_mut().unwrap().1 = value,
                ("    tier", Some(case)) => case.tier = String::from_utf8(value).unwrap(),
                _ => {}
            }
        }
    }
    cases
}

/// A plain or quoted scalar with the escapes that the cases use in both.
fn scalar(text: &str) -> Vec<u8> {
    let quoted = |mark: char| text.strip_prefix(mark).and_then(|text| text.strip_suffix(mark));
    let text = quoted('"').or_else(|| quoted('\'')).unwrap_or(text);
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        let (bytes, used): (&[u8], usize) = match (first, tail) {
            (b'\\', [b'x', a, b, ..]) => {
                let code = std::str::from_utf8(&[*a, *b]).map(|hex| u8::from_str_radix(hex, 16));
                out.push(code.unwrap().unwrap());
                (b"", 4)
            }
            (b'\\', [b't', ..]) => (b"\t", 2),
            (b'\\', [b'r', ..]) => (b"\r", 2),
            (b'\\', [b'n', ..]) => (b"\n", 2),
            (b'\\', [b'0', ..]) => (b"\0", 2),
            (b'\\', [other, ..]) => (std::slice::from_ref(other), 2),
            _ => (std::slice::from_ref(first), 1),
        };
        out.extend_from_slice(bytes);
        rest = &rest[used..];
    }
    out
}
