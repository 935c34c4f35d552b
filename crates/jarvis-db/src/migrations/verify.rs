//! Whether a database is what its history says.

use super::catalogue::{Catalogue, Difference, Object};
use super::error::{MigrationError, repair_commands};
use super::history;
use super::mend;
use super::run::{apply, connect, connect_with};
use super::source::{Migration, Source};
use crate::error::DbError;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::collections::BTreeSet;
use std::str::FromStr;

/// Databases that a verification made and, being killed, did not drop begin so; the time follows.
const SCRATCH: &str = "jarvis_verify_";

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// What is not as the applied migrations made it, each with its mend.
    pub findings: Vec<Finding>,
    /// What stands beside: columns, tables, functions, triggers of somebody else's. Not wrong.
    pub extras: Vec<String>,
    /// How many migrations are on record and known here.
    pub migrations: usize,
    /// How many objects were compared.
    pub objects: usize,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `record_differs`, `record_unknown`, `missing`, `changed` or `unexpected`.
    pub code: &'static str,
    /// What it is about: a version, or an object of the database.
    pub subject: String,
    /// What is wrong.
    pub problem: String,
    /// What mends it: a command, or SQL for the owner of the database.
    pub mend: String,
}

/// Compares the database at `url` with what its applied migrations make of an empty one: a database made for it on the
/// same server and dropped again, or the empty one at `scratch`. The database at `url` is only read.
///
/// # Errors
/// [`MigrationError::NoScratch`] when no database can be made; or when a migration fails there.
pub async fn verify(
    url: &SecretString,
    source: &Source,
    scratch: Option<&SecretString>,
    now: DateTime<Utc>,
) -> Result<Verification, MigrationError> {
    let mut connection = connect(url).await?;
    let recorded = history::recorded(&mut connection).await?;
    history::refuse_foreign_schema(&mut connection, source, &recorded).await?;
    let applied: Vec<&Migration> = recorded.iter().filter_map(|(v, _)| source.find(v)).collect();
    let mut findings = if recorded.is_empty() {
        Vec::new()
    } else {
        record_findings(source, &history::recorded_texts(&mut connection).await?)
    };
    let found = Catalogue::read(&mut connection).await?;
    let places = extension_places(&mut connection, source).await?;
    let theirs = foreign_schemas(&mut connection).await?;
    let expected = match scratch {
        Some(scratch) => on_scratch(scratch, &applied, &places).await?,
        None => on_new_database(&mut connection, url, &applied, &places, now).await?,
    };
    connection.close().await.map_err(DbError::from)?;
    let expected = expected.without(|object| theirs.contains(&object.schema));
    let (wrong, extras) = sort_out(&expected, expected.differences(&found));
    findings.extend(wrong.iter().map(finding));
    Ok(Verification {
        findings,
        extras: extras.iter().map(ToString::to_string).collect(),
        migrations: applied.len(),
        objects: expected.objects().count(),
    })
}

fn record_findings(source: &Source, texts: &[(String, Option<String>)]) -> Vec<Finding> {
    let finding = |version: &String, text: &Option<String>| {
        let versions = [version.clone()];
        let Some(migration) = source.find(version) else {
            let [ours, theirs] = repair_commands(&versions, "reverted");
            return Some(Finding {
                code: "record_unknown",
                subject: version.clone(),
                problem: "on record, but unknown here".into(),
                mend: format!("name the folder that holds it with --dir; or forget it: {ours} ({theirs})"),
            });
        };
        let differs = text
            .as_ref()
            .is_some_and(|text| bare(text) != bare(&migration.up));
        let [ours, _] = repair_commands(&versions, "applied");
        differs.then(|| Finding {
            code: "record_differs",
            subject: format!("{version}_{}", migration.name),
            problem: "the statements on record are not those of the file".into(),
            mend: format!("when nothing else is found, record the file's: {ours}"),
        })
    };
    texts.iter().filter_map(|(v, text)| finding(v, text)).collect()
}

/// A migration's text as far as it must agree: tools cut it into statements in ways of their own, and drop what stands
/// between them.
fn bare(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("--"))
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace() && *c != ';')
        .collect()
}

/// Where the extensions are installed: their types are called by it.
async fn extension_places(
    connection: &mut PgConnection,
    source: &Source,
) -> Result<Vec<(String, String)>, DbError> {
    let names: Vec<&str> = source.extensions.iter().map(|(name, _)| *name).collect();
    Ok(sqlx::query_as(
        "select format('%I', e.extname), format('%I', n.nspname)
         from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
         where e.extname = any($1)",
    )
    .bind(names)
    .fetch_all(connection)
    .await?)
}

/// Schemas that a platform made before us and keeps: there the migrations leave everything as it is.
async fn foreign_schemas(connection: &mut PgConnection) -> Result<BTreeSet<String>, DbError> {
    let schemas: Vec<String> = sqlx::query_scalar(
        "select n.nspname::text from pg_catalog.pg_namespace n
         where (n.nspname = 'auth' and coalesce(obj_description(n.oid, 'pg_namespace'), '') not like 'JARVIS%')
            or (n.nspname = 'extensions' and n.nspowner is distinct from
                (select j.nspowner from pg_catalog.pg_namespace j where j.nspname = 'jarvis'))",
    )
    .fetch_all(connection)
    .await?;
    Ok(schemas.into_iter().collect())
}

