//! Erasing a member: everywhere, found through PostgreSQL's own catalogue and the data map, in one transaction.
//!
//! Run with the migrating role. What belongs to the member goes with them: every row of every table that names them in
//! `member_id`, or in another column with a foreign key to the members. What belongs to nobody (reports, jobs, the
//! audit) and speaks of them, by an identifier of theirs or by name, loses these words, or goes where it cannot be
//! changed. What belongs to another member is theirs.

mod predecessor;
mod search;

use crate::error::DbError;
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, MemberId};
use search::Search;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

/// An entry of the ledger of erasures: identifiers and a time, no name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The erasure.
    pub id: Uuid,
    /// The member's gym.
    pub gym_id: Uuid,
    /// The member who was erased.
    pub member_id: Uuid,
    /// When.
    pub erased_at: DateTime<Utc>,
}

/// What happens to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// They are the member's, and go.
    Deleted,
    /// They are nobody's, and lose what names the member.
    Cleaned,
}

/// Rows of one table that an erasure touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Schema and table, quoted where PostgreSQL needs it.
    pub table: String,
    /// What happens to them.
    pub fate: Fate,
    /// How many.
    pub rows: i64,
    /// Whether the data map lists every column of the table.
    pub mapped: bool,
}

/// What is left of an erased member: that it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The erasure, as in the ledger.
    pub id: Uuid,
    /// The member's gym.
    pub gym_id: Uuid,
    /// The member who was erased.
    pub member_id: Uuid,
    /// When.
    pub erased_at: DateTime<Utc>,
    /// What was touched.
    pub touched: Vec<Touched>,
    /// Rows that still belong to the member or speak of them, counted again before the end: always 0.
    pub left: i64,
}

/// The ledger, oldest first, of one gym or of all; empty where the schema has none yet.
pub async fn list(conn: &mut PgConnection, gym: Option<GymId>) -> Result<Vec<Erasure>, DbError> {
    if !has_ledger(conn).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select id, gym_id, member_id, erased_at from jarvis.erasures
          where $1::uuid is null or gym_id = $1 order by erased_at, id",
    )
    .bind(gym.map(GymId::as_uuid))
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Erasure {
            id: row.get(0),
            gym_id: row.get(1),
            member_id: row.get(2),
            erased_at: row.get(3),
        })
        .collect())
}

/// Whether the schema keeps a ledger of erasures.
pub async fn has_ledger(conn: &mut PgConnection) -> Result<bool, DbError> {
    Ok(
        sqlx::query_scalar("select pg_catalog.to_regclass('jarvis.erasures') is not null")
            .fetch_one(conn)
            .await?,
    )
}

/// What erasing this member would touch; changes nothing.
///
/// # Errors
/// [`DbError::NotFound`] when this gym has no such member.
pub async fn plan(conn: &mut PgConnection, gym: GymId, member: MemberId) -> Result<Vec<Touched>, DbError> {
    let mut tx = begin(conn).await?;
    let search = Search::begin(&mut tx, gym, member, false).await?;
    let mut found = predecessor::delete(&mut tx, gym.as_uuid(), member.as_uuid(), false).await?;
    found.extend(search.everything(&mut tx).await?);
    tx.rollback().await?;
    Ok(found)
}

/// How often an erasure is tried again when it meets other changes to the same rows.
const ATTEMPTS: u32 = 5;

/// Erases a member, in one transaction, and enters it in the ledger.
///
/// A conversation that runs ends: its session is gone, and what arrives for it later is refused as
/// `session_not_found`.
///
/// # Errors
/// [`DbError::NotFound`] when this gym has no such member; [`DbError::Refused`] with the code `JE002` when the
/// predecessor's tables hold rows that may be theirs or another gym's; [`DbError::Bug`] when something of them would be
/// left.
/// Nothing is changed then.
pub async fn erase(
    conn: &mut PgConnection,
    gym: GymId,
    member: MemberId,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Certificate, DbError> {
    let erasure = Erasure {
        id,
        gym_id: gym.as_uuid(),
        member_id: member.as_uuid(),
        erased_at: now,
    };
    let mut attempt = 1;
    loop {
        match try_erase(conn, &erasure, false).await {
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                tokio::time::sleep(std::time::Duration::from_millis(100 * u64::from(attempt))).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}

/// Applies an erasure of the past again: whatever there is of the member goes, and the ledger knows of it. Returns how
/// many rows were touched.
pub async fn reapply(conn: &mut PgConnection, erasure: &Erasure) -> Result<i64, DbError> {
    let done = try_erase(conn, erasure, true).await?;
    Ok(done.touched.iter().map(|t| t.rows).sum())
}

/// With `again`, a member whose own row is gone is no error: rows elsewhere may still name them.
async fn try_erase(conn: &mut PgConnection, erasure: &Erasure, again: bool) -> Result<Certificate, DbError> {
    let mut tx = begin(conn).await?;
    let (gym, member) = (GymId::from(erasure.gym_id), MemberId::from(erasure.member_id));
    // Whoever writes for the member waits from here on, and finds them gone.
    sqlx::query("select from public.gym_members_v2 where gym_id = $1 and id = $2 for update")
        .bind(erasure.gym_id)
        .bind(erasure.member_id)
        .execute(&mut *tx)
        .await?;
    let search = Search::begin(&mut tx, gym, member, again).await?;
    let mut touched = predecessor::delete(&mut tx, erasure.gym_id, erasure.member_id, again).await?;
    touched.extend(search.everything(&mut tx).await?);
    search.delete(&mut tx).await?;
    search.clean(&mut tx).await?;
    let left = search.everything(&mut tx).await?;
    if !left.is_empty() {
        let tables: Vec<&str> = left.iter().map(|t| t.table.as_str()).collect();
        return Err(DbError::Bug {
            code: None,
            what: format!("the erasure would leave rows in {}", tables.join(", ")),
        });
    }
    record(&mut tx, erasure).await?;
    tx.commit().await?;
    Ok(Certificate {
        id: erasure.id,
        gym_id: erasure.gym_id,
        member_id: erasure.member_id,
        erased_at: erasure.erased_at,
        touched,
        left: 0,
    })
}

async fn record(conn: &mut PgConnection, erasure: &Erasure) -> Result<(), DbError> {
    sqlx::query(
        "insert into jarvis.erasures (id, gym_id, member_id, erased_at) values ($1, $2, $3, $4)
         on conflict do nothing",
    )
    .bind(erasure.id)
    .bind(erasure.gym_id)
    .bind(erasure.member_id)
    .bind(erasure.erased_at)
    .execute(conn)
    .await?;
    Ok(())
}

async fn begin(conn: &mut PgConnection) -> Result<sqlx::Transaction<'_, sqlx::Postgres>, DbError> {
    let mut tx = conn.begin().await?;
    // The audit lets go of what speaks of an erased member. Rows that row level security hides would be left behind: this makes hiding them an error.
    sqlx::raw_sql(
        "set local row_security = off; set local lock_timeout = '20s'; set local statement_timeout = '10min';
         set local search_path = pg_catalog, pg_temp; set local jarvis.purge = 'on'",
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx)
}
