//! Columns of a table whose header names a secret.

use super::{
    classify,
    named::{Style, Value},
    names::Name,
};
use crate::{
    context::{Columns, Role},
    found::{Class, Hit},
    text::part,
};

/// Rows below a header are read so far.
const FAR: usize = 8 * 1024;

/// The secrets in the columns below the header that was just noted.
pub(crate) fn below(text: &[u8], columns: &Columns, mut found: impl FnMut(Hit)) {
    for (role, class) in [
        (Role::Password, Class::Password),
        (Role::Secret, Class::ApiKey),
        (Role::Pin, Class::Password),
    ] {
        let Some((column, delimiter)) = columns.of(role) else { continue };
        let mut start = columns.end() + 1;
        let stop = start + FAR;
        while start < text.len().min(stop) {
            let line = crate::text::line(text, start);
            let row = part(text, line.clone());
            let ruler =
                row.iter().all(|byte| matches!(byte, b'-' | b'+' | b'|' | b' ' | b':' | b'='));
            if ruler {
                start = line.end + 1;
                continue;
            }
            if memchr::memchr_iter(delimiter, row).count() != columns.count() {
                break;
            }
            if let Some(range) = cell(row, column, delimiter) {
                let range = line.start + range.start..line.start + range.end;
                let name = Name { range: range.clone(), role, compound: true };
                let value = Value { range: range.clone(), style: Style::Quoted };
                if let Some(percent) = classify::judge(text, &name, &value) {
                    found(Hit::new(range, class, percent, "column"));
                }
            }
            start = line.end + 1;
        }
    }
}

/// The content of a cell, without blanks and quotes.
fn cell(row: &[u8], column: usize, delimiter: u8) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    for _ in 0..column {
        start += memchr::memchr(delimiter, row.get(start..)?)? + 1;
    }
    let rest = row.get(start..)?;
    let mut end = start + memchr::memchr(delimiter, rest).unwrap_or(rest.len());
    let quiet = |byte: Option<&u8>| {
        byte.is_some_and(|byte| {
            matches!(byte, b' ' | b'"' | b'\'' | b'\t' | b'\r' | b'(' | b')' | b';')
        })
    };
    while start < end && quiet(row.get(start)) {
        start += 1;
    }
    while start < end && quiet(row.get(end - 1)) {
        end -= 1;
    }
    (start < end).then_some(start..end)
}
