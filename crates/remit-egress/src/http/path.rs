//! The one path that is decided on and sent (RFC 3986, 3.3), and the other ways in which a server
//! may read it.
//!
//! Servers decode, merge and resolve paths in different orders. Spellings that nobody needs and
//! that lead out of a prefix somewhere are refused outright. An encoded slash or a parameter is
//! needed by real programs (`/@scope%2fname` of package registries); such a path passes only if
//! every reading of it is permitted.

use remit_core::ReasonCode;

use crate::refusal::Fault;

/// A path without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CanonicalPath {
    /// Decided on, and sent as it is.
    pub(crate) path: String,
    /// How else it may be read; each must be permitted, too.
    pub(crate) readings: Vec<String>,
    /// It holds bytes that lenient decoders take for other characters; in Latin-1 they are letters.
    pub(crate) overlong: bool,
}

impl CanonicalPath {
    fn plain(path: &str) -> Self {
        Self { path: path.to_owned(), readings: Vec::new(), overlong: false }
    }
}

/// Judges a path as it stands in a request target.
///
/// # Errors
/// [`ReasonCode::AmbiguousPath`] for a spelling that servers read in different ways.
pub(crate) fn canonical(path: &str) -> Result<CanonicalPath, Fault> {
    let bad = |detail| Err(Fault::new(ReasonCode::AmbiguousPath, detail));
    if path == "*" {
        return Ok(CanonicalPath::plain(path));
    }
    if !path.starts_with('/') {
        return bad("path does not begin with a slash");
    }
    if path.bytes().any(|byte| !matches!(byte, 0x21..=0x7e) || matches!(byte, b'\\' | b'?' | b'#'))
    {
        return bad("byte in the path that must be percent-encoded");
    }
    let odd = path.bytes().any(|byte| matches!(byte, b'%' | b';')) || path.contains("//");
    if !odd {
        return match path.split('/').any(is_dots) {
            true => bad("dot segment"),
            false => Ok(CanonicalPath::plain(path)),
        };
    }
    let (mut readings, mut overlong) = (Vec::new(), false);
    let mut layer = path.as_bytes().to_vec();
    for depth in 0..=MOST_LAYERS {
        if layer.iter().any(|byte| *byte < 0x20 || *byte == 0x7f || *byte == b'\\') {
            return bad("encoded control byte or backslash");
        }
        overlong |= is_overlong(&layer);
        // To whoever decodes before splitting, the path ends at a question mark or number sign.
        let end = layer.iter().position(|byte| matches!(byte, b'?' | b'#'));
        let cut = end.and_then(|end| layer.get(..end));
        let whole = [(layer.as_slice(), false), (layer.as_slice(), true)];
        for (bytes, strip) in whole.into_iter().chain(cut.map(|cut| (cut, true))) {
            let reading = flatten(bytes, strip)?;
            if reading != path && !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        let Some(next) = decode(&layer, depth == 0)? else {
            let readings = relevant(path, readings);
            return Ok(CanonicalPath { path: path.to_owned(), readings, overlong });
        };
        layer = next;
    }
    bad("path encoded many times over")
}

/// A plain encoded character (`%20`, `%C3%A9`) means itself to every server; only when slashes,
/// parameters or percent signs are encoded do the readings differ in what they lead to.
fn relevant(path: &str, readings: Vec<String>) -> Vec<String> {
    let lower = path.to_ascii_lowercase();
    let differs =
        ["%2f", "%25", "%3b", "%2e", "%3f", "%23", ";", "//"].iter().any(|odd| lower.contains(odd));
    if differs { readings } else { Vec::new() }
}

/// Characters in more bytes than UTF-8 permits (RFC 3629, 3): `C0 AE` is a dot to some.
fn is_overlong(layer: &[u8]) -> bool {
    layer.windows(2).any(|pair| {
        matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f])
    })
}

