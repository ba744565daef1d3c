//! `remit audit`: reading, verifying and proving the trail.

use std::{
    fs::File,
    io::{self, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    str::FromStr as _,
};

use remit_audit::{
    Filter, Found, LogError, LogPaths, Report, Severity, VerifierKey, VerifyOptions, kept, prove,
    public_key, query, verify, verify_proof,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    cli::{
        AuditCommand, CheckpointArguments, Format, ProveArguments, QueryArguments, VerifyArguments,
    },
    failure::Failure,
    moment::Moment,
    output, place,
};

/// No key, checkpoint or proof is longer.
const LARGEST: u64 = 1 << 20;

/// Runs it.
pub(crate) fn run(command: AuditCommand) -> Result<i32, Failure> {
    match command {
        AuditCommand::Query(arguments) => ask(arguments),
        AuditCommand::Verify(arguments) => check(arguments),
        AuditCommand::Checkpoint(arguments) => checkpoint(arguments),
        AuditCommand::Prove(arguments) => match arguments.check {
            Some(ref proof) => check_proof(proof, &arguments),
            None => make_proof(arguments),
        },
    }
}

fn ask(arguments: QueryArguments) -> Result<i32, Failure> {
    let folder = place::log(arguments.log)?;
    let (action, outcome) = (arguments.action.as_deref(), arguments.outcome.as_deref());
    let filter = Filter {
        session: arguments.session,
        action: action.and_then(known),
        outcome: outcome.and_then(known),
        since: arguments.since.map(Moment::ago),
        until: arguments.until.map(Moment::ago),
        limit: arguments.limit,
        ..Filter::default()
    };
    // The contract has more actions than this version records: none of those is in the log.
    let never = action.is_some() && filter.action.is_none();
    let found = if never { None } else { Some(query(&folder, filter)?) };
    let found = found.into_iter().flatten();
    match arguments.format {
        Format::Jsonl => lines(found)?,
        Format::Json => array(found)?,
        Format::Text => rows(found)?,
    }
    Ok(0)
}

/// The value with this contract spelling, where this version knows it.
fn known<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(Value::from(word)).ok()
}

fn lines(found: impl Iterator<Item = Result<Found, LogError>>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    for one in found {
        writeln!(out, "{}", one?.line()).map_err(Failure::Output)?;
    }
    out.flush().map_err(Failure::Output)
}

fn array(found: impl Iterator<Item = Result<Found, LogError>>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut before = "[\n";
    for one in found {
        write!(out, "{before}{}", one?.line()).map_err(Failure::Output)?;
        before = ",\n";
    }
    let end = if before == "[\n" { "[]\n" } else { "\n]\n" };
    out.write_all(end.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

fn rows(found: impl Iterator<Item = Result<Found, LogError>>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    for one in found {
        let found = one?;
        let line = match found.record() {
            Ok(record) => {
                let time = record.timestamp.to_string();
                let (action, outcome) = (record.action.as_str(), record.outcome.as_str());
                let reason = record.reason.as_str();
                let resource = output::plain(&record.resource);
                let time = time.get(..19).unwrap_or(&time);
                format!(
                    "{time}Z  {outcome:<8}  {action:<17}  {resource}  ({reason}, {})",
                    record.event_id
                )
            }
            // A newer version may have written it.
            Err(_) => output::plain(&found.line()),
        };
        writeln!(out, "{line}").map_err(Failure::Output)?;
    }
    out.flush().map_err(Failure::Output)
}

fn check(arguments: VerifyArguments) -> Result<i32, Failure> {
    // The person's own log is also held against what this machine has signed. Read before the log,
    // which may grow meanwhile.
    let home = place::home();
    let own = if arguments.log.is_none() {
        kept(&LogPaths { audit: home.audit.clone(), keys: home.config.clone() })
    } else {
        None
    };
    let folder = place::log(arguments.log)?;
    let own = own.filter(|_| folder == home.audit);
    let mut checkpoint = arguments.checkpoint.as_deref().map(small).transpose()?;
    let mut key = arguments.key.as_deref().map(read_key).transpose()?;
    if let Some(own) = own
        && key.as_ref().is_none_or(|key| *key == own.key)
    {
        key = Some(own.key);
        checkpoint = checkpoint.or(own.checkpoint);
    }
    let options = VerifyOptions { checkpoint: checkpoint.as_deref(), key: key.as_ref() };
    let report = verify(&folder, &options)?;
    if arguments.format == Format::Text {
        tell(&folder, &report)?;
    } else {
        output::document(&as_json(&folder, &report), arguments.format)?;
    }
    Ok(if report.intact() { 0 } else { 1 })
}

fn tell(folder: &Path, report: &Report) -> Result<(), Failure> {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&output::plain(&finding.to_string()));
        text.push('\n');
    }
    let Report { signed, records, pending, sessions, .. } = report;
    let verdict = if report.intact() { "intact" } else { "TAMPERED" };
    let folder = output::plain(&folder.to_string_lossy());
    text.push_str(&format!(
        "{verdict}: {} of {}, {signed} signed, {pending} not signed yet; {folder}\n",
        count(*records, "record"),
        count(*sessions, "session"),
    ));
    for session in report.unclosed.iter().take(20) {
        text.push_str(&format!("note: session {session} has no end: it runs, or was killed\n"));
    }
    output::print(&text)
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn as_json(folder: &Path, report: &Report) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "severity": match finding.severity {
                    Severity::Tampering => "tampering",
                    Severity::Notice => "notice",
                },
                "message": finding.kind.to_string(),
                "seq": finding.seq,
                "file": finding.file,
                "offset": finding.offset,
            })
        })
        .collect();
    json!({
        "version": 1,
        "intact": report.intact(),
        "log": folder,
        "origin": report.origin,
        "records": report.records,
        "signed": report.signed,
        "pending": report.pending,
        "sessions": report.sessions,
        "unclosed": report.unclosed,
        "findings": findings,
    })
}

