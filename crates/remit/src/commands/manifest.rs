//! `remit manifest`: checking, formatting and describing manifests.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use remit_manifest::{Manifest, ManifestErrors, ManifestSource, Variables};
use serde_json::{Value, json};

use crate::{
    cli::{CheckArguments, FmtArguments, Format, ManifestCommand},
    failure::Failure,
    output, place,
};

/// Runs it.
pub(crate) fn run(command: ManifestCommand) -> Result<i32, Failure> {
    match command {
        ManifestCommand::Check(arguments) => check(&arguments),
        ManifestCommand::Fmt(arguments) => format(&arguments),
        ManifestCommand::Schema => schema(),
    }
}

fn schema() -> Result<i32, Failure> {
    output::document(&remit_manifest::schema(), Format::Json)?;
    Ok(0)
}

fn check(arguments: &CheckArguments) -> Result<i32, Failure> {
    let mut results = Vec::new();
    let mut status = 0;
    for path in &arguments.files {
        let read = read(path);
        if read.is_err() {
            status = 1;
        }
        if arguments.format == Format::Text {
            tell(path, &read)?;
        } else {
            results.push(verdict(path, &read));
        }
    }
    if arguments.format != Format::Text {
        output::list(&results, arguments.format)?;
    }
    Ok(status)
}

fn read(path: &Path) -> Result<Manifest, Failure> {
    let source = ManifestSource::read(path)?;
    let workdir = std::env::current_dir().map_err(Failure::at("."))?;
    Ok(Manifest::parse(&source, &Variables { home: place::person(), workdir })?)
}

fn tell(path: &Path, read: &Result<Manifest, Failure>) -> Result<(), Failure> {
    let name = output::plain(&path.to_string_lossy());
    match read {
        Ok(manifest) => {
            output::print(&format!("{name}: valid\n"))?;
            for need in manifest.needs() {
                output::say(format_args!(
                    "{name}:{}:{}: warning: `{}` needs {}, which this version cannot enforce: \
                     `remit run` will refuse it",
                    need.at.line, need.at.column, need.key, need.feature
                ));
            }
        }
        Err(failure) => {
            output::complain_about(failure);
        }
    }
    Ok(())
}

fn verdict(path: &Path, read: &Result<Manifest, Failure>) -> Value {
    let name = path.to_string_lossy();
    match read {
        Ok(manifest) => {
            let needs: Vec<Value> = manifest
                .needs()
                .iter()
                .map(|need| {
                    json!({"pointer": need.key, "feature": need.feature,
                        "line": need.at.line, "column": need.at.column})
                })
                .collect();
            json!({"version": 1, "file": name, "valid": true, "agent": manifest.agent_id(),
                "unsupported": needs, "errors": []})
        }
        Err(failure) => {
            let errors = match failure {
                Failure::Manifest(errors) => positions(errors),
                other => vec![json!({"message": other.to_string()})],
            };
            json!({"version": 1, "file": name, "valid": false, "errors": errors})
        }
    }
}

fn positions(errors: &ManifestErrors) -> Vec<Value> {
    let one = |error: &remit_manifest::ManifestError| {
        json!({"code": error.problem.code(), "message": error.problem.to_string(),
            "help": error.problem.help(), "pointer": error.place.pointer,
            "line": error.place.line, "column": error.place.column})
    };
    errors.errors().iter().map(one).collect()
}

fn format(arguments: &FmtArguments) -> Result<i32, Failure> {
    let mut status = 0;
    for path in &arguments.files {
        match format_one(path, arguments) {
            Ok(true) => {}
            Ok(false) => status = 1,
            Err(Failure::Output(error)) => return Err(Failure::Output(error)),
            Err(failure) => status = output::fail(&failure),
        }
    }
    Ok(status)
}

/// Whether the file was, or now is, in canonical form.
fn format_one(path: &PathBuf, arguments: &FmtArguments) -> Result<bool, Failure> {
    let source = ManifestSource::read(path)?;
    let text = remit_manifest::format(&source)?;
    let same = source.text() == text;
    let name = output::plain(&path.to_string_lossy());
    if arguments.check {
        if !same {
            output::say(format_args!("{name}: not in canonical form"));
        }
        return Ok(same);
    }
    if !arguments.write {
        output::print(&text)?;
        return Ok(true);
    }
    if same {
        return Ok(true);
    }
    if !arguments.force && has_comments(source.text()) {
        return Err(Failure::Comments(path.clone()));
    }
    replace(path, &text).map_err(Failure::at(path))?;
    output::say(format_args!("{name}: rewritten"));
    Ok(true)
}

/// Whether a manifest's text holds a comment, which JSON with comments can only outside strings.
fn has_comments(text: &str) -> bool {
    let mut bytes = text.bytes().peekable();
    let mut inside = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => inside = !inside,
            b'\\' if inside => {
                let _ = bytes.next();
            }
            b'/' if !inside && matches!(bytes.peek(), Some(b'/' | b'*')) => return true,
            _ => {}
        }
    }
    false
}

/// Gives the file a new content in one step, so that no reader sees half of it. A link stays a
/// link; the mode stays.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let real = path.canonicalize()?;
    let folder = real.parent().unwrap_or_else(|| Path::new("/"));
    let mode = fs::metadata(&real)?.permissions().mode();
    let mut file = tempfile::Builder::new().prefix(".remit-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
    file.persist(&real).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_comments_outside_strings_alone() {
        assert!(has_comments("{} // note"));
        assert!(has_comments("/* note */ {}"));
        assert!(!has_comments(r#"{"$schema": "https://example.org/*x*/", "a": "\"// no"}"#));
    }
}
