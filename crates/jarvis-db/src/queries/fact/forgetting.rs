//! Forgetting: a fact, its history, the words it was read out of, and what was made of them.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{Category, EventId, Fact, FactId, GymId, MemberId, SessionId};
use serde_json::Value;
use sqlx::Connection;
use uuid::Uuid;

/// The slot that a fact of this key and value has; none when the registry does not know the key.
pub async fn slot_of(
    tx: &mut ScopedTx,
    category: Category,
    key: &str,
    value: &Value,
) -> Result<Option<String>, DbError> {
    Ok(
        sqlx::query_scalar!("select jarvis.slot_of($1, $2, $3)", category.as_str(), key, value)
            .fetch_one(&mut **tx)
            .await?,
    )
}

/// The words that a fact, in any of its versions, accepted or refused, was read out of.
pub async fn quotes(tx: &mut ScopedTx, gym: GymId, fact: FactId) -> Result<Vec<String>, DbError> {
    let quotes = sqlx::query_scalar!(
        r#"select distinct q.quote as "quote!" from (
             select f.source_quote from public.member_facts f where f.gym_id = $1 and f.id = $2
             union all
             select version ->> 'source_quote' from jarvis.member_fact_history h, unnest(array[h.old, h.new]) as version
              where h.gym_id = $1 and h.fact_id = $2) as q (quote)
            where jarvis.fold(q.quote) <> ''"#,
        gym.as_uuid(),
        fact.as_uuid(),
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(quotes)
}

/// The conversations of a member from which a fact, in any of its versions, came, those in which one of `quotes` was said,
/// and those in which the assistant or a tool used one of `words` (folded, singular); locked in the order of their ids, so
/// that nobody makes memory of them meanwhile.
pub async fn conversations(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    fact: FactId,
    quotes: &[String],
    words: &[String],
) -> Result<Vec<SessionId>, DbError> {
    let ids = sqlx::query_scalar!(
        r#"select s.session_id from public.conversation_sessions s
            where s.gym_id = $1 and s.member_id = $2
              and (s.session_id in (
                     select f.source_session_id from public.member_facts f where f.gym_id = $1 and f.id = $3
                     union all
                     select h.session_id from jarvis.member_fact_history h where h.gym_id = $1 and h.fact_id = $3
                     union all
                     select version ->> 'source_session_id'
                       from jarvis.member_fact_history h, unnest(array[h.old, h.new]) as version
                      where h.gym_id = $1 and h.fact_id = $3)
                   or exists (select from public.conversation_events e, unnest($4::text[]) as q (quote)
                               where e.gym_id = s.gym_id and e.session_id = s.session_id
                                 and strpos(jarvis.fold(concat_ws(' ', e.transcript, e.tool_args::text, e.tool_result::text)),
                                            jarvis.fold(q.quote)) > 0)
                   or exists (select from jarvis.memory_windows w, unnest($4::text[]) as q (quote)
                               where w.gym_id = s.gym_id and w.session_id = s.session_id
                                 and strpos(jarvis.fold(w.said), jarvis.fold(q.quote)) > 0)
                   or exists (select from public.conversation_events e
                               where e.gym_id = s.gym_id and e.session_id = s.session_id
                                 and regexp_split_to_array(jarvis.fold(concat_ws(' ',
                                       case e.event_type when 'ai_transcript' then e.transcript end, e.tool_args::text, e.tool_result::text)),
                                       '[sx]*([^[:alnum:]]+|$)') && $5::text[]))
            order by s.session_id for update"#,
        gym.as_uuid(),
        member.as_uuid(),
        fact.as_uuid(),
        quotes,
        words,
    )
    .fetch_all(&mut **tx)
    .await?;
    ids.iter()
        .map(|id| id.parse().map_err(|_| DbError::unknown_word("session_id")))
        .collect()
}

/// Facts of the member that were read out of the same words: what quotes one of `quotes`, or a part of one.
pub async fn facts_of_same_words(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    quotes: &[String],
) -> Result<Vec<FactId>, DbError> {
    let ids = sqlx::query_scalar!(
        r#"select distinct said.fact_id as "fact_id!" from (
             select f.id, f.source_quote, f.fact_value::text from public.member_facts f where f.gym_id = $1 and f.member_id = $2
             union all
             select h.fact_id, version ->> 'source_quote', version ->> 'fact_value'
               from jarvis.member_fact_history h, unnest(array[h.old, h.new]) as version
              where h.gym_id = $1 and h.member_id = $2) as said (fact_id, quote, value), unnest($3::text[]) as q (quote)
            where strpos(jarvis.fold(said.quote), jarvis.fold(q.quote)) > 0
               or strpos(jarvis.fold(said.value), jarvis.fold(q.quote)) > 0
               or (length(said.quote) >= 8 and strpos(jarvis.fold(q.quote), jarvis.fold(said.quote)) > 0)
            order by 1"#,
        gym.as_uuid(),
        member.as_uuid(),
        quotes,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids.into_iter().map(FactId::from).collect())
}

