//! What recall answers.

use super::SentimentWord;
use chrono::{DateTime, Utc};
use jarvis_db::queries::summary::Match;
use jarvis_memory::recall::{RecallMethod, Recalled, RecalledTurn};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Ranked memories of one member.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Recalled)]
pub(crate) struct RecalledView {
    /// `embedding`: by meaning. `full_text`: by words, since no embedding model is there or its provider fails.
    #[schema(value_type = String, example = "embedding")]
    method: RecallMethod,
    /// Past conversations, best first; empty when nothing fits.
    memories: Vec<MemoryView>,
    /// What was said, turn by turn, best first; empty when nothing fits or the caller may not read it.
    turns: Vec<RecalledTurnView>,
    /// Nothing is likely to answer the question: the assistant should say that nothing was noted about it.
    nothing_noted: bool,
    /// False when time ran out and only the past conversations were looked at.
    complete: bool,
}

/// A turn that was said before.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RecalledTurn)]
pub(crate) struct RecalledTurnView {
    /// The event that it was.
    event_id: Uuid,
    /// The session.
    session_id: String,
    /// `member` or `assistant`.
    speaker: String,
    /// Its words.
    said: String,
    /// How likely it is relevant, 0 to 1.
    similarity: f64,
    /// When.
    said_at: DateTime<Utc>,
}

impl From<RecalledTurn> for RecalledTurnView {
    fn from(t: RecalledTurn) -> Self {
        Self {
            event_id: t.event_id.as_uuid(),
            session_id: t.session_id,
            speaker: t.speaker,
            said: t.said,
            similarity: t.similarity,
            said_at: t.said_at,
        }
    }
}

/// A past conversation that fits a question.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RecalledMemory)]
pub(crate) struct MemoryView {
    /// The summary's id.
    id: Uuid,
    /// The session.
    session_id: String,
    /// What was said, in short.
    summary_text: String,
    /// What it was about.
    key_topics: Vec<String>,
    /// How the member sounded.
    #[schema(value_type = Option<SentimentWord>)]
    sentiment: Option<String>,
    /// How near it is to the question, 0 to 1, calibrated: from 0.7 on it is likely relevant.
    similarity: f64,
    /// When that session ended.
    created_at: DateTime<Utc>,
}

impl From<Recalled> for RecalledView {
    fn from(r: Recalled) -> Self {
        Self {
            method: r.method,
            memories: r.memories.into_iter().map(MemoryView::from).collect(),
            turns: r.turns.into_iter().map(RecalledTurnView::from).collect(),
            nothing_noted: r.nothing_noted,
            complete: r.complete,
        }
    }
}

impl From<Match> for MemoryView {
    fn from(m: Match) -> Self {
        Self {
            id: m.id.into(),
            session_id: m.session_id,
            summary_text: m.summary_text,
            key_topics: m.key_topics,
            sentiment: m.sentiment,
            similarity: m.similarity,
            created_at: m.created_at,
        }
    }
}
