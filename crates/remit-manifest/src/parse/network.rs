//! `permissions.network`.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use ipnet::IpNet;
use jsonc_parser::ast::Value;
use remit_core::{HostPattern, ModelApi, TlsMode};

use super::cursor::{Cursor, Fields, Item, shorten};
use crate::{Clash, HostRule, Need, Network, PathPattern, Present, Problem};

const KEYS: [&str; 3] = ["egressHosts", "blockExternal", "localOnly"];
const HOST_KEYS: [&str; 10] =
    ["host", "ports", "addresses", "methods", "paths", "tls", "accepts", "model", "ask", "expiry"];

pub(super) fn network(
    cursor: &mut Cursor<'_>,
    item: &Item<'_, '_>,
    needs: &mut Vec<Need>,
    present: &mut Present,
) -> Network {
    let Some(fields) = cursor.object(item, &KEYS) else { return Network::default() };
    let hosts = fields.get("egressHosts");
    present.egress_hosts = hosts.is_some();
    let items = hosts.and_then(|hosts| cursor.array(&hosts)).unwrap_or_default();
    Network {
        hosts: items.iter().filter_map(|item| rule(cursor, item, needs)).collect(),
        block_external: cursor.flag(&fields, "blockExternal"),
        local_only: cursor.flag(&fields, "localOnly"),
    }
}

fn rule(cursor: &mut Cursor<'_>, item: &Item<'_, '_>, needs: &mut Vec<Need>) -> Option<HostRule> {
    if matches!(item.value, Value::StringLit(_)) {
        let (pattern, port) = host_and_port(cursor, item)?;
        return Some(plain(pattern, port, cursor, item));
    }
    if !matches!(item.value, Value::Object(_)) {
        cursor.wrong_type(item, "a host as string or object");
        return None;
    }
    let fields = cursor.object(item, &HOST_KEYS)?;
    let host = cursor.required(&fields, "host");
    let named = host.and_then(|host| {
        let named = host_and_port(cursor, &host);
        // One place for ports: `host:port` beside `ports` would say it twice.
        if matches!(named, Some((_, Some(_)))) && fields.has("ports") {
            let twice = Problem::Contradiction { what: Clash::Twice, other: None };
            cursor.problem(&host, twice);
        }
        named
    });
    let ports = fields.get("ports").and_then(|ports| port_list(cursor, &ports));
    let addresses = fields.get("addresses").and_then(|list| networks(cursor, &list));
    let methods = fields.get("methods").and_then(|list| methods(cursor, &list));
    let paths = fields.get("paths").and_then(|list| paths(cursor, &list));
    let tls = fields.get("tls").and_then(|tls| {
        let words = [("intercept", TlsMode::Intercept), ("passthrough", TlsMode::Passthrough)];
        cursor.word(&tls, "\"intercept\" or \"passthrough\"", &words)
    });
    let accepts = fields.get("accepts").map(|list| {
        needs.push(Need::new(&list.pointer, "labels", cursor.at(&list)));
        let labels = cursor.array(&list).unwrap_or_default();
        labels.iter().filter_map(|label| cursor.text(label, 128)).collect()
    });
    let model = fields.get("model").and_then(|model| {
        let words = [
            ("anthropic", ModelApi::Anthropic),
            ("openai", ModelApi::OpenAi),
            ("gemini", ModelApi::Gemini),
            ("bedrock", ModelApi::Bedrock),
        ];
        cursor.word(&model, "\"anthropic\", \"openai\", \"gemini\" or \"bedrock\"", &words)
    });
    if tls == Some(TlsMode::Passthrough) {
        unseen(cursor, &fields);
    }
    let ask = cursor.flag(&fields, "ask");
    let expiry = fields.get("expiry").and_then(|time| cursor.time(&time));
    let (pattern, port) = named?;
    Some(HostRule {
        ports: ports.unwrap_or_else(|| default_ports(port)),
        addresses: addresses.unwrap_or_default(),
        methods,
        paths,
        tls: tls.unwrap_or_default(),
        accepts,
        model,
        ask,
        expiry,
        ..plain(pattern, port, cursor, item)
    })
}

fn plain(
    pattern: HostPattern,
    port: Option<u16>,
    cursor: &Cursor<'_>,
    item: &Item<'_, '_>,
) -> HostRule {
    HostRule {
        pattern,
        ports: default_ports(port),
        addresses: Arc::default(),
        methods: None,
        paths: None,
        tls: TlsMode::Intercept,
        accepts: None,
        model: None,
        ask: false,
        expiry: None,
        at: cursor.at(item),
    }
}

fn default_ports(port: Option<u16>) -> Arc<[u16]> {
    port.map_or_else(|| Arc::from([80, 443]), |port| Arc::from([port]))
}

/// Keys about requests, on a host whose requests cannot be seen.
fn unseen(cursor: &mut Cursor<'_>, fields: &Fields<'_, '_>) {
    for key in ["methods", "paths", "model", "accepts"] {
        if let Some(item) = fields.get(key) {
            let problem = Problem::Contradiction { what: Clash::Passthrough, other: None };
            cursor.problem(&item, problem);
        }
    }
}

