//! What the predecessor left: every cell of it is found again, or the reconciliation says where it is.

mod again;
mod cells;
mod consents;
mod leaving;

use jarvis_core::Purpose;
use jarvis_db::migrations::legacy::{self, Report, Statements};
use jarvis_testkit::TestDb;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::BTreeMap;

const FIXTURE: &str = include_str!("../../fixtures/legacy.sql");

const GYMS: &str = "insert into public.gyms (id, name, slug) values
    ('aaaaaaaa-0000-4000-8000-00000000000a', 'Salle A', 'salle-a'),
    ('bbbbbbbb-0000-4000-8000-00000000000b', 'Salle B', 'salle-b')";

const LEGACY: [&str; 3] = [
    "gym_members",
    "jarvis_conversation_logs",
    "openai_realtime_audio_events",
];

/// Columns that are left behind by decision; sound is never kept.
const DROPPED: [&str; 4] = [
    "profile_completeness_percent",
    "last_profile_update",
    "jarvis_personalization_score",
    "audio_data",
];

async fn run(pool: &PgPool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await
        .unwrap();
}

async fn lines(pool: &PgPool, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_all(pool)
        .await
        .unwrap()
}

async fn count(pool: &PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(pool)
        .await
        .unwrap()
}

/// A migrated database with two gyms and what the predecessor left, not imported yet.
async fn with_legacy() -> TestDb {
    let db = TestDb::new().await;
    run(db.admin_pool(), GYMS).await;
    run(db.admin_pool(), FIXTURE).await;
    db
}

fn stating(consents: &[Purpose]) -> Statements {
    Statements {
        consents: consents.to_vec(),
        gyms: Vec::new(),
    }
}

async fn import(db: &TestDb, consents: &[Purpose]) -> Report {
    legacy::import(db.url(), &stating(consents), true).await.unwrap()
}

/// What a cell says: its texts and numbers, one by one.
fn leaves(cell: &Value, found: &mut Vec<String>) {
    match cell {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => found.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| leaves(field, found)),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner) if inner.is_array() || inner.is_object() || inner.is_string() => leaves(&inner, found),
            _ if text.starts_with("{\"") => {
                found.extend(text.split(['{', '}', '"', ',']).map(str::to_owned));
            }
            _ => found.push(text.trim().to_owned()),
        },
    }
}

/// What every row of every table but the predecessor's says, by the member and the source row it belongs to.
async fn haystack(pool: &PgPool) -> BTreeMap<String, Vec<String>> {
    let tables = lines(
        pool,
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'p') and n.nspname in ('public', 'jarvis')
            and c.relname not in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events', 'data_map')",
    )
    .await;
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for table in tables {
        for text in lines(pool, &format!("select to_jsonb(t)::text from {table} t")).await {
            let row: Value = serde_json::from_str(&text).unwrap();
            let text_of = |key: &str| row[key].as_str().map(str::to_owned);
            let source = text_of("source_table")
                .zip(text_of("source_id"))
                .map(|(t, id)| format!("legacy:{t}:{id}"));
            let mut said = Vec::new();
            leaves(&row, &mut said);
            for key in [
                text_of("id"),
                text_of("member_id"),
                text_of("provider_event_id"),
                source,
            ]
            .into_iter()
            .flatten()
            {
                rows.entry(key).or_default().extend(said.iter().cloned());
            }
        }
    }
    rows
}

fn same_number(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() < 1e-9,
        _ => false,
    }
}

