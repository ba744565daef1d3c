//! Durable records a second: the audit crate's own example, which runs its rival beside it.

use std::{collections::BTreeMap, path::PathBuf, process::Command, time::Duration};

use remit_testkit::{Area, run_bounded};

use crate::{figure::Figure, stats::median};

const COMMAND: &str = "cargo xtask bench --only audit";

/// Lines that the example prints, and what they are called here.
const BATCHES: &str = "1,024 a batch, synced, signed at the end";
const RIVAL: &str = "SQLite WAL FULL, 1,024 a transaction";

pub(crate) fn measure(quick: bool) -> Vec<Figure> {
    let area = Area::new("audit");
    let mut example = Command::new(example("throughput"));
    example.arg(area.path()).arg(if quick { "20000" } else { "200000" });
    let done = run_bounded(&mut example, Duration::from_secs(1_200)).must_succeed();
    let rates = rates(&done.stdout);
    let rival = rates.get(RIVAL).copied();
    let mut figures: Vec<Figure> = rates
        .iter()
        .map(|(name, rate)| {
            let figure = Figure::plain(format!("audit: {name}"), *rate, "records/s", COMMAND);
            match rival {
                Some(rival) if name == BATCHES => {
                    figure.promised("≥ 50,000 a second", *rate >= 50_000.0).over(rival)
                }
                _ => figure,
            }
        })
        .collect();
    let latencies = done.stdout.lines().filter_map(latency);
    figures.extend(latencies.map(|(name, micros)| {
        Figure::plain(format!("audit: {name}, median"), micros, "µs", COMMAND)
    }));
    figures
}

/// Built by `cargo xtask bench` beside this program; here is no network to build it with.
pub(crate) fn example(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("this program has a path");
    let example = this.with_file_name("examples").join(name);
    assert!(
        example.is_file(),
        "{} does not exist: `cargo xtask bench` builds it",
        example.display()
    );
    example
}

/// `NAME: N records/s`, the median over the example's rounds.
fn rates(text: &str) -> BTreeMap<String, f64> {
    let mut rounds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in text.lines() {
        let Some((name, rate)) = line.rsplit_once(": ") else { continue };
        // What a record costs in CPU may stand behind it.
        let Some((rate, _)) = rate.split_once(" records/s") else { continue };
        let Ok(rate) = rate.parse() else { continue };
        rounds.entry(name.trim().to_owned()).or_default().push(rate);
    }
    rounds.into_iter().map(|(name, rates)| (name, median(rates))).collect()
}

/// `NAME: p50 1.5µs, …` in microseconds.
fn latency(line: &str) -> Option<(String, f64)> {
    let (name, rest) = line.split_once(": p50 ")?;
    let text = rest.split(',').next()?;
    let units = [("ns", 1e-3), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
    let micros = units.iter().find_map(|(unit, factor)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    })?;
    Some((name.trim().to_owned(), micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_examples_lines() {
        let text =
            "round 1:\n  a b: 10 records/s\nround 2:\n  a b: 30 records/s\n  a b: 20 records/s\n";
        assert_eq!(rates(text).into_iter().collect::<Vec<_>>(), [("a b".to_owned(), 20.0)]);
        assert_eq!(latency("append: p50 1.5ms, p90 3ms"), Some(("append".to_owned(), 1_500.0)));
        assert_eq!(latency("append: p50 890ns, p90"), Some(("append".to_owned(), 0.89)));
    }
}
