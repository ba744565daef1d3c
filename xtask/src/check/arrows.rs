//! Which crate may use which, and where `unsafe` may stand.

use std::process::Command;

use serde_json::Value;

use super::sources::Source;
use crate::{failure::Failure, place, step};

/// Crates of ours that each crate may use outside its tests. Enforcement points know the port
/// `Pdp` of the core, never the policy behind it.
const ARROWS: [(&str, &[&str]); 11] = [
    ("remit-core", &[]),
    ("remit-manifest", &["remit-core"]),
    ("remit-policy", &["remit-core", "remit-manifest"]),
    ("remit-audit", &["remit-core"]),
    ("remit-sandbox", &["remit-core"]),
    ("remit-dlp", &["remit-core"]),
    ("remit-egress", &["remit-core", "remit-dlp"]),
    (
        "remit-supervisor",
        &[
            "remit-core",
            "remit-manifest",
            "remit-policy",
            "remit-audit",
            "remit-sandbox",
            "remit-dlp",
            "remit-egress",
        ],
    ),
    (
        "remit",
        &[
            "remit-core",
            "remit-supervisor",
            "remit-manifest",
            "remit-audit",
            "remit-policy",
            "remit-sandbox",
            "remit-dlp",
        ],
    ),
    ("remit-testkit", &["remit-core"]),
    ("remit-bench", &["remit-core", "remit-testkit"]),
];

/// The one crate that may hold `unsafe`.
const UNSAFE: &str = "crates/remit-sandbox/";

/// Checks the dependencies that cargo knows.
pub(crate) fn check_dependencies() -> Result<(), Failure> {
    let mut cargo = Command::new(place::cargo());
    cargo.current_dir(place::root()).args(["metadata", "--no-deps", "--format-version", "1"]);
    let text = step::capture("cargo metadata", &mut cargo)?;
    let metadata: Value = serde_json::from_str(&text)
        .map_err(|source| Failure::Json { what: "cargo metadata".to_owned(), source })?;
    let findings = wrong_arrows(&metadata);
    if findings.is_empty() {
        println!("arrows: every crate uses only what it may");
        return Ok(());
    }
    Err(Failure::Findings { what: "dependencies against the architecture", findings })
}

fn wrong_arrows(metadata: &Value) -> Vec<String> {
    let list = |value: &Value, key: &str| -> Vec<Value> {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let text = |value: &Value, key: &str| -> String {
        value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut findings = Vec::new();
    for package in list(metadata, "packages") {
        let name = text(&package, "name");
        if name == "xtask" {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            findings.push(format!("{name} has no row in the table of xtask/src/check/arrows.rs"));
            continue;
        };
        for dependency in list(&package, "dependencies") {
            let target = text(&dependency, "name");
            let for_tests = text(&dependency, "kind") == "dev";
            if target.starts_with("remit") && !for_tests && !allowed.contains(&target.as_str()) {
                findings.push(format!("{name} uses {target}"));
            }
        }
    }
    findings
}

/// Checks that `unsafe` stands in one crate only.
pub(crate) fn check_unsafe(sources: &[Source]) -> Result<(), Failure> {
    let findings: Vec<String> = sources
        .iter()
        .filter(|source| !source.path.starts_with(UNSAFE))
        .flat_map(|source| {
            let numbered = source.text.lines().enumerate();
            numbered
                .filter(|(_, line)| has_unsafe(line))
                .map(|(index, line)| format!("{}:{}: {}", source.path, index + 1, line.trim()))
        })
        .collect();
    if findings.is_empty() {
        println!("unsafe: in {UNSAFE} only");
        return Ok(());
    }
    Err(Failure::Findings { what: "unsafe code outside the sandbox crate", findings })
}

/// Whether a line of code (not of comment) opens an unsafe block, item, or permits one.
fn has_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let opens = ["{", "fn", "impl", "extern", "trait"];
    let spoken = |rest: &str| opens.iter().any(|word| rest.trim_start().starts_with(word));
    let keyword = ["un", "safe "].concat();
    let permits = ["allow(un", "safe_code"].concat();
    code.split(&keyword).skip(1).any(spoken) || code.contains(&permits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_a_wrong_arrow_but_not_one_for_tests() {
        let metadata = json!({ "packages": [
            { "name": "remit-egress", "dependencies": [
                { "name": "remit-policy", "kind": null },
                { "name": "remit-testkit", "kind": "dev" },
                { "name": "hyper", "kind": null },
            ] },
            { "name": "remit-new", "dependencies": [] },
        ] });
        let findings = wrong_arrows(&metadata);
        assert_eq!(findings.first().map(String::as_str), Some("remit-egress uses remit-policy"));
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn finds_code_but_not_comments() {
        let keyword = ["un", "safe"].concat();
        assert!(has_unsafe(&format!("let x = {keyword} {{ y() }};")));
        assert!(has_unsafe(&format!("pub {keyword} fn y()")));
        assert!(!has_unsafe(&format!("// {keyword} {{ in a comment }}")));
        assert!(!has_unsafe(&format!("an {keyword} word in prose")));
    }
}
