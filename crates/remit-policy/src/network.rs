//! Host rules: names, connections, requests.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;
use remit_core::{
    AddressRule, Decision, Host, HostPattern, ModelApi, Obligation, ReasonCode, Timestamp,
};
use remit_manifest::{HostRule, Network, Present};

use crate::{policy::has_ended, suggest};

/// Host rules by what they name. For one host and port an exact rule beats a wildcard, and a
/// longer suffix a shorter one; among equals any rule that fits permits.
#[derive(Debug, Default)]
pub(crate) struct NetworkRules {
    exact: HashMap<Host, Vec<HostRule>>,
    below: HashMap<Box<str>, Vec<HostRule>>,
    block_external: bool,
    local_only: bool,
}

impl NetworkRules {
    pub(crate) fn new(network: &Network) -> Self {
        let mut rules = Self {
            block_external: network.block_external,
            local_only: network.local_only,
            ..Self::default()
        };
        for rule in &network.hosts {
            match &rule.pattern {
                HostPattern::Exact(host) => rules.exact.entry(host.clone()).or_default(),
                HostPattern::Subdomains(suffix) => rules.below.entry(suffix.clone()).or_default(),
            }
            .push(rule.clone());
        }
        rules
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &HostRule> {
        self.exact.values().chain(self.below.values()).flatten()
    }

    pub(crate) fn resolve(
        &self,
        host: &Host,
        present: &Present,
        now: Option<Timestamp>,
    ) -> Decision {
        let all: Vec<&HostRule> = self.groups(host).flatten().collect();
        let Some(first) = all.first() else { return unlisted(host, None, present) };
        let live: Vec<&HostRule> =
            all.iter().copied().filter(|rule| !has_ended(rule.expiry, now)).collect();
        let Some(shown) = live.first() else { return expired(first, now) };
        let ports: BTreeSet<u16> =
            live.iter().flat_map(|rule| rule.ports.iter().copied()).collect();
        Decision::permit(ReasonCode::Granted, Some(Arc::clone(&shown.at)), 0)
            .with(Obligation::Ports(ports.into_iter().collect()))
            .ending(latest(&live))
    }

    pub(crate) fn connect(
        &self,
        host: &Host,
        port: u16,
        present: &Present,
        now: Option<Timestamp>,
    ) -> Decision {
        let live = match self.live(host, port, present, now) {
            Ok(live) => live,
            Err(denial) => return *denial,
        };
        let Some(shown) = live.iter().find(|rule| !rule.ask).or_else(|| live.first()) else {
            return unlisted(host, Some(port), present);
        };
        let addresses = self.addresses(host, &live);
        if let Host::Address(address) = host
            && !addresses.networks.iter().any(|net| net.contains(address))
        {
            let denial = Decision::deny(ReasonCode::AddressRefused, Some(Arc::clone(&shown.at)), 0);
            return suggest::literal(denial, shown, *address);
        }
        let decision = answer(&live, shown)
            .with(Obligation::Tls(shown.tls))
            .with(Obligation::Addresses(addresses));
        // Rules of one pattern and port name one API; the vendors' own hosts need no name.
        let named = live.iter().find_map(|rule| rule.model);
        match named.or_else(|| ModelApi::of_vendor(host)) {
            Some(api) => decision.with(Obligation::Model(api)),
            None => decision,
        }
    }

    pub(crate) fn address(
        &self,
        address: IpAddr,
        port: u16,
        present: &Present,
        now: Option<Timestamp>,
    ) -> Decision {
        self.connect(&Host::Address(address.to_canonical()), port, present, now)
    }

    /// An empty method and path stand for any request: no rule that restricts them fits.
    pub(crate) fn request(
        &self,
        (host, port): (&Host, u16),
        (method, path): (&str, &str),
        present: &Present,
        now: Option<Timestamp>,
    ) -> Decision {
        let live = match self.live(host, port, present, now) {
            Ok(live) => live,
            Err(denial) => return *denial,
        };
        let method_fits = |rule: &HostRule| {
            rule.methods.as_ref().is_none_or(|list| list.iter().any(|own| **own == *method))
        };
        let path_fits = |rule: &HostRule| {
            rule.paths.as_ref().is_none_or(|list| list.iter().any(|own| own.matches(path)))
        };
        let fitting: Vec<&HostRule> =
            live.iter().copied().filter(|rule| method_fits(rule) && path_fits(rule)).collect();
        if let Some(shown) = fitting.iter().find(|rule| !rule.ask).or_else(|| fitting.first()) {
            return answer(&fitting, shown);
        }
        // The nearest rule explains best: one whose path fits, then one whose method fits.
        let nearest = live
            .iter()
            .find(|rule| path_fits(rule))
            .map(|rule| (rule, ReasonCode::MethodNotListed))
            .or_else(|| live.first().map(|rule| (rule, ReasonCode::PathNotListed)));
        match nearest {
            None => unlisted(host, Some(port), present),
            Some((rule, reason)) => {
                let denial = Decision::deny(reason, Some(Arc::clone(&rule.at)), 0);
                suggest::request(denial, rule, port, method, path)
            }
        }
    }

    /// The most specific live rules for a host and port; never empty.
    fn live(
        &self,
        host: &Host,
        port: u16,
        present: &Present,
        now: Option<Timestamp>,
    ) -> Result<Vec<&HostRule>, Box<Decision>> {
        let mut listed = None;
        for group in self.groups(host) {
            listed = listed.or_else(|| group.first());
            let fitting = || group.iter().filter(|rule| rule.ports.contains(&port));
            let Some(first) = fitting().next() else { continue };
            let live: Vec<&HostRule> =
                fitting().filter(|rule| !has_ended(rule.expiry, now)).collect();
            // As with files, an ended rule does not fall back to a wider one.
            return if live.is_empty() { Err(Box::new(expired(first, now))) } else { Ok(live) };
        }
        Err(Box::new(match listed {
            None => unlisted(host, Some(port), present),
            Some(rule) => {
                let at = Some(Arc::clone(&rule.at));
                let denial = Decision::deny(ReasonCode::PortNotListed, at, 0);
                suggest::host(denial, rule, host, port)
            }
        }))
    }

    /// Rules that match a host, most specific first.
    fn groups<'r>(&'r self, host: &Host) -> impl Iterator<Item = &'r Vec<HostRule>> {
        let name = host.as_name().unwrap_or("");
        let suffixes =
            name.match_indices('.').filter_map(|(dot, _)| name.get(dot.checked_add(1)?..));
        self.exact.get(host).into_iter().chain(suffixes.filter_map(|suffix| self.below.get(suffix)))
    }

    /// Which addresses a connection may go to (contract, "Addresses"). Named networks replace the
    /// classes: the rule says where the name may resolve to.
    fn addresses(&self, host: &Host, rules: &[&HostRule]) -> AddressRule {
        let mut networks: Vec<IpNet> =
            rules.iter().flat_map(|rule| rule.addresses.iter().copied()).collect();
        let open = rules.iter().any(|rule| rule.addresses.is_empty());
        if let Host::Address(address) = host {
            if open && is_ordinary(*address) {
                networks.push(IpNet::from(*address));
            }
            let local_only = self.local_only;
            return AddressRule { networks: networks.into(), local_only, ..AddressRule::default() };
        }
        AddressRule {
            networks: networks.into(),
            public: open && !self.block_external && !self.local_only,
            private: open && self.block_external,
            local_only: self.local_only,
        }
    }
}

