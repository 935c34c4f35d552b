//! Some rows that are there, to hold them against the policies for writing.

use crate::DbError;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeSet, HashMap};

/// How many rows of a table.
const SAMPLES: u8 = 3;

/// Rows of a table as JSON, or the SQLSTATE that came instead.
pub(super) type Sampled = Result<Vec<String>, String>;

/// Some rows of each of these tables, whose names come quoted out of the catalogue; they stay in this process.
pub(super) async fn take(
    conn: &mut PgConnection,
    tables: BTreeSet<&str>,
) -> Result<HashMap<String, Sampled>, DbError> {
    let mut samples = HashMap::new();
    for table in tables {
        let sql = format!("select to_jsonb(sample)::text from {table} as sample limit {SAMPLES}");
        sqlx::raw_sql("savepoint sampling").execute(&mut *conn).await?;
        let rows = sqlx::query_scalar(AssertSqlSafe(sql))
            .persistent(false)
            .fetch_all(&mut *conn)
            .await;
        sqlx::raw_sql("rollback to savepoint sampling")
            .execute(&mut *conn)
            .await?;
        let rows = match rows {
            Ok(rows) => Ok(rows),
            // This login may not read it; an empty row must do, and what is hidden is said.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => Ok(Vec::new()),
            // Rows that are there were not held against the policies: what seems shut is unproven.
            Err(sqlx::Error::Database(error)) => Err(error.code().unwrap_or_default().into_owned()),
            Err(error) => return Err(error.into()),
        };
        samples.insert(table.to_owned(), rows);
    }
    Ok(samples)
}