/// Gives a turn other words.
pub async fn reword_turn(
    tx: &mut ScopedTx,
    gym: GymId,
    event: EventId,
    transcript: &str,
) -> Result<(), DbError> {
    sqlx::query!(
        "update public.conversation_events set transcript = $3 where gym_id = $1 and id = $2",
        gym.as_uuid(),
        event.as_uuid(),
        transcript,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes the arguments and results of tools in which a word begins with one of `words`, folded. Returns how many.
pub async fn clear_tools(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    words: &[String],
) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "update public.conversation_events e set tool_args = null, tool_result = null
          where e.gym_id = $1 and e.session_id = $2 and (e.tool_args is not null or e.tool_result is not null)
            and exists (select from unnest($3::text[]) as w (word)
                         where strpos(' ' || regexp_replace(jarvis.fold(concat_ws(' ', e.tool_args::text, e.tool_result::text)),
                                                            '[^[:alnum:]]+', ' ', 'g'), ' ' || w.word) > 0)",
        gym.as_uuid(),
        session.as_str(),
        words,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// A summary that is not made again.
#[derive(Debug, Clone)]
pub struct KeptSummary {
    /// Its id.
    pub id: Uuid,
    /// Its text.
    pub text: String,
    /// What it is about, as text.
    pub topics: String,
}

/// The summary of a session that is not made again, if there is one: that of another application, and where `with_ours`
/// says so, ours, whose conversation is not stored any more.
pub async fn kept_summary(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    with_ours: bool,
) -> Result<Option<KeptSummary>, DbError> {
    Ok(sqlx::query_as!(
        KeptSummary,
        r#"select id, summary_text as text, coalesce(array_to_string(key_topics, ' '), '') as "topics!"
             from public.conversation_summaries
            where gym_id = $1 and session_id = $2 and ($3 or written_by <> 'jarvis')"#,
        gym.as_uuid(),
        session.as_str(),
        with_ours,
    )
    .fetch_optional(&mut **tx)
    .await?)
}

/// Gives a summary other words, without topics and without the vector of the old ones. One that is `not_of_health` any
/// more says so. False, and nothing changed, when its member no longer agrees to be remembered.
pub async fn reword_summary(
    tx: &mut ScopedTx,
    gym: GymId,
    id: Uuid,
    text: &str,
    not_of_health: bool,
) -> Result<bool, DbError> {
    let mut savepoint = Connection::begin(&mut **tx).await?;
    let done = sqlx::query!(
        "update public.conversation_summaries
            set summary_text = $3, key_topics = null, embedding = null, embedding_model = 'unknown',
                tells_health = tells_health and not $4
          where gym_id = $1 and id = $2",
        gym.as_uuid(),
        id,
        text,
        not_of_health,
    )
    .execute(&mut *savepoint)
    .await;
    match done.map_err(DbError::from) {
        Ok(_) => {
            savepoint.commit().await?;
            Ok(true)
        }
        Err(DbError::Refused { code, .. }) if code == "JC001" => {
            savepoint.rollback().await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Removes a summary that cannot be reworded: its member no longer agrees to be remembered, or nothing would be left.
pub async fn delete_summary(tx: &mut ScopedTx, gym: GymId, id: Uuid) -> Result<(), DbError> {
    sqlx::query!(
        "delete from public.conversation_summaries where gym_id = $1 and id = $2",
        gym.as_uuid(),
        id,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Erases a fact, its quote, its history and the alerts about it. False when the gym has no such fact.
pub async fn forget(tx: &mut ScopedTx, gym: GymId, fact: FactId) -> Result<bool, DbError> {
    sqlx::query!(
        "delete from public.manager_alerts where gym_id = $1 and dedup_key = 'fact_ending:' || $2::uuid",
        gym.as_uuid(),
        fact.as_uuid(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(sqlx::query_scalar!(
        r#"select jarvis.forget_fact($1, $2) as "forgotten!""#,
        gym.as_uuid(),
        fact.as_uuid()
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Takes what repeats forgotten words out of alerts, of what was set aside, and of the operator's tables. Returns how many
/// rows.
///
/// # Errors
/// [`DbError::Refused`] with the code `JP001` while a table that names members is not on the data map, or is out of reach.
pub async fn forget_words(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    quotes: &[String],
) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select jarvis.forget_words($1, $2, $3) as "rows!""#,
        gym.as_uuid(),
        member.as_uuid(),
        quotes,
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Keeps a fingerprint of a fact that is forgotten, of its key and of its slot, so that what was said before is not read
/// as the same fact again.
pub async fn leave_mark(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    fact: &Fact,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into jarvis.forgotten_facts as t (gym_id, member_id, mark, forgotten_at)
         select $1, $2, m.mark, $7
           from unnest(jarvis.fact_marks($2, $3, $4, array[$6::text, jarvis.slot_of($3, $4, $5)])) as m (mark)
         on conflict (gym_id, member_id, mark)
         do update set forgotten_at = greatest(t.forgotten_at, excluded.forgotten_at)",
        gym.as_uuid(),
        member.as_uuid(),
        fact.category.as_str(),
        fact.fact_key,
        fact.fact_value,
        fact.slot,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether a fact of this key or slot was forgotten at, or after, the moment at which it was said.
pub async fn is_forgotten(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    (category, key, value): (Category, &str, &Value),
    said_at: DateTime<Utc>,
) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from jarvis.forgotten_facts t
                           where t.gym_id = $1 and t.member_id = $2 and t.forgotten_at >= $6
                             and t.mark = any (jarvis.fact_marks($2, $3, $4, array[jarvis.slot_of($3, $4, $5)])))
                  as "forgotten!""#,
        gym.as_uuid(),
        member.as_uuid(),
        category.as_str(),
        key,
        value,
        said_at,
    )
    .fetch_one(&mut **tx)
    .await?)
}
