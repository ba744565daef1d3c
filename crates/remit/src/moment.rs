//! Times as people give them: a point, or a while.

use std::{str::FromStr, time::Duration};

use remit_core::{Clock as _, Timestamp};
use remit_supervisor::SystemClock;

/// A point in time, or a span from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A point.
    At(Timestamp),
    /// So long before or after now, as the option means it.
    Span(Duration),
}

/// A text that is neither.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("write a time such as 2026-12-01T18:00:00Z, or a while such as 30s, 10m, 2h or 7d")]
pub(crate) struct MomentError;

impl Moment {
    /// The point, a span counted forwards from now.
    pub(crate) fn ahead(self) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Span(span) => SystemClock.now().after(span),
        }
    }

    /// The point, a span counted back from now.
    pub(crate) fn ago(self) -> Timestamp {
        let back = |span: Duration| {
            let nanos = i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
            Timestamp::from_unix_nanos(SystemClock.now().unix_nanos().saturating_sub(nanos))
        };
        match self {
            Self::At(time) => time,
            Self::Span(span) => back(span),
        }
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let (number, factor) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
            .into_iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
            .ok_or(MomentError)?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MomentError);
        }
        let seconds = number.parse::<u64>().ok().and_then(|count| count.checked_mul(factor));
        // A hundred years: beyond it is a slip, not a wish.
        let seconds = seconds.filter(|seconds| *seconds <= 100 * 366 * 86_400);
        seconds.map(|seconds| Self::Span(Duration::from_secs(seconds))).ok_or(MomentError)
    }
}

/// A span in one or two units, `4m 10s` for example.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_points_and_spans() {
        assert_eq!("10m".parse(), Ok(Moment::Span(Duration::from_secs(600))));
        assert!(matches!("2026-12-01T18:00:00+01:00".parse(), Ok(Moment::At(_))));
        for bad in ["", "10", "m", "-1m", "+1m", "1.5h", "99999999999d", "2026-12-01", "1w"] {
            assert_eq!(bad.parse::<Moment>(), Err(MomentError), "{bad}");
        }
    }

    #[test]
    fn spans_read_well() {
        let text = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [text(5), text(250), text(7_260), text(90_000)],
            ["5s", "4m 10s", "2h 1m", "1d 1h"]
        );
    }
}
