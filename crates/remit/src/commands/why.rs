//! `remit why`: a decision, the rule that made it, the line to change.

use std::path::{Path, PathBuf};

use remit_audit::find;
use remit_core::{Decision, Effect, Outcome, Record, RuleRef, RuleSource, Suggestion};
use remit_manifest::ManifestSource;
use remit_supervisor::sessions;
use serde_json::{Value, json};

use crate::{
    cli::{Format, WhyArguments},
    explain::{Explained, Explainer, host_and_port},
    failure::Failure,
    locate, output, place,
};

/// Runs it.
pub(crate) fn run(arguments: WhyArguments) -> Result<i32, Failure> {
    let answer = match &arguments.event {
        Some(event) => {
            let folder = place::log(arguments.log.clone())?;
            let found = find(&folder, event)?.ok_or_else(|| Failure::NoEvent(event.to_string()))?;
            let record = found.record().map_err(|error| Failure::Input {
                path: folder,
                problem: format!("the record {event} cannot be read: {error}"),
            })?;
            from_record(record, arguments.manifest.as_deref())
        }
        None => decide(&arguments)?,
    };
    match arguments.format {
        Format::Text => output::print(&answer.text())?,
        format => output::document(&answer.json(), format)?,
    }
    Ok(0)
}

/// An answer, from the trail or made now.
struct Answer {
    /// `permit`, `deny`, `ask`, or how the recorded attempt ended.
    decision: &'static str,
    action: &'static str,
    resource: String,
    reason: remit_core::ReasonCode,
    rule: Option<std::sync::Arc<RuleRef>>,
    change: Option<Suggestion>,
    until: Option<remit_core::Timestamp>,
    notes: Vec<String>,
    manifest: Option<ManifestSource>,
    record: Option<Record>,
}

fn decide(arguments: &WhyArguments) -> Result<Answer, Failure> {
    let manifest = match &arguments.manifest {
        Some(path) => path.clone(),
        None => usual_manifest()?,
    };
    let workdir = arguments.workdir.clone().unwrap_or_else(|| ".".into());
    let explainer = Explainer::new(&manifest, &workdir)?;
    let explained = match (&arguments.path, &arguments.exec, &arguments.host) {
        (Some(path), ..) => explainer.path(path, arguments.write)?,
        (_, Some(program), _) => explainer.program(program)?,
        (.., host) => {
            let (host, port) = host_and_port(host.as_deref().unwrap_or_default())?;
            let method = arguments.method.as_deref();
            let http = (method.is_some() || arguments.url_path.is_some())
                .then(|| (method.unwrap_or("GET"), arguments.url_path.as_deref().unwrap_or("/")));
            explainer.host(&host, port, http)
        }
    };
    let Explained { request, decision, notes } = explained;
    let Decision { effect, reason, rule, suggestion, until, .. } = decision;
    Ok(Answer {
        decision: match effect {
            Effect::Permit => "permit",
            Effect::Deny => "deny",
            Effect::Ask => "ask",
        },
        action: request.action.as_str(),
        resource: request.resource.describe(),
        reason,
        rule,
        change: suggestion.map(|change| *change),
        until,
        notes,
        manifest: Some(explainer.source),
        record: None,
    })
}

/// The manifest of what runs now, where all of it runs under one; else `manifest.json` here.
fn usual_manifest() -> Result<PathBuf, Failure> {
    let home = place::home();
    let running = sessions(&home).map_err(Failure::at(&home.sessions))?;
    let mut manifests: Vec<PathBuf> =
        running.into_iter().map(|one| PathBuf::from(one.info.manifest)).collect();
    manifests.sort();
    manifests.dedup();
    let chosen = match manifests.as_slice() {
        [one] => one.clone(),
        [] if Path::new("manifest.json").exists() => PathBuf::from("manifest.json"),
        [] => return Err(Failure::WhichManifest("no session is running")),
        _ => return Err(Failure::WhichManifest("several sessions are running")),
    };
    output::say(format_args!("under {}", output::plain(&chosen.to_string_lossy())));
    Ok(chosen)
}

fn from_record(record: Record, manifest: Option<&Path>) -> Answer {
    let source = text_of(&record, manifest);
    let mut notes = Vec::new();
    if source.is_none() && record.rule.as_ref().is_some_and(|rule| rule.line > 0) {
        notes.push(format!(
            "the manifest was {}; `--manifest FILE` shows the lines, if it is the same",
            record.permission_manifest
        ));
    }
    if let Some(approval) = &record.approval_id {
        notes.push(format!("a person was asked: {approval}"));
    }
    if let Some(detail) = &record.detail {
        notes.push(detail.clone());
    }
    Answer {
        decision: match record.outcome {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            other => other.as_str(),
        },
        action: record.action.as_str(),
        resource: record.resource.clone(),
        reason: record.reason,
        rule: record.rule.clone(),
        change: record.suggestion.clone(),
        until: None,
        notes,
        manifest: source,
        record: Some(record),
    }
}

