//! Events: what happened in a session, as it happened.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{EventId, EventType, GymId, MemberId, NewEvent, SessionId};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use std::collections::HashSet;
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

/// An event to store and where it belongs.
#[derive(Debug, Clone, Copy)]
pub struct PlacedEvent<'a> {
    /// Its session.
    pub session: &'a SessionId,
    /// The member of that session.
    pub member: MemberId,
    /// The event.
    pub row: &'a EventRow,
}

/// Fewer events than this are not worth asking whether one of them is a repetition.
const LARGE: usize = 64;

/// Stores events of one session in one statement, which the database judges as a whole (see the migration
/// `events_judged_whole`): the session must be there, and locked. Returns the ids of the new ones; a repeated
/// `provider_event_id` is skipped.
///
/// Looking for a repetition of every event costs PostgreSQL a sixth of the time. A large batch that does not look like one
/// that was sent before is stored without looking; where the unique key finds a repetition all the same, nothing of
/// that try remains, and the batch is stored with looking.
pub async fn insert_many(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    member: MemberId,
    rows: &[EventRow],
    received_at: DateTime<Utc>,
) -> Result<Vec<EventId>, DbError> {
    if rows.len() >= LARGE && !looks_repeated(tx, gym, session, rows).await? {
        let mut savepoint = Connection::begin(&mut **tx).await?;
        match insert_unseen(&mut savepoint, gym, session, member, rows, received_at).await {
            Ok(()) => {
                savepoint.commit().await?;
                return Ok(rows.iter().map(|r| r.id).collect());
            }
            Err(DbError::Conflict { .. }) => savepoint.rollback().await?,
            Err(error) => return Err(error),
        }
    }
    let placed: Vec<_> = rows
        .iter()
        .map(|row| PlacedEvent { session, member, row })
        .collect();
    insert_each(tx, gym, &placed, received_at).await
}

