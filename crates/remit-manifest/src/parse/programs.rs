//! `permissions.execute`.

use jsonc_parser::ast::Value;

use super::cursor::{Cursor, Item};
use crate::{Execute, ProgramRule};

const KEYS: [&str; 3] = ["path", "sha256", "ask"];

pub(super) fn execute(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Execute {
    match item.value {
        Value::BooleanLit(literal) if literal.value => Execute::All(cursor.at(item)),
        Value::BooleanLit(_) => Execute::None(Some(cursor.at(item))),
        Value::Array(_) => {
            let items = cursor.array(item).unwrap_or_default();
            Execute::List(items.iter().filter_map(|item| rule(cursor, item)).collect())
        }
        _ => {
            cursor.wrong_type(item, "false, true or an array of programs");
            Execute::None(None)
        }
    }
}

fn rule(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<ProgramRule> {
    if matches!(item.value, Value::StringLit(_)) {
        let path = cursor.path(item)?;
        return Some(ProgramRule { path, sha256: None, ask: false, at: cursor.at(item) });
    }
    if !matches!(item.value, Value::Object(_)) {
        cursor.wrong_type(item, "a program as path or object");
        return None;
    }
    let fields = cursor.object(item, &KEYS)?;
    let path = cursor.required(&fields, "path").and_then(|path| cursor.path(&path));
    let sha256 = fields.get("sha256").map(|digest| cursor.sha256(&digest));
    Some(ProgramRule {
        path: path?,
        // A digest that cannot be read must not become "any digest".
        sha256: match sha256 {
            Some(digest) => Some(digest?),
            None => None,
        },
        ask: cursor.flag(&fields, "ask"),
        at: cursor.at(item),
    })
}
