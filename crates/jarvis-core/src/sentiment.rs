//! How a member sounded, from the text only.

use serde::{Deserialize, Serialize};

/// The sentiment of a session or of an utterance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sentiment {
    /// Content, proud, grateful.
    Positive,
    /// Neither.
    Neutral,
    /// Unhappy, in pain, complaining.
    Negative,
    /// Clearly both.
    Mixed,
}

impl Sentiment {
    /// As written in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Neutral => "neutral",
            Self::Negative => "negative",
            Self::Mixed => "mixed",
        }
    }
}
