//! Shapes on the wire that more than one endpoint answers with.

mod context;
mod recalled;

pub(crate) use context::ContextView;
pub(crate) use recalled::RecalledView;

use crate::words::{CategoryWord, ChannelWord, EndReasonWord, LanguageWord, SentimentWord, SessionStateWord};
use chrono::{DateTime, Utc};
use jarvis_core::{Category, Channel, EndReason, Fact, Language, SessionState};
use jarvis_db::queries::event::EventCounts;
use jarvis_db::queries::kiosk::Kiosk;
use jarvis_db::queries::session::Session;
use jarvis_db::queries::summary::Summary;
use jarvis_memory::sessions::SessionDetail;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A kiosk.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Kiosk)]
pub(crate) struct KioskView {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its gym.
    pub(crate) gym_id: Uuid,
    /// Its name.
    pub(crate) name: String,
    /// Its default language.
    pub(crate) language: String,
}

impl From<Kiosk> for KioskView {
    fn from(k: Kiosk) -> Self {
        Self {
            id: k.id.into(),
            gym_id: k.gym_id.into(),
            name: k.name,
            language: k.language,
        }
    }
}

/// An access token.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessToken)]
pub(crate) struct TokenView {
    /// The JWT, for `Authorization: Bearer`.
    pub(crate) access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub(crate) token_type: &'static str,
    /// Seconds until it expires.
    #[schema(example = 900)]
    pub(crate) expires_in: i64,
}

impl From<crate::tokens::AccessToken> for TokenView {
    fn from(token: crate::tokens::AccessToken) -> Self {
        use secrecy::ExposeSecret;
        Self {
            access_token: token.token.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_in: token.expires_in,
        }
    }
}

/// Where a session stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SessionStanding)]
pub(crate) struct StandingView {
    /// Where it stands now.
    #[schema(value_type = SessionStateWord)]
    pub(crate) state: SessionState,
    /// It had been closed before; nothing changed.
    pub(crate) already_closed: bool,
}

/// A session and what became of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// Its id.
    session_id: String,
    /// Its gym.
    gym_id: Uuid,
    /// Its kiosk, unless another application recorded it.
    kiosk_id: Option<Uuid>,
    /// Who talked.
    member_id: Uuid,
    /// How.
    #[schema(value_type = ChannelWord)]
    channel: Channel,
    /// In which language.
    #[schema(value_type = LanguageWord)]
    language: Language,
    /// `open`, then `closing` while its memory is made, then an end: `processed`, `empty` or `failed`.
    #[schema(value_type = SessionStateWord)]
    state: SessionState,
    /// Why it ended `empty` or `failed`, such as `no_consent` or `no_user_turn`.
    state_reason: Option<String>,
    /// Why the conversation ended.
    #[schema(value_type = Option<EndReasonWord>)]
    end_reason: Option<EndReason>,
    /// When the badge was read.
    started_at: DateTime<Utc>,
    /// When something last happened.
    last_event_at: Option<DateTime<Utc>>,
    /// When it ended.
    ended_at: Option<DateTime<Utc>>,
    /// When its memory was made.
    processed_at: Option<DateTime<Utc>>,
    /// How often its processing was tried.
    attempts: i32,
    /// Why the last try failed; never holds what was said.
    last_error: Option<String>,
    /// What to know about the result, such as `health_withheld` or `embedding_unavailable`.
    notes: Vec<String>,
    /// Spans about health that were not stored, for want of consent.
    withheld_health_spans: i32,
    /// Facts that did not pass the evidence gate.
    facts_rejected: i32,
    /// What extracted the facts.
    extractor: Option<String>,
    /// How many events it has.
    events: EventCountsView,
    /// The facts it last wrote.
    facts: Vec<FactView>,
    /// Its summary, once it is processed.
    summary: Option<SummaryView>,
}

/// How many events a session has.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EventCounts)]
pub(crate) struct EventCountsView {
    /// All of them.
    events: i64,
    /// What the member said.
    user_turns: i64,
    /// What the assistant said.
    assistant_turns: i64,
    /// Turns whose text was not stored, for want of consent.
    without_text: i64,
}

