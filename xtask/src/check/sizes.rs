//! Files stay small.

use super::sources::Source;
use crate::failure::Failure;

/// Lines without tests that no file may exceed.
const HARD_LIMIT: usize = 800;

/// Lines that the median file should not exceed.
const GOOD_MEDIAN: usize = 150;

/// Fails on a file beyond the hard limit; reports the median.
pub(crate) fn check(sources: &[Source]) -> Result<(), Failure> {
    let mut sizes: Vec<(usize, &str)> = sources
        .iter()
        .filter(|source| !source.is_test())
        .map(|source| (source.lines(), source.path.as_str()))
        .collect();
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).map_or(0, |(lines, _)| *lines);
    let (largest, path) = sizes.last().copied().unwrap_or_default();
    println!(
        "sizes: {} files, median {median} lines (good: {GOOD_MEDIAN}), largest {largest} ({path})",
        sizes.len()
    );
    let findings: Vec<String> = sizes
        .iter()
        .filter(|(lines, _)| *lines > HARD_LIMIT)
        .map(|(lines, path)| format!("{path} has {lines} lines without tests"))
        .collect();
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure::Findings { what: "files beyond 800 lines", findings })
}
