//! What a consent carries, a restriction, an export. The rules are functions of the database, so that they hold for
//! every writer and for tables that come later.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, Language, MemberId, Purpose, SessionId};
use serde_json::Value;
use sqlx::Row as _;
use uuid::Uuid;

/// Removes what rests on the consent `memory` of a member who does not give it. False when they do, or are not there.
pub async fn withdraw_memory(tx: &mut ScopedTx, gym: GymId, member: MemberId) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar("select jarvis.withdraw_memory($1, $2)")
        .bind(gym.as_uuid())
        .bind(member.as_uuid())
        .fetch_one(&mut **tx)
        .await?)
}

/// Locks a member who does not agree to `health_memory`, so that nobody writes for them until the end of the
/// transaction. False when they agree, or are not there.
pub async fn begin_health_withdrawal(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
) -> Result<bool, DbError> {
    Ok(
        sqlx::query_scalar("select jarvis.begin_health_withdrawal($1, $2)")
            .bind(gym.as_uuid())
            .bind(member.as_uuid())
            .fetch_one(&mut **tx)
            .await?,
    )
}

/// Words of an event that are stored.
#[derive(Debug, Clone)]
pub struct StoredWords {
    /// The event.
    pub id: Uuid,
    /// Its conversation, as its writer called it.
    pub session: String,
    /// The conversation's language.
    pub language: Language,
    /// What was said.
    pub transcript: Option<String>,
    /// What a tool was asked and answered, as text.
    pub tools: String,
}

/// Every event of a member that still has words.
pub async fn stored_words(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
) -> Result<Vec<StoredWords>, DbError> {
    let rows = sqlx::query(
        "select e.id, e.session_id, coalesce(s.language, 'fr') as language, e.transcript,
                concat_ws(' ', e.tool_args::text, e.tool_result::text) as tools
           from public.conversation_events e
           left join public.conversation_sessions s on s.gym_id = e.gym_id and s.session_id = e.session_id
          where e.gym_id = $1 and e.member_id = $2
            and (e.transcript is not null or e.tool_args is not null or e.tool_result is not null)
          order by e.id",
    )
    .bind(gym.as_uuid())
    .bind(member.as_uuid())
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| StoredWords {
            id: row.get(0),
            session: row.get(1),
            language: language(row.get(2)),
            transcript: row.get(3),
            tools: row.get(4),
        })
        .collect())
}

/// A text that was made of what a member said, and of which conversation.
#[derive(Debug, Clone)]
pub struct Derived<Id> {
    /// Which.
    pub id: Id,
    /// The conversation, when it is known.
    pub session: Option<String>,
    /// In which language it is taken to be.
    pub language: Language,
    /// The text, and whatever else may tell.
    pub text: String,
    /// Whether it is known to be about health.
    pub health: bool,
}

/// The facts of a member, whether they hold or not.
pub async fn facts(tx: &mut ScopedTx, gym: GymId, member: MemberId) -> Result<Vec<Derived<Uuid>>, DbError> {
    let rows = sqlx::query(
        "select f.id, f.source_session_id, 'fr', concat_ws(' ', f.fact_key, f.fact_value::text, f.source_quote), false
           from public.member_facts f where f.gym_id = $1 and f.member_id = $2",
    )
    .bind(gym.as_uuid())
    .bind(member.as_uuid())
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.iter().map(derived).collect())
}

/// Every change of every fact of a member.
pub async fn changes(tx: &mut ScopedTx, gym: GymId, member: MemberId) -> Result<Vec<Derived<i64>>, DbError> {
    let rows = sqlx::query(
        "select h.id, null::text, 'fr',
                concat_ws(' ', h.fact_key, h.old ->> 'fact_value', h.old ->> 'source_quote',
                               h.new ->> 'fact_value', h.new ->> 'source_quote'), false
           from jarvis.member_fact_history h where h.gym_id = $1 and h.member_id = $2",
    )
    .bind(gym.as_uuid())
    .bind(member.as_uuid())
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.iter().map(derived).collect())
}

