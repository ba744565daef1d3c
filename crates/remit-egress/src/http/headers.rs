//! Headers that belong to one connection only (RFC 9110, 7.6.1), and the differences between the
//! protocol versions.

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{self, Entry},
};

use crate::refusal::Fault;

const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Makes an agent's request headers fit for the server.
pub(crate) fn for_server(headers: &mut HeaderMap) {
    let trailers = headers
        .get_all(header::TE)
        .iter()
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    drop_hop_by_hop(headers);
    headers.remove(header::TE);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    // The host was decided on; another name for it may not travel beside (RFC 7239, 8).
    headers.remove(header::FORWARDED);
    headers.remove("x-forwarded-host");
    headers.remove("x_forwarded_host");
    // The agent gets its `100 Continue` when the server's connection takes the body.
    headers.remove(header::EXPECT);
    join_cookies(headers);
}

/// Whether a header asks a server to act on another method or path than the request line's.
pub(crate) fn overrides(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| is_override(name.as_str().as_bytes()))
}

fn is_override(name: &[u8]) -> bool {
    // To CGI and its heirs a low line is a hyphen (RFC 3875, 4.1.18).
    let hyphened = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    let same = |own: &&str| own.len() == name.len() && name.iter().map(hyphened).eq(own.bytes());
    matches!(name.first(), Some(b'x' | b'X')) && OVERRIDES.iter().any(same)
}

/// Whether some servers take a header for one that says where a message ends or whom it is for.
///
/// To CGI and its heirs a low line is a hyphen, and some readers skip what no name should hold.
pub(crate) fn is_disguised(name: &[u8]) -> bool {
    let letters = |name: &[u8], own: &[u8]| {
        let own = own.iter().filter(|byte| byte.is_ascii_alphanumeric()).copied();
        name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).eq(own)
    };
    DISGUISED.iter().any(|own| letters(name, own) && !name.eq_ignore_ascii_case(own))
}

/// What the strict reader checks on HTTP/1, for headers that came over HTTP/2.
pub(crate) fn check_framing(headers: &HeaderMap) -> Result<(), Fault> {
    if headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(Fault::malformed("more than one Content-Length"));
    }
    if headers.keys().any(|name| is_disguised(name.as_str().as_bytes())) {
        return Err(Fault::malformed("header that some servers take for another"));
    }
    Ok(())
}

/// Whether a field must not stand in trailers: it says where the message ends, whom it is for or
/// who asks, and was decided on in the head (RFC 9110, 6.5.1).
pub(crate) fn is_for_head(name: &[u8]) -> bool {
    let named = |own: &&str| name.eq_ignore_ascii_case(own.as_bytes());
    FOR_HEAD.iter().any(named) || is_disguised(name) || is_override(name)
}

/// Drops what must not stand in trailers.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    let bad: Vec<HeaderName> =
        trailers.keys().filter(|name| is_for_head(name.as_str().as_bytes())).cloned().collect();
    for name in bad {
        trailers.remove(name);
    }
}

/// Makes a server's response headers fit for the agent.
pub(crate) fn for_agent(headers: &mut HeaderMap) {
    drop_hop_by_hop(headers);
    // Other ways to the same server (HTTP/3, other ports) are not open to the agent.
    headers.remove(header::ALT_SVC);
}

/// The authority's place differs: `Host` in HTTP/1, the URI in HTTP/2.
pub(crate) fn place_host(headers: &mut HeaderMap, host: HeaderValue, version: Version) {
    headers.remove(header::HOST);
    if version != Version::HTTP_2 {
        headers.insert(header::HOST, host);
    }
}

const OVERRIDES: [&str; 7] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-override-url",
];

const DISGUISED: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"host"];

const FOR_HEAD: [&str; 12] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "forwarded",
    "host",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-host",
];

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
            // Naming these would change what the message is; they are not the sender's to drop.
            .filter(|name| *name != header::CONTENT_LENGTH && *name != header::HOST)
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// HTTP/2 may send cookies in pieces; elsewhere they are one line (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    if pieces.next().is_none() || pieces.next().is_none() {
        return;
    }
    let Entry::Occupied(entry) = headers.entry(header::COOKIE) else { return };
    let pieces: Vec<Vec<u8>> =
        entry.remove_entry_mult().1.map(|value| value.as_bytes().to_vec()).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn connection_headers_stop_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-secret, content-length"),
            ("keep-alive", "timeout=5"),
            ("x-secret", "1"),
            ("content-length", "3"),
            ("te", "trailers"),
            ("proxy-authorization", "Basic eA=="),
            ("expect", "100-continue"),
            ("forwarded", "host=evil.test"),
            ("x-forwarded-host", "evil.test"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ] {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        for_server(&mut headers);
        let mut left: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        left.sort();
        assert_eq!(left, ["content-length: 3", "cookie: a=1; b=2", "te: trailers"]);
    }
}
