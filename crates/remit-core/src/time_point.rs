//! Points in time, as the manifest writes them and the trail records them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::spelled::Spelled;

/// Nanoseconds since 1970-01-01T00:00:00Z on the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i128);

/// A text that is not an RFC 3339 date and time with an offset.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an RFC 3339 time such as 2026-02-01T00:00:00Z")]
pub struct TimestampError(String);

impl Timestamp {
    /// From nanoseconds since the Unix epoch.
    pub const fn from_unix_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn unix_nanos(self) -> i128 {
        self.0
    }

    /// The instant `span` later; saturates.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)))
    }

    /// Time from `self` to `later`; zero when `later` is not later.
    pub fn until(self, later: Self) -> Duration {
        let nanos = later.0.saturating_sub(self.0).max(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|time| Self(time.unix_timestamp_nanos()))
            .map_err(|_| TimestampError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spell().ok_or(fmt::Error)?.as_str())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let spelled = self.spell().ok_or_else(|| serde::ser::Error::custom("not a time"))?;
        s.serialize_str(spelled.as_str())
    }
}

impl Timestamp {
    /// Every record has one, so it is put together without formatting machinery.
    fn spell(self) -> Option<Spelled> {
        let micros = self.0.div_euclid(1_000).checked_mul(1_000)?;
        let time = OffsetDateTime::from_unix_timestamp_nanos(micros).ok()?;
        let year = u32::try_from(time.year()).ok()?;
        let mut text = Spelled::default();
        text.number(year, 4)?.push(b'-')?;
        text.number(u8::from(time.month()), 2)?.push(b'-')?;
        text.number(time.day(), 2)?.push(b'T')?;
        text.number(time.hour(), 2)?.push(b':')?;
        text.number(time.minute(), 2)?.push(b':')?;
        text.number(time.second(), 2)?.push(b'.')?;
        text.number(time.microsecond(), 6)?.push(b'Z')?;
        Some(text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_and_writes_utc() {
        let time: Timestamp = "2026-02-01T02:00:00+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-02-01T00:00:00.000000Z");
        assert_eq!(Timestamp(1).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999999Z");
        let late = "9999-12-31T23:59:59.123456789Z".parse::<Timestamp>().unwrap();
        assert_eq!(late.to_string(), "9999-12-31T23:59:59.123456Z");
        assert!(serde_json::to_string(&Timestamp(i128::MAX)).is_err());
        assert!("2026-02-01".parse::<Timestamp>().is_err());
    }
}
