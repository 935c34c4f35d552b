//! How long things are kept, and what is past its time.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
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

/// Takes away what is past its time, in all gyms, and says how much that was. In [`jarvis_core::Scope::System`]; who
/// only wants to know rolls the transaction back. When nobody asked for it (`unasked`), nothing goes before a whole period
/// has passed since retention began in this database.
pub async fn expire(tx: &mut ScopedTx, now: DateTime<Utc>, unasked: bool) -> Result<Vec<Expired>, DbError> {
    // It goes through whole tables, where a request of somebody who waits may take seconds only.
    sqlx::raw_sql(STATEMENT_TIMEOUT).execute(&mut **tx).await?;
    let rows = sqlx::query("select subject, days, gone from jarvis.expire($1, $2)")
        .bind(now)
        .bind(unasked)
        .fetch_all(&mut **tx)
        .await?;
    let remains: i64 = sqlx::query_scalar("select jarvis.expire_remains($1, $2)")
        .bind(now)
        .bind(unasked)
        .fetch_one(&mut **tx)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let subject: String = row.get(0);
            let beside = if subject == "held_imports" { remains } else { 0 };
            Expired {
                rows: row.get::<i64, _>(2) + beside,
                days: row.get(1),
                subject,
            }
        })
        .collect())
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
