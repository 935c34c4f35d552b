//! What was known on a day of the past, out of the history.

use super::Row;
use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{Fact, GymId, MemberId};
use serde_json::Value;
use uuid::Uuid;

/// A fact as it was known at a moment.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PastFact {
    /// The fact as it was.
    #[serde(flatten)]
    pub fact: Fact,
    /// Since when this version was believed.
    pub valid_from: Option<DateTime<Utc>>,
    /// Until when; none while it still is.
    pub valid_to: Option<DateTime<Utc>>,
    /// What the next version says, if there is one: how the value that replaced it reads.
    pub superseded_by: Option<Value>,
}

struct PastRow {
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
    valid_from: Option<DateTime<Utc>>,
    valid_to: Option<DateTime<Utc>>,
    superseded_by: Option<Value>,
}

impl TryFrom<PastRow> for PastFact {
    type Error = DbError;

    fn try_from(r: PastRow) -> Result<Self, DbError> {
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
        Ok(Self {
            fact: row.try_into()?,
            valid_from: r.valid_from,
            valid_to: r.valid_to,
            superseded_by: r.superseded_by,
        })
    }
}

/// The facts of a member as they were known at `at`: the last change of each up to then, unless it ended the fact.
/// With `include_inactive`, those that were retired or expired then, too. What was forgotten since is in no past.
pub async fn list_as_of(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    at: DateTime<Utc>,
    include_inactive: bool,
) -> Result<Vec<PastFact>, DbError> {
    sqlx::query_as!(
        PastRow,
        r#"select f.id as "id!", f.category as "category!", f.fact_key as "fact_key!", f.fact_value as "fact_value!",
                  f.confidence::float8 as confidence, f.source_session_id, f.source_event_id, f.source_quote,
                  coalesce(f.verified, false) as "verified!", f.is_active,
                  coalesce(f.times_confirmed, 0) as "times_confirmed!", f.last_confirmed_at, f.expires_at, f.slot,
                  coalesce(f.last_confirmed_at, f.updated_at) + (jarvis.slot_rules(f.category, f.slot)).asks_after
                    as asks_from, f.created_at as "created_at!", f.updated_at as "updated_at!",
                  v.valid_from as "valid_from?", v.valid_to as "valid_to?", n.new -> 'fact_value' as "superseded_by?"
             from (select distinct on (h.fact_id) h.* from jarvis.member_fact_history h
                    where h.gym_id = $1 and h.member_id = $2 and h.operation <> 'refuse'
                      and coalesce(h.valid_from, h.recorded_at) <= $3
                    order by h.fact_id, h.id desc) as last
            cross join lateral jsonb_populate_record(null::public.member_facts, last.new) as f
             left join lateral (select b.valid_from, b.valid_to, b.superseded_by from jarvis.member_fact_history b
                                 where b.gym_id = $1 and b.fact_id = last.fact_id and b.id <= last.id
                                   and b.valid_from is not null
                                 order by b.id desc limit 1) as v on true
             left join jarvis.member_fact_history n on n.gym_id = $1 and n.id = v.superseded_by
            where last.operation <> 'delete'
              and ($4 or (f.is_active and (f.category = 'injury' or f.expires_at is null or f.expires_at > $3)))
            order by array_position(array['injury','goal','concern','progress','preference'], f.category),
                     f.confidence desc, f.updated_at desc, f.id"#,
        gym.as_uuid(),
        member.as_uuid(),
        at,
        include_inactive,
    )
    .fetch_all(&mut **tx)
    .await?
    .into_iter()
    .map(PastFact::try_from)
    .collect()
}
