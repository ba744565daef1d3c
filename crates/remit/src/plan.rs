//! What `remit run --dry-run` prints: everything that a session would be given, and its ends.

use std::{collections::BTreeMap, path::Path, time::Duration};

use remit_core::{DataRule, FileMode, HostPattern, ModelApi, Timestamp, TlsMode, display_path};
use remit_manifest::{CpuLimit, FileRule, HostRule, Manifest};
use remit_sandbox::plan::{ProgramMount, Programs};
use remit_supervisor::Planned;
use serde_json::{Value, json};

use crate::{output::plain, upstream};

/// For people: one line for each thing that is given.
pub(crate) fn text(planned: &Planned) -> String {
    let (walls, manifest) = (planned.walls(), planned.manifest());
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        text.push_str(&format!("{name:<9} {}\n", plain(&value)));
    };
    row("agent", manifest.agent_id());
    row("program", display_path(&walls.program));
    row("workdir", display_path(&walls.workdir));
    row("home", format!("{} (empty, thrown away)", display_path(&walls.home)));
    for rule in &manifest.files {
        row(mode(rule.mode), format!("{}{}", rule.scope, conditions(rule.ask, rule.expiry)));
    }
    let kind = if walls.programs.only_named() { "only" } else { "system directories, and" };
    for program in walls.programs.named() {
        let asked = if program.asked { " (after a yes)" } else { "" };
        row("execute", format!("{kind} {}{asked}", display_path(&program.path)));
    }
    if manifest.network.hosts.is_empty() {
        row("host", "none".into());
    }
    for rule in &manifest.network.hosts {
        row("host", host_text(rule));
    }
    if manifest.network.local_only {
        row("network", "no connection leaves the machine".into());
    } else if manifest.network.block_external {
        row("network", "private addresses only".into());
    }
    let settings = planned.egress_settings();
    if let Some(proxy) = settings.upstream_proxy() {
        row("proxy", upstream::text(proxy));
    }
    for roots in settings.root_cas() {
        row("trust", format!("{} besides the system's roots", display_path(roots)));
    }
    for line in data_text(manifest) {
        row("data", line);
    }
    row("variables", names(planned).join(", "));
    for limit in limits_text(manifest) {
        row("limit", limit);
    }
    if let Some(expiry) = &manifest.expiry {
        row("ends", expiry.time.to_string());
    }
    text
}

/// For programs. Paths that are not UTF-8 have their odd bytes escaped (`\xNN`).
pub(crate) fn json(planned: &Planned) -> Value {
    let (walls, manifest, context) = (planned.walls(), planned.manifest(), planned.context());
    let lossy = |text: &std::ffi::OsString| text.to_string_lossy().into_owned();
    let shown = |path: &std::path::PathBuf| display_path(path);
    json!({
        "version": 1,
        "agent": context.agent_id.as_ref(),
        "principal": context.principal.as_ref(),
        "manifest": {
            "file": display_path(planned.manifest_file()),
            "digest": context.manifest.as_ref(),
        },
        "program": shown(&walls.program),
        "arguments": walls.arguments.iter().map(lossy).collect::<Vec<_>>(),
        "environment": names(planned),
        "home": shown(&walls.home),
        "workdir": shown(&walls.workdir),
        "grants": manifest.files.iter().map(file_json).collect::<Vec<_>>(),
        "hidden": walls.hidden.iter().map(shown).collect::<Vec<_>>(),
        "programs": programs_json(&walls.programs),
        "loaders": walls.loaders.iter().map(shown).collect::<Vec<_>>(),
        "hosts": manifest.network.hosts.iter().map(host_json).collect::<Vec<_>>(),
        "block_external": manifest.network.block_external,
        "local_only": manifest.network.local_only,
        "dlp": data_json(manifest),
        "literals": walls.literals,
        "upstream_proxy": planned.egress_settings().upstream_proxy().map(upstream::json),
        "root_cas": planned.egress_settings().root_cas().iter().map(shown).collect::<Vec<_>>(),
        "limits": limits_json(manifest),
        "user": walls.user,
        "hostname": walls.hostname,
        "expiry": manifest.expiry.as_ref().map(|expiry| expiry.time),
        "warnings": planned.warnings,
    })
}

const fn mode(mode: FileMode) -> &'static str {
    match mode {
        FileMode::Write => "write",
        FileMode::Read => "read",
    }
}

fn conditions(ask: bool, until: Option<Timestamp>) -> String {
    let ask = if ask { " (after a yes)" } else { "" };
    until.map_or_else(|| ask.to_owned(), |end| format!("{ask}, until {end}"))
}

fn host_text(rule: &HostRule) -> String {
    let ports: Vec<String> = rule.ports.iter().map(u16::to_string).collect();
    let mut text = format!("{}:{}", pattern(&rule.pattern), ports.join(","));
    if let Some(methods) = &rule.methods {
        text.push_str(&format!(" {}", methods.join(",")));
    }
    for path in rule.paths.iter().flat_map(|paths| paths.iter()) {
        text.push_str(&format!(" {path}"));
    }
    for network in rule.addresses.iter() {
        text.push_str(&format!(" at {network}"));
    }
    if rule.tls == TlsMode::Passthrough {
        text.push_str(" (passthrough)");
    }
    if let Some(api) = api(rule) {
        text.push_str(&format!(" (model: {api})"));
    }
    text.push_str(&conditions(rule.ask, rule.expiry));
    text
}

