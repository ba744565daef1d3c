//! How the upstream proxy is shown: where it is and how it is used, and nothing of its secret.

use remit_supervisor::UpstreamProxy;
use serde_json::{Value, json};

/// In one line.
pub(crate) fn text(proxy: &UpstreamProxy) -> String {
    let credentials = proxy.credentials.as_ref();
    let credentials = credentials.map_or("no", |credentials| credentials.kind());
    let mut text =
        format!("{} ({credentials} credentials, by {})", proxy.url(), proxy.target_by.as_str());
    if !proxy.bypass.is_empty() {
        let spared: Vec<String> = proxy.bypass.iter().map(ToString::to_string).collect();
        text.push_str(&format!("; directly: {}", spared.join(", ")));
    }
    text
}

/// For programs.
pub(crate) fn json(proxy: &UpstreamProxy) -> Value {
    json!({
        "url": proxy.url(),
        "auth": proxy.credentials.as_ref().map(|credentials| credentials.kind()),
        "bypass": proxy.bypass.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "target_by": proxy.target_by.as_str(),
    })
}
