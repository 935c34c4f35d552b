//! Up, down, twice, at the same time, and on databases that are not as they should be.

mod applying;
mod refusing;
mod undoing;

use jarvis_db::migrations::Source;
use jarvis_testkit::Cluster;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::fs;
use std::path::PathBuf;

pub fn ours() -> &'static Source {
    Source::embedded()
}

async fn connect(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.unwrap()
}

pub async fn run(url: &SecretString, sql: impl Into<String>) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

pub async fn ask<T>(url: &SecretString, sql: &'static str) -> T
where
    T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
{
    let mut connection = connect(url).await;
    let answer = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

/// A folder of migrations of a test's own, removed with the value.
pub struct Files(pub PathBuf);

impl Files {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("jarvis-migrations-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(folder.join("down")).unwrap();
        for (name, sql) in files {
            fs::write(folder.join(name), sql).unwrap();
        }
        Self(folder)
    }

    pub fn source(&self) -> Source {
        Source::from_dir(&self.0).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The bootstrap superuser cannot lose its rights, but its name: "postgres" is a plain role on the platform.
pub async fn platform(cluster: &Cluster) -> SecretString {
    const RENAME: &str =
        "alter role postgres rename to platform_admin; create role postgres login createdb createrole
                          replication bypassrls password 'p'; create role jarvis_other";
    let admin = cluster.url();
    run(admin, "create role stepladder superuser login password 's'").await;
    let as_user = |user: &str, password: &str, database: &str| -> SecretString {
        let (_, rest) = admin.expose_secret().split_once('@').unwrap();
        let rest = rest.replace("/postgres?", &format!("/{database}?"));
        format!("postgres://{user}:{password}@{rest}").into()
    };
    let stepladder = as_user("stepladder", "s", "postgres");
    run(&stepladder, RENAME).await;
    project(cluster, "project").await
}

/// Another project of the same platform.
pub async fn project(cluster: &Cluster, name: &str) -> SecretString {
    let as_user = |user: &str, password: &str, database: &str| -> SecretString {
        let (_, rest) = cluster.url().expose_secret().split_once('@').unwrap();
        let rest = rest.replace("/postgres?", &format!("/{database}?"));
        format!("postgres://{user}:{password}@{rest}").into()
    };
    run(
        &as_user("stepladder", "s", "postgres"),
        format!("create database {name} owner postgres"),
    )
    .await;
    run(
        &as_user("stepladder", "s", name),
        include_str!("../../fixtures/supabase_platform.sql"),
    )
    .await;
    as_user("postgres", "p", name)
}
