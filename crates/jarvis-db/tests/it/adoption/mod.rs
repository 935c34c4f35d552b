//! Taking over a database that others built from the guide.

mod deciding;
mod rows;
mod schema;

use jarvis_core::Purpose;
use jarvis_db::migrations::adopt::{Adopted, AdoptionSettings, Verdict, adopt};
use jarvis_db::migrations::{MigrationError, Source};
use jarvis_testkit::TestDb;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::path::Path;

const IDENTITIES: &str = include_str!("../../fixtures/guide_identities.sql");

const PREDECESSOR: &str = include_str!("../../fixtures/guide_predecessor.sql");

const REST: &str = include_str!("../../fixtures/guide_rest.sql");

const ROWS: &str = include_str!("../../fixtures/guide_rows.sql");

const EXTRAS: &str = include_str!("../../fixtures/guide_extras.sql");

async fn connect(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.unwrap()
}

async fn run(url: &SecretString, sql: impl Into<String>) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn lines(url: &SecretString, sql: &str) -> Vec<String> {
    let mut connection = connect(url).await;
    let lines = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    lines
}

async fn count(url: &SecretString, sql: &str) -> i64 {
    let mut connection = connect(url).await;
    let count = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {sql}")))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    count
}

/// The statements that the guide writes out, from the guide itself where it lies beside the repository. The body of
/// its search function is left out there, so the fixture has one.
fn given() -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/source/jarvis-database-guide.md");
    let Ok(text) = std::fs::read_to_string(guide) else {
        println!("the guide is not at hand: its three tables are taken from the fixture");
        return include_str!("../../fixtures/guide_given.sql").to_owned();
    };
    let blocks: Vec<&str> = text
        .split("```sql\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .map(|block| block.split("-- Fonction RAG search").next().unwrap())
        .collect();
    assert_eq!(blocks.len(), 4, "three tables and a policy");
    format!("set search_path = public, extensions;\n{}", blocks.join("\n"))
}

/// The guide's database with its rows, as an operator has it; `PostgreSQL` alone, or what a platform brought.
async fn build_guide(url: &SecretString) {
    let given = given();
    let given = if given.starts_with("set ") {
        given
    } else {
        format!("set search_path = public, extensions;\n{given}")
    };
    for part in [PREDECESSOR, given.as_str(), REST, ROWS, EXTRAS] {
        run(url, part).await;
    }
}

pub async fn guide() -> TestDb {
    let test = TestDb::empty().await;
    run(test.url(), IDENTITIES).await;
    build_guide(test.url()).await;
    test
}

async fn try_adopting(
    url: &SecretString,
    settings: &AdoptionSettings,
    for_good: bool,
) -> Result<Adopted, MigrationError> {
    adopt(url, Source::embedded(), settings, for_good, &|_| {}).await
}

pub async fn adopted(url: &SecretString, settings: &AdoptionSettings) -> Adopted {
    let adopted = try_adopting(url, settings, true).await.unwrap();
    assert_eq!(adopted.verdict, Verdict::Adopted, "{:#?}", adopted.findings);
    adopted
}

fn stating(consents: &[Purpose]) -> AdoptionSettings {
    AdoptionSettings {
        consents: consents.to_vec(),
        ..AdoptionSettings::default()
    }
}
