//! Embedding the memory of a gym again, with another model, and what of it has no vector yet.

use super::privacy::session_id;
use crate::{DbError, ScopedTx};
use jarvis_core::{EventId, GymId, SessionId};
use pgvector::{HalfVector, Vector};
use uuid::Uuid;

/// What is to be embedded.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The model that embeds it.
    pub model: &'a str,
    /// Only what has no vector of any model.
    pub only_missing: bool,
}

/// A summary to embed.
#[derive(Clone)]
pub struct Pending {
    /// The summary.
    pub id: Uuid,
    /// What is to be embedded.
    pub text: String,
}

impl std::fmt::Debug for Pending {
    /// Without its words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pending({})", self.id)
    }
}

/// A turn of a conversation.
#[derive(Clone)]
pub struct Turn {
    /// The event that it was.
    pub event: EventId,
    /// Its words.
    pub said: String,
    /// Whether it is to be embedded.
    pub pending: bool,
}

impl std::fmt::Debug for Turn {
    /// Without its words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Turn({})", self.event)
    }
}

/// What of a gym's memory one model embedded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Embedded {
    /// The model; `unknown` for what has no vector that can be compared.
    pub model: String,
    /// How many summaries.
    pub summaries: i64,
    /// How many turns.
    pub turns: i64,
}

