//! Hosts: one parser for rules and for requests, so that both mean the same thing.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A host in canonical form: a lower-case ASCII name without a trailing dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A DNS name (A-labels, lower case, no trailing dot, at most 253 bytes).
    Name(Box<str>),
    /// A literal address.
    Address(IpAddr),
}

/// Why a text is not a host.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// Nothing there.
    #[error("the host is empty")]
    Empty,
    /// Not a name that DNS can carry (UTS 46, RFC 1035 lengths).
    #[error("the host is not a valid name")]
    Invalid,
    /// An address in a spelling that programs read in different ways (octal, hex, short, zone).
    #[error("the address is not in its canonical spelling")]
    OddAddress,
    /// A wildcard anywhere but as the whole first label.
    #[error("a wildcard must be the whole first label, as in `*.example.org`")]
    Wildcard,
    /// A wildcard over names of many owners.
    #[error("a wildcard over a public suffix would cover everybody's names")]
    PublicSuffix,
}

impl Host {
    /// Parses a host as it stands in a rule or a request.
    ///
    /// Names that are not ASCII, and labels that stand for such (`xn--`), go through UTS 46
    /// (`idna`); other names are what DNS carries, in lower case: real ones have hyphens and low
    /// lines where UTS 46 wants none. A single trailing dot is dropped. Addresses must be in the
    /// one spelling of RFC 5952 or dotted decimal; IPv6 may stand in brackets. IPv4-mapped IPv6
    /// addresses are refused: they are other spellings of an IPv4 address.
    ///
    /// # Errors
    /// [`HostError`] for everything that two programs could read in two ways.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inner) = bare {
            return Self::address(inner)
                .filter(|host| inner.contains(':') && host.1)
                .map_or(Err(HostError::OddAddress), |host| Ok(host.0));
        }
        if let Some((host, canonical)) = Self::address(text) {
            return if canonical { Ok(host) } else { Err(HostError::OddAddress) };
        }
        if text.contains(':') {
            return Err(HostError::OddAddress);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if !name.is_ascii() {
            let ascii = idna::domain_to_ascii_strict(name).map_err(|_| HostError::Invalid)?;
            return Self::ascii_name(&ascii);
        }
        let name = name.to_ascii_lowercase();
        let mut foreign = false;
        for label in name.split('.').filter(|label| label.starts_with("xn--")) {
            foreign = true;
            let ascii = idna::domain_to_ascii_strict(label).map_err(|_| HostError::Invalid)?;
            if ascii != label {
                return Err(HostError::Invalid);
            }
        }
        // Labels that are sound alone may not stand beside each other (RFC 5893, 2).
        if foreign {
            let ascii = idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::URL);
            if !ascii.is_ok_and(|ascii| ascii == name) {
                return Err(HostError::Invalid);
            }
        }
        Self::ascii_name(&name)
    }

    /// The form for a URL authority: addresses of version 6 in brackets.
    pub fn for_authority(&self) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
            other => other.to_string(),
        }
    }

    /// The name, where it is one.
    pub fn as_name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }

    fn address(text: &str) -> Option<(Self, bool)> {
        let address: IpAddr = text.parse().ok()?;
        let canonical = match address {
            IpAddr::V4(v4) => v4.to_string() == text,
            IpAddr::V6(v6) => {
                v6.to_ipv4_mapped().is_none() && v6.to_string() == text.to_ascii_lowercase()
            }
        };
        Some((Self::Address(address), canonical))
    }

    fn ascii_name(name: &str) -> Result<Self, HostError> {
        if name.is_empty() || name.len() > 253 {
            return Err(HostError::Invalid);
        }
        let mut last = "";
        for label in name.split('.') {
            let inner = label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
            let edges = !label.starts_with('-') && !label.ends_with('-');
            if label.is_empty() || label.len() > 63 || !inner || !edges {
                return Err(HostError::Invalid);
            }
            last = label;
        }
        // WHATWG "ends in a number": programs read such names as IPv4 addresses.
        let numeric = last.bytes().all(|b| b.is_ascii_digit())
            || last
                .strip_prefix("0x")
                .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if numeric {
            return Err(HostError::OddAddress);
        }
        Ok(Self::Name(name.into()))
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// A host in a rule: exactly one, or every strict subdomain of a suffix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host only.
    Exact(Host),
    /// `*.suffix`: any name that ends in `.suffix`, not `suffix` itself.
    Subdomains(Box<str>),
}

