//! Taking, prolonging and giving up leases: the queue's transactions.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::Connect;
use crate::enqueue::notify;
use crate::inspect::JobState;
use crate::job::JobId;
use crate::sql;

/// A job this runner holds.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Claimed {
    pub(crate) id: JobId,
    pub(crate) kind: String,
    pub(crate) gym_id: Option<Uuid>,
    pub(crate) args: serde_json::Value,
    pub(crate) attempt: i16,
    pub(crate) max_attempts: i16,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) attempted_at: DateTime<Utc>,
}

/// What to claim.
pub(crate) struct Request<'a> {
    pub(crate) kinds: &'a [&'static str],
    pub(crate) slots: i64,
    pub(crate) owner: &'a str,
    pub(crate) lease: Duration,
    pub(crate) per_gym: i64,
    /// When each gym (nil: none) was last served, in the runner's own count.
    pub(crate) served: &'a HashMap<Uuid, i64>,
    pub(crate) now: DateTime<Utc>,
}

/// Claims due jobs, fairly between gyms.
pub(crate) async fn claim<C: Connect>(
    connect: &C,
    request: &Request<'_>,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let (gyms, served_at): (Vec<Uuid>, Vec<i64>) = request.served.iter().unzip();
    let mut tx = connect.begin().await?;
    sqlx::query(sql::CLAIM_TURN).execute(&mut *tx).await?;
    let claimed = sqlx::query_as(sql::CLAIM)
        .bind(request.kinds)
        .bind(request.slots)
        .bind(request.now)
        .bind(request.lease.as_secs_f64())
        .bind(request.owner)
        .bind(request.per_gym)
        .bind(gyms)
        .bind(served_at)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(claimed)
}

/// Prolongs leases; the ids still held.
pub(crate) async fn renew<C: Connect>(
    connect: &C,
    ids: &[JobId],
    owners: &[String],
    lease: Duration,
) -> Result<Vec<JobId>, sqlx::Error> {
    let mut tx = connect.begin().await?;
    let held = sqlx::query_scalar(sql::RENEW)
        .bind(ids)
        .bind(owners)
        .bind(lease.as_secs_f64())
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(held)
}

/// Takes jobs back from runners whose lease ran out, but for those of `held` (ids and owners, pairwise). That try counts,
/// so a job that kills its process ends among the dead letters. The number taken back.
pub(crate) async fn take_back_expired<C: Connect>(
    connect: &C,
    held: (&[JobId], &[String]),
    now: DateTime<Utc>,
) -> Result<usize, sqlx::Error> {
    let mut tx = connect.begin().await?;
    let expired: Vec<(JobId, String, i16, i16)> = sqlx::query_as(sql::EXPIRED)
        .bind(held.0)
        .bind(held.1)
        .fetch_all(&mut *tx)
        .await?;
    for (id, owner, attempt, max_attempts) in &expired {
        let end = if attempt >= max_attempts {
            End::Finish {
                state: JobState::Discarded,
                reason: Some("lease_expired".into()),
            }
        } else {
            End::Retry {
                at: now,
                reason: "lease_expired".into(),
            }
        };
        write(&mut tx, *id, owner, &end, now).await?;
    }
    tx.commit().await?;
    Ok(expired.len())
}

/// How a held job ends or goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Finish {
        state: JobState,
        reason: Option<String>,
    },
    Retry {
        at: DateTime<Utc>,
        reason: String,
    },
    /// The try does not count.
    Wait {
        at: DateTime<Utc>,
        reason: String,
    },
    /// The try does not count, and the job is due as it was.
    HandBack,
}

/// Writes the end of a held job. False when the lease was lost to another runner; then nothing is written.
pub(crate) async fn settle<C: Connect>(
    connect: &C,
    id: JobId,
    owner: &str,
    end: &End,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let mut tx = connect.begin().await?;
    let written = write(&mut tx, id, owner, end, now).await?;
    if written && matches!(end, End::HandBack) {
        // Whoever works on takes it at once, not at its next look.
        notify(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(written)
}

async fn write(
    conn: &mut PgConnection,
    id: JobId,
    owner: &str,
    end: &End,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let (state, at, given_back, reason) = match end {
        End::Finish { state, reason } => {
            let finish = sqlx::query(sql::FINISH)
                .bind(id)
                .bind(owner)
                .bind(state.as_str())
                .bind(now)
                .bind(reason);
            return Ok(finish.execute(conn).await?.rows_affected() > 0);
        }
        End::Retry { at, reason } => (JobState::Retryable, Some(at), 0_i16, Some(reason)),
        End::Wait { at, reason } => (JobState::Retryable, Some(at), 1_i16, Some(reason)),
        End::HandBack => (JobState::Available, None, 1_i16, None),
    };
    if sqlx::query(sql::LOCK_HELD)
        .bind(id)
        .bind(owner)
        .fetch_optional(&mut *conn)
        .await?
        .is_none()
    {
        return Ok(false);
    }
    // An enqueue that is not yet committed can slip in after the fold: RELEASE then waits for it and is refused by
    // the unique index, and the caller tries again.
    sqlx::query(sql::FOLD)
        .bind(id)
        .bind(now)
        .execute(&mut *conn)
        .await?;
    let release = sqlx::query(sql::RELEASE)
        .bind(id)
        .bind(owner)
        .bind(state.as_str())
        .bind(at)
        .bind(given_back);
    Ok(release
        .bind(reason)
        .bind(now)
        .execute(conn)
        .await?
        .rows_affected()
        > 0)
}