/// How much each model embedded, the most summaries first.
pub async fn by_model(tx: &mut ScopedTx, gym: GymId) -> Result<Vec<Embedded>, DbError> {
    Ok(sqlx::query_as!(
        Embedded,
        r#"select m.model as "model!", sum(m.summaries)::bigint as "summaries!", sum(m.turns)::bigint as "turns!"
             from (select embedding_model as model, count(*) as summaries, 0 as turns
                     from public.conversation_summaries where gym_id = $1 group by 1
                   union all
                   select embedding_model, 0, count(*) from jarvis.memory_windows where gym_id = $1 group by 1) as m
            group by m.model order by 2 desc, 3 desc, 1"#,
        gym.as_uuid(),
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Whether vectors of this model can be compared: its calibration is known.
pub async fn is_known(tx: &mut ScopedTx, model: &str) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from jarvis.embedding_models where model = $1) as "known!""#,
        model,
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// The next summaries after `after` to embed: ours, and those that the gym's model embedded. Nothing is worked with
/// without the consent to memory, nor of a member whose processing is restricted.
pub async fn next(
    tx: &mut ScopedTx,
    gym: GymId,
    wanted: Wanted<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Pending>, DbError> {
    Ok(sqlx::query_as!(
        Pending,
        "select s.id, s.summary_text as text from public.conversation_summaries s
           join public.gyms g on g.id = s.gym_id
          where s.gym_id = $1 and s.id > $4 and btrim(s.summary_text) <> ''
            and (s.embedding is null or s.embedding_model = 'unknown' or (s.embedding_model <> $2 and not $3::bool))
            and (s.written_by = 'jarvis' or s.embedding_model = g.embedding_model)
            and jarvis.has_consent(s.gym_id, s.member_id, 'memory')
            and not exists (select from jarvis.restrictions r where r.gym_id = s.gym_id and r.member_id = s.member_id)
          order by s.id limit $5",
        gym.as_uuid(),
        wanted.model,
        wanted.only_missing,
        after,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// The next sessions after `after` with turns to embed, under the conditions of [`next`].
pub async fn next_sessions(
    tx: &mut ScopedTx,
    gym: GymId,
    wanted: Wanted<'_>,
    after: Option<&SessionId>,
    limit: i64,
) -> Result<Vec<SessionId>, DbError> {
    let ids = sqlx::query_scalar!(
        "select w.session_id from jarvis.memory_windows w
          where w.gym_id = $1 and w.session_id > $4
            and (w.embedding is null or (w.embedding_model <> $2 and not $3::bool))
            and jarvis.has_consent(w.gym_id, w.member_id, 'memory')
            and not exists (select from jarvis.restrictions r where r.gym_id = w.gym_id and r.member_id = w.member_id)
          group by w.session_id order by w.session_id limit $5",
        gym.as_uuid(),
        wanted.model,
        wanted.only_missing,
        after.map_or("", SessionId::as_str),
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    ids.into_iter().map(session_id).collect()
}

/// The next processed sessions after `after` whose turns were never stored for recall, although what was said is there,
/// under the conditions of [`next`].
pub async fn sessions_without_turns(
    tx: &mut ScopedTx,
    gym: GymId,
    after: Option<&SessionId>,
    limit: i64,
) -> Result<Vec<SessionId>, DbError> {
    let ids = sqlx::query_scalar!(
        "select s.session_id from public.conversation_sessions s
          where s.gym_id = $1 and s.session_id > $2 and s.state = 'processed'
            and not exists (select from jarvis.memory_windows w
                             where w.gym_id = s.gym_id and w.session_id = s.session_id)
            and exists (select from public.conversation_events e
                         where e.gym_id = s.gym_id and e.session_id = s.session_id
                           and e.event_type = 'user_transcript' and btrim(e.transcript) <> '')
            and jarvis.has_consent(s.gym_id, s.member_id, 'memory')
            and not exists (select from jarvis.restrictions r where r.gym_id = s.gym_id and r.member_id = s.member_id)
          order by s.session_id limit $3",
        gym.as_uuid(),
        after.map_or("", SessionId::as_str),
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    ids.into_iter().map(session_id).collect()
}

/// How many processed sessions [`sessions_without_turns`] would find.
pub async fn count_without_turns(tx: &mut ScopedTx, gym: GymId) -> Result<i64, DbError> {
    let all = sessions_without_turns(tx, gym, None, i64::MAX).await?;
    Ok(i64::try_from(all.len()).unwrap_or(i64::MAX))
}

/// All turns of a session in their order, each with whether it is to be embedded.
pub async fn turns(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    wanted: Wanted<'_>,
) -> Result<Vec<Turn>, DbError> {
    Ok(sqlx::query_as!(
        Turn,
        r#"select w.event_id as event, w.said,
                  (w.embedding is null or (w.embedding_model <> $3 and not $4::bool)) as "pending!"
             from jarvis.memory_windows w
            where w.gym_id = $1 and w.session_id = $2
              and jarvis.has_consent(w.gym_id, w.member_id, 'memory')
            order by w.said_at, w.event_id"#,
        gym.as_uuid(),
        session.as_str(),
        wanted.model,
        wanted.only_missing,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Stores the vector of a summary whose words did not change meanwhile; false when they did.
pub async fn store(
    tx: &mut ScopedTx,
    gym: GymId,
    pending: &Pending,
    model: &str,
    vector: Vec<f32>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update public.conversation_summaries set embedding = $4, embedding_model = $3
          where gym_id = $1 and id = $2 and summary_text = $5",
        gym.as_uuid(),
        pending.id,
        model,
        Vector::from(vector) as _,
        pending.text,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores the vectors of turns, as far as their words did not change meanwhile. True when all could be stored.
///
/// # Errors
/// [`DbError::Refused`] without the member's consent to `memory`.
pub async fn store_turns(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    model: &str,
    vectors: &[(&Turn, Vec<f32>)],
) -> Result<bool, DbError> {
    let ids: Vec<Uuid> = vectors.iter().map(|(turn, _)| turn.event.as_uuid()).collect();
    let said: Vec<String> = vectors.iter().map(|(turn, _)| turn.said.clone()).collect();
    let halves: Vec<HalfVector> = vectors
        .iter()
        .map(|(_, vector)| HalfVector::from_f32_slice(vector))
        .collect();
    let done = sqlx::query!(
        "update jarvis.memory_windows w set embedding = v.embedding, embedding_model = $3
           from unnest($4::uuid[], $5::text[], $6::halfvec[]) as v (event_id, said, embedding)
          where w.gym_id = $1 and w.session_id = $2 and w.event_id = v.event_id and w.said = v.said",
        gym.as_uuid(),
        session.as_str(),
        model,
        &ids,
        &said,
        &halves as &[HalfVector],
    )
    .execute(&mut **tx)
    .await?;
    Ok(usize::try_from(done.rows_affected()).is_ok_and(|rows| rows == vectors.len()))
}

/// Holds the gym's model until the end of the transaction, and counts what still has the vector of another one, or
/// none: conversations that were read meanwhile got the model that was the gym's. One of them that was not yet
/// committed is tried again, since it shares this lock.
pub async fn hold_and_count(tx: &mut ScopedTx, gym: GymId, model: &str) -> Result<i64, DbError> {
    sqlx::query!(
        "select id from public.gyms where id = $1 for no key update",
        gym.as_uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(sqlx::query_scalar!(
        r#"select (select count(*) from public.conversation_summaries s join public.gyms g on g.id = s.gym_id
                    where s.gym_id = $1 and btrim(s.summary_text) <> ''
                      and (s.embedding is null or s.embedding_model <> $2)
                      and (s.written_by = 'jarvis' or s.embedding_model = g.embedding_model)
                      and jarvis.has_consent(s.gym_id, s.member_id, 'memory')
                      and not exists (select from jarvis.restrictions r
                                       where r.gym_id = s.gym_id and r.member_id = s.member_id))
                + (select count(*) from jarvis.memory_windows w
                    where w.gym_id = $1 and (w.embedding is null or w.embedding_model <> $2)
                      and jarvis.has_consent(w.gym_id, w.member_id, 'memory')
                      and not exists (select from jarvis.restrictions r
                                       where r.gym_id = w.gym_id and r.member_id = w.member_id)) as "left!""#,
        gym.as_uuid(),
        model,
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// From now on the gym compares the vectors of `model`.
pub async fn switch(tx: &mut ScopedTx, gym: GymId, model: &str) -> Result<(), DbError> {
    sqlx::query!(
        "update public.gyms set embedding_model = $2 where id = $1 and embedding_model <> $2",
        gym.as_uuid(),
        model,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
