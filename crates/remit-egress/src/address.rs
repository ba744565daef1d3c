//! Which addresses a name may resolve to (contract, "Addresses").
//!
//! Classes follow the IANA special-purpose registries (RFC 6890 and later): what is not known to
//! be public is not public. Addresses that carry an IPv4 address inside (NAT64, 6to4, Teredo,
//! ISATAP) are judged by it, since a gateway on the way would unwrap them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use remit_core::{AddressRule, ReasonCode};

use crate::live::lock;

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressClass {
    /// Global unicast.
    Public,
    /// RFC 1918 and ULA (RFC 4193).
    Private,
    /// This host, by its loopback.
    Loopback,
    /// RFC 3927 and RFC 4291, 2.5.6.
    LinkLocal,
    /// A cloud's metadata service, wherever it lives.
    Metadata,
    /// This host, by an address of one of its interfaces.
    Own,
    /// `0.0.0.0/8` and `::` (RFC 1122, 3.2.1.3): systems connect to themselves by them.
    Unspecified,
    /// Shared, documentation, multicast, reserved and all else.
    Special,
}

/// The class of `address`; `own` are the host's interface addresses.
pub fn classify(address: IpAddr, own: &[IpAddr]) -> AddressClass {
    let address = address.to_canonical();
    if let IpAddr::V6(v6) = address {
        let inside: Vec<Ipv4Addr> = match local_nat64(v6) {
            Some(all) => all,
            None => embedded_v4(v6).into_iter().collect(),
        };
        let classes = inside.iter().map(|inner| match classify(IpAddr::V4(*inner), own) {
            // Wrapped addresses are never what a network's owner means by "private".
            AddressClass::Private | AddressClass::Own => AddressClass::Special,
            class => class,
        });
        // Where it may be read in several ways, the worst of them counts.
        let worst =
            classes.reduce(|one, other| if one == AddressClass::Public { other } else { one });
        if let Some(class) = worst {
            return class;
        }
    }
    let class = match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    };
    match class {
        AddressClass::Public | AddressClass::Private | AddressClass::Special
            if own.contains(&address) =>
        {
            AddressClass::Own
        }
        class => class,
    }
}

/// Whether `rule` permits `address`.
///
/// # Errors
/// The reason for the refusal.
pub fn vet(rule: &AddressRule, address: IpAddr, own: &[IpAddr]) -> Result<(), ReasonCode> {
    let address = address.to_canonical();
    let class = classify(address, own);
    let here = matches!(class, AddressClass::Loopback | AddressClass::Own);
    if rule.local_only && !here {
        return Err(ReasonCode::LocalOnly);
    }
    let named = |within: &[IpNet]| {
        rule.networks.iter().any(|network| {
            network.contains(&address)
                && (within.is_empty() || within.iter().any(|block| block.contains(network)))
        })
    };
    match class {
        // Nobody means a network by it, and its only use is as another way to loopback.
        AddressClass::Unspecified => Err(ReasonCode::AddressRefused),
        // "unless `addresses` names that very network": 0.0.0.0/0 does not name loopback.
        AddressClass::Loopback if named(&LOOPBACK) => Ok(()),
        AddressClass::LinkLocal if named(&LINK_LOCAL) => Ok(()),
        AddressClass::Metadata if named(&metadata_blocks()) => Ok(()),
        AddressClass::Loopback | AddressClass::LinkLocal | AddressClass::Metadata => {
            Err(ReasonCode::AddressRefused)
        }
        _ if named(&[]) => Ok(()),
        AddressClass::Public if rule.public => Ok(()),
        AddressClass::Public => Err(ReasonCode::ExternalBlocked),
        AddressClass::Private if rule.private => Ok(()),
        _ => Err(ReasonCode::AddressRefused),
    }
}

/// Addresses of the host's interfaces; empty where they cannot be read.
pub(crate) fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .collect()
}