impl HostPattern {
    /// Parses `host` or `*.suffix`.
    ///
    /// # Errors
    /// [`HostError`]; wildcards over public suffixes (`*.com`, `*.github.io`) are refused.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let Some(suffix) = text.strip_prefix("*.") else {
            if text.contains('*') {
                return Err(HostError::Wildcard);
            }
            return Host::parse(text).map(Self::Exact);
        };
        match Host::parse(suffix)? {
            Host::Address(_) => Err(HostError::Wildcard),
            Host::Name(name) => {
                let known = psl::suffix(name.as_bytes());
                let public =
                    known.is_some_and(|s| s.is_known() && s.as_bytes().len() == name.len());
                // A single label that no list knows (`*.internal`, `*.test`) belongs to one
                // network; a known one (`*.com`) belongs to everybody.
                if public { Err(HostError::PublicSuffix) } else { Ok(Self::Subdomains(name)) }
            }
        }
    }

    /// Whether `host` is meant.
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(own), host) => own == host,
            (Self::Subdomains(suffix), Host::Name(name)) => name
                .strip_suffix(&**suffix)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty()),
            (Self::Subdomains(_), Host::Address(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::Subdomains(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_spellings_of_addresses_are_refused() {
        for odd in [
            "0177.0.0.1",
            "0x7f.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "127.0.0.1.",
            "[::ffff:7f00:1",
            "[::ffff:7f00:1]",
            "::ffff:127.0.0.1",
            "::1%lo",
            "1.2.3.4.5",
            "0:0:0:0:0:0:0:1",
            "[127.0.0.1]",
            "127.0.0.01",
            "１２７.0.0.1",
        ] {
            assert!(Host::parse(odd).is_err(), "{odd}");
        }
        assert_eq!(Host::parse("[::1]").unwrap().for_authority(), "[::1]");
    }

    #[test]
    fn names_have_one_form() {
        assert_eq!(Host::parse("ExAmple.ORG.").unwrap().to_string(), "example.org");
        assert_eq!(Host::parse("bücher.example").unwrap().to_string(), "xn--bcher-kva.example");
        for (text, name) in [
            ("r3---sn-abc.GoogleVideo.com", "r3---sn-abc.googlevideo.com"),
            ("_Sip._tcp.Example.org", "_sip._tcp.example.org"),
            ("My_Bucket.s3.example.org", "my_bucket.s3.example.org"),
            ("ab--c.XN--bcher-kva.example", "ab--c.xn--bcher-kva.example"),
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), name);
        }
        // Labels that pretend to stand for others.
        for bad in [
            "xn--0-sfa.xn--4db",
            "xn--a",
            "xn--",
            "xn--bcher-kva-.example",
            "xn---.example",
            "Xn--\u{e9}.org",
        ] {
            assert!(Host::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["a..b", ".a", "a b", "a\0b", "exa%6dple.org", "u@h", "-a.b", "a/b", "a..", ""] {
            assert!(Host::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn wildcards_are_strict_subdomains_and_never_public() {
        let pattern = HostPattern::parse("*.acme.com").unwrap();
        assert!(pattern.matches(&Host::parse("api.acme.com").unwrap()));
        assert!(!pattern.matches(&Host::parse("acme.com").unwrap()));
        assert!(!pattern.matches(&Host::parse("evilacme.com").unwrap()));
        assert_eq!(HostPattern::parse("*.com"), Err(HostError::PublicSuffix));
        assert_eq!(HostPattern::parse("*.github.io"), Err(HostError::PublicSuffix));
        assert_eq!(HostPattern::parse("*"), Err(HostError::Wildcard));
        assert_eq!(HostPattern::parse("a.*.com"), Err(HostError::Wildcard));
    }
}
