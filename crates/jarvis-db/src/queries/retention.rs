//! How long things are kept, and what is past its time.

use crate::{Db, DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::Scope;
use sqlx::{PgConnection, Row as _};

/// A subject, its period, and what is past it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Expired {
    /// What is kept, such as `events`.
    pub subject: String,
    /// For how many days.
    pub days: i32,
    /// Rows that are past it.
    pub rows: i64,
}

/// Less than the job that calls it may take (30 minutes).
const STATEMENT_TIMEOUT: &str = "set local statement_timeout = '25min'; set local lock_timeout = '30s'";
/// About so many rows go in one transaction; a conversation goes as a whole.
const BATCH: i32 = 10_000;

/// Counts what is past its time, in all gyms, by taking it away: whoever calls it rolls back. In
/// [`jarvis_core::Scope::System`].
///
/// # Errors
/// Whatever the database says.
pub async fn count(tx: &mut ScopedTx, now: DateTime<Utc>) -> Result<Vec<Expired>, DbError> {
    // It goes through whole tables, where a request of somebody who waits may take seconds only.
    sqlx::raw_sql(STATEMENT_TIMEOUT).execute(&mut **tx).await?;
    let rows = sqlx::query("select subject, days, gone from jarvis.expire($1, false)")
        .bind(now)
        .fetch_all(&mut **tx)
        .await?;
    let remains = expire_remains(tx, now, false).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let subject: String = row.get(0);
            let beside = if subject == HELD { remains } else { 0 };
            Expired {
                rows: row.get::<i64, _>(2) + beside,
                days: row.get(1),
                subject,
            }
        })
        .collect())
}

/// What an adoption put aside goes with these.
const HELD: &str = "held_imports";

async fn expire_remains(tx: &mut ScopedTx, now: DateTime<Utc>, unasked: bool) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar("select jarvis.expire_remains($1, $2)")
        .bind(now)
        .bind(unasked)
        .fetch_one(&mut **tx)
        .await?)
}

/// Takes away what of a subject is past its time, in all gyms, in transactions of about ten thousand rows each, and says how many
/// that were. When nobody asked for it (`unasked`), nothing goes before a whole period has passed since retention began in
/// this database. What was taken away stays so when a later batch fails.
///
/// # Errors
/// Whatever the database says; the batches before are done.
pub async fn expire(db: &Db, subject: &str, now: DateTime<Utc>, unasked: bool) -> Result<i64, DbError> {
    let mut together = 0;
    loop {
        let mut tx = db.begin(&Scope::System).await?;
        sqlx::raw_sql(STATEMENT_TIMEOUT).execute(&mut *tx).await?;
        let gone: i64 = sqlx::query_scalar("select jarvis.expire_some($1, $2, $3, $4)")
            .bind(subject)
            .bind(now)
            .bind(unasked)
            .bind(BATCH)
            .fetch_one(&mut *tx)
            .await?;
        let last = gone < i64::from(BATCH);
        if last && subject == HELD {
            together += expire_remains(&mut tx, now, unasked).await?;
        }
        tx.commit().await?;
        together += gone;
        if last {
            return Ok(together);
        }
    }
}

/// Sets a period, as the owner of the database; false when there is no such subject.
pub async fn set_period(conn: &mut PgConnection, subject: &str, days: i32) -> Result<bool, DbError> {
    let done = sqlx::query(
        "update jarvis.retention_periods set days = $2, changed_at = clock_timestamp() where subject = $1",
    )
    .bind(subject)
    .bind(days)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The subjects and their periods in days.
pub async fn periods(conn: &mut PgConnection) -> Result<Vec<(String, i32)>, DbError> {
    let rows = sqlx::query("select subject, days from jarvis.retention_periods order by subject")
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect())
}
