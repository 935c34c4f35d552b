//! How facts end: the member is asked, the gym is told, and only then is anything about health purged.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{FactId, GymId, MemberId};
use uuid::Uuid;

/// Notes that the assistant was given the question whether these facts are still true.
pub async fn note_asked(
    tx: &mut ScopedTx,
    gym: GymId,
    facts: &[FactId],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let ids: Vec<Uuid> = facts.iter().map(|id| id.as_uuid()).collect();
    sqlx::query!(
        "insert into jarvis.fact_endings as e (gym_id, member_id, fact_id, asked_at)
         select f.gym_id, f.member_id, f.id, $3 from public.member_facts f where f.gym_id = $1 and f.id = any ($2)
         on conflict (fact_id) do update set asked_at = greatest(e.asked_at, excluded.asked_at)",
        gym.as_uuid(),
        &ids,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A fact that nobody said for so long that somebody has to look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The fact.
    pub fact: FactId,
    /// The member.
    pub member: MemberId,
    /// When it was last said.
    pub said_at: DateTime<Utc>,
}

/// Injuries that expired, of members who share with the staff, of which the gym was not told since they were last said:
/// the member was asked, or did not come for `grace_days` after the end, so that nobody could ask.
pub async fn due_for_alert(
    tx: &mut ScopedTx,
    gym: GymId,
    now: DateTime<Utc>,
    grace_days: i32,
    limit: i64,
) -> Result<Vec<Overdue>, DbError> {
    let rows = sqlx::query!(
        r#"select f.id, f.member_id, coalesce(f.last_confirmed_at, f.updated_at) as "said_at!"
             from public.member_facts f
             left join jarvis.fact_endings e on e.gym_id = f.gym_id and e.fact_id = f.id
            where f.gym_id = $1 and f.category = 'injury' and f.is_active and f.expires_at <= $2
              and (e.alerted_at is null or e.alerted_at < coalesce(f.last_confirmed_at, f.updated_at))
              and (e.asked_at > coalesce(f.last_confirmed_at, f.updated_at)
                   or f.expires_at + make_interval(days => $3) <= $2)
              and jarvis.has_consent(f.gym_id, f.member_id, 'share_with_staff')
            order by f.expires_at, f.id limit $4"#,
        gym.as_uuid(),
        now,
        grace_days,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| Overdue {
            fact: r.id.into(),
            member: r.member_id.into(),
            said_at: r.said_at,
        })
        .collect())
}

/// What an alert tells the gym; never what was said, nor where it hurts.
#[derive(Debug, Clone)]
pub struct EndingAlert<'a> {
    /// Its id.
    pub id: Uuid,
    /// The fact it is about.
    pub overdue: &'a Overdue,
    /// Its title.
    pub title: &'a str,
    /// What to do.
    pub description: &'a str,
}

/// Tells the gym, once while the alert is open.
pub async fn alert(
    tx: &mut ScopedTx,
    gym: GymId,
    alert: &EndingAlert<'_>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let fact = alert.overdue.fact.as_uuid();
    sqlx::query!(
        "insert into public.manager_alerts (id, gym_id, member_id, alert_type, priority, title, description, context, dedup_key, created_at)
         values ($1, $2, $3, 'health_concern', 'medium', $4, $5, jsonb_build_object('fact_id', $6::uuid),
                 'fact_ending:' || $6::uuid, $7)
         on conflict (gym_id, dedup_key) where status in ('pending', 'in_progress') do nothing",
        alert.id,
        gym.as_uuid(),
        alert.overdue.member.as_uuid(),
        alert.title,
        alert.description,
        fact,
        now,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "insert into jarvis.fact_endings (gym_id, member_id, fact_id, alerted_at) values ($1, $2, $3, $4)
         on conflict (fact_id) do update set alerted_at = excluded.alerted_at",
        gym.as_uuid(),
        alert.overdue.member.as_uuid(),
        fact,
        // A clock that is behind the one that dated the fact must not make it due again.
        now.max(alert.overdue.said_at),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Closes the alerts of facts that were said again, ended or forgotten. Returns how many.
pub async fn settle_alerts(tx: &mut ScopedTx, gym: GymId, now: DateTime<Utc>) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "update public.manager_alerts a set status = 'resolved', resolved_at = $2, outcome = 'fact_settled'
          where a.gym_id = $1 and a.status in ('pending', 'in_progress') and a.dedup_key like 'fact\\_ending:%'
            and not exists (select from public.member_facts f
                             where f.gym_id = a.gym_id and 'fact_ending:' || f.id = a.dedup_key
                               and f.is_active and f.expires_at <= $2)",
        gym.as_uuid(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// Facts whose time is over and that may go, in the order of their end.
///
/// What is retired, and what is no injury, goes `grace_days` after its end; of a restricted member nothing does. An active injury goes `grace_days` after the
/// gym was told; of a member who does not share with the staff, so long after they were asked, or once it is
/// twice its time that nobody said it.
pub async fn due_for_purge(
    tx: &mut ScopedTx,
    gym: GymId,
    now: DateTime<Utc>,
    grace_days: i32,
    limit: i64,
) -> Result<Vec<FactId>, DbError> {
    let ids = sqlx::query_scalar!(
        "select f.id from public.member_facts f
           left join jarvis.fact_endings e on e.gym_id = f.gym_id and e.fact_id = f.id
          cross join lateral (select coalesce(f.last_confirmed_at, f.updated_at) as said_at,
                                     make_interval(days => $3) as grace) as t
          where f.gym_id = $1 and f.expires_at + t.grace <= $2 and not jarvis.is_restricted(f.gym_id, f.member_id)
            and (not f.is_active or f.category <> 'injury'
                 or (e.alerted_at >= t.said_at and e.alerted_at + t.grace <= $2)
                 or (not jarvis.has_consent(f.gym_id, f.member_id, 'share_with_staff')
                     and ((e.asked_at > t.said_at and e.asked_at + t.grace <= $2)
                          or f.expires_at + (f.expires_at - t.said_at) <= $2)))
          order by f.expires_at, f.id limit $4",
        gym.as_uuid(),
        now,
        grace_days,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids.into_iter().map(FactId::from).collect())
}
