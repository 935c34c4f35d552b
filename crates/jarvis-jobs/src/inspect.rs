//! Looking into the queue and mending it by hand: for the command line, the dashboard and metrics.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::enqueue::notify;
use crate::job::JobId;
use crate::sql;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its first try, or for another one at no fault of its own.
    Available,
    /// A runner holds it.
    Running,
    /// Failed, waits for its next try.
    Retryable,
    /// Done.
    Completed,
    /// Dead letter: failed for good, or used up its tries.
    Discarded,
    /// Withdrawn by an operator, or folded into another job of the same key.
    Cancelled,
}

impl JobState {
    /// The word stored in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Completed => "completed",
            Self::Discarded => "discarded",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no job state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of available, running, retryable, completed, discarded, cancelled")]
pub struct UnknownState(String);

impl FromStr for JobState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Ok(match word {
            "available" => Self::Available,
            "running" => Self::Running,
            "retryable" => Self::Retryable,
            "completed" => Self::Completed,
            "discarded" => Self::Discarded,
            "cancelled" => Self::Cancelled,
            _ => return Err(UnknownState(word.to_owned())),
        })
    }
}

impl TryFrom<String> for JobState {
    type Error = UnknownState;

    fn try_from(word: String) -> Result<Self, UnknownState> {
        word.parse()
    }
}

/// A job as it is stored.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct JobRecord {
    /// Number.
    pub id: JobId,
    /// Kind.
    pub kind: String,
    /// Key under which it is unique, within kind and gym.
    pub unique_key: Option<String>,
    /// Its gym.
    pub gym_id: Option<Uuid>,
    /// Its arguments: identifiers.
    pub args: serde_json::Value,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: JobState,
    /// Urgency within the gym, smaller first.
    pub priority: i16,
    /// Tries begun.
    pub attempt: i16,
    /// Tries allowed.
    pub max_attempts: i16,
    /// Not before.
    pub run_at: DateTime<Utc>,
    /// End of the lease, by the database's clock.
    pub lease_until: Option<DateTime<Utc>>,
    /// Who holds it.
    pub leased_by: Option<String>,
    /// Begin of the last try; of a job that waits again, since when it does.
    pub attempted_at: Option<DateTime<Utc>>,
    /// End, whatever the outcome.
    pub finished_at: Option<DateTime<Utc>>,
    /// Reason of the last failure.
    pub last_error: Option<String>,
    /// Every failure: `[{attempt, at, error}]`.
    pub errors: serde_json::Value,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// Which jobs to list; the default is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this state.
    pub state: Option<JobState>,
    /// Only this kind.
    pub kind: Option<String>,
    /// Only this gym.
    pub gym_id: Option<Uuid>,
    /// Only jobs older than this one: the last id of the page before.
    pub before: Option<JobId>,
}

/// Number of jobs of one kind in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Count {
    /// Kind.
    pub kind: String,
    /// State.
    #[sqlx(try_from = "String")]
    pub state: JobState,
    /// How many.
    pub jobs: i64,
    /// The earliest `run_at` among them: the age of the queue.
    pub oldest_run_at: DateTime<Utc>,
}

/// Jobs of one kind in one state that are not over, or dead.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Backlog {
    /// Kind.
    pub kind: String,
    /// State: `available`, `retryable`, `running` or `discarded`.
    #[sqlx(try_from = "String")]
    pub state: JobState,
    /// How many.
    pub jobs: i64,
    /// For how long the oldest of them has been due, in seconds; 0 when none is, and for those that do not wait.
    pub overdue_seconds: f64,
}

/// What waits, runs, or gave up. Cheap whatever the number of finished jobs: for probes and metrics.
///
/// # Errors
/// The database.
pub async fn backlog(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Backlog>, sqlx::Error> {
    sqlx::query_as(sql::BACKLOG).bind(now).fetch_all(conn).await
}

/// A page of at most `limit` jobs, newest first.
///
/// # Errors
/// The database.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    limit: u32,
) -> Result<Vec<JobRecord>, sqlx::Error> {
    sqlx::query_as(sql::LIST)
        .bind(filter.state.map(JobState::as_str))
        .bind(&filter.kind)
        .bind(filter.gym_id)
        .bind(filter.before)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await
}

/// One job.
///
/// # Errors
/// The database.
pub async fn find(conn: &mut PgConnection, id: JobId) -> Result<Option<JobRecord>, sqlx::Error> {
    sqlx::query_as(sql::FIND).bind(id).fetch_optional(conn).await
}

/// How many jobs stand where.
///
/// # Errors
/// The database.
pub async fn counts(conn: &mut PgConnection) -> Result<Vec<Count>, sqlx::Error> {
    sqlx::query_as(sql::COUNTS).fetch_all(conn).await
}

/// Makes a job due now: a waiting one skips its back-off, a finished one starts again from its first try. False when
/// there is no such job, it is running, or the same job (kind, gym, key) waits already.
///
/// # Errors
/// The database.
pub async fn retry(conn: &mut PgConnection, id: JobId, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let retried = sqlx::query(sql::RETRY_ONE)
        .bind(id)
        .bind(now)
        .execute(&mut *conn)
        .await?
        .rows_affected()
        > 0;
    notify(conn).await?;
    Ok(retried)
}

/// Starts the dead letters of one kind, or of all, again. The number started.
///
/// # Errors
/// The database.
pub async fn retry_dead(
    conn: &mut PgConnection,
    kind: Option<&str>,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let retried = sqlx::query(sql::RETRY_DEAD)
        .bind(kind)
        .bind(now)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    notify(conn).await?;
    Ok(retried)
}

/// Withdraws a job that waits. False when it does not wait.
///
/// # Errors
/// The database.
pub async fn cancel(conn: &mut PgConnection, id: JobId, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    Ok(sqlx::query(sql::CANCEL)
        .bind(id)
        .bind(now)
        .execute(conn)
        .await?
        .rows_affected()
        > 0)
}

/// Deletes completed and cancelled jobs that ended before `done_before`, and dead letters that ended before
/// `dead_before`. The number deleted.
///
/// # Errors
/// The database.
pub async fn prune(
    conn: &mut PgConnection,
    done_before: DateTime<Utc>,
    dead_before: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(sql::PRUNE)
        .bind(done_before)
        .bind(dead_before)
        .execute(conn)
        .await?
        .rows_affected())
}
