//! The narrowest manifest change that would permit what was denied. Every suggestion can be
//! applied as it stands; a test applies them all.

use std::{net::IpAddr, path::Path, time::Duration};

use remit_core::{Decision, FileMode, Host, Timestamp, TlsMode};
use remit_manifest::{Execute, FileRule, HostRule, Present, ProgramRule};
use serde_json::{Value, json};

/// How much later a suggested end is.
const LONGER: Duration = Duration::from_secs(3600);

/// A rule for exactly this path.
pub(crate) fn file(decision: Decision, path: &Path, mode: FileMode, present: &Present) -> Decision {
    let mode = if mode == FileMode::Read { "read" } else { "write" };
    match path.to_str().filter(|text| expressible(text)) {
        Some(path) => {
            let has = (present.permissions, present.file_access);
            add(decision, has, "fileAccess", json!({"path": path, "mode": mode}))
        }
        None => decision,
    }
}

/// A rule that names the very path, for protected files.
pub(crate) fn very_path(decision: Decision, path: &Path, present: &Present) -> Decision {
    file(decision, path, FileMode::Write, present)
}

/// Writing where only reading is granted.
pub(crate) fn writable(
    decision: Decision,
    path: &Path,
    rule: &FileRule,
    present: &Present,
) -> Decision {
    if rule.scope.as_path() == path {
        return put(decision, format!("{}/mode", rule.at.pointer), &json!("write"));
    }
    file(decision, path, FileMode::Write, present)
}

/// A later end.
pub(crate) fn expired(decision: Decision, pointer: String, now: Option<Timestamp>) -> Decision {
    match now {
        Some(now) => put(decision, pointer, &json!(now.after(LONGER).to_string())),
        None => decision,
    }
}

/// A program in the list.
pub(crate) fn program(
    decision: Decision,
    path: &Path,
    execute: &Execute,
    present: &Present,
) -> Decision {
    let Some(path) = path.to_str().filter(|text| expressible(text)) else { return decision };
    match execute {
        Execute::List(_) => put(decision, "/permissions/execute/-".to_owned(), &json!(path)),
        // `true` and a list exclude each other, so nothing narrow can be added.
        Execute::All(_) => decision,
        Execute::None(_) if present.permissions => {
            put(decision, "/permissions/execute".to_owned(), &json!([path]))
        }
        Execute::None(_) => put(decision, "/permissions".to_owned(), &json!({"execute": [path]})),
    }
}

/// The digest that the program has.
pub(crate) fn digest(
    decision: Decision,
    rule: &ProgramRule,
    sha256: Option<&[u8; 32]>,
) -> Decision {
    let Some(sha256) = sha256 else { return decision };
    let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    put(decision, format!("{}/sha256", rule.at.pointer), &json!(hex))
}

/// A host that no rule names.
pub(crate) fn new_host(
    decision: Decision,
    host: &Host,
    port: Option<u16>,
    present: &Present,
) -> Decision {
    let text = match port {
        Some(port) => format!("{}:{port}", host.for_authority()),
        None => host.for_authority(),
    };
    let value = match host {
        Host::Address(address) if !crate::network::is_ordinary(*address) => {
            let ports = port.map_or_else(|| vec![80, 443], |port| vec![port]);
            json!({"host": host.for_authority(), "ports": ports, "addresses": [net(*address)]})
        }
        _ => json!(text),
    };
    if present.network && !present.egress_hosts {
        return put(decision, "/permissions/network/egressHosts".to_owned(), &json!([value]));
    }
    if !present.network {
        let network = json!({"egressHosts": [value]});
        return if present.permissions {
            put(decision, "/permissions/network".to_owned(), &network)
        } else {
            put(decision, "/permissions".to_owned(), &json!({"network": network}))
        };
    }
    put(decision, "/permissions/network/egressHosts/-".to_owned(), &value)
}

/// A port more for a host that a rule names.
pub(crate) fn host(decision: Decision, rule: &HostRule, host: &Host, port: u16) -> Decision {
    let mut value = like(rule, host.for_authority(), port);
    if let (Some(object), Host::Address(address)) = (value.as_object_mut(), host)
        && !object.contains_key("addresses")
        && !crate::network::is_ordinary(*address)
    {
        object.insert("addresses".to_owned(), json!([net(*address)]));
    }
    put(decision, "/permissions/network/egressHosts/-".to_owned(), &value)
}

/// One method and path more. The new rule names the same hosts, so that it stands beside the old
/// one rather than in front of it.
pub(crate) fn request(
    decision: Decision,
    rule: &HostRule,
    port: u16,
    method: &str,
    path: &str,
) -> Decision {
    // What a rule cannot express has no suggestion.
    let upper = method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
    let written = !method.is_empty() && method.len() <= 32 && upper && method != "CONNECT";
    if !written || path.contains(['*', '?', '#', ';', '\\']) || !path.starts_with('/') {
        return decision;
    }
    let host = match &rule.pattern {
        remit_core::HostPattern::Exact(host) => host.for_authority(),
        wildcard @ remit_core::HostPattern::Subdomains(_) => wildcard.to_string(),
    };
    let mut value = like(rule, host, port);
    if let Some(object) = value.as_object_mut() {
        object.insert("methods".to_owned(), json!([method]));
        object.insert("paths".to_owned(), json!([path]));
    }
    put(decision, "/permissions/network/egressHosts/-".to_owned(), &value)
}

/// A listed literal address that needs its network named too.
pub(crate) fn literal(decision: Decision, rule: &HostRule, address: IpAddr) -> Decision {
    let mut value = like(rule, Host::Address(address).for_authority(), 0);
    if let Some(object) = value.as_object_mut() {
        object.insert("ports".to_owned(), json!(&*rule.ports));
        object.insert("addresses".to_owned(), json!([net(address)]));
    }
    put(decision, rule.at.pointer.clone(), &value)
}

/// A rule for one port that treats connections as `rule` does.
fn like(rule: &HostRule, host: String, port: u16) -> Value {
    let mut value = json!({"host": host, "ports": [port]});
    if let Some(object) = value.as_object_mut() {
        if !rule.addresses.is_empty() {
            let networks: Vec<String> = rule.addresses.iter().map(ToString::to_string).collect();
            object.insert("addresses".to_owned(), json!(networks));
        }
        if rule.tls == TlsMode::Passthrough {
            object.insert("tls".to_owned(), json!("passthrough"));
        }
        if let Some(model) = rule.model {
            object.insert("model".to_owned(), json!(model.as_str()));
        }
    }
    value
}

fn net(address: IpAddr) -> String {
    ipnet::IpNet::from(address).to_string()
}

/// Appends to a list of `permissions` that may not be there yet.
fn add(decision: Decision, has: (bool, bool), key: &str, value: Value) -> Decision {
    match has {
        (true, true) => put(decision, format!("/permissions/{key}/-"), &value),
        (true, false) => put(decision, format!("/permissions/{key}"), &json!([value])),
        (false, _) => put(decision, "/permissions".to_owned(), &json!({key: [value]})),
    }
}

fn put(decision: Decision, pointer: String, value: &Value) -> Decision {
    decision.suggesting(pointer, value.to_string())
}

/// Whether a rule can name the path: rules take no patterns.
fn expressible(path: &str) -> bool {
    !path.contains(['*', '?', '['])
}
