//! Reading the syntax tree: typed access with positions, mistakes collected on the way.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::Arc,
};

use jsonc_parser::ast::{Object, Value};
use miette::NamedSource;
use remit_core::{RuleRef, RuleSource};

use super::{cursor_text, span};
use crate::{
    ManifestError, ManifestErrors, ManifestSource, Place, Problem, Variables, words::nearest,
};

/// Collects mistakes while the tree is read.
pub(crate) struct Cursor<'s> {
    pub(super) variables: &'s Variables,
    source: &'s ManifestSource,
    text: &'s str,
    lines: Vec<usize>,
    errors: Vec<ManifestError>,
    more: bool,
    failed: bool,
    shown: NamedSource<Arc<str>>,
    places: RefCell<HashMap<String, Place>>,
    /// A place in the text and the characters before it in its line.
    counted: Cell<(usize, usize)>,
}

/// A value with its JSON pointer.
pub(crate) struct Item<'v, 't> {
    pub(crate) value: &'v Value<'t>,
    pub(crate) pointer: String,
}

/// The keys of an object, unknown and doubled ones already reported.
pub(crate) struct Fields<'v, 't> {
    values: HashMap<&'v str, &'v Value<'t>>,
    pointer: String,
    span: (usize, usize),
}

impl<'v, 't> Item<'v, 't> {
    pub(super) const fn root(value: &'v Value<'t>) -> Self {
        Self { value, pointer: String::new() }
    }
}

impl<'v, 't> Fields<'v, 't> {
    /// The value of `key`, if it stands there.
    pub(super) fn get(&self, key: &str) -> Option<Item<'v, 't>> {
        let value = self.values.get(key)?;
        Some(Item { value, pointer: format!("{}/{key}", self.pointer) })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }
}

impl<'s> Cursor<'s> {
    pub(super) fn new(source: &'s ManifestSource, variables: &'s Variables) -> Self {
        let text = cursor_text(source);
        let starts = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        let lines = std::iter::once(0).chain(starts).collect();
        let shown: Arc<str> =
            if text.len() == source.text().len() { source.shared_text() } else { text.into() };
        Self {
            variables,
            source,
            text,
            lines,
            errors: Vec::new(),
            more: false,
            failed: false,
            shown: NamedSource::new(source.name(), shown),
            places: RefCell::default(),
            counted: Cell::default(),
        }
    }

    /// What was made, if nothing is wrong; else every mistake.
    pub(super) fn finish<T>(self, made: Option<T>) -> Result<T, ManifestErrors> {
        match made {
            Some(made) if !self.failed => Ok(made),
            _ => Err(ManifestErrors::new(self.source.name(), self.errors, self.more)),
        }
    }

    /// Reports a mistake about `item`.
    pub(crate) fn problem(&mut self, item: &Item<'_, '_>, problem: Problem) {
        let (start, end) = span(item.value);
        self.report(&item.pointer, start, end, problem);
    }

    /// Reports a mistake about a part of the text without a value.
    pub(crate) fn problem_at(&mut self, start: usize, end: usize, problem: Problem) {
        self.report("", start, end, problem);
    }

    /// Reports a mistake at a place that was computed before.
    pub(crate) fn problem_in(&mut self, place: &Place, problem: Problem) {
        let end = place.offset.saturating_add(place.length);
        self.report(&place.pointer, place.offset, end, problem);
    }

    fn report(&mut self, pointer: &str, start: usize, end: usize, problem: Problem) {
        self.failed = true;
        if self.errors.len() >= ManifestErrors::MOST {
            self.more = true;
            return;
        }
        let place = self.place(pointer, start, end);
        self.errors.push(ManifestError { problem, place, source: self.shown.clone() });
    }