/// A remembered fact with its evidence.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Fact)]
pub(crate) struct FactView {
    /// Its id.
    id: Uuid,
    /// The category.
    #[schema(value_type = CategoryWord)]
    category: Category,
    /// Its key within the category.
    fact_key: String,
    /// The value.
    #[schema(value_type = Object)]
    fact_value: Value,
    /// How sure, 0 to 1.
    confidence: f64,
    /// The session it comes from.
    source_session_id: Option<String>,
    /// The event it comes from.
    source_event_id: Option<Uuid>,
    /// The member's own words.
    source_quote: Option<String>,
    /// Whether the quote was found in the member's own turns.
    verified: bool,
    /// False once retired.
    is_active: bool,
    /// How often it was said again.
    times_confirmed: i32,
    /// When it was last said again.
    last_confirmed_at: Option<DateTime<Utc>>,
    /// When it stops being believed.
    expires_at: Option<DateTime<Utc>>,
    /// Its place in the registry of slots, such as `injury.knee.right`; null for a key that no slot knows.
    slot: Option<String>,
    /// From when on the assistant may ask whether it is still true; null where nobody asks.
    asks_from: Option<DateTime<Utc>>,
    /// When it was first stored.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

/// The summary of one session.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Summary)]
pub(crate) struct SummaryView {
    /// Its id.
    id: Uuid,
    /// Its session.
    session_id: String,
    /// The text.
    summary_text: String,
    /// What it is about.
    key_topics: Vec<String>,
    /// How the member sounded, from the text.
    #[schema(value_type = Option<SentimentWord>)]
    sentiment: Option<String>,
    /// −1 to 1.
    sentiment_score: Option<f64>,
    /// The model of its embedding; the vector itself never leaves.
    embedding_model: String,
    /// Dimensions of its embedding; null without one, and for people, who may not see embeddings.
    embedding_dimensions: Option<i32>,
    /// When the session ended.
    created_at: DateTime<Utc>,
}

impl From<SessionDetail> for SessionView {
    fn from(d: SessionDetail) -> Self {
        let s: Session = d.session;
        Self {
            session_id: s.session_id.into(),
            gym_id: s.gym_id.into(),
            kiosk_id: s.kiosk_id.map(Uuid::from),
            member_id: s.member_id.into(),
            channel: s.channel,
            language: s.language,
            state: s.state,
            state_reason: s.state_reason,
            end_reason: s.end_reason,
            started_at: s.started_at,
            last_event_at: s.last_event_at,
            ended_at: s.ended_at,
            processed_at: s.processed_at,
            attempts: s.attempts,
            last_error: s.last_error,
            notes: s.notes,
            withheld_health_spans: s.withheld_health_spans,
            facts_rejected: s.facts_rejected,
            extractor: s.extractor,
            events: d.events.into(),
            facts: d.facts.into_iter().map(FactView::from).collect(),
            summary: d.summary.map(SummaryView::from),
        }
    }
}

impl From<EventCounts> for EventCountsView {
    fn from(c: EventCounts) -> Self {
        Self {
            events: c.events,
            user_turns: c.user_turns,
            assistant_turns: c.assistant_turns,
            without_text: c.without_text,
        }
    }
}

impl From<Fact> for FactView {
    fn from(f: Fact) -> Self {
        Self {
            id: f.id.into(),
            category: f.category,
            fact_key: f.fact_key,
            fact_value: f.fact_value,
            confidence: f.confidence,
            source_session_id: f.source_session_id,
            source_event_id: f.source_event_id.map(Uuid::from),
            source_quote: f.source_quote,
            verified: f.verified,
            is_active: f.is_active,
            times_confirmed: f.times_confirmed,
            last_confirmed_at: f.last_confirmed_at,
            expires_at: f.expires_at,
            slot: f.slot,
            asks_from: f.asks_from,
            created_at: f.created_at,
            updated_at: f.updated_at,
        }
    }
}

impl From<Summary> for SummaryView {
    fn from(s: Summary) -> Self {
        Self {
            id: s.id.into(),
            session_id: s.session_id,
            summary_text: s.summary_text,
            key_topics: s.key_topics,
            sentiment: s.sentiment,
            sentiment_score: s.sentiment_score,
            embedding_model: s.embedding_model,
            embedding_dimensions: s.embedding_dimensions,
            created_at: s.created_at,
        }
    }
}
