//! Things remembered about a member, with their evidence.

use crate::ids::{EventId, FactId};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::str::FromStr;

/// What kind of thing a fact is, as in the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Pain, injury, pregnancy, allergy, medication, chronic condition: safety facts.
    Injury,
    /// What the member wants to reach.
    Goal,
    /// A complaint, a worry, the wish to leave.
    Concern,
    /// What was reached, or a recovery.
    Progress,
    /// What the member likes, dislikes or is used to.
    Preference,
}

impl Category {
    /// Every category, in the order in which the context presents them.
    pub const ALL: [Self; 5] = [
        Self::Injury,
        Self::Goal,
        Self::Concern,
        Self::Progress,
        Self::Preference,
    ];

    /// As written in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Injury => "injury",
            Self::Goal => "goal",
            Self::Concern => "concern",
            Self::Progress => "progress",
            Self::Preference => "preference",
        }
    }
}

/// Why a text is no category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a category is one of goal, injury, preference, progress, concern")]
pub struct UnknownCategory;

impl FromStr for Category {
    type Err = UnknownCategory;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|c| c.as_str() == text)
            .ok_or(UnknownCategory)
    }
}

/// What an extractor proposes to do. It must pass the evidence gate before it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactDraft {
    /// The category.
    pub category: Category,
    /// The slot's canonical key, `snake_case`, at most 64 characters (`knee_right_pain`).
    pub fact_key: String,
    /// The typed value; a JSON object.
    pub fact_value: Value,
    /// The member's own words: an exact span of one user turn.
    pub source_quote: String,
    /// Index of the cited turn in the transcript that was read.
    pub turn: usize,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// Whether the fact is about health, so that it needs `health_memory`.
    pub health: bool,
    /// False when the statement says that the fact is no longer true ("je n'ai plus mal au genou").
    pub still_true: bool,
}

/// A fact as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Its id.
    pub id: FactId,
    /// The category.
    pub category: Category,
    /// Its key within the category.
    pub fact_key: String,
    /// The value.
    pub fact_value: Value,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// The session it comes from.
    pub source_session_id: Option<String>,
    /// The event it comes from.
    pub source_event_id: Option<EventId>,
    /// The member's own words.
    pub source_quote: Option<String>,
    /// Whether the quote was found in the member's own turns.
    pub verified: bool,
    /// False once retired.
    pub is_active: bool,
    /// How often it was said again.
    pub times_confirmed: i32,
    /// When it was said again for the last time.
    pub last_confirmed_at: Option<DateTime<Utc>>,
    /// When it stops being believed.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its place in the registry of slots (`injury.knee.right`); none for an unknown key.
    pub slot: Option<String>,
    /// From when on the assistant may ask whether it is still true; none where nobody asks.
    pub asks_from: Option<DateTime<Utc>>,
    /// When it was first stored.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Where a fact stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// Believed.
    Active,
    /// Not said for a while: the assistant may ask whether it is still true.
    Stale,
    /// Its time is over. Only an injury is still told, with the question, until somebody answers or it is purged.
    Expired,
    /// No longer true; its history stays.
    Retired,
}

impl Life {
    /// Every word, in the order of a life.
    pub const ALL: [Self; 4] = [Self::Active, Self::Stale, Self::Expired, Self::Retired];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Retired => "retired",
        }
    }
}

/// What remains of the doubt about a fact each time that it is said again; ours.
const DOUBT_KEPT: f64 = 0.7;
/// Confirmations beyond so many make nothing surer.
const MOST_CONFIRMATIONS: i32 = 5;
/// What a fact has lost of its certainty when its time is over; ours.
const LOST_BY_AGE: f64 = 0.3;
/// No fact is less certain, and none is more.
const BOUNDS: (f64, f64) = (0.05, 0.99);

impl Fact {
    /// When it was last said, or written by a person.
    pub fn said_at(&self) -> DateTime<Utc> {
        self.last_confirmed_at.unwrap_or(self.updated_at)
    }

    /// Where it stands at `now`.
    pub fn life(&self, now: DateTime<Utc>) -> Life {
        if !self.is_active {
            Life::Retired
        } else if self.expires_at.is_some_and(|at| at <= now) {
            Life::Expired
        } else if self.asks_from.is_some_and(|at| at <= now) {
            Life::Stale
        } else {
            Life::Active
        }
    }