/// `host`, `host:port`, `*.suffix`, `*.suffix:port`; IPv6 in brackets.
fn host_and_port(
    cursor: &mut Cursor<'_>,
    item: &Item<'_, '_>,
) -> Option<(HostPattern, Option<u16>)> {
    let text = cursor.string(item)?;
    if text.contains(['/', '@', '?', '#']) {
        cursor.problem(item, Problem::HostIsUrl);
        return None;
    }
    let after_bracket = text.rfind(']').map_or(0, |at| at.saturating_add(1));
    let colon = text.get(after_bracket..).and_then(|tail| tail.rfind(':'));
    let bracketed = after_bracket > 0;
    let single = text.matches(':').count() == 1;
    let (host, port) = match colon.and_then(|at| text.split_at_checked(after_bracket + at)) {
        Some((host, port)) if bracketed || single => (host, port.strip_prefix(':')),
        _ => (text, None),
    };
    let number = port.map(|port| {
        let canonical = |number: &u16| *number != 0 && number.to_string() == port;
        port.parse::<u16>().ok().filter(canonical)
    });
    if number == Some(None) {
        cursor.problem(item, Problem::Port);
        return None;
    }
    match HostPattern::parse(host) {
        Ok(pattern) => Some((pattern, number.flatten())),
        Err(error) => {
            cursor.problem(item, Problem::Host(error));
            None
        }
    }
}

/// A pattern without a port, for secrets.
pub(super) fn pattern(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<HostPattern> {
    let text = cursor.string(item)?;
    HostPattern::parse(text).map_err(|error| cursor.problem(item, Problem::Host(error))).ok()
}

fn port_list(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<Arc<[u16]>> {
    let items = cursor.some(item)?;
    let mut ports = BTreeSet::new();
    for item in &items {
        if !matches!(item.value, Value::NumberLit(_)) {
            cursor.wrong_type(item, "a port number");
            continue;
        }
        let port = Cursor::whole(item).and_then(|n| u16::try_from(n).ok()).filter(|n| *n != 0);
        match port {
            None => cursor.problem(item, Problem::Port),
            Some(port) if !ports.insert(port) => twice(cursor, item),
            Some(_) => {}
        }
    }
    (!ports.is_empty()).then(|| ports.into_iter().collect())
}

fn networks(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<Arc<[IpNet]>> {
    let items = cursor.some(item)?;
    let mut networks = Vec::new();
    for item in &items {
        let Some(text) = cursor.string(item) else { continue };
        let parsed: Option<IpNet> =
            text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
        match parsed {
            None => cursor.problem(item, Problem::Network(shorten(text))),
            Some(net) if net.trunc() != net => {
                cursor.problem(item, Problem::NetworkHostBits(net.trunc().to_string()));
            }
            Some(net) => networks.push(net),
        }
    }
    Some(networks.into())
}

fn methods(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<Arc<[Arc<str>]>> {
    let items = cursor.some(item)?;
    let mut methods: Vec<Arc<str>> = Vec::new();
    let mut seen = HashSet::new();
    for item in &items {
        let Some(text) = cursor.string(item) else { continue };
        let letters = text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
        if text.is_empty() || text.len() > 32 || !letters || text == "CONNECT" {
            cursor.problem(item, Problem::Method);
        } else if !seen.insert(text) {
            twice(cursor, item);
        } else {
            methods.push(text.into());
        }
    }
    Some(methods.into())
}

fn paths(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<Arc<[PathPattern]>> {
    let items = cursor.some(item)?;
    let mut paths = Vec::new();
    let mut seen = HashSet::new();
    for item in &items {
        let Some(text) = cursor.string(item) else { continue };
        match path_pattern(text) {
            Err(why) => cursor.problem(item, Problem::PathPattern(why)),
            Ok(_) if !seen.insert(text) => twice(cursor, item),
            Ok(pattern) => paths.push(pattern),
        }
    }
    Some(paths.into())
}

/// Patterns are written in the one canonical form that requests are matched in.
fn path_pattern(text: &str) -> Result<PathPattern, &'static str> {
    if !text.starts_with('/') {
        return Err("it does not begin with a slash");
    }
    if text.len() > 4096 {
        return Err("it is longer than 4096 bytes");
    }
    if text.contains(['?', '#']) {
        return Err("queries and fragments are not part of it");
    }
    if text.contains(['\\', ';']) || text.bytes().any(|b| b <= b' ' || b >= 0x7f) {
        return Err("it holds a character that must be percent-encoded or is ambiguous");
    }
    let lower = text.to_ascii_lowercase();
    if ["%2f", "%5c", "%00", "%2e"].iter().any(|code| lower.contains(code)) {
        return Err("it holds a percent-encoding that servers read in different ways");
    }
    if text.split('/').any(|part| part == "." || part == "..") {
        return Err("it holds `.` or `..` segments");
    }
    let (path, below) = match text.strip_suffix('*') {
        Some(prefix) if prefix.ends_with('/') => (prefix, true),
        _ => (text, false),
    };
    if path.contains('*') {
        return Err("`*` stands only at the end, after a slash");
    }
    Ok(if below { PathPattern::Below(path.into()) } else { PathPattern::Exact(path.into()) })
}

fn twice(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) {
    cursor.problem(item, Problem::Contradiction { what: Clash::Twice, other: None });
}
