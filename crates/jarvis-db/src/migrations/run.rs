use super::error::MigrationError;
use super::history::{self, Entry};
use super::loss::{self, Loss};
use super::names;
use super::source::{Migration, Source};
use crate::error::DbError;
use crate::pool;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgErrorPosition};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Held by whoever migrates a database. Chosen at random once; must never change.
const LOCK: i64 = 0x6a61_7276_6973_0001;

/// How often a migration is tried when another database of the same cluster is migrated at the same time: roles
/// belong to the whole cluster, and two transactions that alter one role collide.
pub(super) const ATTEMPTS: u32 = 12;

/// A migration that was applied just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// How long it took.
    pub took: Duration,
}

/// A migration that was undone just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverted {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
}

/// Where every migration of `source` stands in the database at `url`, together with those only recorded there.
pub async fn status(url: &SecretString, source: &Source) -> Result<Vec<Entry>, MigrationError> {
    let mut connection = connect(url).await?;
    let recorded = history::recorded(&mut connection).await?;
    connection.close().await.map_err(DbError::from)?;
    Ok(history::compare(source, &recorded))
}

/// Applies what is pending, each migration in a transaction of its own, and returns what it applied.
///
/// Two at once are safe: the second waits for the first, then finds nothing to do.
///
/// # Errors
/// Before anything is changed when the server lacks something or the history is not ours; otherwise the migration
/// that failed, rolled back, with the earlier ones applied.
pub async fn up(url: &SecretString, source: &Source) -> Result<Vec<Applied>, MigrationError> {
    let mut connection = connect(url).await?;
    pool::check_version(&mut connection).await?;
    lock(&mut connection).await?;
    let recorded = history::recorded(&mut connection).await?;
    history::refuse_foreign(&mut connection, source, &recorded).await?;
    names::refuse_taken(&mut connection, source).await?;
    check_extensions(&mut connection, source).await?;
    history::ensure(&mut connection).await?;
    let mut applied = Vec::new();
    let pending = source
        .migrations()
        .iter()
        .filter(|m| !recorded.iter().any(|(v, _)| *v == m.version));
    for migration in pending {
        let begun = Instant::now();
        apply(&mut connection, migration).await?;
        let took = begun.elapsed();
        tracing::info!(
            version = migration.version,
            name = migration.name,
            ms = took.as_millis(),
            "migrated"
        );
        applied.push(Applied {
            version: migration.version.clone(),
            name: migration.name.clone(),
            took,
        });
    }
    history::share(&mut connection).await?;
    if !applied.is_empty() {
        tell_data_api(&mut connection).await?;
    }
    connection.close().await.map_err(DbError::from)?;
    Ok(applied)
}

/// Data APIs on this database read the schema again.
async fn tell_data_api(connection: &mut PgConnection) -> Result<(), MigrationError> {
    sqlx::query("select pg_notify('pgrst', 'reload schema')")
        .execute(connection)
        .await
        .map_err(DbError::from)?;
    Ok(())
}

/// Which migrations to undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// So many, the highest versions first. After an upgrade that brought versions lower than others that were applied
    /// already, these are not the ones that were applied last.
    Newest(usize),
    /// Exactly these versions.
    These(Vec<String>),
}

/// What [`undo`] did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoing {
    /// The migrations undone, in that order.
    pub migrations: Vec<Reverted>,
    /// What is lost with them: rows of tables that go, of columns that go, and rows deleted out of tables that stay.
    pub lost: Vec<Loss>,
}

/// Rehearses [`undo`] in a transaction that is rolled back.
///
/// # Errors
/// As [`undo`], but for the loss, which is told.
pub async fn plan_undo(
    url: &SecretString,
    source: &Source,
    which: &Which,
) -> Result<Undoing, MigrationError> {
    let mut connection = connect(url).await?;
    lock(&mut connection).await?;
    let chosen = chosen(&mut connection, source, which).await?;
    let mut tx = connection.begin().await.map_err(DbError::from)?;
    let lost = rehearse(&mut tx, source, &chosen).await?;
    tx.rollback().await.map_err(DbError::from)?;
    connection.close().await.map_err(DbError::from)?;
    Ok(Undoing::of(chosen, lost))
}