/// One layer of percent-decoding; `None` when there is nothing to decode.
fn decode(bytes: &[u8], strict: bool) -> Result<Option<Vec<u8>>, Fault> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut any = false;
    while let Some((first, tail)) = rest.split_first() {
        if *first != b'%' {
            out.push(*first);
            rest = tail;
            continue;
        }
        match tail.split_first_chunk::<2>().map(|([a, b], after)| (hex(*a), hex(*b), after)) {
            Some((Some(high), Some(low), after)) => {
                any = true;
                out.push(high << 4 | low);
                rest = after;
            }
            _ if strict => {
                return Err(Fault::new(
                    ReasonCode::AmbiguousPath,
                    "percent sign without two digits",
                ));
            }
            // `%25` alone means a percent sign.
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    Ok(any.then_some(out))
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Slashes merged, parameters cut where `strip`; dot segments are refused in every reading.
fn flatten(layer: &[u8], strip: bool) -> Result<String, Fault> {
    let text = String::from_utf8_lossy(layer);
    let mut out = String::with_capacity(text.len());
    let mut last_empty = false;
    for (index, segment) in text.split('/').enumerate() {
        let bare = segment.split(';').next().unwrap_or_default();
        // Also where a parameter before it hides that the path ends at it.
        let ended = segment.split([';', '?', '#']).next().unwrap_or_default();
        if is_dots(bare) || is_dots(segment) || is_dots(ended) {
            return Err(Fault::new(ReasonCode::AmbiguousPath, "dot segment"));
        }
        let segment = if strip { bare } else { segment };
        if index == 0 {
            continue;
        }
        last_empty = segment.is_empty();
        if !last_empty {
            out.push('/');
            out.push_str(segment);
        }
    }
    if last_empty || out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// `.` and `..`, also with the spaces and dots that some servers drop at the end.
fn is_dots(segment: &str) -> bool {
    let bare = segment.trim_matches(' ');
    !bare.is_empty() && bare.bytes().all(|byte| byte == b'.') && bare.len() <= 3
}

const MOST_LAYERS: usize = 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ways_out_of_a_prefix_are_refused_in_every_spelling() {
        for bad in [
            "/pub/../admin",
            "/pub/./x",
            "/pub/..",
            "/pub/%2e%2e/admin",
            "/pub/.%2E/admin",
            "/pub/%2e/x",
            "/pub/..%2fadmin",
            "/pub/..%5cadmin",
            "/pub%5c..%5cadmin",
            "/pub\\..\\admin",
            "/pub/%252e%252e/admin",
            "/pub/..%252fadmin",
            "/pub/%25252e%25252e%25252fadmin",
            "/pub/..;/admin",
            "/pub/..;a=b/admin",
            "/pub/..%3f/admin",
            "/pub/..%23",
            "/pub/..%253fx",
            "/pub/;%23/x/..%23y",
            "/pub/;%3f/x/..%3fy",
            "/pub/#x",
            "/pub/%2e%2e%3b/admin",
            "/pub/%00",
            "/pub/%0d%0aX",
            "/pub/%2500",
            "/pub/%7f",
            "/pub/%",
            "/pub/%4",
            "/pub/%zz",
            "/pub/%u002e",
            "/pub/..%20/x",
            "/pub/\u{e9}",
            "/pub/%2525252525252e",
            "pub",
            "",
        ] {
            let fault = canonical(bad).unwrap_err();
            assert_eq!(fault.reason, ReasonCode::AmbiguousPath, "{bad}");
        }
    }

    #[test]
    fn real_paths_pass_unchanged() {
        for good in [
            "/",
            "/v1/messages",
            "/a/b.c/..d/e..",
            "/%20/%C3%A9/%7Euser",
            "/a/...././b".strip_suffix("/./b").unwrap(),
            "*",
        ] {
            let path = canonical(good).unwrap();
            assert_eq!((path.path.as_str(), path.readings.len()), (good, 0), "{good}");
        }
    }

    #[test]
    fn other_readings_are_named() {
        let readings = |path| canonical(path).unwrap().readings;
        assert_eq!(readings("/@scope%2fname"), ["/@scope/name"]);
        assert_eq!(readings("/a;v=1/b"), ["/a/b"]);
        assert_eq!(readings("/a//b"), ["/a/b"]);
        assert_eq!(readings("//admin"), ["/admin"]);
        assert_eq!(readings("/a%252fb"), ["/a%2fb", "/a/b"]);
        assert_eq!(readings("/100%25"), ["/100%"]);
        assert_eq!(readings("/a%3fb"), ["/a?b", "/a"]);
    }

    #[test]
    fn overlong_characters_are_seen_in_every_layer() {
        let overlong = |path| canonical(path).unwrap().overlong;
        for odd in ["/a/%c0%ae%c0%ae/b", "/a%C0%AFb", "/%e0%80%ae", "/%f0%80%80%ae", "/%25c0%25ae"]
        {
            assert!(overlong(odd), "{odd}");
        }
        for plain in ["/caf%C3%A9", "/caf%e9", "/%e2%82%ac", "/%C0lbum", "/plain"] {
            assert!(!overlong(plain), "{plain}");
        }
    }

    proptest! {
        #[test]
        fn no_reading_of_an_accepted_path_holds_a_dot_segment(
            parts in proptest::collection::vec("(%2[efEF5]|%5[cC]|\\.|/|;|a|%25|%3[bB])", 0..12),
        ) {
            let path = format!("/{}", parts.concat());
            if let Ok(canonical) = canonical(&path) {
                let mut text = path.clone();
                for _ in 0..6 {
                    let plain = text.replace(['\\'], "/");
                    for segment in plain.split('/') {
                        let bare = segment.split(';').next().unwrap();
                        prop_assert!(bare != "." && bare != "..", "{path} {text}");
                    }
                    let mut next = text.clone();
                    for (from, to) in
                        [("%2e", "."), ("%2E", "."), ("%2f", "/"), ("%2F", "/"), ("%5c", "\\"),
                         ("%5C", "\\"), ("%3b", ";"), ("%3B", ";"), ("%25", "%")]
                    {
                        next = next.replace(from, to);
                    }
                    text = next;
                }
                prop_assert_eq!(canonical.path, path);
            }
        }
    }
}