/// Permit where a rule does so without asking, else ask. Ends with the last rule that fits.
fn answer(rules: &[&HostRule], shown: &HostRule) -> Decision {
    let at = Some(Arc::clone(&shown.at));
    if shown.ask {
        return Decision::ask(at, 0).ending(latest(rules));
    }
    let silent: Vec<&HostRule> = rules.iter().copied().filter(|rule| !rule.ask).collect();
    Decision::permit(ReasonCode::Granted, at, 0).ending(latest(&silent))
}

/// The end of the last of them; none if one never ends.
fn latest(rules: &[&HostRule]) -> Option<Timestamp> {
    rules.iter().map(|rule| rule.expiry).try_fold(None, |last: Option<Timestamp>, end| {
        let end = end?;
        Some(Some(last.map_or(end, |last| last.max(end))))
    })?
}

fn unlisted(host: &Host, port: Option<u16>, present: &Present) -> Decision {
    match host {
        Host::Name(_) => {
            let denial = Decision::deny(ReasonCode::HostNotListed, None, 0);
            suggest::new_host(denial, host, port, present)
        }
        Host::Address(_) => {
            let denial = Decision::deny(ReasonCode::LiteralAddress, None, 0);
            suggest::new_host(denial, host, port, present)
        }
    }
}

fn expired(rule: &HostRule, now: Option<Timestamp>) -> Decision {
    let denial = Decision::deny(ReasonCode::Expired, Some(Arc::clone(&rule.at)), 0);
    suggest::expired(denial, format!("{}/expiry", rule.at.pointer), now)
}

/// Whether listing the literal address alone is enough: public and private unicast. Loopback,
/// link-local and metadata addresses need `addresses` to name them.
pub(crate) fn is_ordinary(address: IpAddr) -> bool {
    const NEVER: [&str; 15] = [
        "0.0.0.0/8",
        "100.100.100.200/32",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b::/96",
        "2001::/32",
        "2002::/16",
        "fe80::/10",
        "fd00:ec2::/32",
    ];
    let never =
        NEVER.iter().any(|net| net.parse::<IpNet>().is_ok_and(|net| net.contains(&address)));
    !never && !address.is_multicast()
}