/// Undoes the newest `steps` migrations, as [`undo`].
///
/// # Errors
/// As [`undo`].
pub async fn down(
    url: &SecretString,
    source: &Source,
    steps: usize,
    allow_data_loss: bool,
) -> Result<Vec<Reverted>, MigrationError> {
    Ok(undo(url, source, &Which::Newest(steps), allow_data_loss)
        .await?
        .migrations)
}

/// Undoes migrations, the highest version first, all in one transaction: either all of them or none.
///
/// # Errors
/// [`MigrationError::DataLoss`] with the count per table when rows would be lost and `allow_data_loss` is false;
/// [`MigrationError::NoSuchVersion`] for a version that is not applied.
pub async fn undo(
    url: &SecretString,
    source: &Source,
    which: &Which,
    allow_data_loss: bool,
) -> Result<Undoing, MigrationError> {
    let mut connection = connect(url).await?;
    lock(&mut connection).await?;
    let chosen = chosen(&mut connection, source, which).await?;
    let mut tx = connection.begin().await.map_err(DbError::from)?;
    let lost = rehearse(&mut tx, source, &chosen).await?;
    if !lost.is_empty() && !allow_data_loss {
        return Err(MigrationError::DataLoss { lost });
    }
    revert_all(&mut tx, &chosen).await?;
    tell_data_api(&mut tx).await?;
    tx.commit().await.map_err(DbError::from)?;
    connection.close().await.map_err(DbError::from)?;
    Ok(Undoing::of(chosen, lost))
}

impl Undoing {
    fn of(migrations: Vec<&Migration>, lost: Vec<Loss>) -> Self {
        Self {
            migrations: migrations.into_iter().map(Reverted::from).collect(),
            lost,
        }
    }
}

impl From<&Migration> for Reverted {
    fn from(migration: &Migration) -> Self {
        Self {
            version: migration.version.clone(),
            name: migration.name.clone(),
        }
    }
}

async fn chosen<'a>(
    connection: &mut PgConnection,
    source: &'a Source,
    which: &Which,
) -> Result<Vec<&'a Migration>, MigrationError> {
    let recorded = history::recorded(connection).await?;
    history::refuse_foreign(connection, source, &recorded).await?;
    let mut applied = recorded
        .iter()
        .rev()
        .filter_map(|(version, _)| source.find(version));
    let wanted = match which {
        Which::Newest(steps) => return Ok(applied.take(*steps).collect()),
        Which::These(versions) => versions,
    };
    let absent = |version: &&String| !recorded.iter().any(|(v, _)| v == *version);
    if let Some(version) = wanted.iter().find(absent) {
        return Err(MigrationError::NoSuchVersion {
            version: version.clone(),
            known: recorded.into_iter().map(|(version, _)| version).collect(),
        });
    }
    let mut chosen = Vec::new();
    chosen.extend(applied.by_ref().filter(|m| wanted.contains(&m.version)));
    Ok(chosen)
}

/// What would be lost, found by doing it and taking it back. Taking it back gives up the locks of the downs, so that
/// all tables are held first: no row may come between the count and the deed.
async fn rehearse(
    tx: &mut PgConnection,
    source: &Source,
    newest: &[&Migration],
) -> Result<Vec<Loss>, MigrationError> {
    // A count that row level security silently cuts short would be a lie: this makes it an error.
    sqlx::query("set local row_security = off")
        .execute(&mut *tx)
        .await
        .map_err(DbError::from)?;
    let reference = source.reference_tables;
    let tables = loss::hold(tx).await?;
    let before = loss::shape(tx).await?;
    let mut rehearsal = tx.begin().await.map_err(DbError::from)?;
    revert_all(&mut rehearsal, newest).await?;
    let after = loss::shape(&mut rehearsal).await?;
    let rows_after = loss::rows(&mut rehearsal, &tables, &after, reference).await?;
    rehearsal.rollback().await.map_err(DbError::from)?;
    let mut lost = loss::count(tx, &before, &after, reference).await?;
    let rows_before = loss::rows(tx, &tables, &after, reference).await?;
    lost.extend(loss::fewer_rows(&rows_before, &rows_after));
    Ok(lost)
}

pub(super) async fn connect(url: &SecretString) -> Result<PgConnection, DbError> {
    connect_with(PgConnectOptions::from_str(url.expose_secret())?).await
}

