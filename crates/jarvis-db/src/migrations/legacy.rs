//! What the predecessor left: its table of members, its conversation logs, its audio events.
//!
//! The work itself is in the migrations 20251023000004 and 20251023000006, so that the Supabase CLI does the same. Here
//! it is called, under the lock of the migrations and in one transaction; a plan is a rehearsal that is rolled back.

use super::error::MigrationError;
use super::run::{connect, lock};
use crate::error::DbError;
use jarvis_core::Purpose;
use secrecy::SecretString;
use serde::Serialize;
use sqlx::postgres::PgDatabaseError;
use sqlx::{Connection as _, PgConnection};
use std::collections::BTreeMap;

/// What an operator states before an import.
#[derive(Debug, Clone, Default)]
pub struct Statements {
    /// What the members agreed to at the predecessor's. An answer given here since is never overridden.
    pub consents: Vec<Purpose>,
    /// Gyms of the predecessor (its identifier) and ours (slug or id).
    pub gyms: Vec<(String, String)>,
}

/// One of the predecessor's tables that is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Its name, in schema `public`.
    pub table: String,
    /// Its rows.
    pub rows: i64,
    /// Rows that are imported or held as they are now.
    pub accounted: i64,
    /// Rows that were never looked at.
    pub waiting: i64,
    /// Rows that changed since they were imported.
    pub changed: i64,
    /// Rows that could not be imported.
    pub refused: i64,
    /// Why, and how many.
    pub refused_reasons: BTreeMap<String, i64>,
    /// Foreign keys and views of others that keep the table from being dropped.
    pub dependants: Vec<String>,
}

impl Table {
    /// Whether the table may be dropped.
    pub fn is_droppable(&self) -> bool {
        self.accounted == self.rows && self.dependants.is_empty()
    }
}

/// A line of the reconciliation: `found = imported + held + dropped` for a column, `found = imported + held + refused +
/// erased` for the rows (column `*`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The predecessor's table.
    pub table: String,
    /// Its column, or `*` for whole rows.
    pub column: String,
    /// Filled cells.
    pub found: i64,
    /// Cells that are where they belong.
    pub imported: i64,
    /// Cells that wait, for a consent or a decision.
    pub held: i64,
    /// Cells left behind by decision.
    pub dropped: i64,
    /// Rows that could not be imported.
    pub refused: i64,
    /// Rows of members who were erased since.
    pub erased: i64,
    /// Cells whose double-encoded text was mended.
    pub repaired: i64,
    /// Reasons of what was held, dropped or refused, and how many.
    pub reasons: BTreeMap<String, i64>,
}

/// Rows that were refused, or hold a cell whose text cannot be mended for certain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// The predecessor's table.
    pub table: String,
    /// The row's identifier.
    pub row: String,
    /// What is wrong with it.
    pub reason: String,
    /// The column, when it is one.
    pub column: Option<String>,
}

/// Where the import stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The predecessor's tables that are still there.
    pub tables: Vec<Table>,
    /// What became of each column.
    pub reconciliation: Vec<Line>,
    /// Rows a person must look at: at most 200.
    pub doubts: Vec<Doubt>,
    /// Consents on record that the operator stated.
    pub consents_stated: i64,
}

impl Report {
    /// Whether a row is still outside.
    pub fn is_complete(&self) -> bool {
        self.tables.iter().all(|t| t.accounted == t.rows)
    }
}

/// Where the import stands in the database at `url`.
///
/// # Errors
/// [`MigrationError::NoLegacyImport`] on a database that has not been migrated.
pub async fn status(url: &SecretString) -> Result<Report, MigrationError> {
    let mut connection = connect(url).await?;
    check_installed(&mut connection).await?;
    let report = report(&mut connection).await?;
    connection.close().await.map_err(DbError::from)?;
    Ok(report)
}

