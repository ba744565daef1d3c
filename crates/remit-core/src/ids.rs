//! Identifiers. They are unguessable where another program could profit from guessing one.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spelled::Spelled;

/// A text that is not an identifier of the expected kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not {kind}")]
pub struct IdError {
    kind: &'static str,
    text: String,
}

/// One session, `s-` and 16 base32 characters (80 random bits).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// An id from 10 random bytes, which the caller draws.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        const ALPHABET: [char; 32] = [
            'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm', 'n', 'p', 'q', 'r', 's', 't',
            'v', 'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
        ];
        let mut text = String::from("s-");
        let mut bits = bytes.iter().fold(0u128, |all, byte| (all << 8) | u128::from(*byte));
        for _ in 0..16 {
            let index = (bits & 31) as usize;
            text.push(ALPHABET.get(index).copied().unwrap_or('a'));
            bits >>= 5;
        }
        Self(text.into())
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let valid = text.strip_prefix("s-").is_some_and(|rest| {
            rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(IdError { kind: "a session id", text: text.chars().take(64).collect() })
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! session_scoped_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name {
            session: SessionId,
            number: u64,
        }

        impl $name {
            /// The `number`th id of its kind in `session`.
            pub const fn new(session: SessionId, number: u64) -> Self {
                Self { session, number }
            }

            /// The session that the id belongs to.
            pub const fn session(&self) -> &SessionId {
                &self.session
            }

            /// The count within the session.
            pub const fn number(&self) -> u64 {
                self.number
            }

            /// Session ids are short, so there is room.
            fn spell(&self) -> Option<Spelled> {
                let session = self.session.as_str();
                let tail = session.strip_prefix("s-").unwrap_or(session);
                let mut text = Spelled::default();
                text.text(concat!($prefix, "-"))?.text(tail)?.push(b'-')?;
                text.number(self.number, 1)?;
                Some(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.spell().ok_or(fmt::Error)?.as_str())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let parse = || {
                    let rest = text.strip_prefix(concat!($prefix, "-"))?;
                    let (tail, number) = rest.split_once('-')?;
                    let session = format!("s-{tail}").parse().ok()?;
                    let number: u64 = number.parse().ok()?;
                    let id = Self::new(session, number);
                    // One spelling per id: leading zeros and signs are refused.
                    (id.to_string() == text).then_some(id)
                };
                parse().ok_or_else(|| IdError {
                    kind: $kind,
                    text: text.chars().take(64).collect(),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                let spelled = self.spell();
                let spelled = spelled.ok_or_else(|| serde::ser::Error::custom("no id"))?;
                s.serialize_str(spelled.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

session_scoped_id!(
    /// One record, `e-<session>-<n>`.
    EventId, "e", "an event id"
);
session_scoped_id!(
    /// What belongs together: an attempt, the question it raised, its answer, its effect.
    CorrelationId, "c", "a correlation id"
);
session_scoped_id!(
    /// One question to a person, `a-<session>-<n>`.
    ApprovalId, "a", "an approval id"
);
session_scoped_id!(
    /// One time-bound right added to a running session, `g-<session>-<n>`.
    GrantId, "g", "a grant id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_have_one_spelling() {
        let session = SessionId::from_random([7; 10]);
        assert_eq!(session.as_str().parse::<SessionId>(), Ok(session.clone()));
        let event = EventId::new(session, 12);
        assert_eq!(event.to_string().parse::<EventId>(), Ok(event.clone()));
        let padded = event.to_string().replace("-12", "-012");
        assert!(padded.parse::<EventId>().is_err());
        assert!("s-UPPERCASE0000000".parse::<SessionId>().is_err());
    }
}
