//! `limits`.

use std::time::Duration;

use jsonc_parser::ast::Value;

use super::cursor::{Cursor, Item};
use crate::{CpuLimit, Limits, Problem, units};

const KEYS: [&str; 7] =
    ["memory", "cpu", "processes", "wallTime", "disk", "egressBytes", "openFiles"];

/// Most processors that can be written; more than any machine has.
const MOST_PROCESSORS: f64 = 65_536.0;

pub(super) fn limits(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Limits {
    let Some(fields) = cursor.object(item, &KEYS) else { return Limits::default() };
    Limits {
        memory: fields.get("memory").and_then(|item| size(cursor, &item, true)),
        cpu: fields.get("cpu").and_then(|item| cpu(cursor, &item)),
        processes: fields.get("processes").and_then(|item| count(cursor, &item)),
        wall_time: fields.get("wallTime").and_then(|item| span(cursor, &item)),
        disk: fields.get("disk").and_then(|item| size(cursor, &item, true)),
        egress_bytes: fields.get("egressBytes").and_then(|item| size(cursor, &item, false)),
        open_files: fields.get("openFiles").and_then(|item| count(cursor, &item)),
    }
}

/// A duration; never zero.
pub(super) fn span(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<Duration> {
    let length = units::duration(cursor.string(item)?);
    match length {
        None => cursor.problem(item, Problem::Duration),
        Some(Duration::ZERO) => cursor.problem(item, Problem::Zero),
        Some(_) => {}
    }
    length
}

fn size(cursor: &mut Cursor<'_>, item: &Item<'_, '_>, positive: bool) -> Option<u64> {
    let bytes = match item.value {
        Value::StringLit(literal) => units::size(&literal.value),
        Value::NumberLit(_) => Cursor::whole(item),
        _ => {
            cursor.wrong_type(item, "a size as number or string");
            return None;
        }
    };
    match bytes {
        None => cursor.problem(item, Problem::Size),
        Some(0) if positive => cursor.problem(item, Problem::Zero),
        Some(_) => {}
    }
    bytes
}

fn count(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<u32> {
    if !matches!(item.value, Value::NumberLit(_)) {
        cursor.wrong_type(item, "a whole number");
        return None;
    }
    let number = Cursor::whole(item).and_then(|n| u32::try_from(n).ok()).filter(|n| *n != 0);
    if number.is_none() {
        cursor.problem(item, Problem::Count(u64::from(u32::MAX)));
    }
    number
}

fn cpu(cursor: &mut Cursor<'_>, item: &Item<'_, '_>) -> Option<CpuLimit> {
    let limit = match item.value {
        Value::StringLit(literal) => {
            units::duration(&literal.value).filter(|t| !t.is_zero()).map(CpuLimit::Time)
        }
        Value::NumberLit(literal) => literal
            .value
            .parse::<f64>()
            .ok()
            .filter(|number| (0.001..=MOST_PROCESSORS).contains(number))
            // In range, so the cast cannot truncate.
            .map(|number| CpuLimit::Processors((number * 1000.0).round() as u32)),
        _ => {
            cursor.wrong_type(item, "a number of processors or a duration");
            return None;
        }
    };
    if limit.is_none() {
        cursor.problem(item, Problem::Cpu);
    }
    limit
}
