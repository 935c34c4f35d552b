//! The stable notes that processing leaves on a session.

/// Spans about health were not stored, for want of consent.
pub const HEALTH_WITHHELD: &str = "health_withheld";
/// No embedding model was there; the summary is found by words only.
pub const EMBEDDING_UNAVAILABLE: &str = "embedding_unavailable";
/// The gym's embedding model is a provider's, and the gym lets none read its conversations; they are found by words only.
pub const EMBEDDING_REFUSED: &str = "embedding_refused";
/// The embedding model does not take some of the texts; those are found by words only.
pub const EMBEDDING_REJECTED: &str = "embedding_rejected";
/// Some vectors were not there in time; they follow.
pub const EMBEDDING_FOLLOWS: &str = "embedding_follows";
/// Facts did not pass the evidence gate or a guard.
pub const FACTS_REJECTED: &str = "facts_rejected";
/// The conversation was too long to be worked with to its end.
pub const TRANSCRIPT_TRUNCATED: &str = "transcript_truncated";
/// The model that reads was shown the end of the conversation, as much as its window takes; the rules read the rest.
pub const READING_CUT: &str = "reading_cut";
/// Another application had written the summary; it was kept.
pub const FOREIGN_SUMMARY_KEPT: &str = "foreign_summary_kept";