/// The cells of `table` that are nowhere. A member's must be in rows of that member, a log's anywhere.
async fn lost_cells(pool: &PgPool, table: &str) -> Vec<String> {
    let haystack = haystack(pool).await;
    let gyms = lines(pool, "select legacy_gym_id from jarvis.legacy_gyms").await;
    let sources: Vec<(String, Value, Value)> = sqlx::query_as(AssertSqlSafe(format!(
        "select t.id::text, to_jsonb(t), coalesce(to_jsonb(r), '{{}}') from public.{table} t
           left join jarvis.legacy_rows r on r.source_table = '{table}' and r.source_id = t.id::text"
    )))
    .fetch_all(pool)
    .await
    .unwrap();
    let mut lost = Vec::new();
    for (id, row, account) in sources {
        if account["outcome"] == "refused" {
            continue;
        }
        let mut there = haystack
            .get(&format!("legacy:{table}:{id}"))
            .cloned()
            .unwrap_or_default();
        if table == "gym_members" {
            there.extend(haystack.get(&id).cloned().unwrap_or_default());
            there.extend(gyms.iter().cloned());
        }
        for (column, cell) in row.as_object().unwrap() {
            if DROPPED.contains(&column.as_str()) {
                assert!(
                    cell.is_null() || account["cells"][column]["o"] == "dropped",
                    "{id} {column}"
                );
                continue;
            }
            let mut wanted = Vec::new();
            leaves(cell, &mut wanted);
            for leaf in wanted.iter().filter(|leaf| !leaf.is_empty()) {
                let right = known_repair(leaf);
                let found = there
                    .iter()
                    .any(|t| t.contains(leaf.as_str()) || t.contains(&right) || same_number(t, leaf));
                // The same thing in the words of the new column.
                let mapped = matches!(
                    (column.as_str(), leaf.as_str()),
                    ("gender", "Femme") | ("speaker", "user" | "jarvis") | ("event_type", "error")
                );
                if !found && !mapped {
                    lost.push(format!("{table} {id} {column}: {leaf}"));
                }
            }
        }
    }
    lost
}

/// What the broken texts of the fixture should have been.
fn known_repair(text: &str) -> String {
    let pairs = [("CafÃƒÂ©", "Café"), ("Ã©", "é"), ("Ã¨", "è"), ("â€™", "’")];
    pairs.iter().fold(text.to_owned(), |text, (broken, right)| {
        text.replace(broken, right)
    })
}

/// Filled cells by column, counted without the import's help.
async fn filled(pool: &PgPool, table: &str) -> BTreeMap<String, i64> {
    let counts: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(format!(
        "select c.key, count(*) from public.{table} t cross join lateral jsonb_each(to_jsonb(t)) as c
          where c.value not in ('null', '[]', '{{}}') and btrim(c.value #>> '{{}}') <> ''
            and not exists (select from jarvis.legacy_rows r
                             where r.source_table = '{table}' and r.source_id = t.id::text and r.outcome = 'refused')
          group by c.key"
    )))
    .fetch_all(pool)
    .await
    .unwrap();
    counts.into_iter().collect()
}

async fn check_sums(db: &TestDb, report: &Report) {
    for table in LEGACY {
        let rows = count(db.admin_pool(), &format!("select count(*) from public.{table}")).await;
        let whole = report
            .reconciliation
            .iter()
            .find(|l| l.table == table && l.column == "*")
            .unwrap();
        assert_eq!(whole.found, rows, "{table}");
        let mut by_column = filled(db.admin_pool(), table).await;
        for line in report.reconciliation.iter().filter(|l| l.table == table) {
            let sum = line.imported + line.held + line.dropped + line.refused + line.erased;
            assert_eq!(line.found, sum, "{line:?}");
            if line.column != "*" {
                assert_eq!(by_column.remove(&line.column), Some(line.found), "{line:?}");
            }
        }
        assert_eq!(
            by_column,
            BTreeMap::new(),
            "columns of {table} that nobody accounts for"
        );
    }
}

/// The member of the fixture with this number.
fn member(n: u32) -> String {
    format!("00000000-0000-4000-8000-0000000000{n:02}")
}

async fn consent(db: &TestDb, n: u32, purpose: &str, granted: bool, by_guardian: bool) {
    run(
        db.admin_pool(),
        format!(
            "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, by_guardian, source)
             select gym_id, id, '{purpose}', {granted}, {by_guardian}, 'kiosk' from public.gym_members_v2 where id = '{}'",
            member(n)
        ),
    )
    .await;
}

async fn facts(db: &TestDb, n: u32) -> Vec<String> {
    let id = member(n);
    lines(
        db.admin_pool(),
        &format!(
            "select category || ' ' || fact_key from public.member_facts where member_id = '{id}' order by 1"
        ),
    )
    .await
}

async fn words(db: &TestDb, n: u32) -> i64 {
    let id = member(n);
    count(
        db.admin_pool(),
        &format!("select count(transcript) from public.conversation_events where member_id = '{id}'"),
    )
    .await
}

/// Everything but times of writing, to see whether a second run changes anything.
async fn content(db: &TestDb) -> Vec<String> {
    let tables = lines(
        db.admin_pool(),
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'p') and n.nspname in ('public', 'jarvis') order by 1",
    )
    .await;
    let mut all = Vec::new();
    for table in tables {
        let sum = format!(
            "select '{table} ' || count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t"
        );
        all.extend(lines(db.admin_pool(), &sum).await);
    }
    all
}
