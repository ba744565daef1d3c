//! The manifest's shape as editors see it. These types are never read into: they exist so that
//! the schema is generated rather than written, and tests hold it against the parser.
#![allow(dead_code, reason = "only their shape is used")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::Deserialize;
use serde_json::Value;

/// The JSON Schema (draft 2020-12) of the manifest. What it accepts has the right shape; the
/// parser also refuses contradictions and what no schema can express.
pub fn schema() -> Value {
    // Keys are left out rather than null.
    let never_null = RecursiveTransform(|schema: &mut Schema| {
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|name| name != "null");
        }
        if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
            choices.retain(|choice| choice != &serde_json::json!({"type": "null"}));
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
    });
    let generator = SchemaSettings::draft2020_12().with_transform(never_null).into_generator();
    let mut schema = generator.into_root_schema_for::<Manifest>();
    schema.insert("$id".to_owned(), "urn:remit:manifest:1".into());
    schema.to_value()
}

/// Which agent this is for, and what it may do. Everything absent is denied.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Remit manifest")]
struct Manifest {
    /// Schema for editors.
    #[serde(rename = "$schema")]
    #[schemars(length(min = 1, max = 2048))]
    schema: Option<Text>,
    /// Version of the contract.
    #[schemars(range(min = 1, max = 1))]
    version: Option<Whole>,
    /// Which agent this is for, as reverse-DNS name.
    #[schemars(
        length(max = 253),
        regex(
            pattern = r"^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)+$"
        )
    )]
    agent: String,
    /// Its version; recorded with it.
    #[schemars(length(min = 1, max = 128))]
    agent_version: Option<Text>,
    /// The entry executable must match, or nothing starts.
    binary: Option<Binary>,
    /// What the agent may do.
    permissions: Option<Permissions>,
    /// Data-leak prevention.
    dlp: Option<Dlp>,
    /// Limits of the whole session.
    limits: Option<Limits>,
    /// Which runner isolates the session (native).
    isolation: Option<Isolation>,
    /// When everything ends, RFC 3339.
    expiry: Option<Time>,
}

/// Printable text without control characters.
#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
struct Text(#[schemars(regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]+$"))] String);

/// A whole number.
#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
struct Whole(u64);

/// A point in time, such as 2026-02-01T00:00:00Z.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("format" = "date-time"))]
struct Time(
    #[schemars(regex(
        pattern = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$"
    ))]
    String,
);

/// Absolute, or beginning with `~/` or `${WORKDIR}`; no `..`, no patterns.
#[derive(Deserialize, JsonSchema)]
struct Path(#[schemars(regex(pattern = r"^(/|~(/|$)|\$\{WORKDIR\}(/|$))[^*?\[\x00]*$"))] String);

/// A SHA-256 digest.
#[derive(Deserialize, JsonSchema)]
struct Sha256(#[schemars(regex(pattern = r"^(sha256:)?[0-9A-Fa-f]{64}$"))] String);

/// A class of findings, or a group of them.
#[derive(Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
struct Class(
    #[schemars(regex(
        pattern = r"^(PERSON|ADDRESS|LOCATION|ORGANIZATION|EMAIL|PHONE|CREDIT_CARD|IBAN|BANK_ACCOUNT|NATIONAL_ID|DATE_OF_BIRTH|IP_ADDRESS|MEDICAL|SALARY|API_KEY|PASSWORD|PRIVATE_KEY|JWT|CONNECTION_STRING|BEARER|SEED_PHRASE|CRYPTO_WALLET|CANARY|pii|secrets|registered|(EXACT|DOCUMENT):[^\x00-\x1f\x7f-\x9f]{1,128})$"
    ))]
    String,
);

/// The entry executable.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Binary {
    /// Digest of its bytes.
    sha256: Option<Sha256>,
    /// Who signed it.
    #[schemars(length(min = 1, max = 1024))]
    signer: Option<Text>,
    /// Its software bill of materials.
    #[schemars(length(min = 1, max = 1024))]
    sbom: Option<Text>,
}