fn checkpoint(arguments: CheckpointArguments) -> Result<i32, Failure> {
    let folder = place::log(arguments.log)?;
    output::print(&remit_audit::checkpoint(&folder)?)?;
    Ok(0)
}

fn make_proof(arguments: ProveArguments) -> Result<i32, Failure> {
    let folder = place::log(arguments.log)?;
    let Some(event) = arguments.event else { return Err(Failure::NoEvent(String::new())) };
    let text = prove(&folder, &event).map_err(|error| match error {
        LogError::NoSuchEvent(event) => Failure::NoEvent(event),
        other => other.into(),
    })?;
    output::print(&text)?;
    Ok(0)
}

fn check_proof(proof: &Path, arguments: &ProveArguments) -> Result<i32, Failure> {
    let unusable = |problem| Failure::Input { path: proof.to_owned(), problem };
    let key = match &arguments.key {
        Some(path) => read_key(path)?,
        None => public_key(&place::log(arguments.log.clone())?)?,
    };
    let text = String::from_utf8(small(proof)?).map_err(|_| unusable("not a text".into()))?;
    match verify_proof(&text, &key) {
        Ok(proven) => {
            let entry = String::from_utf8(proven.entry)
                .map_err(|_| unusable("the entry is not a text".into()))?;
            output::print(&format!("{entry}\n"))?;
            output::say(format_args!(
                "proven: record {} of the log {}, under its checkpoint of {}",
                proven.seq,
                key.name(),
                count(proven.checkpoint.size, "record"),
            ));
            Ok(0)
        }
        Err(remit_audit::ProofError::Malformed) => {
            Err(unusable(remit_audit::ProofError::Malformed.to_string()))
        }
        Err(error) => {
            output::say(format_args!("not proven: {error}"));
            Ok(1)
        }
    }
}

fn read_key(path: &Path) -> Result<VerifierKey, Failure> {
    let unusable = |problem| Failure::Input { path: path.to_owned(), problem };
    let text = String::from_utf8(small(path)?).map_err(|_| unusable("not a text".into()))?;
    VerifierKey::from_str(text.trim_end()).map_err(|error| unusable(error.to_string()))
}

/// A file's bytes, bounded; `-` is standard input.
fn small(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(Failure::at(path))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LARGEST) {
        return Ok(bytes);
    }
    let path = PathBuf::from(path);
    Err(Failure::Input { path, problem: "larger than any key, checkpoint or proof".into() })
}
