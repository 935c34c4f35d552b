//! Two facts that look like one: the database proposes, a person decides.

use super::person::{self, OwnedFact};
use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{FactId, GymId, MemberId};
use uuid::Uuid;

/// A merge that is proposed, or was decided.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Proposal {
    /// Its id.
    pub id: Uuid,
    /// The gym.
    pub gym_id: GymId,
    /// The member.
    pub member_id: MemberId,
    /// Why: `same_slot`, `side_unknown`, `same_words` or `same_value`.
    pub reason: String,
    /// `pending`, `accepted` or `rejected`.
    pub state: String,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// When it was proposed.
    pub created_at: DateTime<Utc>,
    /// The two facts.
    pub facts: Vec<OwnedFact>,
}

/// Proposals that wait for a decision, oldest first; those of which a fact has ended meanwhile wait for nothing.
pub async fn list_pending(
    tx: &mut ScopedTx,
    gym: GymId,
    member: Option<MemberId>,
    limit: i64,
) -> Result<Vec<Proposal>, DbError> {
    let rows = sqlx::query!(
        "select p.id, p.member_id, p.first_fact, p.other_fact, p.reason, p.state, p.decided_by, p.decided_at, p.created_at
           from jarvis.fact_proposals p
           join public.member_facts a on a.gym_id = p.gym_id and a.id = p.first_fact and a.is_active
           join public.member_facts b on b.gym_id = p.gym_id and b.id = p.other_fact and b.is_active
          where p.gym_id = $1 and p.state = 'pending' and ($2::uuid is null or p.member_id = $2)
          order by p.created_at, p.id limit $3",
        gym.as_uuid(),
        member.map(MemberId::as_uuid),
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    let pairs: Vec<[Uuid; 2]> = rows.iter().map(|row| [row.first_fact, row.other_fact]).collect();
    // A fact may be in many proposals.
    let facts = person::list_by_id(tx, gym, pairs.as_flattened()).await?;
    let proposals = std::iter::zip(rows, pairs).map(|(row, pair)| Proposal {
        id: row.id,
        gym_id: gym,
        member_id: row.member_id.into(),
        reason: row.reason,
        state: row.state,
        decided_by: row.decided_by,
        decided_at: row.decided_at,
        created_at: row.created_at,
        facts: pair.iter().filter_map(|id| facts.get(id).cloned()).collect(),
    });
    Ok(proposals.collect())
}

/// The proposal with this id, if the gym has it. Its row is locked until the transaction ends.
pub async fn find(tx: &mut ScopedTx, gym: GymId, id: Uuid) -> Result<Option<Proposal>, DbError> {
    let row = sqlx::query!(
        "select id, gym_id, member_id, first_fact, other_fact, reason, state, decided_by, decided_at, created_at
           from jarvis.fact_proposals where gym_id = $1 and id = $2 for update",
        gym.as_uuid(),
        id,
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut facts = Vec::with_capacity(2);
    for id in [row.first_fact, row.other_fact] {
        facts.extend(person::find(tx, FactId::from(id)).await?);
    }
    Ok(Some(Proposal {
        id: row.id,
        gym_id: row.gym_id.into(),
        member_id: row.member_id.into(),
        reason: row.reason,
        state: row.state,
        decided_by: row.decided_by,
        decided_at: row.decided_at,
        created_at: row.created_at,
        facts,
    }))
}

/// Notes what was decided.
pub async fn decide(
    tx: &mut ScopedTx,
    gym: GymId,
    id: Uuid,
    accepted: bool,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update jarvis.fact_proposals set state = case when $3 then 'accepted' else 'rejected' end, decided_by = $4, decided_at = $5
          where gym_id = $1 and id = $2 and state = 'pending'",
        gym.as_uuid(),
        id,
        accepted,
        by,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
