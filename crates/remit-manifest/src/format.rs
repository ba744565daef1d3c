//! The canonical form: two spaces, keys in the contract's order, no comments.

use jsonc_parser::ast::{Object, Value};

use crate::{ManifestErrors, ManifestSource, parse};

/// Widest line that holds a whole array or object, in characters.
const WIDTH: usize = 100;

/// The manifest in canonical form, with a final line feed. Says the same as the text given, and
/// formatting it again changes nothing. Unknown keys stay, after the known ones: telling about
/// them is [`crate::Manifest::parse`]'s part.
///
/// # Errors
/// [`ManifestErrors`] when the text is not JSON with comments.
pub fn format(source: &ManifestSource) -> Result<String, ManifestErrors> {
    parse::with_tree(source, |root| {
        let mut out = String::new();
        write(&mut out, root, "", 0, 0);
        out.push('\n');
        out
    })
}

/// Keys in the contract's order, for the object under `key` or in the array under it.
fn order(key: &str) -> &'static [&'static str] {
    match key {
        "" => &parse::KEYS,
        "permissions" => &parse::PERMISSIONS,
        "binary" => &["sha256", "signer", "sbom"],
        "fileAccess" => &["path", "mode", "expiry", "ask", "redact", "label", "staged"],
        "network" => &["egressHosts", "blockExternal", "localOnly"],
        "egressHosts" => &[
            "host",
            "ports",
            "addresses",
            "methods",
            "paths",
            "tls",
            "accepts",
            "model",
            "ask",
            "expiry",
        ],
        "execute" => &["path", "sha256", "ask"],
        "clipboard" => &["read", "write"],
        "secrets" => &["name", "source", "ttl", "hosts", "inject", "scope", "minAssurance", "ask"],
        "tools" => &["server", "allow", "ask"],
        "dlp" => &["inputs", "outputs", "values"],
        "values" => &["value", "class"],
        "limits" => &["memory", "cpu", "processes", "wallTime", "disk", "egressBytes", "openFiles"],
        _ => &[],
    }
}

/// Writes a value that begins `column` characters into its line. `key` is the key that it, or the
/// array around it, stands under.
fn write(out: &mut String, value: &Value<'_>, key: &str, depth: usize, column: usize) {
    // The outermost object is never squeezed into a line.
    if depth > 0
        && let Some(line) = one_line(value, key)
        && column.saturating_add(line.chars().count()) <= WIDTH
    {
        out.push_str(&line);
        return;
    }
    let inner = depth.saturating_add(1);
    match value {
        Value::Array(array) if !array.elements.is_empty() => {
            block(out, depth, ('[', ']'), &array.elements, |out, element| {
                write(out, element, key, inner, inner.saturating_mul(2));
            });
        }
        Value::Object(object) if !object.properties.is_empty() => {
            block(out, depth, ('{', '}'), &sorted(object, key), |out, (name, element)| {
                let label = format!("{}: ", quoted(name));
                let column = inner.saturating_mul(2).saturating_add(label.chars().count());
                out.push_str(&label);
                write(out, element, name, inner, column);
            });
        }
        other => out.push_str(&scalar(other)),
    }
}

fn block<T>(
    out: &mut String,
    depth: usize,
    (open, close): (char, char),
    items: &[T],
    mut each: impl FnMut(&mut String, &T),
) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth.saturating_add(1)));
        each(out, item);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(close);
}

/// The whole value in one line, where it is a scalar or holds nothing but scalars.
fn one_line(value: &Value<'_>, key: &str) -> Option<String> {
    let plain = |value: &Value<'_>| !matches!(value, Value::Array(_) | Value::Object(_));
    match value {
        Value::Array(array) => array.elements.iter().all(plain).then(|| {
            let items: Vec<String> = array.elements.iter().map(scalar).collect();
            format!("[{}]", items.join(", "))
        }),
        Value::Object(object) => object.properties.iter().all(|p| plain(&p.value)).then(|| {
            let pair =
                |(name, value): &(&str, &Value<'_>)| format!("{}: {}", quoted(name), scalar(value));
            let items: Vec<String> = sorted(object, key).iter().map(pair).collect();
            format!("{{{}}}", items.join(", "))
        }),
        other => Some(scalar(other)),
    }
}

fn sorted<'v, 't>(object: &'v Object<'t>, key: &str) -> Vec<(&'v str, &'v Value<'t>)> {
    let known = order(key);
    let mut entries: Vec<_> =
        object.properties.iter().map(|p| (p.name.as_str(), &p.value)).collect();
    let rank = |name: &str| known.iter().position(|own| *own == name).unwrap_or(known.len());
    // Stable: what has no place of its own keeps its order.
    entries.sort_by_key(|(name, _)| rank(name));
    entries
}

fn scalar(value: &Value<'_>) -> String {
    match value {
        Value::StringLit(literal) => quoted(&literal.value),
        Value::NumberLit(literal) => literal.value.to_owned(),
        Value::BooleanLit(literal) => literal.value.to_string(),
        Value::NullKeyword(_) => "null".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
