//! Sessions: one conversation at a kiosk, from the badge to its memory.

mod heard;
mod orphan;

pub use heard::{Heard, lock_heard, note_heard};
pub use orphan::{Orphan, close_orphans, list_waiting, redate_ahead};

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{Channel, EndReason, GymId, KioskId, Language, MemberId, SessionId, SessionState};
use uuid::Uuid;

/// A session as stored.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Session {
    /// Its id.
    pub session_id: SessionId,
    /// Its gym.
    pub gym_id: GymId,
    /// The kiosk, unless another application recorded it.
    pub kiosk_id: Option<KioskId>,
    /// Who talks.
    pub member_id: MemberId,
    /// How they talk.
    pub channel: Channel,
    /// In which language.
    pub language: Language,
    /// Where it stands.
    pub state: SessionState,
    /// Why it ended `empty` or `failed`: a stable code.
    pub state_reason: Option<String>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// When the badge was read.
    pub started_at: DateTime<Utc>,
    /// When something last happened.
    pub last_event_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When its memory was made.
    pub processed_at: Option<DateTime<Utc>>,
    /// How often its processing was tried.
    pub attempts: i32,
    /// Why the last try failed; never holds what was said.
    pub last_error: Option<String>,
    /// Stable codes of what to know about the result, such as `health_withheld`.
    pub notes: Vec<String>,
    /// Spans about health that were not stored, for want of consent.
    pub withheld_health_spans: i32,
    /// Facts that did not pass the evidence gate or a guard.
    pub facts_rejected: i32,
    /// What extracted the facts, such as `rules-fr-en-2` or `rules-fr-en-2+heads-1`.
    pub extractor: Option<String>,
    /// Why the rules read it although the gym lets a model: a stable code.
    pub degraded_reason: Option<String>,
}

struct Row {
    session_id: String,
    gym_id: Uuid,
    kiosk_id: Option<Uuid>,
    member_id: Uuid,
    channel: String,
    language: String,
    state: String,
    state_reason: Option<String>,
    end_reason: Option<String>,
    started_at: DateTime<Utc>,
    last_event_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    processed_at: Option<DateTime<Utc>>,
    attempts: i32,
    last_error: Option<String>,
    notes: Vec<String>,
    withheld_health_spans: i32,
    facts_rejected: i32,
    extractor: Option<String>,
    degraded_reason: Option<String>,
}

impl TryFrom<Row> for Session {
    type Error = DbError;

    fn try_from(r: Row) -> Result<Self, DbError> {
        let unknown = |column: &'static str| DbError::unknown_word(column);
        Ok(Self {
            session_id: r.session_id.parse().map_err(|_| unknown("session_id"))?,
            gym_id: r.gym_id.into(),
            kiosk_id: r.kiosk_id.map(KioskId::from),
            member_id: r.member_id.into(),
            channel: r.channel.parse().map_err(|_| unknown("channel"))?,
            language: r.language.parse().unwrap_or_default(),
            state: r.state.parse().map_err(|_| unknown("state"))?,
            state_reason: r.state_reason,
            end_reason: r.end_reason.and_then(|e| e.parse().ok()),
            started_at: r.started_at,
            last_event_at: r.last_event_at,
            ended_at: r.ended_at,
            processed_at: r.processed_at,
            attempts: r.attempts,
            last_error: r.last_error,
            notes: r.notes,
            withheld_health_spans: r.withheld_health_spans,
            facts_rejected: r.facts_rejected,
            extractor: r.extractor,
            degraded_reason: r.degraded_reason,
        })
    }
}

/// A session to open.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// Its id.
    pub session_id: &'a SessionId,
    /// The kiosk.
    pub kiosk: KioskId,
    /// Who talks.
    pub member: MemberId,
    /// How.
    pub channel: Channel,
    /// In which language.
    pub language: Language,
    /// Which disclosure ("you are talking to an AI") was shown.
    pub disclosure_version: &'a str,
    /// When.
    pub started_at: DateTime<Utc>,
}