    /// Line and column of a span.
    fn place(&self, pointer: &str, start: usize, end: usize) -> Place {
        // A syntax error at the very end may point past it.
        let mut start = start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start = start.saturating_sub(1);
        }
        let line = self.lines.partition_point(|begin| *begin <= start);
        let begin = line.checked_sub(1).and_then(|index| self.lines.get(index)).copied();
        let begin = begin.unwrap_or(0);
        // A whole manifest may stand in one line; counting on from the place before keeps the
        // reading of it linear.
        let (known, counted) = self.counted.get();
        let (from, so_far) =
            if begin <= known && known <= start { (known, counted) } else { (begin, 0) };
        let between = self.text.get(from..start).unwrap_or("").chars().count();
        let before = so_far.saturating_add(between);
        self.counted.set((start, before));
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place {
            pointer: pointer.to_owned(),
            line: number(line),
            column: number(before.saturating_add(1)),
            offset: start,
            length: end.min(self.text.len()).saturating_sub(start),
        }
    }

    /// The item's position as a rule; [`Cursor::find`] finds it again.
    pub(super) fn at(&self, item: &Item<'_, '_>) -> Arc<RuleRef> {
        let (start, end) = span(item.value);
        let place = self.place(&item.pointer, start, end);
        let rule = RuleRef {
            pointer: place.pointer.clone(),
            line: place.line,
            column: place.column,
            source: RuleSource::Manifest,
        };
        self.places.borrow_mut().insert(item.pointer.clone(), place);
        Arc::new(rule)
    }

    /// The place of a rule that was read before.
    pub(crate) fn find(&self, pointer: &str) -> Option<Place> {
        self.places.borrow().get(pointer).cloned()
    }

    /// The keys of an object. Unknown and doubled keys are mistakes.
    pub(super) fn object<'v, 't>(
        &mut self,
        item: &Item<'v, 't>,
        known: &[&'static str],
    ) -> Option<Fields<'v, 't>> {
        let object = self.plain_object(item)?;
        let fields = self.keys(item, object);
        let mut unknown: Vec<_> =
            object.properties.iter().filter(|p| !known.contains(&p.name.as_str())).collect();
        unknown.truncate(ManifestErrors::MOST.saturating_add(1));
        for property in unknown {
            let key = property.name.as_str();
            let problem = Problem::UnknownKey {
                key: shorten(key),
                nearest: nearest(key, known.iter().copied()).map(str::to_owned),
                known: known.to_vec(),
            };
            let pointer = format!("{}/{}", item.pointer, escape(key));
            self.report(&pointer, property.range.start, key_end(property), problem);
        }
        Some(fields)
    }

    /// The entries of an object whose keys are free, in the order of the text.
    pub(super) fn map<'v, 't>(
        &mut self,
        item: &Item<'v, 't>,
    ) -> Option<Vec<(&'v str, Item<'v, 't>)>> {
        let object = self.plain_object(item)?;
        self.keys(item, object);
        Some(
            object
                .properties
                .iter()
                .map(|property| {
                    let key = property.name.as_str();
                    let pointer = format!("{}/{}", item.pointer, escape(key));
                    (key, Item { value: &property.value, pointer })
                })
                .collect(),
        )
    }

    fn plain_object<'v, 't>(&mut self, item: &Item<'v, 't>) -> Option<&'v Object<'t>> {
        let object = item.value.as_object();
        if object.is_none() {
            self.wrong_type(item, "an object");
        }
        object
    }

    fn keys<'v, 't>(&mut self, item: &Item<'v, 't>, object: &'v Object<'t>) -> Fields<'v, 't> {
        let mut values = HashMap::new();
        for property in &object.properties {
            let key = property.name.as_str();
            if values.insert(key, &property.value).is_some() {
                let pointer = format!("{}/{}", item.pointer, escape(key));
                let problem = Problem::DuplicateKey(shorten(key));
                self.report(&pointer, property.range.start, key_end(property), problem);
            }
        }
        Fields { values, pointer: item.pointer.clone(), span: span(item.value) }
    }

    /// A key that must be there.
    pub(super) fn required<'v, 't>(
        &mut self,
        fields: &Fields<'v, 't>,
        key: &'static str,
    ) -> Option<Item<'v, 't>> {
        let found = fields.get(key);
        if found.is_none() {
            let (start, _) = fields.span;
            let pointer = fields.pointer.clone();
            self.report(&pointer, start, start.saturating_add(1), Problem::MissingKey(key));
        }
        found
    }

    /// The elements of an array.
    pub(super) fn array<'v, 't>(&mut self, item: &Item<'v, 't>) -> Option<Vec<Item<'v, 't>>> {
        let Some(array) = item.value.as_array() else {
            self.wrong_type(item, "an array");
            return None;
        };
        let numbered = array.elements.iter().enumerate();
        Some(
            numbered
                .map(|(n, value)| Item { value, pointer: format!("{}/{n}", item.pointer) })
                .collect(),
        )
    }

    /// The elements of an array that must not be empty.
    pub(super) fn some<'v, 't>(&mut self, item: &Item<'v, 't>) -> Option<Vec<Item<'v, 't>>> {
        let items = self.array(item)?;
        if items.is_empty() {
            self.problem(item, Problem::EmptyList);
            return None;
        }
        Some(items)
    }

    /// A string.
    pub(super) fn string<'v>(&mut self, item: &Item<'v, '_>) -> Option<&'v str> {
        let text = item.value.as_string_lit().map(|literal| &*literal.value);
        if text.is_none() {
            self.wrong_type(item, "a string");
        }
        text
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, item: &Item<'_, '_>) -> Option<bool> {
        let value = item.value.as_boolean_lit().map(|literal| literal.value);
        if value.is_none() {
            self.wrong_type(item, "true or false");
        }
        value
    }

    /// The boolean under `key`, false where it is absent.
    pub(super) fn flag(&mut self, fields: &Fields<'_, '_>, key: &str) -> bool {
        fields.get(key).and_then(|item| self.boolean(&item)).unwrap_or(false)
    }

    /// Reports a value of another type.
    pub(super) fn wrong_type(&mut self, item: &Item<'_, '_>, expected: &'static str) {
        let found = match item.value {
            Value::StringLit(_) => "a string",
            Value::NumberLit(_) => "a number",
            Value::BooleanLit(_) => "true or false",
            Value::Object(_) => "an object",
            Value::Array(_) => "an array",
            Value::NullKeyword(_) => "null",
        };
        self.problem(item, Problem::WrongType { expected, found });
    }

    /// One word of a fixed list.
    pub(super) fn word<T: Copy>(
        &mut self,
        item: &Item<'_, '_>,
        expected: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let Some(literal) = item.value.as_string_lit() else {
            self.wrong_type(item, expected);
            return None;
        };
        let word = &*literal.value;
        let found = words.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if found.is_none() {
            let near = nearest(word, words.iter().map(|(name, _)| *name)).map(str::to_owned);
            let problem = Problem::UnknownWord { word: shorten(word), expected, nearest: near };
            self.problem(item, problem);
        }
        found
    }
}

fn key_end(property: &jsonc_parser::ast::ObjectProp<'_>) -> usize {
    use jsonc_parser::common::Ranged;
    property.name.range().end
}

/// A reference token of a JSON pointer.
fn escape(key: &str) -> String {
    shorten(key).replace('~', "~0").replace('/', "~1")
}

/// Text of a message: no control characters, bounded.
pub(super) fn shorten(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(80).map(clean).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}
