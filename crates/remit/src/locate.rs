//! Where a JSON pointer leads in a manifest's text.

use jsonc_parser::{CollectOptions, ParseOptions, ast::Value, common::Ranged as _, parse_to_ast};

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// 1-based line.
    pub(crate) line: usize,
    /// 1-based column, in characters.
    pub(crate) column: usize,
    /// Whether the pointer leads here itself, and not only its longest part that does.
    pub(crate) exact: bool,
    /// The part of the pointer that leads here.
    pub(crate) pointer: String,
}

/// Finds where `pointer` (RFC 6901) leads, or its longest part that leads anywhere. `-` at its
/// end, the place behind a list's last element, is the list. The text must be a valid manifest,
/// whose nesting is bounded.
pub(crate) fn find(text: &str, pointer: &str) -> Option<Spot> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Way { start, found, exact, .. } = walk(text, pointer)?;
    let before = text.get(..start)?;
    let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    Some(Spot {
        line: before.matches('\n').count().saturating_add(1),
        column: before.get(line_start..)?.chars().count().saturating_add(1),
        exact,
        pointer: found,
    })
}

/// Offset and length, in bytes behind a byte order mark, of what the pointer leads to: a key with
/// its value, cut to its first line.
pub(crate) fn range(text: &str, pointer: &str) -> Option<(usize, usize)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Way { start, end, .. } = walk(text, pointer)?;
    let whole = text.get(start..end)?;
    Some((start, whole.lines().next().unwrap_or_default().len()))
}

/// How far a pointer led.
struct Way {
    start: usize,
    end: usize,
    found: String,
    exact: bool,
}

fn walk(text: &str, pointer: &str) -> Option<Way> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default()).ok()?;
    let mut value = parsed.value.as_ref()?;
    let mut way = Way { start: value.start(), end: value.end(), found: String::new(), exact: true };
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
        let Some((at, next)) = step(value, &key) else {
            way.exact = part == "-" && matches!(value, Value::Array(_));
            break;
        };
        value = next;
        (way.start, way.end) = (at, value.end());
        way.found.push('/');
        way.found.push_str(part);
    }
    Some(way)
}

/// One line of a text, 1-based, without its end and indentation; of a very long one, what stands
/// around `column`.
pub(crate) fn line(text: &str, number: usize, column: usize) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.lines().nth(number.checked_sub(1)?)?;
    if line.chars().count() <= WIDEST {
        return Some(line.trim().to_owned());
    }
    let skipped = column.saturating_sub(WIDEST / 4);
    let part: String = line.chars().skip(skipped).take(WIDEST).collect();
    Some(format!("… {} …", part.trim()))
}

/// Longest line that is shown whole, in characters.
const WIDEST: usize = 160;

/// The value under a key, with the place of the key itself, or the element with an index.
fn step<'v, 't>(value: &'v Value<'t>, key: &str) -> Option<(usize, &'v Value<'t>)> {
    match value {
        Value::Object(object) => {
            let property = object.properties.iter().find(|own| own.name.as_str() == key)?;
            Some((property.start(), &property.value))
        }
        Value::Array(array) => {
            let element = array.elements.get(key.parse::<usize>().ok()?)?;
            Some((element.start(), element))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "{\n  // note\n  \"a\": {\n    \"list\": [1, {\"ü\": 2, \"b\": 3}],\n  }\n}\n";

    fn at(pointer: &str) -> (usize, usize, bool, String) {
        let spot = find(TEXT, pointer).unwrap();
        (spot.line, spot.column, spot.exact, spot.pointer)
    }

    #[test]
    fn leads_to_keys_elements_and_as_far_as_it_goes() {
        assert_eq!(at("/a"), (3, 3, true, "/a".into()));
        assert_eq!(at("/a/list/1/b"), (4, 26, true, "/a/list/1/b".into()));
        assert_eq!(at("/a/list/-"), (4, 5, true, "/a/list".into()));
        assert_eq!(at("/a/none/x"), (3, 3, false, "/a".into()));
        assert_eq!(at(""), (1, 1, true, String::new()));
        assert_eq!(line(TEXT, 2, 1).as_deref(), Some("// note"));
        assert_eq!(range(TEXT, "/a/list/1/b"), Some((47, 6)));
        let long = format!("[{}\"here\"{}]", " ".repeat(500), " ".repeat(500));
        assert_eq!(line(&long, 1, 502).as_deref(), Some("… \"here\" …"));
    }
}
