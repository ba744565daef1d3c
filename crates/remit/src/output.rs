//! Data goes to stdout, everything else to stderr.

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal as _, Write},
};

use miette::Diagnostic;
use serde::Serialize;

pub(crate) use crate::refusal::complain;
use crate::{cli::Format, failure::Failure};

/// Diagnostic logging on stderr, as `REMIT_LOG` says (`warn` by default).
pub(crate) fn diagnostics() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("REMIT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        // It would print its own complaint about a stderr that cannot be written, and panic.
        .log_internal_errors(false)
        .init();
}

/// Whether stderr may be coloured.
pub(crate) fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::io::stderr().is_terminal()
}

/// Prints a command's failure and gives its exit status. A reader that has gone away is no
/// failure: `remit audit query | head` ends quietly.
pub(crate) fn fail(failure: &Failure) -> i32 {
    match failure {
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return 0,
        Failure::Run(error) => complain(error),
        // Their own texts leave the cause out; all others name it.
        Failure::Source(_) | Failure::Manifest(_) => complain_about(failure),
        other => show(other, false),
    }
    failure.status()
}

/// Prints a diagnostic with its causes and its source excerpt.
pub(crate) fn complain_about(diagnostic: &dyn Diagnostic) {
    show(diagnostic, true);
}

/// Prints a diagnostic, with or without the chain of its causes.
pub(crate) fn show(diagnostic: &dyn Diagnostic, causes: bool) {
    let theme = if colour() {
        miette::GraphicalTheme::unicode()
    } else {
        miette::GraphicalTheme::unicode_nocolor()
    };
    // Terminals wrap by themselves; a path broken in two can no longer be copied.
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_wrap_lines(false);
    let handler = if causes { handler } else { handler.without_cause_chain() };
    let mut text = String::new();
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => say(text.trim_end_matches('\n')),
        Err(_) => say(format_args!("remit: {diagnostic}")),
    }
}

/// Prints a line on stderr. What a person is told must not change how a command ends: where stderr
/// is full or has gone away, the line is lost and the status stays.
pub(crate) fn say(line: impl fmt::Display) {
    let line = format!("{line}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Prints text on stdout.
///
/// # Errors
/// [`Failure::Output`].
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

/// A document's version beside its own keys. Versions count breaks; keys only ever come to it.
#[derive(Serialize)]
pub(crate) struct Versioned<T> {
    version: u8,
    #[serde(flatten)]
    own: T,
}

/// The first version of a document's form.
pub(crate) const fn versioned<T>(own: T) -> Versioned<T> {
    Versioned { version: 1, own }
}

/// Prints one document: indented, or in one line for [`Format::Jsonl`].
///
/// # Errors
/// [`Failure::Output`].
pub(crate) fn document(value: &impl Serialize, format: Format) -> Result<(), Failure> {
    let text = if format == Format::Jsonl {
        serde_json::to_string(value)
    } else {
        serde_json::to_string_pretty(value)
    };
    print(&format!("{}\n", text.map_err(|error| Failure::Output(error.into()))?))
}

/// Prints a list: one document that is an array, or one document a line.
///
/// # Errors
/// [`Failure::Output`].
pub(crate) fn list(values: &[impl Serialize], format: Format) -> Result<(), Failure> {
    if format == Format::Jsonl {
        return values.iter().try_for_each(|value| document(value, format));
    }
    document(&values, format)
}

/// Prints rows under a heading, in columns as wide as their widest cell. Cells are made plain.
///
/// # Errors
/// [`Failure::Output`].
pub(crate) fn table<const N: usize>(
    heading: [&str; N],
    rows: &[[String; N]],
) -> Result<(), Failure> {
    let heading = heading.map(str::to_owned);
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| {
            std::array::from_fn(|at| row.get(at).map_or_else(String::new, |cell| plain(cell)))
        })
        .collect();
    let all = || std::iter::once(&heading).chain(&rows);
    let width = |at: usize| {
        all().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a text cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    print(&text)
}

/// Text that came from an agent, fit for a terminal: control characters, and characters that
/// reorder or hide others, become visible escapes. Nothing an agent names can then forge a line,
/// move the cursor or make a path look like another.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || deceptive(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters without a shape of their own (UAX #9 directional formatting, zero widths, line
/// separators, tags).
const fn deceptive(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_reordering_become_visible() {
        assert_eq!(plain("/a\x1b[2Kb"), "/a\\u{1b}[2Kb");
        assert_eq!(plain("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
        assert_eq!(plain("one\ntwo\u{2028}"), "one\\u{a}two\\u{2028}");
        assert_eq!(plain("größer 文件"), "größer 文件");
    }
}
