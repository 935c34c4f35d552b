use super::error::MigrationError;
use super::source::{Migration, Source};
use crate::error::DbError;
use sqlx::PgConnection;

/// As the Supabase CLI makes it.
const CREATE_HISTORY: &str = "
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
    alter table supabase_migrations.schema_migrations add column if not exists statements text[];
    alter table supabase_migrations.schema_migrations add column if not exists name text";

/// Lets the application see which versions are there, and nothing else of the history.
const SHARE_HISTORY: &str = "do $$
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'jarvis_login') then
    grant usage on schema supabase_migrations to jarvis_login;
    grant select (version) on supabase_migrations.schema_migrations to jarvis_login;
  end if;
end $$";

/// The versions that the guide's schema used, which a database may have run without us.
pub(super) const GUIDE_VERSIONS: [&str; 6] = [
    "20251023000001",
    "20251023000002",
    "20251023000003",
    "20251023000004",
    "20251023000005",
    "20251023000006",
];

/// Where a migration stands in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Recorded as applied.
    Applied,
    /// Known here, not applied there.
    Pending,
    /// Applied there, not known here.
    Unknown,
}

/// A migration and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 14 digits.
    pub version: String,
    /// What it does; empty when neither the history nor we know.
    pub name: String,
    /// Where it stands.
    pub state: State,
}

/// Makes the history when it is missing.
pub(super) async fn ensure(connection: &mut PgConnection) -> Result<(), DbError> {
    if !exists(connection).await? {
        sqlx::raw_sql(CREATE_HISTORY).execute(connection).await?;
    }
    Ok(())
}

pub(super) async fn share(connection: &mut PgConnection) -> Result<(), DbError> {
    sqlx::raw_sql(SHARE_HISTORY).execute(connection).await?;
    Ok(())
}

async fn exists(connection: &mut PgConnection) -> Result<bool, DbError> {
    let columns: i64 = sqlx::query_scalar(
        "select count(*) from pg_catalog.pg_attribute a
         join pg_catalog.pg_class c on c.oid = a.attrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'supabase_migrations' and c.relname = 'schema_migrations'
           and a.attname in ('version', 'statements', 'name') and not a.attisdropped",
    )
    .fetch_one(connection)
    .await?;
    Ok(columns == 3)
}

/// The versions and names on record, oldest first.
pub(super) async fn recorded(connection: &mut PgConnection) -> Result<Vec<(String, String)>, DbError> {
    if !exists(connection).await? {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(
        "select version, coalesce(name, '') from supabase_migrations.schema_migrations order by version",
    )
    .fetch_all(connection)
    .await?)
}

/// The text on record of every version: its statements, joined. Other tools may have recorded none.
pub(super) async fn recorded_texts(
    connection: &mut PgConnection,
) -> Result<Vec<(String, Option<String>)>, DbError> {
    Ok(sqlx::query_as(
        "select version, array_to_string(statements, E';\\n')
         from supabase_migrations.schema_migrations order by version",
    )
    .fetch_all(connection)
    .await?)
}

/// Records a version that was applied just now. The Supabase CLI waits for no lock of ours: if it was faster, this
/// fails, and with it our second run of the same migration.
pub(super) async fn insert(connection: &mut PgConnection, migration: &Migration) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)",
    )
    .bind(&migration.version)
    .bind(&migration.name)
    .bind(vec![migration.up.trim()])
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn remove(connection: &mut PgConnection, version: &str) -> Result<(), DbError> {
    sqlx::query("delete from supabase_migrations.schema_migrations where version = $1")
        .bind(version)
        .execute(connection)
        .await?;
    Ok(())
}

/// What is known here and what is on record there, together.
pub(super) fn compare(source: &Source, recorded: &[(String, String)]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = source
        .migrations()
        .iter()
        .map(|m| Entry {
            version: m.version.clone(),
            name: m.name.clone(),
            state: if recorded.iter().any(|(version, _)| *version == m.version) {
                State::Applied
            } else {
                State::Pending
            },
        })
        .collect();
    let unknown = recorded
        .iter()
        .filter(|(version, _)| source.find(version).is_none());
    entries.extend(unknown.map(|(version, name)| Entry {
        version: version.clone(),
        name: name.clone(),
        state: State::Unknown,
    }));
    entries.sort_by(|a, b| a.version.cmp(&b.version));
    entries
}

/// Refuses a database whose history is not ours to continue.
pub(super) async fn refuse_foreign(
    connection: &mut PgConnection,
    source: &Source,
    recorded: &[(String, String)],
) -> Result<(), MigrationError> {
    refuse_foreign_schema(connection, source, recorded).await?;
    let unknown = versions(recorded, |v| source.find(v).is_none());
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(MigrationError::UnknownVersions { versions: unknown })
    }
}

/// Refuses a database that holds the guide's schema under the versions that are ours.
pub(super) async fn refuse_foreign_schema(
    connection: &mut PgConnection,
    source: &Source,
    recorded: &[(String, String)],
) -> Result<(), MigrationError> {
    let Some(landmark) = source.landmark else {
        return Ok(());
    };
    if table_exists(connection, landmark).await? {
        return Ok(());
    }
    let guide = versions(recorded, |v| GUIDE_VERSIONS.contains(&v));
    // Ours come with the landmark, in one transaction: without it they are another program's.
    let theirs =
        has_gyms_to_adopt(connection).await? || table_exists(connection, "public.gym_members_v2").await?;
    if guide.is_empty() && !theirs {
        Ok(())
    } else {
        Err(MigrationError::ForeignSchema { versions: guide })
    }
}

fn versions(recorded: &[(String, String)], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    recorded
        .iter()
        .map(|(version, _)| version.clone())
        .filter(|version| wanted(version))
        .collect()
}

/// Gyms that go by another kind of identifier than ours are somebody else's: they cannot be taken over.
async fn has_gyms_to_adopt(connection: &mut PgConnection) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar(
        "select exists (select from information_schema.columns
                         where (table_schema, table_name, column_name, udt_name) = ('public', 'gyms', 'id', 'uuid'))",
    )
    .fetch_one(connection)
    .await?)
}

pub(super) async fn table_exists(connection: &mut PgConnection, table: &str) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar(
        "select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                        where n.nspname || '.' || c.relname = $1)",
    )
    .bind(table)
    .fetch_one(connection)
    .await?)
}

/// Refuses to serve on a schema that is behind this program. A login that may not read the history (an operator's
/// own) is let through: the schema's presence was checked already.
pub(crate) async fn check_current(connection: &mut PgConnection) -> Result<(), DbError> {
    let readable: bool = sqlx::query_scalar(
        "select coalesce(bool_or(has_schema_privilege(n.oid, 'usage')
                                 and has_column_privilege(c.oid, 'version', 'select')), false)
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'supabase_migrations' and c.relname = 'schema_migrations'",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !readable {
        return Ok(());
    }
    let applied: Vec<String> =
        sqlx::query_scalar("select version from supabase_migrations.schema_migrations")
            .fetch_all(connection)
            .await?;
    let known = Source::embedded().migrations();
    let pending = known.iter().filter(|m| !applied.contains(&m.version)).count();
    if pending == 0 {
        return Ok(());
    }
    Err(DbError::Unfit {
        problem: format!(
            "the database's schema is behind this program ({pending} of {} migrations are missing)",
            known.len()
        ),
        hint: "bring it up to date with `jarvis migration up`".into(),
    })
}