/// Opens a session.
pub async fn insert(tx: &mut ScopedTx, gym: GymId, new: &NewSession<'_>) -> Result<(), DbError> {
    sqlx::query!(
        "insert into public.conversation_sessions
           (session_id, gym_id, kiosk_id, member_id, channel, language, disclosure_version, started_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.session_id.as_str(),
        gym.as_uuid(),
        new.kiosk.as_uuid(),
        new.member.as_uuid(),
        new.channel.as_str(),
        new.language.as_str(),
        new.disclosure_version,
        new.started_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The session with this id, if the scope sees it.
pub async fn find(tx: &mut ScopedTx, session: &SessionId) -> Result<Option<Session>, DbError> {
    sqlx::query_as!(
        Row,
        r#"select session_id, gym_id, kiosk_id, member_id, channel, language as "language!", state, state_reason,
                  end_reason, started_at, last_event_at, ended_at, processed_at, attempts, last_error, notes,
                  withheld_health_spans as "withheld_health_spans!", facts_rejected as "facts_rejected!", extractor,
                  degraded_reason
             from public.conversation_sessions where session_id = $1"#,
        session.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await?
    .map(Session::try_from)
    .transpose()
}

/// As [`find`], and nobody else changes the session until this transaction ends.
pub async fn find_for_update(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
) -> Result<Option<Session>, DbError> {
    sqlx::query_as!(
        Row,
        r#"select session_id, gym_id, kiosk_id, member_id, channel, language as "language!", state, state_reason,
                  end_reason, started_at, last_event_at, ended_at, processed_at, attempts, last_error, notes,
                  withheld_health_spans as "withheld_health_spans!", facts_rejected as "facts_rejected!", extractor,
                  degraded_reason
             from public.conversation_sessions where gym_id = $1 and session_id = $2 for update"#,
        gym.as_uuid(),
        session.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await?
    .map(Session::try_from)
    .transpose()
}

/// Which sessions to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionFilter<'a> {
    /// Only those with this note.
    pub note: Option<&'a str>,
    /// Only those in this state.
    pub state: Option<SessionState>,
    /// Only those of this member.
    pub member: Option<MemberId>,
    /// At most so many.
    pub limit: i64,
}

/// The newest sessions of `gym` first.
pub async fn list(tx: &mut ScopedTx, gym: GymId, filter: SessionFilter<'_>) -> Result<Vec<Session>, DbError> {
    sqlx::query_as!(
        Row,
        r#"select session_id, gym_id, kiosk_id, member_id, channel, language as "language!", state, state_reason,
                  end_reason, started_at, last_event_at, ended_at, processed_at, attempts, last_error, notes,
                  withheld_health_spans as "withheld_health_spans!", facts_rejected as "facts_rejected!", extractor,
                  degraded_reason
             from public.conversation_sessions
            where gym_id = $1 and ($2::text is null or state = $2) and ($3::uuid is null or member_id = $3)
              and ($5::text is null or $5 = any (notes))
            order by started_at desc, session_id desc limit $4"#,
        gym.as_uuid(),
        filter.state.map(SessionState::as_str),
        filter.member.map(MemberId::as_uuid),
        filter.limit,
        filter.note,
    )
    .fetch_all(&mut **tx)
    .await?
    .into_iter()
    .map(Session::try_from)
    .collect()
}

/// Ends an open session; false when it is not open.
pub async fn close(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    reason: EndReason,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update public.conversation_sessions
            set state = 'closing', ended_at = greatest($4, started_at), end_reason = $3
          where gym_id = $1 and session_id = $2 and state = 'open'",
        gym.as_uuid(),
        session.as_str(),
        reason.as_str(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that something happened, and withheld spans; an ended session goes back to `closing`, with what came late.
pub async fn note_events(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    withheld_health_spans: i32,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update public.conversation_sessions
            set last_event_at = greatest(coalesce(last_event_at, $3), $3),
                withheld_health_spans = withheld_health_spans + $4,
                state = case when state = 'open' then state else 'closing' end,
                attempts = case when state = 'open' then attempts else 0 end
          where gym_id = $1 and session_id = $2",
        gym.as_uuid(),
        session.as_str(),
        now,
        withheld_health_spans,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Sends an ended session to processing again, with its tries counted from zero.
pub async fn reprocess(tx: &mut ScopedTx, gym: GymId, session: &SessionId) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update public.conversation_sessions
            set state = 'closing', attempts = 0, last_error = null, state_reason = null
          where gym_id = $1 and session_id = $2 and state <> 'open'",
        gym.as_uuid(),
        session.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What is left of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remains {
    /// Words of it are stored, so that it can be read again.
    pub words: bool,
    /// Something was made of it: a summary, or turns for recall.
    pub memory: bool,
}

/// What is left of a session: words go before what was made of them.
pub async fn remains(tx: &mut ScopedTx, gym: GymId, session: &SessionId) -> Result<Remains, DbError> {
    Ok(sqlx::query_as!(
        Remains,
        r#"select exists (select from public.conversation_events e
                           where e.gym_id = $1 and e.session_id = $2 and e.transcript is not null) as "words!",
                  (exists (select from public.conversation_summaries c where c.gym_id = $1 and c.session_id = $2)
                   or exists (select from jarvis.memory_windows w where w.gym_id = $1 and w.session_id = $2)) as "memory!""#,
        gym.as_uuid(),
        session.as_str(),
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Counts a try of processing before it starts, so that a crash counts too. Returns the number of tries.
pub async fn count_attempt(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
) -> Result<Option<i32>, DbError> {
    Ok(sqlx::query_scalar!(
        "update public.conversation_sessions set attempts = attempts + 1
          where gym_id = $1 and session_id = $2 and state = 'closing' returning attempts",
        gym.as_uuid(),
        session.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await?)
}

/// Notes why a try failed; `give_up` ends the session as `failed`. Without effect when turns arrived since.
pub async fn note_failure(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    error: &str,
    attempts: i32,
    give_up: Option<&str>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update public.conversation_sessions
            set last_error = $3,
                state = case when $5::text is null then state else 'failed' end,
                state_reason = coalesce($5, state_reason)
          where gym_id = $1 and session_id = $2 and state = 'closing' and attempts = $4",
        gym.as_uuid(),
        session.as_str(),
        error,
        attempts,
        give_up,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes what a session waits for and takes back the try that was counted. Without effect when turns arrived since.
pub async fn note_waiting(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    waits_for: &str,
    attempts: i32,
) -> Result<(), DbError> {
    sqlx::query!(
        "update public.conversation_sessions set last_error = $3, attempts = attempts - 1
          where gym_id = $1 and session_id = $2 and state = 'closing' and attempts = $4",
        gym.as_uuid(),
        session.as_str(),
        waits_for,
        attempts,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What processing found.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// `Processed` or `Empty`.
    pub state: SessionState,
    /// Why it is empty.
    pub reason: Option<&'a str>,
    /// What to know about the result.
    pub notes: &'a [String],
    /// Facts that were rejected.
    pub facts_rejected: i32,
    /// What extracted the facts.
    pub extractor: &'a str,
    /// Why the rules did although a model should have.
    pub degraded_reason: Option<&'a str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Stores the end of processing.
pub async fn finish(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    outcome: &Outcome<'_>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update public.conversation_sessions
            set state = $3, state_reason = $4, notes = $5, facts_rejected = $6, extractor = $7, processed_at = $8,
                degraded_reason = $9, last_error = null
          where gym_id = $1 and session_id = $2",
        gym.as_uuid(),
        session.as_str(),
        outcome.state.as_str(),
        outcome.reason,
        outcome.notes,
        outcome.facts_rejected,
        outcome.extractor,
        outcome.at,
        outcome.degraded_reason,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends the open sessions of a kiosk; returns them.
pub async fn close_open_of_kiosk(
    tx: &mut ScopedTx,
    gym: GymId,
    kiosk: KioskId,
    reason: EndReason,
    now: DateTime<Utc>,
) -> Result<Vec<SessionId>, DbError> {
    let ids = sqlx::query_scalar!(
        "update public.conversation_sessions
            set state = 'closing', ended_at = greatest($4, started_at), end_reason = $3
          where gym_id = $1 and kiosk_id = $2 and state = 'open' returning session_id",
        gym.as_uuid(),
        kiosk.as_uuid(),
        reason.as_str(),
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    ids.into_iter()
        .map(|id| id.parse().map_err(|_| DbError::unknown_word("session_id")))
        .collect()
}