/// Makes a database beside the one that is verified, and drops it whatever happens.
async fn on_new_database(
    connection: &mut PgConnection,
    url: &SecretString,
    applied: &[&Migration],
    places: &[(String, String)],
    now: DateTime<Utc>,
) -> Result<Catalogue, MigrationError> {
    drop_leftovers(connection, now).await?;
    let name = format!("{SCRATCH}{}", jarvis_core::ids::uuid_v7(now).simple());
    let like_this: String = sqlx::query_scalar(
        "select format('create database %I template template0 encoding %L lc_collate %L lc_ctype %L', $1::text,
                       pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype)
         from pg_catalog.pg_database where datname = current_database()",
    )
    .bind(&name)
    .fetch_one(&mut *connection)
    .await
    .map_err(DbError::from)?;
    sqlx::query(AssertSqlSafe(like_this))
        .execute(&mut *connection)
        .await
        .map_err(|error| MigrationError::NoScratch(error.into()))?;
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(DbError::from)?
        .database(&name);
    let built = match connect_with(options).await {
        Ok(mut scratch) => {
            let built = build(&mut scratch, applied, places).await;
            let closed = scratch.close().await.map_err(DbError::from);
            built.and_then(|built| closed.map(|()| built).map_err(Into::into))
        }
        Err(error) => Err(error.into()),
    };
    sqlx::query(AssertSqlSafe(format!("drop database {name} with (force)")))
        .execute(connection)
        .await
        .map_err(DbError::from)?;
    built
}

/// What a verification left that was killed. An hour is more than one takes.
async fn drop_leftovers(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<(), DbError> {
    // A UUID of version 7 begins with its milliseconds.
    let hour_ago = format!("{:012x}", (now - TimeDelta::hours(1)).timestamp_millis());
    let names: Vec<String> = sqlx::query_scalar(
        "select datname::text from pg_catalog.pg_database
         where datname ~ ('^' || $1 || '[0-9a-f]{32}$') and datname < $1 || $2 and pg_has_role(datdba, 'usage')",
    )
    .bind(SCRATCH)
    .bind(hour_ago)
    .fetch_all(&mut *connection)
    .await?;
    for name in names {
        sqlx::query(AssertSqlSafe(format!("drop database if exists {name}")))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Builds in the empty database at `url`, in a transaction that is rolled back.
async fn on_scratch(
    url: &SecretString,
    applied: &[&Migration],
    places: &[(String, String)],
) -> Result<Catalogue, MigrationError> {
    let mut connection = connect(url).await?;
    let used: bool = sqlx::query_scalar(
        "select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                        where n.nspname in ('public', 'jarvis', 'supabase_migrations') and c.relkind in ('r', 'p', 'v')
                          and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype = 'e'))",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(DbError::from)?;
    if used {
        return Err(MigrationError::BadSource(
            "the database of --scratch-url is not empty: name one that holds nothing".into(),
        ));
    }
    let mut tx = connection.begin().await.map_err(DbError::from)?;
    let built = build(&mut tx, applied, places).await?;
    tx.rollback().await.map_err(DbError::from)?;
    connection.close().await.map_err(DbError::from)?;
    Ok(built)
}

async fn build(
    connection: &mut PgConnection,
    applied: &[&Migration],
    places: &[(String, String)],
) -> Result<Catalogue, MigrationError> {
    for (extension, schema) in places {
        let sql = format!(
            "create schema if not exists {schema}; create extension if not exists {extension} schema {schema}"
        );
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
            .map_err(|error| MigrationError::NoScratch(error.into()))?;
    }
    history::ensure(connection).await?;
    for migration in applied {
        apply(connection, migration).await?;
    }
    Ok(Catalogue::read(connection).await?)
}

/// What is wrong, and what is only there besides.
fn sort_out(expected: &Catalogue, differences: Vec<Difference>) -> (Vec<Difference>, Vec<Object>) {
    let relations: BTreeSet<&str> = expected
        .objects()
        .filter(|(object, _)| object.kind == "row level security")
        .map(|(object, _)| object.name.as_str())
        .collect();
    let columns: BTreeSet<&str> = expected
        .objects()
        .filter(|(object, _)| object.kind == "column")
        .map(|(object, _)| object.name.as_str())
        .collect();
    let schemas: BTreeSet<&str> = expected.objects().map(|(o, _)| o.schema.as_str()).collect();
    let mut extras = Vec::new();
    let wrong = differences.into_iter().filter(|difference| {
        let object = &difference.object;
        if difference.expected.is_some() {
            return true;
        }
        let ours = object.relation.as_deref().is_some_and(|r| relations.contains(r));
        let opens = match object.kind.as_str() {
            "policy" | "rule" => ours,
            "rights on column" => ours && columns.contains(object.name.as_str()),
            _ => false,
        };
        if !opens && schemas.contains(object.schema.as_str()) && object.kind != "comment" {
            extras.push(object.clone());
        }
        opens
    });
    let wrong = wrong.collect();
    (wrong, extras)
}

fn finding(difference: &Difference) -> Finding {
    Finding {
        code: match (&difference.expected, &difference.found) {
            (Some(_), None) => "missing",
            (Some(_), Some(_)) => "changed",
            (None, _) => "unexpected",
        },
        subject: difference.object.to_string(),
        problem: difference.to_string(),
        mend: mend::sql(difference),
    }
}
