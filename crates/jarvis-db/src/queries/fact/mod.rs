//! Facts: what is remembered of a member, with its evidence.

pub mod ending;
pub mod forgetting;
pub mod past;
pub mod person;
pub mod proposal;
pub mod review;

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{Category, EventId, Fact, FactId, GymId, MemberId, SessionId};
use serde_json::Value;
use uuid::Uuid;

struct Row {
    id: Uuid,
    category: String,
    fact_key: String,
    fact_value: Value,
    confidence: Option<f64>,
    source_session_id: Option<String>,
    source_event_id: Option<Uuid>,
    source_quote: Option<String>,
    verified: bool,
    is_active: Option<bool>,
    times_confirmed: i32,
    last_confirmed_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    slot: Option<String>,
    asks_from: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Fact {
    type Error = DbError;

    fn try_from(r: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: r.id.into(),
            category: r
                .category
                .parse()
                .map_err(|_| DbError::unknown_word("category"))?,
            fact_key: r.fact_key,
            fact_value: r.fact_value,
            confidence: r.confidence.unwrap_or_default(),
            source_session_id: r.source_session_id,
            source_event_id: r.source_event_id.map(EventId::from),
            source_quote: r.source_quote,
            verified: r.verified,
            is_active: r.is_active.unwrap_or(false),
            times_confirmed: r.times_confirmed,
            last_confirmed_at: r.last_confirmed_at,
            expires_at: r.expires_at,
            slot: r.slot,
            asks_from: r.asks_from,
            created_at: r.created_at,
            updated_at: r.updated_at,
        })
    }
}

/// A fact to store.
#[derive(Debug, Clone)]
pub struct NewFact<'a> {
    /// Its id, when it is new.
    pub id: FactId,
    /// The member.
    pub member: MemberId,
    /// The category.
    pub category: Category,
    /// Its key.
    pub fact_key: &'a str,
    /// Its value.
    pub fact_value: &'a Value,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// Where it comes from.
    pub session: &'a SessionId,
    /// The cited turn.
    pub event: Option<EventId>,
    /// The member's own words.
    pub quote: &'a str,
}

/// Stores a fact through the guarded upsert of the database, which confirms, replaces or refuses.
/// Returns the fact as it stands afterwards.
pub async fn upsert(tx: &mut ScopedTx, gym: GymId, fact: &NewFact<'_>) -> Result<Fact, DbError> {
    sqlx::query_as!(
        Row,
        r#"insert into public.member_facts as f
             (id, gym_id, member_id, category, fact_key, fact_value, confidence, source_session_id,
              source_event_id, source_quote, is_active)
           values ($1, $2, $3, $4, $5, $6, $7::float8::numeric(3,2), $8, $9, $10, true)
           on conflict (member_id, category, fact_key) do update
             set fact_value = excluded.fact_value, confidence = excluded.confidence,
                 source_session_id = excluded.source_session_id, source_event_id = excluded.source_event_id,
                 source_quote = excluded.source_quote, is_active = excluded.is_active
           returning f.id, f.category, f.fact_key, f.fact_value, f.confidence::float8 as confidence,
                     f.source_session_id, f.source_event_id, f.source_quote, f.verified as "verified!",
                     f.is_active, f.times_confirmed as "times_confirmed!", f.last_confirmed_at, f.expires_at, f.slot,
                     coalesce(f.last_confirmed_at, f.updated_at) + (jarvis.slot_rules(f.category, f.slot)).asks_after
                       as asks_from, f.created_at as "created_at!", f.updated_at as "updated_at!""#,
        fact.id.as_uuid(),
        gym.as_uuid(),
        fact.member.as_uuid(),
        fact.category.as_str(),
        fact.fact_key,
        fact.fact_value,
        fact.confidence,
        fact.session.as_str(),
        fact.event.map(EventId::as_uuid),
        fact.quote,
    )
    .fetch_one(&mut **tx)
    .await?
    .try_into()
}

/// Which facts to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FactFilter {
    /// Retired and expired ones too.
    pub include_inactive: bool,
    /// At most so many beside the injuries, which are always all there; no limit when absent.
    pub most_others: Option<i64>,
}

/// The facts of a member, injuries first, of whatever age while nobody ended them, then the other categories as the context presents them; within a
/// category the surest and newest first.
pub async fn list(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    filter: FactFilter,
    now: DateTime<Utc>,
) -> Result<Vec<Fact>, DbError> {
    sqlx::query_as!(
        Row,
        r#"select id as "id!", category as "category!", fact_key as "fact_key!", fact_value as "fact_value!",
                  confidence::float8 as confidence, source_session_id, source_event_id, source_quote,
                  verified as "verified!", is_active, times_confirmed as "times_confirmed!", last_confirmed_at,
                  expires_at, slot,
                  coalesce(last_confirmed_at, updated_at) + (jarvis.slot_rules(category, slot)).asks_after as asks_from,
                  created_at as "created_at!", updated_at as "updated_at!"
             from (select f.*, array_position(array['injury','goal','concern','progress','preference'], f.category) as place,
                          row_number() over (partition by f.category = 'injury'
                            order by array_position(array['injury','goal','concern','progress','preference'], f.category),
                                     f.confidence desc, f.updated_at desc, f.id) as number
                     from public.member_facts f
                    where f.gym_id = $1 and f.member_id = $2
                      and ($3 or (f.is_active and (f.category = 'injury' or f.expires_at is null or f.expires_at > $4)))) as ranked
            where category = 'injury' or $5::bigint is null or number <= $5
            order by place, confidence desc, updated_at desc, id"#,
        gym.as_uuid(),
        member.as_uuid(),
        filter.include_inactive,
        now,
        filter.most_others,
    )
    .fetch_all(&mut **tx)
    .await?
    .into_iter()
    .map(Fact::try_from)
    .collect()
}

