//! Keys whose enforcement is not there in full: read, and listed as needs where it is missing.

use std::{collections::HashSet, sync::Arc};

use jsonc_parser::ast::Value;
use remit_core::{DataAction, DataClass, DataRule};

use super::{
    cursor::{Cursor, Item},
    limits::span,
    network::pattern,
};
use crate::{
    Access, Clash, Clipboard, Display, Dlp, Isolation, KnownValue, Need, Problem, SecretRule,
    ToolRule,
};

pub(super) fn clipboard(
    cursor: &mut Cursor<'_>,
    item: &Item<'_, '_>,
    needs: &mut Vec<Need>,
) -> Clipboard {
    let Some(fields) = cursor.object(item, &["read", "write"]) else {
        return Clipboard::default();
    };
    let mut access = |key: &str| {
        let Some(item) = fields.get(key) else { return Access::Deny };
        let words = [("deny", Access::Deny), ("ask", Access::Ask), ("allow", Access::Allow)];
        let access = cursor.word(&item, "\"deny\", \"ask\" or \"allow\"", &words);
        if access.is_some_and(|access| access != Access::Deny) {
            needs.push(Need::new(&item.pointer, "the clipboard", cursor.at(&item)));
        }
        access.unwrap_or_default()
    };
    Clipboard { read: access("read"), write: access("write") }
}

pub(super) fn display(
    cursor: &mut Cursor<'_>,
    item: &Item<'_, '_>,
    needs: &mut Vec<Need>,
) -> Display {
    let words = [("deny", Display::Deny), ("allow", Display::Allow)];
    let display = cursor.word(item, "\"deny\" or \"allow\"", &words).unwrap_or_default();
    if display == Display::Allow {
        needs.push(Need::new(&item.pointer, "the display", cursor.at(item)));
    }
    display
}

pub(super) fn isolation(
    cursor: &mut Cursor<'_>,
    item: &Item<'_, '_>,
    needs: &mut Vec<Need>,
) -> Isolation {
    let words = [
        ("native", Isolation::Native),
        ("gvisor", Isolation::Gvisor),
        ("microvm", Isolation::MicroVm),
    ];
    let expected = "\"native\", \"gvisor\" or \"microvm\"";
    let isolation = cursor.word(item, expected, &words).unwrap_or_default();
    if isolation != Isolation::Native {
        needs.push(Need::new(&item.pointer, "another runner", cursor.at(item)));
    }
    isolation
}

pub(super) fn secrets(
    cursor: &mut Cursor<'_>,
    item: &Item<'_, '_>,
    needs: &mut Vec<Need>,
) -> Vec<SecretRule> {
    let items = cursor.array(item).unwrap_or_default();
    if !items.is_empty() {
        needs.push(Need::new(&item.pointer, "secrets", cursor.at(item)));
    }
    items.iter().filter_map(|item| secret(cursor, item)).collect()
}

