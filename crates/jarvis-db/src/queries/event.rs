//! Events: what happened in a session, as it happened.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{EventId, EventType, GymId, MemberId, NewEvent, SessionId};
use serde_json::Value;
use uuid::Uuid;

/// An event to store, with its id and the instants the server decided on.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// The event, its text already masked where consent is missing.
    pub event: NewEvent,
    /// When it happened.
    pub timestamp: DateTime<Utc>,
}

/// Stores events in one statement, which the database judges as a whole (see the migration `events_judged_whole`): the
/// session must be there. Returns the ids of the new ones; a repeated `provider_event_id` is skipped.
pub async fn insert_many(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    member: MemberId,
    rows: &[EventRow],
    received_at: DateTime<Utc>,
) -> Result<Vec<EventId>, DbError> {
    let c = Columns::from(rows);
    let ids = sqlx::query_scalar!(
        r#"with whole as materialized (select set_config('jarvis.judge_events', 'whole', true))
           insert into public.conversation_events
             (id, session_id, member_id, gym_id, event_type, transcript, tool_name, tool_args, tool_result,
              turn_number, audio_duration_ms, confidence_score, "timestamp", provider_event_id, received_at)
           select e.id, $1, $2, $3, e.event_type, e.transcript, e.tool_name, e.tool_args, e.tool_result,
                  e.turn_number, e.audio_duration_ms, e.confidence_score, e.at, e.provider_event_id, $15
             from whole, unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::jsonb[], $10::int[],
                         $11::int[], $12::float8[], $13::timestamptz[], $14::text[])
               as e(id, event_type, transcript, tool_name, tool_args, tool_result, turn_number,
                    audio_duration_ms, confidence_score, at, provider_event_id)
           on conflict (session_id, provider_event_id) do nothing
           returning id"#,
        session.as_str(),
        member.as_uuid(),
        gym.as_uuid(),
        &c.ids,
        &c.types as &[&str],
        &c.transcripts as &[Option<&str>],
        &c.tool_names as &[Option<&str>],
        &c.tool_args as &[Option<Value>],
        &c.tool_results as &[Option<Value>],
        &c.turns as &[Option<i32>],
        &c.durations as &[Option<i32>],
        &c.confidences as &[Option<f64>],
        &c.timestamps,
        &c.provider_ids as &[Option<&str>],
        received_at,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids.into_iter().map(EventId::from).collect())
}

/// The rows turned into one array per column.
struct Columns<'a> {
    ids: Vec<Uuid>,
    types: Vec<&'static str>,
    transcripts: Vec<Option<&'a str>>,
    tool_names: Vec<Option<&'a str>>,
    tool_args: Vec<Option<Value>>,
    tool_results: Vec<Option<Value>>,
    turns: Vec<Option<i32>>,
    durations: Vec<Option<i32>>,
    confidences: Vec<Option<f64>>,
    timestamps: Vec<DateTime<Utc>>,
    provider_ids: Vec<Option<&'a str>>,
}

impl<'a> From<&'a [EventRow]> for Columns<'a> {
    fn from(rows: &'a [EventRow]) -> Self {
        Self {
            ids: rows.iter().map(|r| r.id.as_uuid()).collect(),
            types: rows.iter().map(|r| r.event.event_type.as_str()).collect(),
            transcripts: rows.iter().map(|r| r.event.transcript.as_deref()).collect(),
            tool_names: rows.iter().map(|r| r.event.tool_name.as_deref()).collect(),
            tool_args: rows.iter().map(|r| r.event.tool_args.clone()).collect(),
            tool_results: rows.iter().map(|r| r.event.tool_result.clone()).collect(),
            turns: rows.iter().map(|r| r.event.turn_number).collect(),
            durations: rows.iter().map(|r| r.event.audio_duration_ms).collect(),
            confidences: rows.iter().map(|r| r.event.confidence_score).collect(),
            timestamps: rows.iter().map(|r| r.timestamp).collect(),
            provider_ids: rows
                .iter()
                .map(|r| r.event.provider_event_id.as_deref())
                .collect(),
        }
    }
}

/// One spoken turn, as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct TranscriptRow {
    /// The event.
    pub id: EventId,
    /// `UserTranscript` or `AiTranscript`.
    pub event_type: EventType,
    /// What was said; only rows with text are read.
    pub transcript: String,
    /// Its number, when the kiosk counts turns.
    pub turn_number: Option<i32>,
    /// How sure the speech recognition was.
    pub confidence_score: Option<f64>,
    /// When.
    pub timestamp: DateTime<Utc>,
}

/// The spoken turns of a session that have text, in the order in which they were said: by turn number when
/// every turn has one, else by time.
pub async fn list_transcript(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
) -> Result<Vec<TranscriptRow>, DbError> {
    let rows = sqlx::query!(
        r#"select id, event_type, transcript as "transcript!", turn_number,
                  confidence_score::float8 as confidence_score, "timestamp" as "timestamp!"
             from public.conversation_events
            where gym_id = $1 and session_id = $2 and transcript is not null
              and event_type in ('user_transcript', 'ai_transcript')
            order by "timestamp", id"#,
        gym.as_uuid(),
        session.as_str(),
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut turns = rows
        .into_iter()
        .map(|r| {
            Ok(TranscriptRow {
                id: r.id.into(),
                event_type: r
                    .event_type
                    .parse()
                    .map_err(|_| DbError::unknown_word("event_type"))?,
                transcript: r.transcript,
                turn_number: r.turn_number,
                confidence_score: r.confidence_score,
                timestamp: r.timestamp,
            })
        })
        .collect::<Result<Vec<_>, DbError>>()?;
    if turns.iter().all(|t| t.turn_number.is_some()) {
        turns.sort_by_key(|t| t.turn_number);
    }
    Ok(turns)
}

/// How many events a session has, by what they are, for showing.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct EventCounts {
    /// All of them.
    pub events: i64,
    /// User turns whose text is stored.
    pub user_turns: i64,
    /// Assistant turns whose text is stored.
    pub assistant_turns: i64,
    /// Spoken turns whose text was not kept, for want of consent.
    pub without_text: i64,
}

/// Counts the events of a session.
pub async fn count(tx: &mut ScopedTx, gym: GymId, session: &SessionId) -> Result<EventCounts, DbError> {
    Ok(sqlx::query_as!(
        EventCounts,
        r#"select count(*) as "events!",
                  count(*) filter (where event_type = 'user_transcript' and transcript is not null) as "user_turns!",
                  count(*) filter (where event_type = 'ai_transcript' and transcript is not null) as "assistant_turns!",
                  count(*) filter (where event_type in ('user_transcript', 'ai_transcript') and transcript is null)
                    as "without_text!"
             from public.conversation_events where gym_id = $1 and session_id = $2"#,
        gym.as_uuid(),
        session.as_str(),
    )
    .fetch_one(&mut **tx)
    .await?)
}
