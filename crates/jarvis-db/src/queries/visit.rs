//! Visits to a gym: `public.member_visits`, which are only ever added.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, MemberId};
use uuid::Uuid;

/// The badges of a gym as they are written, with their members, active or not.
pub async fn badges(tx: &mut ScopedTx, gym: GymId) -> Result<Vec<(String, MemberId)>, DbError> {
    let rows = sqlx::query!(
        "select badge_id, id from public.gym_members_v2 where gym_id = $1",
        gym.as_uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.badge_id, row.id.into()))
        .collect())
}

/// Adds visits that another system counted, except those of a member at a moment at which a visit of theirs is known;
/// returns how many were added. `visits` names no visit twice. Imports into one gym wait for each other.
pub async fn import(
    tx: &mut ScopedTx,
    gym: GymId,
    visits: &[(MemberId, DateTime<Utc>)],
) -> Result<u64, DbError> {
    let members: Vec<Uuid> = visits.iter().map(|(member, _)| member.as_uuid()).collect();
    let moments: Vec<DateTime<Utc>> = visits.iter().map(|(_, at)| *at).collect();
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('import visits ' || $1::uuid::text, 0))",
        gym.as_uuid()
    )
    .execute(&mut **tx)
    .await?;
    let added = sqlx::query!(
        "insert into public.member_visits (gym_id, member_id, visited_at, source)
         select $1, v.member, v.at, 'import' from unnest($2::uuid[], $3::timestamptz[]) as v (member, at)
          where not exists (select from public.member_visits k
                             where k.gym_id = $1 and k.member_id = v.member and k.visited_at = v.at
                               and k.source <> 'opening_balance')",
        gym.as_uuid(),
        &members,
        &moments,
    )
    .execute(&mut **tx)
    .await?;
    Ok(added.rows_affected())
}

/// How many of these members brought a number of visits with them when they moved here, an opening balance.
pub async fn with_opening_balance(
    tx: &mut ScopedTx,
    gym: GymId,
    members: &[MemberId],
) -> Result<i64, DbError> {
    let members: Vec<Uuid> = members.iter().map(|member| member.as_uuid()).collect();
    let count = sqlx::query_scalar!(
        r#"select count(distinct member_id) as "count!" from public.member_visits
            where gym_id = $1 and member_id = any ($2) and source = 'opening_balance' and quantity > 0"#,
        gym.as_uuid(),
        &members,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}