pub(super) async fn connect_with(options: PgConnectOptions) -> Result<PgConnection, DbError> {
    let options = options.application_name("jarvis-migration");
    let mut connection = tokio::time::timeout(Duration::from_secs(10), PgConnection::connect_with(&options))
        .await
        .map_err(|_| pool::unreachable_at(&options, "no answer in time"))?
        .map_err(|error| pool::cannot_connect(&options, error))?;
    sqlx::raw_sql("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

/// Waits for another one who migrates this database. The lock ends with the connection, whatever happens to us.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), DbError> {
    sqlx::raw_sql("set lock_timeout = 0")
        .execute(&mut *connection)
        .await?;
    sqlx::query("select pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql("set lock_timeout = '30s'")
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn check_extensions(
    connection: &mut PgConnection,
    source: &Source,
) -> Result<(), MigrationError> {
    for &(extension, wanted) in source.extensions {
        let (server, found): (String, Option<String>) = sqlx::query_as(
            "select current_setting('server_version'),
                    coalesce((select extversion from pg_catalog.pg_extension where extname = $1),
                             (select default_version from pg_catalog.pg_available_extensions where name = $1))",
        )
        .bind(extension)
        .fetch_one(&mut *connection)
        .await
        .map_err(DbError::from)?;
        match found {
            None => return Err(MigrationError::MissingExtension { extension, server }),
            Some(found) if numbers(&found) < numbers(wanted) => {
                return Err(MigrationError::OldExtension {
                    extension,
                    found,
                    wanted,
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

pub(super) async fn apply(
    connection: &mut PgConnection,
    migration: &Migration,
) -> Result<(), MigrationError> {
    let mut attempt = 1;
    loop {
        match try_apply(connection, migration).await {
            Ok(()) => return Ok(()),
            Err(error) if attempt < ATTEMPTS && is_role_race(&error) => {
                tracing::debug!(
                    version = migration.version,
                    attempt,
                    "another database is migrated at this time"
                );
                let jitter = rand::random_range(0..100);
                tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 40 + jitter)).await;
                attempt += 1;
            }
            Err(error) => return Err(failed(migration, &migration.up, error)),
        }
    }
}

async fn try_apply(connection: &mut PgConnection, migration: &Migration) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(migration.up.clone()))
        .execute(&mut *tx)
        .await?;
    history::insert(&mut tx, migration).await?;
    tx.commit().await
}

async fn revert_all(connection: &mut PgConnection, migrations: &[&Migration]) -> Result<(), MigrationError> {
    for migration in migrations {
        let down = migration.down.clone().ok_or_else(|| MigrationError::NoDown {
            version: migration.version.clone(),
            name: migration.name.clone(),
        })?;
        sqlx::raw_sql(AssertSqlSafe(down.clone()))
            .execute(&mut *connection)
            .await
            .map_err(|error| failed(migration, &down, error))?;
        history::remove(connection, &migration.version).await?;
    }
    Ok(())
}

/// Roles and memberships are rows of shared catalogues, which no transaction of another database locks for us.
pub(super) fn is_role_race(error: &sqlx::Error) -> bool {
    let Some(error) = error
        .as_database_error()
        .and_then(|e| e.try_downcast_ref::<PgDatabaseError>())
    else {
        return false;
    };
    match error.code() {
        "23505" => error.table().is_some_and(|table| table.starts_with("pg_")),
        "XX000" => error.message().starts_with("tuple concurrently"),
        "40P01" | "40001" => true,
        _ => false,
    }
}

pub(super) fn failed(migration: &Migration, sql: &str, error: sqlx::Error) -> MigrationError {
    let Some(pg) = error
        .as_database_error()
        .and_then(|e| e.try_downcast_ref::<PgDatabaseError>())
    else {
        return MigrationError::Database(error.into());
    };
    let line = match pg.position() {
        Some(PgErrorPosition::Original(position)) => {
            Some(1 + sql.chars().take(position).filter(|c| *c == '\n').count())
        }
        _ => None,
    };
    MigrationError::Failed {
        version: migration.version.clone(),
        name: migration.name.clone(),
        line,
        message: format!("{} (SQLSTATE {})", pg.message(), pg.code()),
    }
}
