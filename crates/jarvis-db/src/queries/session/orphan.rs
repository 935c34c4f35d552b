//! Sessions of all gyms that nobody closed, or whose processing was lost.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, SessionId};
use uuid::Uuid;

/// A session that nobody closed, or whose processing was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its id.
    pub session_id: SessionId,
    /// Its gym.
    pub gym_id: GymId,
}

/// Closes the sessions of all gyms in which nothing happened since `idle_since`, by the program's clock, or for as long
/// by the database's, since either may have jumped. Each clock is compared with itself alone: that one is some minutes
/// behind the other says nothing about a session. Needs the system scope.
pub async fn close_orphans(
    tx: &mut ScopedTx,
    idle_since: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Orphan>, DbError> {
    let rows = sqlx::query!(
        "update public.conversation_sessions s
            set state = 'closing', ended_at = greatest($2, s.started_at), end_reason = 'orphaned'
          where s.session_id in (
            select o.session_id from public.conversation_sessions o
             where o.state = 'open' and (coalesce(o.last_event_at, o.started_at) < $1
                or o.updated_at < clock_timestamp() - ($2::timestamptz - $1::timestamptz))
             order by coalesce(o.last_event_at, o.started_at) limit $3 for update skip locked)
         returning s.session_id, s.gym_id",
        idle_since,
        now,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    let found = rows.into_iter().filter_map(|r| orphan(&r.session_id, r.gym_id));
    Ok(found.collect())
}

/// Touches open sessions dated in the future, whose clock jumped: they count as heard of now. For the system scope.
pub async fn redate_ahead(tx: &mut ScopedTx) -> Result<u64, DbError> {
    let redated = sqlx::query!(
        "update public.conversation_sessions set last_error = last_error
          where state = 'open' and updated_at > clock_timestamp() + interval '5 minutes'",
    )
    .execute(&mut **tx)
    .await?;
    Ok(redated.rows_affected())
}

/// Sessions of all gyms that wait in `closing` since before `since`, compared as in [`close_orphans`]; not those of
/// restricted members. System scope.
pub async fn list_waiting(
    tx: &mut ScopedTx,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Orphan>, DbError> {
    let rows = sqlx::query!(
        "select s.session_id, s.gym_id from public.conversation_sessions s
          where s.state = 'closing' and (s.ended_at < $1
             or s.updated_at < clock_timestamp() - ($2::timestamptz - $1::timestamptz))
            and not exists (select from jarvis.restrictions r where r.gym_id = s.gym_id and r.member_id = s.member_id)
          order by s.ended_at limit $3",
        since,
        now,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    let waiting = rows.into_iter().filter_map(|r| orphan(&r.session_id, r.gym_id));
    Ok(waiting.collect())
}

/// One row that this version cannot read must not keep the others waiting.
fn orphan(session_id: &str, gym_id: Uuid) -> Option<Orphan> {
    let parsed = session_id.parse().ok();
    if parsed.is_none() {
        tracing::error!(gym = %gym_id, "a session has an id that is none; it is left alone");
    }
    let gym_id = gym_id.into();
    parsed.map(|session_id| Orphan { session_id, gym_id })
}
