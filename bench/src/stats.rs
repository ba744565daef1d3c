//! Medians.

use std::{process::Command, time::Duration};

use remit_testkit::run_bounded;

/// The middle value; of two middle ones the lower.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

/// The times that the probe printed, in nanoseconds.
pub(crate) fn probe_times(command: &mut Command, limit: Duration) -> Vec<f64> {
    let done = run_bounded(command, limit).must_succeed();
    done.stdout.lines().filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.0).abs() < f64::EPSILON);
    }
}