/// The same, as they were a few seconds ago at most.
pub(crate) fn own_addresses_lately() -> Arc<[IpAddr]> {
    static KEPT: Mutex<Option<(Instant, Arc<[IpAddr]>)>> = Mutex::new(None);
    let mut kept = lock(&KEPT);
    match &*kept {
        Some((when, addresses)) if when.elapsed() < OWN_KEPT => Arc::clone(addresses),
        _ => {
            let fresh: Arc<[IpAddr]> = own_addresses().into();
            *kept = Some((Instant::now(), Arc::clone(&fresh)));
            fresh
        }
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    if METADATA_V4.contains(&address) {
        AddressClass::Metadata
    } else if address.is_loopback() {
        AddressClass::Loopback
    } else if THIS_HOST_V4.contains(&address) {
        AddressClass::Unspecified
    } else if address.is_private() {
        AddressClass::Private
    } else if address.is_link_local() {
        AddressClass::LinkLocal
    } else if SPECIAL_V4.iter().any(|block| block.contains(&address)) {
        AddressClass::Special
    } else {
        AddressClass::Public
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if METADATA_V6.iter().any(|block| block.contains(&address)) {
        AddressClass::Metadata
    } else if address.is_loopback() {
        AddressClass::Loopback
    } else if address.is_unicast_link_local() {
        AddressClass::LinkLocal
    } else if address.is_unique_local() {
        AddressClass::Private
    } else if !GLOBAL_V6.contains(&address)
        || SPECIAL_V6.iter().any(|block| block.contains(&address))
    {
        AddressClass::Special
    } else {
        AddressClass::Public
    }
}

/// The IPv4 address that a transition address stands for.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let join = |high: u16, low: u16| {
        let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(w, x, y, z)
    };
    match (a, b) {
        // NAT64, RFC 6052.
        (0x64, 0xff9b) => Some(join(g, h)),
        // 6to4, RFC 3056.
        (0x2002, _) => Some(join(b, c)),
        // Teredo, RFC 4380: the client's address is stored inverted.
        (0x2001, 0) => Some(join(!g, !h)),
        // `::1` is loopback; everything else there is IPv4-compatible (deprecated), `::` too.
        (0, 0) if c == 0 && d == 0 && (e, f) == (0, 0) && (g, h) != (0, 1) => Some(join(g, h)),
        // IPv4-translated, RFC 2765.
        (0, 0) if c == 0 && d == 0 && (e, f) == (0xffff, 0) => Some(join(g, h)),
        // ISATAP, RFC 5214.
        _ if (e == 0 || e == 0x200) && f == 0x5efe => Some(join(g, h)),
        _ => None,
    }
}

/// The IPv4 addresses that an address of NAT64's local-use prefix `64:ff9b:1::/48` (RFC 8215) may
/// stand for. Its owner cuts it as RFC 6052, 2.2 permits, and only the gateway knows where: an
/// address that looks public in one reading may be an inner one in the reading that counts. Readings
/// that begin with zeros are padding.
fn local_nat64(address: Ipv6Addr) -> Option<Vec<Ipv4Addr>> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    if (a, b, c) != (0x64, 0xff9b, 1) {
        return None;
    }
    let ([d0, d1], [_, e1], [f0, f1], [g0, _]) =
        (d.to_be_bytes(), e.to_be_bytes(), f.to_be_bytes(), g.to_be_bytes());
    let ([g2, g3], [h0, h1]) = (g.to_be_bytes(), h.to_be_bytes());
    // Prefixes of 48, 56, 64 and 96 bits; bits 64 to 71 are left out.
    let readings = [[d0, d1, e1, f0], [d1, e1, f0, f1], [e1, f0, f1, g0], [g2, g3, h0, h1]]
        .map(Ipv4Addr::from);
    let told: Vec<Ipv4Addr> =
        readings.into_iter().filter(|address| !THIS_HOST_V4.contains(address)).collect();
    Some(if told.is_empty() { vec![Ipv4Addr::UNSPECIFIED] } else { told })
}

