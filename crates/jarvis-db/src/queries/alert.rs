//! Alerts: what the gym is told of a member.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, MemberId};

/// An open alert that the member may hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAlert {
    /// What it is about, such as `membership_expiring`.
    pub alert_type: String,
    /// Its title.
    pub title: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// The open alerts about a member that the assistant may mention to them, most pressing and newest first. What the gym
/// thinks of its member (that they may leave, stay away, complain or have something the matter) is the gym's alone.
pub async fn list_mentionable(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    now: DateTime<Utc>,
    most: i64,
) -> Result<Vec<OpenAlert>, DbError> {
    let alerts = sqlx::query_as!(
        OpenAlert,
        r#"select alert_type as "alert_type!", title as "title!", created_at as "created_at!"
             from public.manager_alerts
            where gym_id = $1 and member_id = $2 and status in ('pending', 'in_progress')
              and (snoozed_until is null or snoozed_until <= $3)
              and alert_type in ('membership_expiring', 'member_achievement', 'goal_milestone', 'equipment_issue')
            order by array_position(array['urgent', 'high', 'medium', 'low'], priority), created_at desc, id
            limit $4"#,
        gym.as_uuid(),
        member.as_uuid(),
        now,
        most,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(alerts)
}
