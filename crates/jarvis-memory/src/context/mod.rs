//! What the assistant is given: who is in front of it, what was said before, and how to speak. When the badge is read,
//! as far as can be guessed; once the member speaks, for their words.

mod fitting;
mod gathering;
mod prompt;
mod telling;

pub(crate) use gathering::read;
pub use gathering::{MAX_WORDS_CHARS, in_session, preview, preview_for_words};
pub use prompt::estimated_tokens;

use chrono::NaiveDate;
use jarvis_core::{Category, FactId, Language};
use serde::Serialize;
use serde_json::Value;

/// The most tokens a context may take.
pub const MAX_TOKENS: usize = 800;

/// [`Context::notes`]: the member does not agree to be remembered, so nothing is known.
pub const NO_MEMORY_CONSENT: &str = "no_memory_consent";
/// [`Context::notes`]: health is left out, since the member does not agree to it.
pub const NO_HEALTH_MEMORY_CONSENT: &str = "no_health_memory_consent";
/// [`Context::notes`]: no model was there in time, so what fits was found by words alone.
pub const BY_WORDS_ALONE: &str = "by_words_alone";
/// [`Context::notes`]: time ran out before everything that was said could be looked at.
pub const OUT_OF_TIME: &str = "out_of_time";

/// The context of a session. The same input gives the same context, byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Context {
    /// Who talks.
    pub member: Who,
    /// Facts, injuries first.
    pub facts: Vec<KnownFact>,
    /// Past conversations, most relevant first.
    pub memories: Vec<KnownConversation>,
    /// What the member said word for word, nearest to what they say now; none before the first word.
    pub said: Vec<KnownTurn>,
    /// Open alerts that may be mentioned, most pressing first.
    pub alerts: Vec<KnownAlert>,
    /// Nothing is likely to answer what the member says now: asked about the past, the assistant should say so.
    pub nothing_noted: bool,
    /// What is left out, and why: stable codes.
    pub notes: Vec<&'static str>,
    /// The block for the model: a stable instruction, then everything above as JSON data in a fence.
    pub prompt: String,
}

/// The member, as the assistant should know them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Who {
    /// First name.
    pub first_name: String,
    /// Language of this session.
    pub language: Language,
    /// Preferred tone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communication_style: Option<String>,
    /// Preferred kind of feedback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback_style: Option<String>,
    /// Fitness level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fitness_level: Option<String>,
    /// Stated goals of the profile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub primary_goals: Vec<String>,
    /// Member since.
    pub member_since: NaiveDate,
    /// Day of the last presence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_visit: Option<NaiveDate>,
}

/// A fact, as the assistant should know it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnownFact {
    /// Its id; not for the model.
    #[serde(skip)]
    pub id: FactId,
    /// The category.
    pub category: Category,
    /// The key.
    pub fact_key: String,
    /// The value.
    pub fact_value: Value,
    /// The member's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_quote: Option<String>,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// The day it was last said.
    pub said_on: NaiveDate,
    /// It was not said for a while: the assistant may ask whether it is still true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ask: bool,
}

/// A past conversation, as the assistant should know it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnownConversation {
    /// The day.
    pub date: NaiveDate,
    /// Its summary.
    pub summary: String,
}

/// What the member once said, word for word.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnownTurn {
    /// The day.
    pub date: NaiveDate,
    /// Their words.
    pub said: String,
}

/// An open alert that the member may hear of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnownAlert {
    /// What it is about, such as `membership_expiring`.
    pub about: String,
    /// Its title.
    pub title: String,
    /// Since when.
    pub date: NaiveDate,
}