/// Blocks that a rule must lie in to mean a metadata service.
fn metadata_blocks() -> Vec<IpNet> {
    let v4 = METADATA_V4.iter().filter_map(|a| Ipv4Net::new(*a, 24).ok()).map(|n| n.trunc());
    let v6 = METADATA_V6.iter().map(|block| IpNet::V6(*block));
    v4.map(IpNet::V4).chain(v6).chain(LINK_LOCAL).collect()
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

const OWN_KEPT: Duration = Duration::from_secs(5);
const LOOPBACK: [IpNet; 2] =
    [IpNet::V4(v4(127, 0, 0, 0, 8)), IpNet::V6(v6([0, 0, 0, 0, 0, 0, 0, 1], 128))];
const LINK_LOCAL: [IpNet; 2] =
    [IpNet::V4(v4(169, 254, 0, 0, 16)), IpNet::V6(v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10))];

/// AWS, GCP, Azure (IMDS and wire server), Alibaba, Oracle, Tencent, AWS ECS and EKS.
const METADATA_V4: [Ipv4Addr; 8] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 169, 253),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// AWS `fd00:ec2::/32`, GCP `fd20:ce::254`, Oracle `fd00:c1::a9fe:a9fe`, Scaleway `fd00:42::42`.
const METADATA_V6: [Ipv6Net; 4] = [
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),
    v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128),
    v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128),
];
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
    v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16),
];
const THIS_HOST_V4: Ipv4Net = v4(0, 0, 0, 0, 8);
const SPECIAL_V4: [Ipv4Net; 10] = [
    v4(100, 64, 0, 0, 10),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    v4(192, 31, 196, 0, 24),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_address_has_its_class() {
        use AddressClass::{
            LinkLocal, Loopback, Metadata, Own, Private, Public, Special, Unspecified,
        };
        let own = [ip("10.0.0.5"), ip("1.2.3.4"), ip("100.64.7.7"), ip("2600::7")];
        for (text, class) in [
            ("93.184.216.34", Public),
            ("2606:2800:220:1::1", Public),
            ("10.1.2.3", Private),
            ("172.31.0.1", Private),
            ("172.32.0.1", Public),
            ("192.168.1.1", Private),
            ("fd12:3456::1", Private),
            ("127.0.0.1", Loopback),
            ("127.255.1.1", Loopback),
            ("::1", Loopback),
            ("::ffff:127.0.0.1", Loopback),
            ("169.254.1.1", LinkLocal),
            ("fe80::1", LinkLocal),
            ("169.254.169.254", Metadata),
            ("::ffff:169.254.169.254", Metadata),
            ("168.63.129.16", Metadata),
            ("100.100.100.200", Metadata),
            ("192.0.0.192", Metadata),
            ("fd00:ec2::254", Metadata),
            ("fd20:ce::254", Metadata),
            ("100.64.0.1", Special),
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("::", Unspecified),
            ("::2", Unspecified),
            ("::ffff:0.0.0.0", Unspecified),
            ("64:ff9b::", Unspecified),
            ("198.18.0.1", Special),
            ("224.0.0.1", Special),
            ("255.255.255.255", Special),
            ("ff02::1", Special),
            ("2001:db8::1", Special),
            ("fec0::1", Special),
            ("64:ff9b::7f00:1", Loopback),
            ("64:ff9b::10.0.0.1", Special),
            ("64:ff9b:1::169.254.169.254", Metadata),
            ("64:ff9b::169.254.1.1", LinkLocal),
            ("64:ff9b::93.184.216.34", Public),
            ("2002:7f00:1::1", Loopback),
            ("2002:c0a8:101::1", Special),
            ("2002:5db8:d822::1", Public),
            ("2001:0:1::80ff:fffe", Loopback),
            ("::7f00:1", Loopback),
            ("::ffff:0:7f00:1", Loopback),
            ("fe80::5efe:7f00:1", Loopback),
            ("2600::5efe:10.0.0.1", Special),
            ("10.0.0.5", Own),
            ("1.2.3.4", Own),
            ("100.64.7.7", Own),
            ("2600::7", Own),
            ("::ffff:10.0.0.5", Own),
            ("64:ff9b::10.0.0.5", Special),
            ("fd00:ec2::23", Metadata),
            ("fd00:ec2:ffff::1", Metadata),
            ("169.254.170.23", Metadata),
            ("64:ff9b::168.63.129.16", Metadata),
            ("2002:a83f:8110::1", Metadata),
            ("2001:0:1::9b9b:9b37", Metadata),
            ("::100.100.100.200", Metadata),
            ("::ffff:0:192.0.0.192", Metadata),
            ("fe80::5efe:a9fe:a9fe", Metadata),
            ("2600::200:5efe:127.0.0.1", Loopback),
            // The local-use prefix, cut at 96, 48, 56 and 64 bits.
            ("64:ff9b:1::93.184.216.34", Public),
            ("64:ff9b:1::10.0.0.1", Special),
            ("64:ff9b:1:7f00:0:100::", Loopback),
            ("64:ff9b:1:7f00:0:100:5db8:d822", Loopback),
            ("64:ff9b:1:7f:0:1::", Loopback),
            ("64:ff9b:1::7f:0:100:0", Loopback),
            ("64:ff9b:1::", Unspecified),
        ] {
            assert_eq!(classify(ip(text), &own), class, "{text}");
        }
    }

    #[test]
    fn rules_open_exactly_what_they_say() {
        let rule = |networks: &[&str], public, private, local_only| AddressRule {
            networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
            public,
            private,
            local_only,
        };
        let own = [ip("10.9.9.9")];
        let check = |rule: &AddressRule, text| vet(rule, ip(text), &own);
        let public = rule(&[], true, false, false);
        assert_eq!(check(&public, "93.184.216.34"), Ok(()));
        for refused in ["10.0.0.1", "127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "10.9.9.9"] {
            assert_eq!(check(&public, refused), Err(ReasonCode::AddressRefused), "{refused}");
        }
        let inner = rule(&[], false, true, false);
        assert_eq!(check(&inner, "10.0.0.1"), Ok(()));
        assert_eq!(check(&inner, "93.184.216.34"), Err(ReasonCode::ExternalBlocked));
        assert_eq!(check(&inner, "10.9.9.9"), Err(ReasonCode::AddressRefused));
        assert_eq!(check(&inner, "fd00:ec2::254"), Err(ReasonCode::AddressRefused));
        // A network that merely contains loopback does not name it.
        let all = rule(&["0.0.0.0/0", "::/0"], true, true, false);
        for refused in ["127.0.0.1", "169.254.169.254", "169.254.3.4", "::1", "168.63.129.16"] {
            assert_eq!(check(&all, refused), Err(ReasonCode::AddressRefused), "{refused}");
        }
        // Nor other ways to it: the unspecified addresses, and addresses that wrap it.
        for refused in [
            "0.0.0.0",
            "0.0.0.1",
            "::",
            "::ffff:0.0.0.0",
            "::127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
        ] {
            assert_eq!(check(&all, refused), Err(ReasonCode::AddressRefused), "{refused}");
        }
        let spelt = rule(&["0.0.0.0/32", "::/128", "127.0.0.0/8"], false, false, false);
        for refused in ["0.0.0.0", "::", "64:ff9b::127.0.0.1"] {
            assert_eq!(check(&spelt, refused), Err(ReasonCode::AddressRefused), "{refused}");
        }
        assert_eq!(check(&all, "100.64.1.1"), Ok(()));
        assert_eq!(check(&all, "64:ff9b::93.184.216.34"), Ok(()));
        assert_eq!(check(&all, "2606:2800:220:1::1"), Ok(()));
        let named = rule(&["127.0.0.0/8", "169.254.169.254/32"], false, false, false);
        assert_eq!(check(&named, "127.0.0.2"), Ok(()));
        assert_eq!(check(&named, "169.254.169.254"), Ok(()));
        assert_eq!(check(&named, "169.254.169.253"), Err(ReasonCode::AddressRefused));
        let local = rule(&["127.0.0.0/8", "10.0.0.0/8"], true, true, true);
        assert_eq!(check(&local, "127.0.0.1"), Ok(()));
        assert_eq!(check(&local, "10.9.9.9"), Ok(()));
        assert_eq!(check(&local, "10.9.9.8"), Err(ReasonCode::LocalOnly));
        assert_eq!(check(&local, "93.184.216.34"), Err(ReasonCode::LocalOnly));
    }
}
