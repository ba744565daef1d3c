//! The manifest's outermost keys.

use std::sync::Arc;

use jsonc_parser::ast::Value;

use super::{
    cursor::{Cursor, Item, shorten},
    files, later,
    limits::limits,
    network, programs,
};
use crate::{
    Binary, Clipboard, Display, Dlp, Execute, Expiry, Isolation, Limits, Manifest, Need, Network,
    Present, Problem,
};

pub(crate) const KEYS: [&str; 10] = [
    "$schema",
    "version",
    "agent",
    "agentVersion",
    "binary",
    "permissions",
    "dlp",
    "limits",
    "isolation",
    "expiry",
];

pub(crate) const PERMISSIONS: [&str; 8] =
    ["fileAccess", "network", "execute", "clipboard", "display", "secrets", "tools", "environment"];

pub(super) fn manifest(cursor: &mut Cursor<'_>, root: &Item<'_, '_>) -> Option<Manifest> {
    let fields = cursor.object(root, &KEYS)?;
    let agent = cursor.required(&fields, "agent").and_then(|agent| agent_name(cursor, &agent));
    let mut manifest = empty(agent.unwrap_or_default());
    let needs = &mut Vec::new();
    if let Some(item) = fields.get("$schema") {
        cursor.text(&item, 2048);
    }
    if let Some(item) = fields.get("version") {
        version(cursor, &item);
    }
    manifest.agent_version = fields.get("agentVersion").and_then(|item| cursor.text(&item, 128));
    manifest.binary = fields.get("binary").and_then(|item| binary(cursor, &item, needs));
    if let Some(item) = fields.get("permissions") {
        manifest.present.permissions = true;
        permissions(cursor, &item, &mut manifest, needs);
    }
    if let Some(item) = fields.get("dlp") {
        manifest.dlp = later::dlp(cursor, &item, needs);
    }
    if let Some(item) = fields.get("limits") {
        manifest.limits = limits(cursor, &item);
    }
    if let Some(item) = fields.get("isolation") {
        manifest.isolation = later::isolation(cursor, &item, needs);
    }
    manifest.expiry = fields.get("expiry").and_then(|item| {
        let time = cursor.time(&item)?;
        Some(Expiry { time, at: cursor.at(&item) })
    });
    manifest.needs = std::mem::take(needs);
    Some(manifest)
}

fn permissions(
    cursor: &mut Cursor<'_>,
    item: &Item<'_, '_>,
    manifest: &mut Manifest,
    needs: &mut Vec<Need>,
) {
    let Some(fields) = cursor.object(item, &PERMISSIONS) else { return };
    if let Some(item) = fields.get("fileAccess") {
        manifest.present.file_access = true;
        manifest.files = files::rules(cursor, &item, needs);
    }
    if let Some(item) = fields.get("network") {
        manifest.present.network = true;
        manifest.network = network::network(cursor, &item, needs, &mut manifest.present);
    }
    if let Some(item) = fields.get("execute") {
        manifest.execute = programs::execute(cursor, &item);
    }
    if let Some(item) = fields.get("clipboard") {
        manifest.clipboard = later::clipboard(cursor, &item, needs);
    }
    if let Some(item) = fields.get("display") {
        manifest.display = later::display(cursor, &item, needs);
    }
    if let Some(item) = fields.get("secrets") {
        manifest.secrets = later::secrets(cursor, &item, needs);
    }
    if let Some(item) = fields.get("tools") {
        manifest.tools = later::tools(cursor, &item, needs);
    }
    if let Some(item) = fields.get("environment") {
        manifest.environment = later::environment(cursor, &item);
    }
}

fn version(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) {
    if !matches!(item.value, Value::NumberLit(_)) {
        cursor.wrong_type(item, "the number 1");
    } else if Cursor::whole(item) != Some(1) {
        cursor.problem(item, Problem::Version);
    }
}

fn agent_name(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<Arc<str>> {
    let text = cursor.string(item)?;
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if text.len() > 253 || !text.contains('.') || !text.split('.').all(label) {
        cursor.problem(item, Problem::AgentName(shorten(text)));
        return None;
    }
    Some(text.into())
}

fn binary(cursor: &mut Cursor<'_>, item: &Item<'_, '_>, needs: &mut Vec<Need>) -> Option<Binary> {
    let fields = cursor.object(item, &["sha256", "signer", "sbom"])?;
    let mut later = |cursor: &mut Cursor<'_>, key: &str, feature| {
        fields.get(key).and_then(|item| {
            needs.push(Need::new(&item.pointer, feature, cursor.at(&item)));
            cursor.text(&item, 1024)
        })
    };
    let signer = later(cursor, "signer", "signatures of agents");
    let sbom = later(cursor, "sbom", "software bills of materials of agents");
    let sha256 = fields.get("sha256").and_then(|digest| cursor.sha256(&digest));
    Some(Binary { sha256, signer, sbom, at: cursor.at(item) })
}

fn empty(agent: Arc<str>) -> Manifest {
    Manifest {
        agent,
        agent_version: None,
        binary: None,
        files: Vec::new(),
        network: Network::default(),
        execute: Execute::None(None),
        clipboard: Clipboard::default(),
        display: Display::default(),
        secrets: Vec::new(),
        tools: Vec::new(),
        environment: Vec::new(),
        dlp: Dlp::default(),
        limits: Limits::default(),
        isolation: Isolation::default(),
        expiry: None,
        present: Present::default(),
        needs: Vec::new(),
    }
}
