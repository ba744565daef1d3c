//! Masking a request to a model: the egress crate's own example.

use std::{process::Command, time::Duration};

use remit_testkit::run_bounded;

use crate::{audit::example, figure::Figure};

const COMMAND: &str = "cargo xtask bench --only mask";

pub(crate) fn measure() -> Vec<Figure> {
    let mut mask = Command::new(example("mask_cost"));
    let done = run_bounded(&mut mask, Duration::from_secs(120)).must_succeed();
    let figures: Vec<Figure> = done.stdout.lines().filter_map(figure).collect();
    assert!(!figures.is_empty(), "nothing was measured: {done}");
    figures
}

/// `NAME: N ms (median)`
fn figure(line: &str) -> Option<Figure> {
    let (name, rest) = line.rsplit_once(": ")?;
    let value: f64 = rest.split_once(" ms")?.0.parse().ok()?;
    let what = match name {
        "masking" => "model request of 106 KB with 50 values: masking",
        "nothing found" => "model request of 106 KB: nothing found in it",
        other => other,
    };
    let figure = Figure::plain(what, value, "ms", COMMAND);
    Some(if name == "masking" { figure.promised("≤ 1 ms", value <= 1.0) } else { figure })
}