/// What the agent may do.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Permissions {
    /// Files and folders; the longest path wins.
    file_access: Option<Vec<FileRule>>,
    /// Hosts.
    network: Option<Network>,
    /// Programs besides the entry executable (false).
    execute: Option<Execute>,
    /// The clipboard.
    clipboard: Option<Clipboard>,
    /// The X11 or Wayland socket (deny).
    display: Option<Display>,
    /// Secrets.
    secrets: Option<Vec<Secret>>,
    /// MCP tools.
    tools: Option<Vec<Tool>>,
    /// Host variables passed on.
    environment: Option<Vec<Variable>>,
}

/// The name of an environment variable.
#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
struct Variable(
    #[schemars(length(max = 128), regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))] String,
);

/// A file, or a folder with all below it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileRule {
    /// Which.
    path: Path,
    /// `write` includes read.
    mode: FileMode,
    /// Ends sooner than the manifest.
    expiry: Option<Time>,
    /// A person decides each use.
    ask: Option<bool>,
    /// Classes redacted before the agent reads.
    #[schemars(length(min = 1))]
    redact: Option<Vec<Class>>,
    /// Label that reading puts on the session.
    #[schemars(length(min = 1, max = 128))]
    label: Option<Text>,
    /// Writes wait for review.
    staged: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum FileMode {
    Read,
    Write,
}

/// Hosts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Network {
    /// Hosts that may be reached.
    egress_hosts: Option<Vec<HostRule>>,
    /// Names may resolve to private addresses only.
    block_external: Option<bool>,
    /// No connection leaves the machine.
    local_only: Option<bool>,
}

/// A host.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum HostRule {
    /// `host`, `host:port` or `*.suffix`.
    Name(HostName),
    /// With more about it.
    Full(Box<FullHostRule>),
}

/// `host`, `host:port` or `*.suffix`; IPv6 in brackets.
#[derive(Deserialize, JsonSchema)]
struct HostName(#[schemars(length(min = 1), regex(pattern = r"^[^/@?# ]+$"))] String);

/// A host with more about it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FullHostRule {
    /// Which.
    host: HostName,
    /// Ports (443 and 80).
    #[schemars(length(min = 1), inner(range(min = 1, max = 65535)), extend("uniqueItems" = true))]
    ports: Option<Vec<u16>>,
    /// Networks that the name may resolve to.
    #[schemars(length(min = 1), inner(regex(pattern = r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$")))]
    addresses: Option<Vec<String>>,
    /// Methods, upper-case.
    #[schemars(length(min = 1), inner(regex(pattern = r"^[A-Z_-]{1,32}$")), extend("uniqueItems" = true))]
    methods: Option<Vec<String>>,
    /// Exact paths, or prefixes that end in `/*`.
    #[schemars(length(min = 1), inner(regex(pattern = r"^/([^*?#\\; \x00-\x20\x7f]*|([^*?#\\; \x00-\x20\x7f]*/)?\*)$")), extend("uniqueItems" = true))]
    paths: Option<Vec<String>>,
    /// How connections are treated (intercept).
    tls: Option<Tls>,
    /// Labels of data that may be sent there.
    #[schemars(inner(length(min = 1, max = 128)))]
    accepts: Option<Vec<Text>>,
    /// Which model API it speaks.
    model: Option<Model>,
    /// A person decides each use.
    ask: Option<bool>,
    /// Ends sooner than the manifest.
    expiry: Option<Time>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Tls {
    Intercept,
    Passthrough,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Model {
    Anthropic,
    OpenAi,
    Gemini,
    Bedrock,
}

/// Programs.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Execute {
    /// None, or any in read-only system directories.
    All(bool),
    /// These.
    List(Vec<Program>),
}

/// A program, or a folder of programs.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Program {
    /// Its path.
    Path(Path),
    /// With more about it.
    Full(FullProgram),
}

/// A program with more about it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FullProgram {
    /// Its path.
    path: Path,
    /// Digest of its bytes.
    sha256: Option<Sha256>,
    /// A person decides each start.
    ask: Option<bool>,
}

