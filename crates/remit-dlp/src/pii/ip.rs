//! Addresses of the internet: those that lead to somebody (not loopback, private, documentation).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    cue::{Around, Cue},
    number::Number,
};
use crate::{
    context::Role,
    found::{Class, Hit},
    text::{before, byte, part, run},
};

/// The IPv4 address that a number is.
pub(crate) fn v4(around: &Around<'_>, number: &Number) -> Option<Hit> {
    let whole = number.part(0, 4);
    let text = around.text;
    let range = whole.range();
    if whole.groups() != 4 || whole.separator(text) != Some(b'.') || number.embedded {
        return None;
    }
    // More numbers after another dot are a version or a name in the reverse zone.
    let next = byte(text, range.end);
    if number.groups() > 4 && next == b'.'
        || next.is_ascii_alphabetic()
        || next == b'_'
        || next == b'-' && byte(text, range.end + 1).is_ascii_alphabetic()
    {
        return None;
    }
    if matches!(before(text, range.start), b'v' | b'V' | b'/' | b'=' | b'~' | b'^')
        && before(text, range.start - 1) == b'='
        || next == b'/' && number.groups() > 4 && !slash_is_port(text, range.end)
    {
        return None;
    }
    let address: Ipv4Addr = std::str::from_utf8(part(text, range.clone())).ok()?.parse().ok()?;
    if !leads_somewhere_v4(address) {
        return None;
    }
    let octets = address.octets();
    let cue = around.cue(range.start, &[Role::Ip]);
    let versioned = around.said(range.start, b"version")
        || around.said(range.start, b"ver.")
        || around.said(range.start, b"release");
    let small = octets.iter().all(|octet| *octet < 25)
        || octets.iter().filter(|octet| **octet == 0).count() >= 2;
    match cue {
        Cue::Yes => Some(Hit::new(range, Class::IpAddress, 95, "ipv4")),
        // Object identifiers start so (X.660).
        _ if octets.first().is_some_and(|first| *first <= 2)
            && octets.get(1).is_some_and(|second| *second < 40) =>
        {
            None
        }
        _ if versioned || small => None,
        _ => Some(Hit::new(range, Class::IpAddress, 85, "ipv4")),
    }
}

/// `203.0.113.5/24`: a prefix length, not more of the number.
fn slash_is_port(text: &[u8], at: usize) -> bool {
    let end = run(text, at + 1, 3, |byte| byte.is_ascii_digit());
    end - at - 1 <= 2
}

/// The IPv6 address that starts at `at`, with 2 or 3: global unicast (RFC 4291, IANA).
pub(crate) fn v6(text: &[u8], at: usize) -> Option<Hit> {
    let end = run(text, at, 46, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    let end = if before(text, end) == b':' || before(text, end) == b'.' { end - 1 } else { end };
    let value = part(text, at..end);
    if value.iter().filter(|byte| **byte == b':').count() < 2
        || byte(text, end).is_ascii_alphanumeric()
    {
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(value).ok()?.parse().ok()?;
    let first = address.segments().first().copied().unwrap_or(0);
    let second = address.segments().get(1).copied().unwrap_or(0);
    let global = first & 0xe000 == 0x2000;
    // RFC 3849, RFC 9637.
    let documentation = first == 0x2001 && second == 0xdb8 || first == 0x3fff && second < 0x1000;
    let resolver = matches!(
        std::str::from_utf8(value),
        Ok("2001:4860:4860::8888"
            | "2001:4860:4860::8844"
            | "2606:4700:4700::1111"
            | "2606:4700:4700::1001")
    );
    let whole = value.len() >= 9;
    (global
        && whole
        && !documentation
        && !resolver
        && !matches!(IpAddr::V6(address), IpAddr::V6(a) if a.is_loopback()))
    .then(|| Hit::new(at..end, Class::IpAddress, 90, "ipv6"))
}

/// RFC 6890 and what everybody knows.
fn leads_somewhere_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = matches!(
        (first, second),
        (0 | 10 | 127 | 224..=255, _)
            | (100, 64..=127)
            | (169, 254)
            | (172, 16..=31)
            | (192, 168)
            | (198, 18 | 19)
    );
    let documentation = matches!(
        (first, second, third),
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99)
    );
    let resolver = matches!(
        address.octets(),
        [8, 8, 8, 8] | [8, 8, 4, 4] | [1, 1, 1, 1] | [1, 0, 0, 1] | [9, 9, 9, 9] | [1, 2, 3, 4]
    );
    !special && !documentation && !resolver
}