/// The summaries of a member's conversations. Those of other writers are said to tell of health in any case: for them
/// only the words count.
pub async fn summaries(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
) -> Result<Vec<Derived<Uuid>>, DbError> {
    let rows = sqlx::query(
        "select s.id, s.session_id, s.language, concat_ws(' ', s.summary_text, array_to_string(s.key_topics, ' ')),
                s.tells_health and s.written_by = 'jarvis'
           from public.conversation_summaries s where s.gym_id = $1 and s.member_id = $2",
    )
    .bind(gym.as_uuid())
    .bind(member.as_uuid())
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.iter().map(derived).collect())
}

/// The text of a summary.
pub async fn summary_text(tx: &mut ScopedTx, gym: GymId, id: Uuid) -> Result<Option<String>, DbError> {
    Ok(sqlx::query_scalar(
        "select summary_text from public.conversation_summaries where gym_id = $1 and id = $2",
    )
    .bind(gym.as_uuid())
    .bind(id)
    .fetch_optional(&mut **tx)
    .await?)
}

/// The conversations of a member of which a stored turn tells of health: such a turn outlives its event.
pub async fn sessions_with_turns_of_health(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar(
        "select distinct session_id from jarvis.memory_windows
          where gym_id = $1 and member_id = $2 and tells_health order by session_id",
    )
    .bind(gym.as_uuid())
    .bind(member.as_uuid())
    .fetch_all(&mut **tx)
    .await?)
}

fn derived<Id>(row: &sqlx::postgres::PgRow) -> Derived<Id>
where
    Id: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    Derived {
        id: row.get(0),
        session: row.get(1),
        language: language(row.get(2)),
        text: row.get(3),
        health: row.get(4),
    }
}

pub(super) fn session_id(id: String) -> Result<SessionId, DbError> {
    SessionId::try_from(id).map_err(|_| DbError::unknown_word("session_id"))
}

fn language(word: &str) -> Language {
    word.parse().unwrap_or(Language::Fr)
}

/// What goes when health may not be kept any more, beside the health facts, which the database knows itself.
#[derive(Debug, Clone, Default)]
pub struct HealthWithdrawal {
    /// Events, each with what is left of its words.
    pub masked: Vec<(Uuid, String)>,
    /// Events whose tool calls tell of health.
    pub tools: Vec<Uuid>,
    /// Facts whose words tell of health.
    pub facts: Vec<Uuid>,
    /// Changes of facts whose words tell of health.
    pub changes: Vec<i64>,
    /// Conversations that are made into memory again.
    pub sessions: Vec<String>,
}

/// Takes it away, and says which conversations wait to be made into memory again.
pub async fn withdraw_health(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    what: &HealthWithdrawal,
) -> Result<Vec<SessionId>, DbError> {
    let (events, masked): (Vec<Uuid>, Vec<&str>) =
        what.masked.iter().map(|(id, left)| (*id, left.as_str())).unzip();
    let again: Vec<String> =
        sqlx::query_scalar("select jarvis.withdraw_health($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(gym.as_uuid())
            .bind(member.as_uuid())
            .bind(&events)
            .bind(&masked)
            .bind(&what.tools)
            .bind(&what.facts)
            .bind(&what.changes)
            .bind(&what.sessions)
            .fetch_one(&mut **tx)
            .await?;
    again.into_iter().map(session_id).collect()
}

/// How far the removal is that a withdrawal asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WithdrawalStatus {
    /// What was withdrawn.
    pub purpose: String,
    /// The job's state: `completed` when it is done.
    pub state: String,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When it was done.
    pub done_at: Option<DateTime<Utc>>,
}

/// The removals that a member's answers asked for, newest first; as long as jobs are kept.
pub async fn withdrawals(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
) -> Result<Vec<WithdrawalStatus>, DbError> {
    let keys = [Purpose::Memory, Purpose::HealthMemory].map(|p| format!("{member}:{}", p.as_str()));
    let rows = sqlx::query(
        "select split_part(unique_key, ':', 2), state, created_at, finished_at from jarvis.jobs
          where gym_id = $1 and kind = 'privacy.withdraw' and unique_key = any ($2) order by id desc",
    )
    .bind(gym.as_uuid())
    .bind(&keys[..])
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| WithdrawalStatus {
            purpose: row.get(0),
            state: row.get(1),
            asked_at: row.get(2),
            done_at: row.get(3),
        })
        .collect())
}