/// The clipboard (deny).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Clipboard {
    /// Reading it.
    read: Option<Access>,
    /// Changing it.
    write: Option<Access>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Access {
    Deny,
    Ask,
    Allow,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Display {
    Deny,
    Allow,
}

/// A secret that the agent may use without holding it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Secret {
    /// The name under which the agent finds its handle.
    #[schemars(length(min = 1, max = 128))]
    name: Text,
    /// Where the broker takes it from.
    #[schemars(length(min = 1, max = 1024))]
    source: Text,
    /// How long a lease lives.
    ttl: Option<Span>,
    /// Hosts it is bound to.
    #[schemars(length(min = 1))]
    hosts: Vec<HostName>,
    /// Where in a request it is put.
    #[schemars(length(min = 1, max = 256))]
    inject: Option<Text>,
    /// What it may be used for.
    #[schemars(length(min = 1, max = 1024))]
    scope: Option<Text>,
    /// Least level of attestation.
    min_assurance: Option<Assurance>,
    /// A person decides each lease.
    ask: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
enum Assurance {
    A0,
    A1,
    A2,
    A3,
}

/// Tools of one MCP server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tool {
    /// The server's name.
    #[schemars(length(min = 1, max = 128))]
    server: Text,
    /// Its tools.
    #[schemars(length(min = 1), inner(length(min = 1, max = 128)))]
    allow: Vec<Text>,
    /// A person decides each call.
    ask: Option<bool>,
}

/// Data-leak prevention.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Dlp {
    /// What comes in.
    inputs: Option<BTreeMap<Class, InputAction>>,
    /// What goes out.
    outputs: Option<BTreeMap<Class, OutputAction>>,
    /// Literal strings that always count as findings.
    values: Option<Vec<KnownValue>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum InputAction {
    Allow,
    Alert,
    Redact,
    Quarantine,
    Block,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OutputAction {
    Allow,
    Alert,
    Mask,
    Redact,
    Quarantine,
    Block,
}

/// A literal string that always counts as a finding.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KnownValue {
    /// The string.
    #[schemars(length(min = 1, max = 4096))]
    value: Text,
    /// Its class.
    class: Class,
}

/// Limits of the whole session.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Limits {
    /// Bytes of memory.
    memory: Option<Size>,
    /// Processors such as 1.5, or processor time such as "10m".
    cpu: Option<Cpu>,
    /// Processes and threads at one time.
    #[schemars(range(min = 1))]
    processes: Option<u32>,
    /// Time from start to end.
    wall_time: Option<Span>,
    /// Bytes written outside of granted folders, and staged.
    disk: Option<Size>,
    /// Bytes sent to hosts.
    egress_bytes: Option<SizeOrZero>,
    /// Open files of a process.
    #[schemars(range(min = 1))]
    open_files: Option<u32>,
}

/// Bytes, or a text such as "96MiB" or "2GB".
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Size {
    /// Bytes.
    Bytes(#[schemars(range(min = 1))] u64),
    /// With a unit.
    Text(#[schemars(regex(pattern = r"^[1-9][0-9]*([kKMGT]B|[KMGT]iB|B)?$"))] String),
}

/// Bytes, or a text such as "96MiB"; zero is a limit too.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum SizeOrZero {
    /// Bytes.
    Bytes(u64),
    /// With a unit.
    Text(#[schemars(regex(pattern = r"^(0|[1-9][0-9]*)([kKMGT]B|[KMGT]iB|B)?$"))] String),
}

/// "5s", "10m", "2h", "7d".
#[derive(Deserialize, JsonSchema)]
struct Span(#[schemars(regex(pattern = r"^[1-9][0-9]*[smhd]$"))] String);

/// Processors, or processor time.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Cpu {
    /// Processors.
    Processors(#[schemars(range(min = 0.001, max = 65536))] f64),
    /// Processor time.
    Time(Span),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Isolation {
    Native,
    Gvisor,
    MicroVm,
}
