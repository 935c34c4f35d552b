//! What people write: they state, correct, confirm and bring back facts, and the guard of the database lets them win.

use super::Row;
use crate::{DbError, ScopedTx};
use jarvis_core::{Category, Fact, FactId, GymId, MemberId};
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// A fact with whom it is about.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct OwnedFact {
    /// The gym.
    pub gym_id: GymId,
    /// The member.
    pub member_id: MemberId,
    /// The fact.
    #[serde(flatten)]
    pub fact: Fact,
}

/// The fact with this id, if the scope sees it.
pub async fn find(tx: &mut ScopedTx, fact: FactId) -> Result<Option<OwnedFact>, DbError> {
    let whose = sqlx::query!(
        "select gym_id, member_id from public.member_facts where id = $1",
        fact.as_uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(whose) = whose else { return Ok(None) };
    let mut found = list_by_id(tx, whose.gym_id.into(), &[fact.as_uuid()]).await?;
    Ok(found.remove(&fact.as_uuid()))
}

/// Those of these facts that the gym has and the scope sees, by id.
pub(super) async fn list_by_id(
    tx: &mut ScopedTx,
    gym: GymId,
    facts: &[Uuid],
) -> Result<HashMap<Uuid, OwnedFact>, DbError> {
    let rows = sqlx::query!(
        r#"select id, member_id, category, fact_key, fact_value, confidence::float8 as confidence, source_session_id,
                  source_event_id, source_quote, verified as "verified!", is_active,
                  times_confirmed as "times_confirmed!", last_confirmed_at, expires_at, slot,
                  coalesce(last_confirmed_at, updated_at) + (jarvis.slot_rules(category, slot)).asks_after as asks_from,
                  created_at as "created_at!", updated_at as "updated_at!"
             from public.member_facts where gym_id = $1 and id = any ($2)"#,
        gym.as_uuid(),
        facts,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|r| {
            let row = Row {
                id: r.id,
                category: r.category,
                fact_key: r.fact_key,
                fact_value: r.fact_value,
                confidence: r.confidence,
                source_session_id: r.source_session_id,
                source_event_id: r.source_event_id,
                source_quote: r.source_quote,
                verified: r.verified,
                is_active: r.is_active,
                times_confirmed: r.times_confirmed,
                last_confirmed_at: r.last_confirmed_at,
                expires_at: r.expires_at,
                slot: r.slot,
                asks_from: r.asks_from,
                created_at: r.created_at,
                updated_at: r.updated_at,
            };
            let owned = OwnedFact {
                gym_id: gym,
                member_id: r.member_id.into(),
                fact: row.try_into()?,
            };
            Ok((r.id, owned))
        })
        .collect()
}

/// What a person states of a member.
#[derive(Debug, Clone)]
pub struct Statement<'a> {
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
}

/// Stores what a person states; where the member has a fact of this key, it is corrected. The quote of an old value is
/// no evidence of a new one, so it goes. Returns the fact's id.
pub async fn state(tx: &mut ScopedTx, gym: GymId, new: &Statement<'_>) -> Result<FactId, DbError> {
    let id = sqlx::query_scalar!(
        "insert into public.member_facts as f (id, gym_id, member_id, category, fact_key, fact_value, confidence, is_active)
         values ($1, $2, $3, $4, $5, $6, $7::float8::numeric(3,2), true)
         on conflict (member_id, category, fact_key) do update
           set fact_value = excluded.fact_value, confidence = excluded.confidence, is_active = true,
               source_quote = case when f.fact_value = excluded.fact_value then f.source_quote end,
               source_event_id = case when f.fact_value = excluded.fact_value then f.source_event_id end
         returning f.id",
        new.id.as_uuid(),
        gym.as_uuid(),
        new.member.as_uuid(),
        new.category.as_str(),
        new.fact_key,
        new.fact_value,
        new.confidence,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(id.into())
}

/// Gives a fact another value, as a person says. False when the gym has no such fact.
pub async fn correct(
    tx: &mut ScopedTx,
    gym: GymId,
    fact: FactId,
    value: &Value,
    confidence: f64,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update public.member_facts
            set fact_value = $3, confidence = $4::float8::numeric(3,2), is_active = true,
                source_quote = case when fact_value = $3 then source_quote end,
                source_event_id = case when fact_value = $3 then source_event_id end
          where gym_id = $1 and id = $2",
        gym.as_uuid(),
        fact.as_uuid(),
        value,
        confidence,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A person says that a fact is still true, or true again. False when the gym has no such fact.
pub async fn confirm(tx: &mut ScopedTx, gym: GymId, fact: FactId) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update public.member_facts set is_active = true where gym_id = $1 and id = $2",
        gym.as_uuid(),
        fact.as_uuid(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes a fact at least this sure: another one that says the same goes into it.
pub async fn strengthen(tx: &mut ScopedTx, gym: GymId, fact: FactId, confidence: f64) -> Result<(), DbError> {
    sqlx::query!(
        "update public.member_facts set confidence = greatest(confidence, $3::float8::numeric(3,2))
          where gym_id = $1 and id = $2",
        gym.as_uuid(),
        fact.as_uuid(),
        confidence,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