/// Imports what is new or changed in the predecessor's tables, all in one transaction. Without `commit` it is a
/// rehearsal: the report says what would be, and nothing is.
///
/// # Errors
/// [`MigrationError::Refused`] when a stated gym does not exist; database errors, with nothing changed.
pub async fn import(
    url: &SecretString,
    statements: &Statements,
    commit: bool,
) -> Result<Report, MigrationError> {
    let mut connection = connect(url).await?;
    check_installed(&mut connection).await?;
    lock(&mut connection).await?;
    let mut tx = connection.begin().await.map_err(DbError::from)?;
    if !statements.consents.is_empty() {
        // Answers that are being given at this moment come first.
        sqlx::raw_sql("lock table public.gym_members_v2, jarvis.consent_ledger in share row exclusive mode")
            .execute(&mut *tx)
            .await
            .map_err(DbError::from)?;
    }
    for (theirs, ours) in &statements.gyms {
        state_gym(&mut tx, theirs, ours).await?;
    }
    let consents: Vec<&str> = statements.consents.iter().map(|p| p.as_str()).collect();
    sqlx::query("select set_config('app.actor', 'operator', true), jarvis.legacy_import($1::text[])")
        .bind(consents)
        .execute(&mut *tx)
        .await
        .map_err(refused)?;
    open_to_withdrawals(&mut tx).await?;
    let report = report(&mut tx).await?;
    if commit {
        tx.commit().await.map_err(DbError::from)?;
    } else {
        tx.rollback().await.map_err(DbError::from)?;
    }
    connection.close().await.map_err(DbError::from)?;
    Ok(report)
}