/// Whether an id occurs twice, or the first or the last one is stored already: a sender that got no answer sends all of it
/// again.
async fn looks_repeated(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    rows: &[EventRow],
) -> Result<bool, DbError> {
    let ids = || rows.iter().filter_map(|r| r.event.provider_event_id.as_deref());
    let mut seen = HashSet::with_capacity(rows.len());
    if !ids().all(|id| seen.insert(id)) {
        return Ok(true);
    }
    let ends: Vec<&str> = ids().next().into_iter().chain(ids().next_back()).collect();
    if ends.is_empty() {
        return Ok(false);
    }
    Ok(sqlx::query_scalar!(
        r#"select exists (select from public.conversation_events
                           where gym_id = $1 and session_id = $2 and provider_event_id = any ($3)) as "known!""#,
        gym.as_uuid(),
        session.as_str(),
        &ends as &[&str],
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Stores events none of which may be there.
async fn insert_unseen(
    connection: &mut PgConnection,
    gym: GymId,
    session: &SessionId,
    member: MemberId,
    rows: &[EventRow],
    received_at: DateTime<Utc>,
) -> Result<(), DbError> {
    let c: Columns<'_> = rows.iter().collect();
    sqlx::query!(
        r#"with whole as materialized (select set_config('jarvis.judge_events', 'whole', true))
           insert into public.conversation_events
             (id, session_id, member_id, gym_id, event_type, transcript, tool_name, tool_args, tool_result,
              turn_number, audio_duration_ms, confidence_score, "timestamp", provider_event_id, received_at)
           select e.id, $1, $2, $3, e.event_type, e.transcript, e.tool_name, e.tool_args, e.tool_result,
                  e.turn_number, e.audio_duration_ms, e.confidence_score, e.at, e.provider_event_id, $15
             from whole, unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::jsonb[], $10::int[],
                         $11::int[], $12::float8[], $13::timestamptz[], $14::text[])
               as e(id, event_type, transcript, tool_name, tool_args, tool_result, turn_number,
                    audio_duration_ms, confidence_score, at, provider_event_id)"#,
        session.as_str(),
        member.as_uuid(),
        gym.as_uuid(),
        &c.ids,
        &c.types as &[&str],
        &c.transcripts as &[Option<&str>],
        &c.tool_names as &[Option<&str>],
        &c.tool_args as &[Option<&Value>],
        &c.tool_results as &[Option<&Value>],
        &c.turns as &[Option<i32>],
        &c.durations as &[Option<i32>],
        &c.confidences as &[Option<f64>],
        &c.timestamps,
        &c.provider_ids as &[Option<&str>],
        received_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores events of several sessions of a gym as [`insert_many`] does; every session must be there, and locked.
pub async fn insert_each(
    tx: &mut ScopedTx,
    gym: GymId,
    events: &[PlacedEvent<'_>],
    received_at: DateTime<Utc>,
) -> Result<Vec<EventId>, DbError> {
    let c: Columns<'_> = events.iter().map(|e| e.row).collect();
    let sessions: Vec<&str> = events.iter().map(|e| e.session.as_str()).collect();
    let members: Vec<Uuid> = events.iter().map(|e| e.member.as_uuid()).collect();
    let ids = sqlx::query_scalar!(
        r#"with whole as materialized (select set_config('jarvis.judge_events', 'whole', true))
           insert into public.conversation_events
             (id, session_id, member_id, gym_id, event_type, transcript, tool_name, tool_args, tool_result,
              turn_number, audio_duration_ms, confidence_score, "timestamp", provider_event_id, received_at)
           select e.id, e.session_id, e.member_id, $3, e.event_type, e.transcript, e.tool_name, e.tool_args,
                  e.tool_result, e.turn_number, e.audio_duration_ms, e.confidence_score, e.at, e.provider_event_id, $15
             from whole, unnest($1::text[], $2::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
                         $9::jsonb[], $10::int[], $11::int[], $12::float8[], $13::timestamptz[], $14::text[])
               as e(session_id, member_id, id, event_type, transcript, tool_name, tool_args, tool_result, turn_number,
                    audio_duration_ms, confidence_score, at, provider_event_id)
           on conflict (session_id, provider_event_id) do nothing
           returning id"#,
        &sessions as &[&str],
        &members,
        gym.as_uuid(),
        &c.ids,
        &c.types as &[&str],
        &c.transcripts as &[Option<&str>],
        &c.tool_names as &[Option<&str>],
        &c.tool_args as &[Option<&Value>],
        &c.tool_results as &[Option<&Value>],
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

/// The rows turned into one array per column. A column in which nobody wrote anything is an empty array, which `unnest`
/// fills up with nulls.
struct Columns<'a> {
    ids: Vec<Uuid>,
    types: Vec<&'static str>,
    transcripts: Vec<Option<&'a str>>,
    tool_names: Vec<Option<&'a str>>,
    tool_args: Vec<Option<&'a Value>>,
    tool_results: Vec<Option<&'a Value>>,
    turns: Vec<Option<i32>>,
    durations: Vec<Option<i32>>,
    confidences: Vec<Option<f64>>,
    timestamps: Vec<DateTime<Utc>>,
    provider_ids: Vec<Option<&'a str>>,
}

impl<'a> FromIterator<&'a EventRow> for Columns<'a> {
    fn from_iter<I: IntoIterator<Item = &'a EventRow>>(rows: I) -> Self {
        let rows: Vec<&'a EventRow> = rows.into_iter().collect();
        Self {
            ids: rows.iter().map(|r| r.id.as_uuid()).collect(),
            types: rows.iter().map(|r| r.event.event_type.as_str()).collect(),
            transcripts: column(&rows, |e| e.transcript.as_deref()),
            tool_names: column(&rows, |e| e.tool_name.as_deref()),
            tool_args: column(&rows, |e| e.tool_args.as_ref()),
            tool_results: column(&rows, |e| e.tool_result.as_ref()),
            turns: column(&rows, |e| e.turn_number),
            durations: column(&rows, |e| e.audio_duration_ms),
            confidences: column(&rows, |e| e.confidence_score),
            timestamps: rows.iter().map(|r| r.timestamp).collect(),
            provider_ids: column(&rows, |e| e.provider_event_id.as_deref()),
        }
    }
}

fn column<'a, T>(rows: &[&'a EventRow], of: impl Fn(&'a NewEvent) -> Option<T>) -> Vec<Option<T>> {
    let all: Vec<_> = rows.iter().map(|r| of(&r.event)).collect();
    if all.iter().all(Option::is_none) {
        return Vec::new();
    }
    all
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
