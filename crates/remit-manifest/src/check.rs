//! Rules that are each fine and cannot both hold.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use remit_core::{DataAction, Host, HostPattern, RuleRef, TlsMode};

use crate::{Clash, Execute, FileRule, HostRule, Manifest, Problem, ProgramRule, parse::Cursor};

/// Reports every contradiction between rules.
pub(crate) fn contradictions(cursor: &mut Cursor<'_>, manifest: &Manifest) {
    same_path(cursor, &manifest.files);
    if let Execute::List(programs) = &manifest.execute {
        same_program(cursor, programs);
    }
    same_host(cursor, &manifest.network.hosts);
    for rule in &manifest.network.hosts {
        addresses(cursor, rule, manifest.network.block_external);
    }
    let masked = manifest.dlp.rules.outputs.iter().any(|rule| rule.action == DataAction::Mask);
    let model = manifest.network.hosts.iter().any(HostRule::is_model);
    if masked && !model {
        cursor.clash("/dlp/outputs", Clash::MaskWithoutModel, None);
    }
    let unseen = |rule: &&HostRule| rule.tls == TlsMode::Passthrough && rule.is_model();
    if let Some(rule) = manifest.network.hosts.iter().find(unseen).filter(|_| masked) {
        cursor.clash(&rule.at.pointer, Clash::MaskPassthrough, None);
    }
}

fn same_path(cursor: &mut Cursor<'_>, rules: &[FileRule]) {
    let mut seen: HashMap<_, &FileRule> = HashMap::new();
    for rule in rules {
        let Some(other) = seen.insert(rule.scope.as_path(), rule) else { continue };
        let same = other.mode == rule.mode
            && other.expiry == rule.expiry
            && other.ask == rule.ask
            && other.redact == rule.redact
            && other.label == rule.label
            && other.staged == rule.staged;
        if !same {
            cursor.clash(&rule.at.pointer, Clash::SamePath, Some(&other.at));
        }
    }
}

fn same_program(cursor: &mut Cursor<'_>, rules: &[ProgramRule]) {
    let mut seen: HashMap<_, &ProgramRule> = HashMap::new();
    for rule in rules {
        let Some(other) = seen.insert(rule.path.as_path(), rule) else { continue };
        if other.sha256 != rule.sha256 || other.ask != rule.ask {
            cursor.clash(&rule.at.pointer, Clash::SameProgram, Some(&other.at));
        }
    }
}

/// An exact host and a wildcard over it may differ: the exact one wins. Two rules of one pattern
/// cannot, where they share a port.
fn same_host(cursor: &mut Cursor<'_>, rules: &[HostRule]) {
    let mut seen: HashMap<(&HostPattern, u16), &HostRule> = HashMap::new();
    for rule in rules {
        let mut reported = false;
        for port in rule.ports.iter() {
            let Some(other) = seen.insert((&rule.pattern, *port), rule) else { continue };
            let clash = if other.tls == rule.tls {
                (other.model != rule.model).then_some(Clash::Model)
            } else {
                Some(Clash::Tls)
            };
            if let Some(clash) = clash.filter(|_| !reported) {
                reported = true;
                cursor.clash(&rule.at.pointer, clash, Some(&other.at));
            }
        }
    }
}

fn addresses(cursor: &mut Cursor<'_>, rule: &HostRule, block_external: bool) {
    let literal = match &rule.pattern {
        HostPattern::Exact(Host::Address(address)) => Some(*address),
        _ => None,
    };
    let public = rule.addresses.iter().any(|net| !is_internal(net))
        || literal.is_some_and(|address| !is_internal(&IpNet::from(address)));
    if block_external && public {
        cursor.clash(&rule.at.pointer, Clash::PublicWithBlockExternal, None);
    }
    let covers = |address: &IpAddr| rule.addresses.iter().any(|net| net.contains(address));
    if let Some(address) = literal
        && !rule.addresses.is_empty()
        && !covers(&address)
    {
        cursor.clash(&rule.at.pointer, Clash::LiteralOutside, None);
    }
}

/// Whether a network holds no public address.
fn is_internal(net: &IpNet) -> bool {
    const INTERNAL: [&str; 9] = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    ];
    INTERNAL.iter().any(|text| text.parse::<IpNet>().is_ok_and(|own| own.contains(net)))
}

impl Cursor<'_> {
    fn clash(&mut self, pointer: &str, what: Clash, other: Option<&Arc<RuleRef>>) {
        let other = other.and_then(|rule| self.find(&rule.pointer)).map(Box::new);
        let problem = Problem::Contradiction { what, other };
        match self.find(pointer) {
            Some(place) => self.problem_in(&place, problem),
            None => self.problem_at(0, 0, problem),
        }
    }
}