/// Everything that the data map hands out to a member: tables by name, with their rows. None when this gym has no such
/// member. The export is entered in the audit.
///
/// # Errors
/// [`DbError::Refused`] with the code `JP001` while a table or column that names members is not on the data map.
pub async fn export(tx: &mut ScopedTx, gym: GymId, member: MemberId) -> Result<Option<Value>, DbError> {
    Ok(sqlx::query_scalar("select jarvis.export_member($1, $2)")
        .bind(gym.as_uuid())
        .bind(member.as_uuid())
        .fetch_one(&mut **tx)
        .await?)
}

/// Of exports, each by its member and when it was made, those that tell what was withdrawn, forgotten or erased since.
pub async fn outdated_exports(
    tx: &mut ScopedTx,
    exports: &[(MemberId, DateTime<Utc>)],
) -> Result<Vec<(MemberId, DateTime<Utc>)>, DbError> {
    let (members, made): (Vec<Uuid>, Vec<DateTime<Utc>>) = exports
        .iter()
        .map(|(member, made)| (member.as_uuid(), *made))
        .unzip();
    let rows = sqlx::query("select member, made_at from jarvis.outdated_exports($1, $2)")
        .bind(members)
        .bind(made)
        .fetch_all(&mut **tx)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (MemberId::from(row.get::<Uuid, _>(0)), row.get(1)))
        .collect())
}

/// Comments of tables and columns, in French, under `schema.table` and `schema.table.column`.
pub async fn legends(tx: &mut ScopedTx) -> Result<std::collections::BTreeMap<String, String>, DbError> {
    let rows = sqlx::query(
        "select format('%s.%s%s', n.nspname, c.relname, '.' || a.attname), d.description
           from pg_catalog.pg_description d
           join pg_catalog.pg_class c on c.oid = d.objoid and d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
          where c.relkind in ('r', 'p') and n.nspname in ('public', 'jarvis')",
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A restriction: kept, and used for nothing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Restriction {
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, as whoever recorded it said.
    pub reason: Option<String>,
    /// Who recorded it.
    pub actor: String,
}

/// Restricts a member's data; an earlier restriction stays as it is. False when it was restricted already.
pub async fn restrict(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "insert into jarvis.restrictions (gym_id, member_id, reason, recorded_at) values ($1, $2, $3, $4)
         on conflict do nothing",
    )
    .bind(gym.as_uuid())
    .bind(member.as_uuid())
    .bind(reason)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Lifts a restriction; false when there was none.
pub async fn lift(tx: &mut ScopedTx, gym: GymId, member: MemberId) -> Result<bool, DbError> {
    let done = sqlx::query("delete from jarvis.restrictions where gym_id = $1 and member_id = $2")
        .bind(gym.as_uuid())
        .bind(member.as_uuid())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// The restriction of a member, if there is one.
pub async fn restriction(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
) -> Result<Option<Restriction>, DbError> {
    let row = sqlx::query(
        "select recorded_at, reason, actor from jarvis.restrictions where gym_id = $1 and member_id = $2",
    )
    .bind(gym.as_uuid())
    .bind(member.as_uuid())
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Restriction {
        since: row.get(0),
        reason: row.get(1),
        actor: row.get(2),
    }))
}

/// Whether the member of a session is restricted.
pub async fn is_restricted_session(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar(
        "select exists (select from public.conversation_sessions s
                          join jarvis.restrictions r on r.gym_id = s.gym_id and r.member_id = s.member_id
                         where s.gym_id = $1 and s.session_id = $2)",
    )
    .bind(gym.as_uuid())
    .bind(session.as_str())
    .fetch_one(&mut **tx)
    .await?)
}

/// The sessions of a member that wait to be made into memory.
pub async fn waiting_sessions(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
) -> Result<Vec<SessionId>, DbError> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select session_id from public.conversation_sessions
          where gym_id = $1 and member_id = $2 and state = 'closing' order by session_id",
    )
    .bind(gym.as_uuid())
    .bind(member.as_uuid())
    .fetch_all(&mut **tx)
    .await?;
    ids.into_iter().map(session_id).collect()
}
