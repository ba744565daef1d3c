//! The agents: how each is started, what its model answers, what its template needs in a test.

use std::{ffi::OsString, path::PathBuf};

use remit_testkit::{Area, ManifestBuilder, npm_tools, program};
use serde_json::{Value, json};

use crate::place::Place;

/// What every agent is asked to do.
pub const TASK: &str = "read notes.txt";

/// One agent.
#[derive(Clone, Copy)]
pub struct Agent {
    pub name: &'static str,
    /// Its model's host.
    pub host: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Codex,
    OpenCode,
    ClaudeCode,
}

impl Agent {
    /// Codex and OpenCode always; Claude Code, whose licence is proprietary, when
    /// `REMIT_TEST_CLAUDE` is set.
    pub fn installed() -> Vec<Self> {
        let mut agents = vec![
            Self { name: "codex", host: "api.openai.com", kind: Kind::Codex },
            Self { name: "opencode", host: "api.openai.com", kind: Kind::OpenCode },
        ];
        if std::env::var_os("REMIT_TEST_CLAUDE").is_some() {
            let host = "api.anthropic.com";
            agents.push(Self { name: "claude", host, kind: Kind::ClaudeCode });
        }
        agents
    }

    /// The command line.
    pub fn words(self, task: &str) -> Vec<OsString> {
        let words: &[&str] = match self.kind {
            Kind::Codex => &[
                "exec",
                "--skip-git-repo-check",
                "--json",
                "--dangerously-bypass-approvals-and-sandbox",
                "-c",
                "model=gpt-5.1-codex",
                task,
            ],
            Kind::OpenCode => &["run", task],
            Kind::ClaudeCode => &[
                "-p",
                task,
                "--model",
                "claude-sonnet-4-5",
                "--allowedTools",
                "Read,Bash",
                "--output-format",
                "json",
                "--max-turns",
                "6",
            ],
        };
        [self.executable().into_os_string()]
            .into_iter()
            .chain(words.iter().map(OsString::from))
            .collect()
    }

    /// Variables of the host; the template passes them on.
    pub fn variables(self, _: &Place) -> Vec<(&'static str, OsString)> {
        let pairs: &[(&str, &str)] = match self.kind {
            Kind::Codex => &[("CODEX_API_KEY", "sk-x")],
            Kind::OpenCode => &[
                ("OPENAI_API_KEY", "sk-x"),
                ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
                ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
            ],
            Kind::ClaudeCode => &[
                ("ANTHROPIC_API_KEY", "sk-ant-x"),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ],
        };
        pairs.iter().map(|(name, value)| (*name, OsString::from(value))).collect()
    }

    /// Settings in the work folder.
    pub fn prepare(self, place: &Place) {
        if matches!(self.kind, Kind::OpenCode) {
            let model = "mock/gpt-4o";
            let settings = json!({
                "autoupdate": false, "share": "disabled", "model": model, "small_model": model,
                "permission": { "bash": "allow", "external_directory": "allow" },
                "provider": { "mock": {
                    "npm": "@ai-sdk/openai-compatible", "name": "mock",
                    "options": { "baseURL": "https://api.openai.com/v1", "apiKey": "x" },
                    "models": { "gpt-4o": { "name": "gpt-4o" } },
                } },
            });
            place.area().write("work/opencode.json", settings.to_string());
        }
    }

    /// What the model answers, turn by turn. It reads the notes, runs a command, and says `last`.
    pub fn fixture(self, area: &Area, shell: &str, last: &str) -> Value {
        let notes = area.work().join("notes.txt");
        let last = json!({ "content": last });
        let call = |id: &str, name: &str, arguments: Value| json!({ "toolCalls": [{ "id": id, "name": name, "arguments": arguments }] });
        let fixtures = match self.kind {
            Kind::Codex => json!([
                { "match": { "hasToolResult": true }, "response": last },
                { "match": { "toolName": "exec_command" },
                  "response": call("c1", "exec_command", json!({ "cmd": shell })) },
                { "match": {}, "response": { "content": "none" } },
            ]),
            Kind::OpenCode | Kind::ClaudeCode => {
                let (read, key, run) = match self.kind {
                    Kind::OpenCode => ("read", "filePath", "bash"),
                    _ => ("Read", "file_path", "Bash"),
                };
                json!([
                    { "match": { "turnIndex": 0, "toolName": read },
                      "response": call("t1", read, json!({ key: notes })) },
                    { "match": { "turnIndex": 1, "toolName": run },
                      "response": call("t2", run, json!({ "command": shell, "description": "d" })) },
                    { "match": { "turnIndex": 2 }, "response": last },
                    { "match": {}, "response": { "content": "none" } },
                ])
            }
        };
        json!({ "fixtures": fixtures })
    }

    /// The shipped template, widened by what differs from a real installation only: the test's
    /// hosts are on loopback, and the agent lies in the test's own folder.
    pub fn manifest(self) -> ManifestBuilder {
        let text = match self.kind {
            Kind::Codex => include_str!("../../../../templates/codex.json"),
            Kind::OpenCode => include_str!("../../../../templates/opencode.json"),
            Kind::ClaudeCode => include_str!("../../../../templates/claude-code.json"),
        };
        let mut manifest = ManifestBuilder::from_text(text);
        let pointer = "/permissions/network/egressHosts";
        let mut hosts = manifest.value().pointer(pointer).expect("templates list hosts").clone();
        for host in hosts.as_array_mut().expect("hosts are a list") {
            host["addresses"] = json!(["127.0.0.0/8"]);
        }
        manifest = manifest.set(pointer, hosts).read(npm_tools());
        match self.kind {
            Kind::Codex => manifest.execute(program("node")).execute(vendored("codex-linux")),
            _ => manifest,
        }
    }

    /// Whether it can speak to its model over a WebSocket.
    pub const fn has_sockets(self) -> bool {
        matches!(self.kind, Kind::Codex)
    }

    fn executable(self) -> PathBuf {
        let bin = npm_tools().join(".bin").join(self.name);
        bin.canonicalize().unwrap_or_else(|_| panic!("{} is not installed", bin.display()))
    }
}

/// The folder of Codex's native programs for this machine.
fn vendored(prefix: &str) -> PathBuf {
    let scope = npm_tools().join("@openai");
    std::fs::read_dir(&scope)
        .expect("codex is installed")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .expect("codex has a native part")
}
