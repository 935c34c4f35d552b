//! Summaries of conversations and their embeddings.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, MemberId, SessionId, SummaryId};
use pgvector::Vector;
use uuid::Uuid;

/// A summary to store.
#[derive(Debug, Clone)]
pub struct NewSummary<'a> {
    /// Its id, when it is new.
    pub id: SummaryId,
    /// The session it belongs to.
    pub session: &'a SessionId,
    /// The member.
    pub member: MemberId,
    /// The text.
    pub text: &'a str,
    /// What it is about.
    pub key_topics: &'a [String],
    /// `positive`, `neutral`, `negative` or `mixed`.
    pub sentiment: &'a str,
    /// −1 to 1.
    pub sentiment_score: f64,
    /// 1536 dimensions, unit norm; absent when no model was available.
    pub embedding: Option<Vec<f32>>,
    /// The model that made the embedding.
    pub embedding_model: &'a str,
    /// Language of the text.
    pub language: &'a str,
    /// Length of the session, in seconds.
    pub duration_seconds: Option<i32>,
    /// Spoken turns.
    pub turn_count: i32,
    /// When the session ended.
    pub created_at: DateTime<Utc>,
    /// Whether it speaks of health, so that only managers may read it.
    pub tells_health: bool,
}

/// Stores the one summary of a session. Ours replaces ours; a summary that a client wrote is never replaced.
/// True when ours is stored.
pub async fn upsert(tx: &mut ScopedTx, gym: GymId, s: &NewSummary<'_>) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "insert into public.conversation_summaries as s
           (id, session_id, member_id, gym_id, summary_text, key_topics, sentiment, sentiment_score, embedding,
            embedding_model, language, session_duration_seconds, turn_count, created_at, tells_health, written_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8::float8::numeric(4,3), $9, $10, $11, $12, $13, $14, $15, 'jarvis')
         on conflict (session_id) do update
           set summary_text = excluded.summary_text, key_topics = excluded.key_topics,
               sentiment = excluded.sentiment, sentiment_score = excluded.sentiment_score,
               embedding = excluded.embedding, embedding_model = excluded.embedding_model,
               language = excluded.language, session_duration_seconds = excluded.session_duration_seconds,
               turn_count = excluded.turn_count, tells_health = excluded.tells_health
           where s.written_by = 'jarvis'",
        s.id.as_uuid(),
        s.session.as_str(),
        s.member.as_uuid(),
        gym.as_uuid(),
        s.text,
        s.key_topics,
        s.sentiment,
        s.sentiment_score,
        s.embedding.clone().map(Vector::from) as Option<Vector>,
        s.embedding_model,
        s.language,
        s.duration_seconds,
        s.turn_count,
        s.created_at,
        s.tells_health,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes our summary of a session that turned out to be empty; a client's stays.
pub async fn erase_ours(tx: &mut ScopedTx, gym: GymId, session: &SessionId) -> Result<(), DbError> {
    sqlx::query!(
        "delete from public.conversation_summaries where gym_id = $1 and session_id = $2 and written_by = 'jarvis'",
        gym.as_uuid(),
        session.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A summary as shown. Its embedding never leaves.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Its id.
    pub id: SummaryId,
    /// The session.
    pub session_id: String,
    /// The text.
    pub summary_text: String,
    /// What it is about.
    pub key_topics: Vec<String>,
    /// The sentiment.
    pub sentiment: Option<String>,
    /// −1 to 1.
    pub sentiment_score: Option<f64>,
    /// The model of its embedding.
    pub embedding_model: String,
    /// Dimensions of its embedding; none when it has none, and for readers who may not see embeddings.
    pub embedding_dimensions: Option<i32>,
    /// When the session ended.
    pub created_at: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    session_id: String,
    summary_text: String,
    key_topics: Option<Vec<String>>,
    sentiment: Option<String>,
    sentiment_score: Option<f64>,
    embedding_model: String,
    embedding_dimensions: Option<i32>,
    created_at: DateTime<Utc>,
}

impl From<Row> for Summary {
    fn from(r: Row) -> Self {
        Self {
            id: r.id.into(),
            session_id: r.session_id,
            summary_text: r.summary_text,
            key_topics: r.key_topics.unwrap_or_default(),
            sentiment: r.sentiment,
            sentiment_score: r.sentiment_score,
            embedding_model: r.embedding_model,
            embedding_dimensions: r.embedding_dimensions,
            created_at: r.created_at,
        }
    }
}

/// The summary of a session, if there is one.
pub async fn find_of_session(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
) -> Result<Option<Summary>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, session_id, summary_text, key_topics, sentiment, sentiment_score::float8 as sentiment_score,
                  embedding_model, null::int as embedding_dimensions, created_at as "created_at!"
             from public.conversation_summaries where gym_id = $1 and session_id = $2"#,
        gym.as_uuid(),
        session.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(mut row) = row else { return Ok(None) };
    if may_read_embeddings(tx).await? {
        row.embedding_dimensions = sqlx::query_scalar!(
            "select vector_dims(embedding) from public.conversation_summaries where gym_id = $1 and session_id = $2",
            gym.as_uuid(),
            session.as_str(),
        )
        .fetch_one(&mut **tx)
        .await?;
    }
    Ok(Some(row.into()))
}

/// People read everything of a summary but its embedding, which can be turned back into text.
async fn may_read_embeddings(tx: &mut ScopedTx) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select has_column_privilege('public.conversation_summaries', 'embedding', 'select') as "may!""#
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// The newest summaries of a member, without the dimensions of their embeddings.
pub async fn list_newest(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    limit: i64,
) -> Result<Vec<Summary>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, session_id, summary_text, key_topics, sentiment, sentiment_score::float8 as sentiment_score,
                  embedding_model, null::int as embedding_dimensions, created_at as "created_at!"
             from public.conversation_summaries where gym_id = $1 and member_id = $2
            order by created_at desc, id desc limit $3"#,
        gym.as_uuid(),
        member.as_uuid(),
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(Summary::from).collect())
}

/// A remembered conversation, with how well it fits.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Match {
    /// The summary.
    pub id: SummaryId,
    /// The session.
    pub session_id: String,
    /// The text.
    pub summary_text: String,
    /// What it is about.
    pub key_topics: Vec<String>,
    /// The sentiment.
    pub sentiment: Option<String>,
    /// Calibrated: 0.7 means "likely relevant". Found by words alone, the share of the question's words that it has.
    pub similarity: f64,
    /// When the session ended.
    pub created_at: DateTime<Utc>,
}
