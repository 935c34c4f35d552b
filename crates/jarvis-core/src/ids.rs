//! Typed ids. New ones are `UUIDv7`, so that they sort by creation.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use uuid::{ContextV7, Timestamp, Uuid};

/// Counts the ids of one millisecond, so that ids made one after the other sort in that order.
static ORDER: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A `UUIDv7` made at `now`. Within a process, a later call never gives a smaller id, even when the clock stands
/// still or goes back.
pub fn uuid_v7(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    let order = ORDER.lock().expect("no holder of this lock can panic");
    Uuid::new_v7(Timestamp::from_unix(
        &*order,
        seconds,
        now.timestamp_subsec_nanos(),
    ))
}

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id made at `now`.
            pub fn new(now: DateTime<Utc>) -> Self {
                Self(uuid_v7(now))
            }

            /// The plain UUID, for the database and the wire.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

typed_id! {
    /// A gym: the tenant.
    GymId;
    /// A member of one gym.
    MemberId;
    /// A device at which members talk.
    KioskId;
    /// A person who signs in (staff, manager, super admin); equals the identity's id.
    UserId;
    /// One thing that happened in a session.
    EventId;
    /// One remembered fact.
    FactId;
    /// The summary of one session.
    SummaryId;
}

/// The id of a session, as handed to clients: 1 to 128 visible characters.
///
/// Ours are UUIDs; a moving application may bring its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

impl SessionId {
    /// A new id made at `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(uuid_v7(now).to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session id has 1 to 128 visible characters")]
pub struct InvalidSessionId;

impl TryFrom<String> for SessionId {
    type Error = InvalidSessionId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let visible = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
        if visible && (1..=128).contains(&text.chars().count()) {
            Ok(Self(text))
        } else {
            Err(InvalidSessionId)
        }
    }
}

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_later_sort_later() {
        let early = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let late = early + chrono::TimeDelta::milliseconds(2);
        assert!(MemberId::new(early) < MemberId::new(late));
    }

    #[test]
    fn ids_made_in_the_same_instant_keep_their_order() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let ids: Vec<_> = (0..1000).map(|_| EventId::new(now)).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_session_id_is_visible_and_short() {
        assert!("kiosk-1:42".parse::<SessionId>().is_ok());
        for bad in ["", " ", "a b", "a\0b", &"x".repeat(129)] {
            assert_eq!(bad.parse::<SessionId>(), Err(InvalidSessionId), "{bad:?}");
        }
    }
}
