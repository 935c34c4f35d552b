//! Things remembered about a member, with their evidence.

use crate::ids::{EventId, FactId};
use chrono::{DateTime, Utc};
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
    /// When it was first stored.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}