/// Until they are dropped, a consent that is withdrawn reaches into the predecessor's tables as well.
async fn open_to_withdrawals(conn: &mut PgConnection) -> Result<(), DbError> {
    sqlx::raw_sql(
        "do $$ begin
           if to_regprocedure('jarvis.open_predecessor()') is not null then
             perform jarvis.open_predecessor();
           end if;
         end $$",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Drops the tables named in `confirmed`, all of them or none.
///
/// # Errors
/// [`MigrationError::Refused`] when a table is none of the predecessor's, a row of it is not accounted for, or somebody
/// else's table or view needs it.
pub async fn cleanup(url: &SecretString, confirmed: &[String]) -> Result<Vec<String>, MigrationError> {
    let mut connection = connect(url).await?;
    check_installed(&mut connection).await?;
    lock(&mut connection).await?;
    let dropped: Vec<String> = sqlx::query_scalar("select jarvis.legacy_cleanup($1)")
        .bind(confirmed)
        .fetch_one(&mut connection)
        .await
        .map_err(refused)?;
    connection.close().await.map_err(DbError::from)?;
    Ok(dropped)
}

async fn check_installed(connection: &mut PgConnection) -> Result<(), MigrationError> {
    let installed: bool =
        sqlx::query_scalar("select to_regprocedure('jarvis.legacy_cleanup(text[])') is not null")
            .fetch_one(connection)
            .await
            .map_err(DbError::from)?;
    if installed {
        Ok(())
    } else {
        Err(MigrationError::NoLegacyImport)
    }
}

async fn state_gym(connection: &mut PgConnection, theirs: &str, ours: &str) -> Result<(), MigrationError> {
    let stated = sqlx::query(
        "insert into jarvis.legacy_gyms (legacy_gym_id, gym_id)
         select $1, g.id from public.gyms g where g.slug = $2 or g.id::text = lower($2)
         on conflict (legacy_gym_id) do update set gym_id = excluded.gym_id, stated_at = now()",
    )
    .bind(theirs.trim())
    .bind(ours.trim())
    .execute(connection)
    .await
    .map_err(DbError::from)?;
    if stated.rows_affected() == 1 {
        return Ok(());
    }
    Err(MigrationError::Refused {
        problem: format!("there is no gym \"{ours}\" for the predecessor's gym {theirs}"),
        hint: "see `jarvis gym list`, or create it with `jarvis gym add`",
    })
}

async fn report(connection: &mut PgConnection) -> Result<Report, MigrationError> {
    Ok(Report {
        tables: tables(connection).await?,
        reconciliation: reconciliation(connection).await?,
        doubts: doubts(connection).await?,
        consents_stated: sqlx::query_scalar(
            "select count(*) from jarvis.consent_ledger l
              where l.source = 'import' and l.statement_version = 'imported'
                and exists (select from jarvis.legacy_rows r
                             where r.source_table = 'gym_members' and r.gym_id = l.gym_id and r.member_id = l.member_id)",
        )
        .fetch_one(connection)
        .await
        .map_err(DbError::from)?,
    })
}

type Reasons = sqlx::types::Json<BTreeMap<String, i64>>;

async fn tables(connection: &mut PgConnection) -> Result<Vec<Table>, DbError> {
    type Row = (String, i64, i64, i64, i64, i64, Reasons, Vec<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "select source_table, total, accounted, waiting, changed, refused, refused_reasons, dependants
           from jarvis.legacy_status()",
    )
    .fetch_all(connection)
    .await?;
    let table = |r: Row| Table {
        table: r.0,
        rows: r.1,
        accounted: r.2,
        waiting: r.3,
        changed: r.4,
        refused: r.5,
        refused_reasons: r.6.0,
        dependants: r.7,
    };
    Ok(rows.into_iter().map(table).collect())
}

async fn reconciliation(connection: &mut PgConnection) -> Result<Vec<Line>, DbError> {
    type Row = (String, String, i64, i64, i64, i64, i64, i64, i64, Reasons);
    let rows: Vec<Row> = sqlx::query_as(
        "select source_table, source_column, found, imported, held, dropped, refused, erased, repaired, reasons
           from jarvis.legacy_reconciliation() order by source_table, source_column",
    )
    .fetch_all(connection)
    .await?;
    let line = |r: Row| Line {
        table: r.0,
        column: r.1,
        found: r.2,
        imported: r.3,
        held: r.4,
        dropped: r.5,
        refused: r.6,
        erased: r.7,
        repaired: r.8,
        reasons: r.9.0,
    };
    Ok(rows.into_iter().map(line).collect())
}

async fn doubts(connection: &mut PgConnection) -> Result<Vec<Doubt>, DbError> {
    let rows: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
        "select r.source_table, r.source_id, coalesce(r.reason, ''), null
           from jarvis.legacy_rows r where r.outcome = 'refused'
         union all
         select r.source_table, r.source_id, c.value ->> 'r', c.key
           from jarvis.legacy_rows r cross join lateral jsonb_each(r.cells) as c
          where r.outcome = 'imported' and c.value ->> 'r' in ('encoding_doubtful', 'badge_taken')
          order by 1, 2, 4 limit 200",
    )
    .fetch_all(connection)
    .await?;
    let doubt = |(table, row, reason, column)| Doubt {
        table,
        row,
        reason,
        column,
    };
    Ok(rows.into_iter().map(doubt).collect())
}

/// The cleanup says no with codes of its own.
fn refused(error: sqlx::Error) -> MigrationError {
    let said = error
        .as_database_error()
        .and_then(|e| e.try_downcast_ref::<PgDatabaseError>())
        .map(|e| (e.code().to_owned(), e.detail().unwrap_or_default().to_owned()));
    let (problem, hint) = match said {
        Some((code, _)) if code == "JL001" => (
            "no table is named".to_owned(),
            "name the tables to drop: --confirm gym_members,…",
        ),
        Some((code, detail)) if code == "JL002" => (
            format!("{detail} is none of the predecessor's tables in this database"),
            "`jarvis migration cleanup` lists them",
        ),
        Some((code, detail)) if code == "JL003" => (
            format!("rows are not accounted for: {detail}"),
            "import them first: `jarvis migration legacy --yes`; it names what it refuses",
        ),
        Some((code, detail)) if code == "JL004" => (
            format!("something else needs the table: {detail}"),
            "drop or change that first; nothing of others is dropped along",
        ),
        _ => return MigrationError::Database(error.into()),
    };
    MigrationError::Refused { problem, hint }
}
