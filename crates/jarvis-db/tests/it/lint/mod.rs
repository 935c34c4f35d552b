//! `jarvis db lint`: every rule finds the hole it is for, and nothing in a database without one.

mod guide;
mod pages;
mod probing;
mod rules;

use jarvis_db::lint::{self, Finding, Report, Settings};
use jarvis_testkit::TestDb;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

const CLEAN: &str = include_str!("../../fixtures/lint_clean.sql");

fn settings() -> Settings {
    Settings::new(Uuid::from_u128(0xdead))
}

async fn run(db: &TestDb, sql: impl Into<String>) {
    let sql = sql.into();
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql.clone()))
        .execute(db.admin_pool())
        .await
    {
        panic!("{error}\nin: {sql}");
    }
}

async fn clean() -> TestDb {
    let db = TestDb::empty().await;
    run(&db, CLEAN).await;
    db
}

async fn lint_as(url: &SecretString, settings: &Settings) -> Report {
    let mut connection = PgConnection::connect(url.expose_secret()).await.unwrap();
    let report = lint::run(&mut connection, settings).await.unwrap();
    connection.close().await.unwrap();
    report
}

async fn lint_of(db: &TestDb) -> Report {
    lint_as(db.url(), &settings()).await
}

fn codes(findings: &[Finding]) -> BTreeSet<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
    {
        panic!("{error}\nin: {sql}");
    }
}
