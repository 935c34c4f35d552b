//! What a person should look at: keys that no slot knows, and facts that nobody said for long.

use super::person::{self, OwnedFact};
use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::GymId;

/// A fact to look at, and why.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ReviewItem {
    /// `unknown_key`, `stale` or `expired`.
    pub why: String,
    /// The fact.
    #[serde(flatten)]
    pub owned: OwnedFact,
}

/// Active facts of a gym whose key is in no slot, and those that are stale or expired; the oldest end first.
pub async fn list(
    tx: &mut ScopedTx,
    gym: GymId,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ReviewItem>, DbError> {
    let rows = sqlx::query!(
        r#"select f.id as "id!", case when jarvis.fact_life(f, $2) <> 'active' then jarvis.fact_life(f, $2)
                                      else 'unknown_key' end as "why!"
             from public.member_facts f
            where f.gym_id = $1 and f.is_active and (f.slot is null or jarvis.fact_life(f, $2) <> 'active')
            order by f.expires_at, f.id limit $3"#,
        gym.as_uuid(),
        now,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let mut facts = person::list_by_id(tx, gym, &ids).await?;
    let items = rows.into_iter().filter_map(|row| {
        let owned = facts.remove(&row.id)?;
        Some(ReviewItem { why: row.why, owned })
    });
    Ok(items.collect())
}
