//! `permissions.fileAccess`.

use remit_core::FileMode;

use super::cursor::{Cursor, Item};
use crate::{Clash, FileRule, Need, Problem};

const KEYS: [&str; 7] = ["path", "mode", "expiry", "ask", "redact", "label", "staged"];

pub(super) fn rules(
    cursor: &mut Cursor<'_>,
    item: &Item<'_, '_>,
    needs: &mut Vec<Need>,
) -> Vec<FileRule> {
    let items = cursor.array(item).unwrap_or_default();
    items.iter().filter_map(|item| rule(cursor, item, needs)).collect()
}

fn rule(cursor: &mut Cursor<'_>, item: &Item<'_, '_>, needs: &mut Vec<Need>) -> Option<FileRule> {
    let fields = cursor.object(item, &KEYS)?;
    let path = cursor.required(&fields, "path");
    let scope = path.and_then(|path| cursor.path(&path));
    let mode = cursor.required(&fields, "mode").and_then(|mode| {
        let words = [("read", FileMode::Read), ("write", FileMode::Write)];
        cursor.word(&mode, "\"read\" or \"write\"", &words)
    });
    let redact = fields.get("redact").map(|list| {
        needs.push(Need::new(&list.pointer, "redaction of files", cursor.at(&list)));
        let classes = cursor.some(&list).unwrap_or_default();
        classes
            .iter()
            .filter_map(|class| cursor.string(class).and_then(|text| cursor.class(class, text)))
            .collect()
    });
    let label = fields.get("label").and_then(|label| {
        needs.push(Need::new(&label.pointer, "labels", cursor.at(&label)));
        cursor.text(&label, 128)
    });
    let staged = fields.get("staged").is_some_and(|staged| {
        let on = cursor.boolean(&staged).unwrap_or(false);
        if on {
            needs.push(Need::new(&staged.pointer, "staged writes", cursor.at(&staged)));
        }
        if on && mode == Some(FileMode::Read) {
            let problem = Problem::Contradiction { what: Clash::StagedRead, other: None };
            cursor.problem(&staged, problem);
        }
        on
    });
    Some(FileRule {
        expiry: fields.get("expiry").and_then(|time| cursor.time(&time)),
        ask: cursor.flag(&fields, "ask"),
        redact: redact.unwrap_or_default(),
        label,
        staged,
        at: cursor.at(item),
        scope: scope?,
        mode: mode?,
    })
}
