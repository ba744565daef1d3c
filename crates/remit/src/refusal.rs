//! Why a session did not start, as a diagnostic: code, cause, the manifest's lines, what to do.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use remit_core::RuleRef;
use remit_manifest::ManifestSource;
use remit_supervisor::RunError;

use crate::{locate, output};

/// The manifest that this process was started with, to quote from. A process has one command line.
static QUOTED: OnceLock<PathBuf> = OnceLock::new();

/// Names the manifest that diagnostics quote from.
pub(crate) fn quote_from(manifest: &Path) {
    // The first is the command line's own.
    let _ = QUOTED.set(manifest.to_owned());
}

/// Prints an error with its cause, its place in the manifest, and what to do.
pub(crate) fn complain(error: &RunError) {
    match error {
        RunError::Manifest(errors) => output::complain_about(errors),
        RunError::Source(error) => output::complain_about(error),
        other => output::show(&Refusal::new(other), false),
    }
}

/// A [`RunError`] with the text it is about.
#[derive(Debug)]
struct Refusal<'e> {
    error: &'e RunError,
    source: Option<(NamedSource<String>, LabeledSpan)>,
}

impl<'e> Refusal<'e> {
    fn new(error: &'e RunError) -> Self {
        let source = error.at().and_then(|at| quoted(at, QUOTED.get()?));
        Self { error, source }
    }
}

/// The manifest with a label where a rule stands.
fn quoted(at: &RuleRef, manifest: &Path) -> Option<(NamedSource<String>, LabeledSpan)> {
    let source = ManifestSource::read(manifest).ok()?;
    // It may have changed since it was read: what is quoted must be bounded in depth as well.
    remit_manifest::format(&source).ok()?;
    let (offset, length) = locate::range(source.text(), &at.pointer)?;
    let label =
        LabeledSpan::new_primary_with_span(Some(format!("at {}", at.pointer)), (offset, length));
    let text = source.text().strip_prefix('\u{feff}').unwrap_or(source.text()).to_owned();
    Some((NamedSource::new(source.name(), text), label))
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&output::plain(&self.error.to_string()))
    }
}

impl std::error::Error for Refusal<'_> {}

impl Diagnostic for Refusal<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(code(self.error)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.error.help()?))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|(text, _)| text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, label) = self.source.as_ref()?;
        Some(Box::new(std::iter::once(label.clone())))
    }
}

/// A stable code to search for.
const fn code(error: &RunError) -> &'static str {
    match error {
        RunError::Expired(..) => "run::expired",
        RunError::Unsupported { .. } => "run::unsupported",
        RunError::Option(_) => "run::option",
        RunError::Grant { .. } => "run::grant",
        RunError::NotFound(_) => "run::not_found",
        RunError::NotExecutable { .. } => "run::not_executable",
        RunError::Digest { .. } => "run::digest",
        RunError::Layer(_) => "run::layer",
        RunError::Audit(_) => "run::audit",
        RunError::Io { .. } => "run::system",
        RunError::Egress(_) => "run::egress",
        RunError::Settings { .. } => "run::settings",
        RunError::Policy(_) => "run::policy",
        _ => "run::refused",
    }
}