/// The manifest that was in force, where it can be found unchanged.
fn text_of(record: &Record, named: Option<&Path>) -> Option<ManifestSource> {
    let running = sessions(&place::home()).unwrap_or_default();
    let own =
        running.into_iter().map(|one| one.info).find(|info| info.session == record.session_id);
    let candidates = [
        named.map(Path::to_owned),
        own.map(|info| info.manifest.into()),
        Some("manifest.json".into()),
    ];
    candidates
        .into_iter()
        .flatten()
        .filter_map(|path| ManifestSource::read(path).ok())
        .find(|source| **source.digest() == *record.permission_manifest)
}

impl Answer {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: &str| {
            text.push_str(&format!("{name:<9}{}\n", output::plain(value)));
        };
        row(self.decision, &format!("{} {}", self.action, self.resource));
        row("reason", &format!("{}: {}", self.reason.as_str(), self.reason.sentence()));
        match &self.rule {
            Some(rule) => {
                row("rule", &self.describe(rule));
                if let Some(line) = self.line(rule) {
                    row("", &line);
                }
            }
            None if self.decision == "deny" || self.decision == "denied" => {
                row("rule", "none: what no rule names is denied");
            }
            None => {}
        }
        if let Some(change) = &self.change {
            row("change", &self.instruction(change));
            row("", &change.value);
        }
        if let Some(until) = self.until {
            row("until", &until.to_string());
        }
        for note in &self.notes {
            row("note", note);
        }
        if let Some(record) = &self.record {
            row("event", &record.event_id.to_string());
            row("time", &record.timestamp.to_string());
            row("agent", &format!("{} of {}", record.agent_id, record.principal));
        }
        text
    }

    fn name(&self) -> &str {
        self.manifest.as_ref().map_or("the manifest", ManifestSource::name)
    }

    fn line(&self, rule: &RuleRef) -> Option<String> {
        let (line, column) = (rule.line.try_into().ok()?, rule.column.try_into().ok()?);
        locate::line(self.manifest.as_ref()?.text(), line, column)
    }

    fn describe(&self, rule: &RuleRef) -> String {
        match &rule.source {
            RuleSource::Grant(_) => format!("grant {}", rule.pointer),
            RuleSource::BuiltIn => format!("built in: {}", rule.pointer),
            _ if rule.line > 0 => {
                format!("{} ({}:{}:{})", rule.pointer, self.name(), rule.line, rule.column)
            }
            _ => rule.pointer.clone(),
        }
    }

    /// What to do at which line.
    fn instruction(&self, change: &Suggestion) -> String {
        let spot = self.spot(change);
        let place = spot.as_ref().map_or_else(String::new, |spot| {
            format!(" ({}:{}:{})", self.name(), spot.line, spot.column)
        });
        if let Some(list) = change.pointer.strip_suffix("/-") {
            return format!("append to {list}{place}:");
        }
        match spot {
            Some(spot) if !spot.exact => {
                let key = change.pointer.strip_prefix(&spot.pointer).unwrap_or(&change.pointer);
                let parent = if spot.pointer.is_empty() { "the manifest" } else { &spot.pointer };
                let key = key.trim_start_matches('/');
                format!("add the key `{key}` to {parent}{place}:")
            }
            _ => format!("set {}{place} to:", change.pointer),
        }
    }

    fn spot(&self, change: &Suggestion) -> Option<locate::Spot> {
        locate::find(self.manifest.as_ref()?.text(), &change.pointer)
    }

    fn json(&self) -> Value {
        let value = |change: &Suggestion| {
            let spot = self.spot(change);
            json!({
                "pointer": change.pointer,
                // Suggestions are JSON texts; what is none stays a text.
                "value": serde_json::from_str(&change.value)
                    .unwrap_or_else(|_| Value::from(change.value.as_str())),
                "line": spot.as_ref().map(|spot| spot.line),
                "column": spot.as_ref().map(|spot| spot.column),
            })
        };
        let manifest = self.manifest.as_ref();
        json!({
            "version": 1,
            "decision": self.decision,
            "action": self.action,
            "resource": self.resource,
            "reason": self.reason,
            "sentence": self.reason.sentence(),
            "rule": self.rule,
            "change": self.change.as_ref().map(value),
            "until": self.until,
            "notes": self.notes,
            "manifest": manifest.map(|source| json!({"file": source.name(), "digest": **source.digest()})),
            "event": self.record,
        })
    }
}