    /// Whether the assistant may ask if it is still true.
    pub fn may_be_asked(&self, now: DateTime<Utc>) -> bool {
        self.asks_from.is_some() && matches!(self.life(now), Life::Stale | Life::Expired)
    }

    /// How sure one may be of it at `now`, 0.05 to 0.99, in hundredths.
    ///
    /// `confidence` is what the statement itself was worth: its kind (.75 to .97) × .75 when hedged × (.5 + .5 × the
    /// confidence of the speech recognition); at most .5 where nobody can be quoted; what a person states, as stated.
    /// Of the doubt `1 − confidence` each of the first five confirmations leaves 70 %; and from the day it was last
    /// said to the day it expires, 30 % of the certainty is lost evenly: `(1 − (1 − confidence) × .7ⁿ) × (1 − .3 × age)`.
    pub fn certainty(&self, now: DateTime<Utc>) -> f64 {
        let doubt = 1.0 - self.confidence.clamp(0.0, 1.0);
        let confirmed = self.times_confirmed.clamp(0, MOST_CONFIRMATIONS);
        let told = 1.0 - doubt * DOUBT_KEPT.powi(confirmed);
        let age = self.expires_at.map_or(0.0, |end| {
            let (lived, whole) = (now - self.said_at(), end - self.said_at());
            share(lived, whole)
        });
        let certainty = (told * (1.0 - LOST_BY_AGE * age)).clamp(BOUNDS.0, BOUNDS.1);
        (certainty * 100.0).round() / 100.0
    }
}

/// How much of `whole` is over, 0 to 1.
fn share(lived: TimeDelta, whole: TimeDelta) -> f64 {
    if whole <= TimeDelta::zero() {
        return 1.0;
    }
    (lived.as_seconds_f64() / whole.as_seconds_f64()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn day(number: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000 + number * 86_400, 0).unwrap()
    }

    fn fact(confidence: f64, times_confirmed: i32) -> Fact {
        Fact {
            id: FactId::from(Uuid::from_u128(1)),
            category: Category::Injury,
            fact_key: "knee_right_pain".to_owned(),
            fact_value: Value::Null,
            confidence,
            source_session_id: None,
            source_event_id: None,
            source_quote: None,
            verified: true,
            is_active: true,
            times_confirmed,
            last_confirmed_at: None,
            expires_at: Some(day(180)),
            slot: Some("injury.knee.right".to_owned()),
            asks_from: Some(day(30)),
            created_at: day(0),
            updated_at: day(0),
        }
    }

    #[test]
    fn a_life_goes_from_active_to_stale_to_expired_and_ends_when_retired() {
        let mut knee = fact(0.9, 0);
        assert_eq!(knee.life(day(29)), Life::Active);
        assert_eq!(knee.life(day(30)), Life::Stale);
        assert_eq!(knee.life(day(180)), Life::Expired);
        assert!(!knee.may_be_asked(day(29)) && knee.may_be_asked(day(30)) && knee.may_be_asked(day(200)));
        knee.is_active = false;
        assert_eq!(knee.life(day(1)), Life::Retired);
        assert!(!knee.may_be_asked(day(60)));
    }

    #[test]
    fn certainty_is_what_was_said_then_grows_by_confirmation_and_wears_off() {
        assert!((fact(0.9, 0).certainty(day(0)) - 0.9).abs() < 1e-9);
        assert!((fact(0.5, 1).certainty(day(0)) - 0.65).abs() < 1e-9);
        assert!((fact(0.5, 5).certainty(day(0)) - fact(0.5, 50).certainty(day(0))).abs() < 1e-9);
        assert!((fact(1.0, 0).certainty(day(180)) - 0.7).abs() < 1e-9);
        assert!((fact(0.0, 0).certainty(day(500)) - 0.05).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn certainty_stays_in_its_bounds_and_never_falls_by_a_confirmation(
            confidence in -1.0_f64..2.0, times in -3_i32..20, at in -400_i64..900,
        ) {
            let (once, again) = (fact(confidence, times).certainty(day(at)), fact(confidence, times + 1).certainty(day(at)));
            prop_assert!((0.05..=0.99).contains(&once));
            prop_assert!(again >= once);
            prop_assert!(fact(confidence, times).certainty(day(at + 1)) <= once);
        }
    }
}
