//! Which host a request names, in the one form that is compared.

use http::{HeaderMap, Uri, header};
use remit_core::{Host, ReasonCode};

use crate::refusal::Fault;

/// A host and, where it was written, a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// `host`, `host:port`, `[v6]`, `[v6]:port`. User information and odd spellings are refused.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let bad = Fault::malformed("host is not one in its canonical spelling");
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        // `Host::parse` takes bare IPv6 as well; in an authority it must be in brackets.
        if host.contains(':') && !host.starts_with('[') {
            return Err(bad);
        }
        let port = match port {
            None => None,
            Some(digits) => {
                let sound = digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit());
                let number = digits.parse::<u16>().ok().filter(|port| sound && *port != 0);
                Some(number.ok_or(bad)?)
            }
        };
        let host = Host::parse(host).map_err(|_| bad)?;
        Ok(Self { host, port })
    }
}

/// Checks that everything that names a host in a request names `host:port`.
///
/// # Errors
/// A mismatch, or a spelling that is not canonical.
pub(crate) fn authority(
    uri: &Uri,
    headers: &HeaderMap,
    host: &Host,
    port: u16,
    default_port: u16,
) -> Result<(), Fault> {
    let same = |text: &str| -> Result<(), Fault> {
        // Nearly every request spells the name just so.
        if host.as_name().is_some_and(|name| name == text) {
            return Ok(());
        }
        let named = Authority::parse(text)?;
        if named.host == *host && named.port.unwrap_or(default_port) == port {
            return Ok(());
        }
        // Some programs leave out a port that is not the scheme's default.
        if named.host == *host && named.port.is_none() {
            return Ok(());
        }
        Err(Fault::new(ReasonCode::AuthorityMismatch, "request names another host"))
    };
    if let Some(authority) = uri.authority() {
        same(authority.as_str())?;
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    if let Some(value) = hosts.next() {
        let text = value.to_str().map_err(|_| Fault::malformed("Host is not text"))?;
        same(text)?;
    }
    if hosts.next().is_some() {
        return Err(Fault::malformed("more than one Host"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn authorities_have_one_spelling() {
        for bad in [
            "",
            ":443",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a: 1",
            "u@a",
            "u:p@a",
            "a@b:1",
            "a:1:2",
            "::1",
            "::1:443",
            "[::1",
            "a b",
            "a\0.b",
            "0x7f.1",
            "127.1",
            "[::1%25lo]",
            "a/b",
            "a:1x",
            "[127.0.0.1]",
        ] {
            assert!(Authority::parse(bad).is_err(), "{bad:?}");
        }
        let parsed = Authority::parse("[::1]:8443").unwrap();
        assert_eq!((parsed.host.to_string(), parsed.port), ("::1".to_owned(), Some(8443)));
        let parsed = Authority::parse("Example.ORG.:80").unwrap();
        assert_eq!((parsed.host.to_string(), parsed.port), ("example.org".to_owned(), Some(80)));
    }

    #[test]
    fn every_name_in_a_request_is_the_connections() {
        let host = Host::parse("api.test").unwrap();
        let check = |uri: &str, host_header: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = host_header {
                headers.insert(header::HOST, value.parse().unwrap());
            }
            authority(&uri.parse().unwrap(), &headers, &host, 443, 443)
        };
        assert!(check("/", Some("api.test")).is_ok());
        assert!(check("/", Some("API.test:443")).is_ok());
        assert!(check("https://api.test/", None).is_ok());
        for (uri, header) in [
            ("/", Some("other.test")),
            ("/", Some("api.test:8443")),
            ("/", Some("sub.api.test")),
            ("https://other.test/", Some("api.test")),
            ("https://api.test/", Some("other.test")),
            ("https://api.test@other.test/", None),
        ] {
            assert!(check(uri, header).is_err(), "{uri} {header:?}");
        }
    }
}