fn secret(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<SecretRule> {
    const KEYS: [&str; 8] =
        ["name", "source", "ttl", "hosts", "inject", "scope", "minAssurance", "ask"];
    let fields = cursor.object(item, &KEYS)?;
    let name = cursor.required(&fields, "name").and_then(|name| cursor.text(&name, 128));
    let source = cursor.required(&fields, "source").and_then(|source| cursor.text(&source, 1024));
    let hosts = cursor.required(&fields, "hosts").and_then(|list| {
        let hosts = cursor.some(&list)?;
        Some(hosts.iter().filter_map(|host| pattern(cursor, host)).collect())
    });
    let levels = [("A0", 0), ("A1", 1), ("A2", 2), ("A3", 3)];
    Some(SecretRule {
        ttl: fields.get("ttl").and_then(|ttl| span(cursor, &ttl)),
        inject: fields.get("inject").and_then(|inject| cursor.text(&inject, 256)),
        scope: fields.get("scope").and_then(|scope| cursor.text(&scope, 1024)),
        min_assurance: fields
            .get("minAssurance")
            .and_then(|level| cursor.word(&level, "\"A0\", \"A1\", \"A2\" or \"A3\"", &levels)),
        ask: cursor.flag(&fields, "ask"),
        at: cursor.at(item),
        name: name?,
        source: source?,
        hosts: hosts?,
    })
}

pub(super) fn tools(
    cursor: &mut Cursor<'_>,
    item: &Item<'_, '_>,
    needs: &mut Vec<Need>,
) -> Vec<ToolRule> {
    let items = cursor.array(item).unwrap_or_default();
    if !items.is_empty() {
        needs.push(Need::new(&item.pointer, "MCP tools", cursor.at(item)));
    }
    items.iter().filter_map(|item| tool(cursor, item)).collect()
}

fn tool(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<ToolRule> {
    let fields = cursor.object(item, &["server", "allow", "ask"])?;
    let server = cursor.required(&fields, "server").and_then(|name| cursor.text(&name, 128));
    let allow = cursor.required(&fields, "allow").and_then(|list| {
        let names = cursor.some(&list)?;
        Some(names.iter().filter_map(|name| cursor.text(name, 128)).collect::<Vec<Arc<str>>>())
    });
    let ask = cursor.flag(&fields, "ask");
    Some(ToolRule { ask, at: cursor.at(item), server: server?, allow: allow? })
}

pub(super) fn dlp(cursor: &mut Cursor<'_>, item: &Item<'_, '_>, needs: &mut Vec<Need>) -> Dlp {
    let Some(fields) = cursor.object(item, &["inputs", "outputs", "values"]) else {
        return Dlp::default();
    };
    let mut dlp = Dlp::default();
    if let Some(item) = fields.get("inputs") {
        dlp.rules.inputs = rules(cursor, &item, true);
    }
    if let Some(item) = fields.get("outputs") {
        dlp.rules.outputs = rules(cursor, &item, false);
    }
    if let Some(item) = fields.get("values") {
        let items = cursor.array(&item).unwrap_or_default();
        dlp.values = items.iter().filter_map(|item| value(cursor, item)).collect();
    }
    // Listed values are all that is recognised: a rule about a class without any would say more
    // than is done.
    let listed = |class: &DataClass| dlp.values.iter().any(|value| class.covers(&value.class));
    let all = dlp.rules.inputs.iter().chain(&dlp.rules.outputs);
    for rule in all.filter(|rule| rule.action != DataAction::Allow && !listed(&rule.class)) {
        let (key, feature) = (&rule.at.pointer, "recognition of data without listed `values`");
        needs.push(Need::new(key, feature, Arc::clone(&rule.at)));
    }
    dlp
}

fn rules(cursor: &mut Cursor<'_>, item: &Item<'_, '_>, inputs: bool) -> Vec<DataRule> {
    let words = [
        ("allow", DataAction::Allow),
        ("alert", DataAction::Alert),
        ("mask", DataAction::Mask),
        ("redact", DataAction::Redact),
        ("quarantine", DataAction::Quarantine),
        ("block", DataAction::Block),
    ];
    let expected = "\"allow\", \"alert\", \"mask\", \"redact\", \"quarantine\" or \"block\"";
    let mut rules = Vec::new();
    // A contradiction with the hosts points here.
    cursor.at(item);
    for (key, item) in cursor.map(item).unwrap_or_default() {
        let class = cursor.class(&item, key);
        let action = cursor.word(&item, expected, &words);
        if inputs && action == Some(DataAction::Mask) {
            let problem = Problem::Contradiction { what: Clash::MaskInputs, other: None };
            cursor.problem(&item, problem);
        }
        let at = cursor.at(&item);
        rules.extend(class.zip(action).map(|(class, action)| DataRule { class, action, at }));
    }
    rules
}

fn value(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<KnownValue> {
    let fields = cursor.object(item, &["value", "class"])?;
    let value = cursor.required(&fields, "value").and_then(|value| {
        let text = cursor.text(&value, 4096)?;
        if text.len() < LEAST_VALUE {
            cursor.problem(&value, Problem::ShortValue(LEAST_VALUE));
        }
        Some(text)
    });
    let class = cursor.required(&fields, "class").and_then(|class| {
        let text = cursor.string(&class)?;
        cursor.class(&class, text)
    });
    Some(KnownValue::new(&value?, class?))
}

/// Bytes of the shortest value that is looked for.
const LEAST_VALUE: usize = 3;

pub(super) fn environment(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for item in &cursor.array(item).unwrap_or_default() {
        let Value::StringLit(literal) = item.value else {
            cursor.wrong_type(item, "the name of an environment variable");
            continue;
        };
        let name = &*literal.value;
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let digit = name.starts_with(|c: char| c.is_ascii_digit());
        if name.is_empty() || name.len() > 128 || !letters || digit {
            cursor.problem(item, Problem::VariableName(super::cursor::shorten(name)));
        } else if !seen.insert(name) {
            cursor.problem(item, Problem::Contradiction { what: Clash::Twice, other: None });
        } else {
            names.push(name.into());
        }
    }
    names
}