/// The model API that the host speaks: as the rule says, or as a vendor's own host.
fn api(rule: &HostRule) -> Option<&'static str> {
    let vendor = match &rule.pattern {
        HostPattern::Exact(host) => ModelApi::of_vendor(host),
        HostPattern::Subdomains(_) => None,
    };
    rule.model.or(vendor).map(ModelApi::as_str)
}

/// What happens to data, by class; values are not printed.
fn data_text(manifest: &Manifest) -> Vec<String> {
    let rules = &manifest.dlp.rules;
    let ways = [("out", &rules.outputs), ("in", &rules.inputs)];
    let line = |way: &str, rule: &DataRule| {
        format!("{} {way}: {}", rule.class.as_str(), rule.action.as_str())
    };
    let mut all: Vec<String> = ways
        .iter()
        .flat_map(|(way, rules)| rules.iter().map(move |rule| line(way, rule)))
        .collect();
    let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
    for value in &manifest.dlp.values {
        *listed.entry(value.class.as_str()).or_default() += 1;
    }
    all.extend(listed.iter().map(|(class, count)| format!("{class}: {count} listed values")));
    all
}

fn data_json(manifest: &Manifest) -> Value {
    let dlp = &manifest.dlp;
    let list = |rules: &[DataRule]| -> BTreeMap<String, &str> {
        rules.iter().map(|rule| (rule.class.as_str().to_owned(), rule.action.as_str())).collect()
    };
    let classes: Vec<&str> = dlp.values.iter().map(|value| value.class.as_str()).collect();
    json!({
        "inputs": list(&dlp.rules.inputs),
        "outputs": list(&dlp.rules.outputs),
        "values": classes,
    })
}

fn pattern(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(host) => host.for_authority(),
        other @ HostPattern::Subdomains(_) => other.to_string(),
    }
}

fn file_json(rule: &FileRule) -> Value {
    json!({
        "path": display_path(rule.scope.as_path()),
        "write": rule.mode == FileMode::Write,
        "ask": rule.ask,
        "expiry": rule.expiry,
        "rule": rule.at.pointer,
    })
}

fn host_json(rule: &HostRule) -> Value {
    let texts = |all: &[remit_manifest::PathPattern]| -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    };
    let methods =
        rule.methods.as_ref().map(|all| all.iter().map(|one| one.as_ref()).collect::<Vec<&str>>());
    json!({
        "host": rule.pattern.to_string(),
        "ports": rule.ports.as_ref(),
        "methods": methods,
        "paths": rule.paths.as_deref().map(texts),
        "addresses": rule.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tls": match rule.tls {
            TlsMode::Intercept => "intercept",
            TlsMode::Passthrough => "passthrough",
        },
        "model": api(rule),
        "ask": rule.ask,
        "expiry": rule.expiry,
        "rule": rule.at.pointer,
    })
}

fn programs_json(programs: &Programs) -> Value {
    let one = |program: &ProgramMount| json!({"path": display_path(&program.path), "asked": program.asked});
    let named: Vec<Value> = programs.named().iter().map(one).collect();
    if programs.only_named() { json!({"only": named}) } else { json!({"system": named}) }
}

/// Names alone: values may be secrets.
fn names(planned: &Planned) -> Vec<String> {
    let all = planned.walls().environment.iter();
    all.map(|(name, _)| display_path(Path::new(name))).collect()
}

fn limits_json(manifest: &Manifest) -> Value {
    let own = &manifest.limits;
    let (cpu, processors) = match own.cpu {
        Some(CpuLimit::Time(time)) => (Some(time), None),
        Some(CpuLimit::Processors(thousandths)) => (None, Some(thousandths / 1000)),
        None => (None, None),
    };
    json!({
        "memory": own.memory,
        "cpu": cpu,
        "processors": processors,
        "processes": own.processes,
        "wall_time": own.wall_time,
        "disk": own.disk,
        "egress_bytes": own.egress_bytes,
        "open_files": own.open_files,
    })
}

fn limits_text(manifest: &Manifest) -> Vec<String> {
    let own = &manifest.limits;
    let cpu = own.cpu.map(|limit| match limit {
        CpuLimit::Time(time) => format!("{} of processor time", span(time)),
        CpuLimit::Processors(thousandths) => format!("{} processors", thousandths / 1000),
    });
    let all = [
        own.memory.map(|most| format!("{} of memory", bytes(most))),
        cpu,
        own.processes.map(|most| format!("{most} processes")),
        own.wall_time.map(|most| format!("{} of wall time", span(most))),
        own.disk.map(|most| format!("{} on disk outside of granted folders", bytes(most))),
        own.egress_bytes.map(|most| format!("{} sent to hosts", bytes(most))),
        own.open_files.map(|most| format!("{most} open files in a process")),
    ];
    all.into_iter().flatten().collect()
}

/// In the largest unit that says it exactly.
fn bytes(count: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let exact = units.into_iter().find(|(_, unit)| count > 0 && count.is_multiple_of(*unit));
    exact
        .map_or_else(|| format!("{count} bytes"), |(name, unit)| format!("{} {name}", count / unit))
}

fn span(span: Duration) -> String {
    if span.subsec_nanos() == 0 { format!("{}s", span.as_secs()) } else { format!("{span:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact() {
        assert_eq!(
            [bytes(0), bytes(1000), bytes(160 << 20), bytes(1536)],
            ["0 bytes", "1000 bytes", "160 MiB", "1536 bytes"]
        );
    }
}