/// The words of a text that a fact shares with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharedWords {
    /// The fact.
    pub fact: FactId,
    /// The share of the text's words that its key, value or quote has, above 0, at most 1.
    pub share: f64,
}

/// The facts of a member that share words with a text, in the forms that the language's dictionary makes of them.
pub async fn sharing_words(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    language: &str,
    text: &str,
) -> Result<Vec<SharedWords>, DbError> {
    let rows = sqlx::query!(
        r#"with dictionary as materialized (
             select case $3 when 'fr' then 'public.fr'::regconfig when 'en' then 'public.en'::regconfig
                            else 'pg_catalog.simple'::regconfig end as config
           ), asked as materialized (
             select lexeme from dictionary, unnest(to_tsvector(config, $4))
           )
           select f.id as "id!", count(distinct a.lexeme)::float8 / (select count(*) from asked) as "share!"
             from public.member_facts f
            cross join dictionary d
            cross join lateral unnest(to_tsvector(d.config, replace(f.fact_key, '_', ' ') || ' '
                         || coalesce(f.source_quote, '')) || to_tsvector(d.config, f.fact_value)) as w
             join asked a on a.lexeme = w.lexeme
            where f.gym_id = $1 and f.member_id = $2 and f.is_active
            group by f.id
            order by f.id"#,
        gym.as_uuid(),
        member.as_uuid(),
        language,
        text,
    )
    .fetch_all(&mut **tx)
    .await?;
    let shared = rows.into_iter().map(|row| SharedWords {
        fact: row.id.into(),
        share: row.share,
    });
    Ok(shared.collect())
}

/// The facts that a session last wrote.
pub async fn list_of_session(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
) -> Result<Vec<Fact>, DbError> {
    sqlx::query_as!(
        Row,
        r#"select id, category, fact_key, fact_value, confidence::float8 as confidence, source_session_id,
                  source_event_id, source_quote, verified as "verified!", is_active,
                  times_confirmed as "times_confirmed!", last_confirmed_at, expires_at, slot,
                  coalesce(last_confirmed_at, updated_at) + (jarvis.slot_rules(category, slot)).asks_after as asks_from,
                  created_at as "created_at!", updated_at as "updated_at!"
             from public.member_facts
            where gym_id = $1 and source_session_id = $2
            order by array_position(array['injury','goal','concern','progress','preference'], category), fact_key"#,
        gym.as_uuid(),
        session.as_str(),
    )
    .fetch_all(&mut **tx)
    .await?
    .into_iter()
    .map(Fact::try_from)
    .collect()
}

/// Retires a fact: it is no longer true, its history stays. False when there is no such active fact, or when a guard
/// of the database kept it: a later conversation, or a person, said otherwise.
pub async fn retire(
    tx: &mut ScopedTx,
    gym: GymId,
    fact: FactId,
    session: Option<&SessionId>,
) -> Result<bool, DbError> {
    let retired = sqlx::query_scalar!(
        r#"update public.member_facts
              set is_active = false, source_session_id = coalesce($3, source_session_id)
            where gym_id = $1 and id = $2 and is_active
           returning not is_active as "retired!""#,
        gym.as_uuid(),
        fact.as_uuid(),
        session.map(SessionId::as_str),
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(retired.unwrap_or(false))
}

/// A line of a fact's history.
#[derive(Debug, Clone, serde::Serialize)]
pub struct HistoryLine {
    /// The fact.
    pub fact_id: Uuid,
    /// What happened: insert, update, confirm, retire, revive, refuse or delete.
    pub operation: String,
    /// The category.
    pub category: String,
    /// The key.
    pub fact_key: String,
    /// Before.
    pub old: Option<Value>,
    /// After, or what was refused.
    pub new: Option<Value>,
    /// The session that caused it.
    pub session_id: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// Why it was refused.
    pub refusal_code: Option<String>,
    /// When.
    pub recorded_at: DateTime<Utc>,
    /// Since when the version that it began was believed; none for what began no version.
    pub valid_from: Option<DateTime<Utc>>,
    /// Until when; none while it still is.
    pub valid_to: Option<DateTime<Utc>>,
    /// When the change that ended the version was recorded.
    pub superseded_at: Option<DateTime<Utc>>,
}

/// The history of a member's facts, oldest first.
pub async fn list_history(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
) -> Result<Vec<HistoryLine>, DbError> {
    Ok(sqlx::query_as!(
        HistoryLine,
        r#"select h.fact_id, h.operation, h.category, h.fact_key, h.old, h.new, h.session_id, h.actor, h.refusal_code,
                  h.recorded_at, h.valid_from, h.valid_to, n.recorded_at as "superseded_at?"
             from jarvis.member_fact_history h
             left join jarvis.member_fact_history n on n.gym_id = h.gym_id and n.id = h.superseded_by
            where h.gym_id = $1 and h.member_id = $2 order by h.recorded_at, h.id"#,
        gym.as_uuid(),
        member.as_uuid(),
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// As [`upsert`], inside a savepoint: a refusal leaves the rest of the transaction as it was.
pub async fn upsert_in_savepoint(tx: &mut ScopedTx, gym: GymId, fact: &NewFact<'_>) -> Result<Fact, DbError> {
    sqlx::query!("savepoint fact").execute(&mut **tx).await?;
    let result = upsert(tx, gym, fact).await;
    if result.is_ok() {
        sqlx::query!("release savepoint fact").execute(&mut **tx).await?;
    } else {
        sqlx::query!("rollback to savepoint fact")
            .execute(&mut **tx)
            .await?;
    }
    result
}
