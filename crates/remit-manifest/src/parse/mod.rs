//! Text to [`Manifest`], by hand from a syntax tree with positions: every mistake is reported
//! where it stands, and nothing unchecked is ever built.

mod cursor;
mod files;
mod later;
mod limits;
mod network;
mod programs;
mod scalar;
mod top;

use std::path::PathBuf;

use jsonc_parser::{CollectOptions, ParseOptions, ast::Value, common::Ranged, parse_to_ast};

use crate::{
    Manifest, ManifestErrors, ManifestSource, Problem, Variables,
    prescan::{Refusal, prescan},
};
pub(crate) use cursor::Cursor;
use cursor::Item;
pub(crate) use top::{KEYS, PERMISSIONS};

impl Manifest {
    /// Reads a manifest. `variables` stand for `~` and `${WORKDIR}`.
    ///
    /// # Errors
    /// [`ManifestErrors`] with every mistake found, at most 50.
    pub fn parse(source: &ManifestSource, variables: &Variables) -> Result<Self, ManifestErrors> {
        let mut cursor = Cursor::new(source, variables);
        let manifest = tree(&mut cursor, cursor_text(source)).and_then(|root| {
            let item = Item::root(&root);
            let manifest = top::manifest(&mut cursor, &item)?;
            crate::check::contradictions(&mut cursor, &manifest);
            Some(manifest)
        });
        cursor.finish(manifest)
    }
}

/// What `use_tree` makes of the syntax tree, whatever the tree says.
pub(crate) fn with_tree<T>(
    source: &ManifestSource,
    use_tree: impl FnOnce(&Value<'_>) -> T,
) -> Result<T, ManifestErrors> {
    let variables = Variables { home: PathBuf::new(), workdir: PathBuf::new() };
    let mut cursor = Cursor::new(source, &variables);
    let made = tree(&mut cursor, cursor_text(source)).map(|root| use_tree(&root));
    cursor.finish(made)
}

/// The syntax tree of JSON with comments and trailing commas, nothing looser.
fn tree<'t>(cursor: &mut Cursor<'_>, text: &'t str) -> Option<Value<'t>> {
    match prescan(text) {
        Ok(()) => {}
        Err(Refusal::Depth(at)) => {
            cursor.problem_at(at, at.saturating_add(1), Problem::TooDeep);
            return None;
        }
        Err(Refusal::Control(at)) => {
            let what = "a string holds a raw control character or line break".to_owned();
            cursor.problem_at(at, at.saturating_add(1), Problem::Syntax(what));
            return None;
        }
    }
    match parse_to_ast(text, &CollectOptions::default(), &options()) {
        Ok(parsed) if parsed.value.is_some() => parsed.value,
        Ok(_) => {
            cursor.problem_at(0, 0, Problem::Syntax("there is no value".to_owned()));
            None
        }
        Err(error) => {
            let range = error.range();
            let what = error.kind().to_string();
            cursor.problem_at(range.start, range.end, Problem::Syntax(lower_first(&what)));
            None
        }
    }
}

/// Comments and trailing commas; the parser's other liberties are off.
pub(crate) const fn options() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: true,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

/// The text without a byte order mark (RFC 8259, section 8.1: a parser may ignore one).
pub(crate) fn cursor_text(source: &ManifestSource) -> &str {
    source.text().strip_prefix('\u{feff}').unwrap_or(source.text())
}

pub(crate) fn span(value: &Value<'_>) -> (usize, usize) {
    let range = value.range();
    (range.start, range.end)
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
