//! Enqueuing, inside the caller's transaction.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::job::{JobId, NewJob};
use crate::sql;

/// The channel that wakes the runners.
pub const CHANNEL: &str = "jarvis_jobs";

/// What became of an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// A new job.
    New(JobId),
    /// The same job waits already and will see what this transaction writes: it does not start before the commit.
    Waiting(JobId),
}

impl Enqueued {
    /// Number of the job, new or waiting.
    pub fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Waiting(id) => id,
        }
    }
}

/// Enqueues in the caller's transaction: committed with it, gone with it.
///
/// While the same job (kind, gym, key) waits, nothing is added and its arguments stay; while it runs, one more is
/// added, since the running one may have read old data. Works under the roles `jarvis_system` (any gym) and
/// `jarvis_server` (the gym of `app.gym_id` alone). Locks the waiting job until the end of the transaction, so
/// enqueue last, and several in a stable order.
///
/// # Errors
/// The database refuses: a gym that is not the caller's, arguments over 4096 characters, a malformed kind.
pub async fn enqueue(
    conn: &mut PgConnection,
    job: &NewJob,
    now: DateTime<Utc>,
) -> Result<Enqueued, sqlx::Error> {
    insert(conn, sql::ENQUEUE, job, now).await
}

/// As [`enqueue`], for a key that leaves arguments open: a job that waits takes these, and so does a running one at its
/// next try. Works under the role `jarvis_system` alone.
///
/// # Errors
/// As [`enqueue`].
pub async fn enqueue_instead(
    conn: &mut PgConnection,
    job: &NewJob,
    now: DateTime<Utc>,
) -> Result<Enqueued, sqlx::Error> {
    insert(conn, sql::ENQUEUE_INSTEAD, job, now).await
}

async fn insert(
    conn: &mut PgConnection,
    statement: &'static str,
    job: &NewJob,
    now: DateTime<Utc>,
) -> Result<Enqueued, sqlx::Error> {
    let (id, inserted): (JobId, bool) = sqlx::query_as(statement)
        .bind(job.kind)
        .bind(&job.unique_key)
        .bind(job.gym_id)
        .bind(&job.args)
        .bind(job.priority)
        .bind(job.max_attempts)
        .bind(job.run_at.unwrap_or(now))
        .bind(now)
        .bind(CHANNEL)
        .fetch_one(conn)
        .await?;
    Ok(if inserted {
        Enqueued::New(id)
    } else {
        Enqueued::Waiting(id)
    })
}

/// Wakes the runners at the commit of the caller's transaction.
pub(crate) async fn notify(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(sql::NOTIFY)
        .bind(CHANNEL)
        .execute(conn)
        .await
        .map(drop)
}
