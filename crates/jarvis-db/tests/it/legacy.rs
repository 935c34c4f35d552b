//! What the predecessor left: every cell of it is found again, or the reconciliation says where it is.

use crate::migrations::{Files, platform};
use jarvis_core::Purpose;
use jarvis_db::migrations::legacy::{self, Report, Statements};
use jarvis_db::migrations::{self, MigrationError, Source};
use jarvis_db::queries::erasure;
use jarvis_testkit::{Cluster, TestDb};
use secrecy::SecretString;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::BTreeMap;

const FIXTURE: &str = include_str!("../fixtures/legacy.sql");
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

#[tokio::test]
async fn every_cell_of_the_predecessor_is_found_again_or_named_with_and_without_consents() {
    for consents in [&[][..], &[Purpose::Memory, Purpose::HealthMemory][..]] {
        let db = with_legacy().await;
        assert!(
            count(
                db.admin_pool(),
                "select count(*) from information_schema.columns where table_name = 'gym_members'"
            )
            .await
                == 57
        );
        let report = import(&db, consents).await;
        for table in LEGACY {
            assert_eq!(
                lost_cells(db.admin_pool(), table).await,
                Vec::<String>::new(),
                "{consents:?}"
            );
        }
        check_sums(&db, &report).await;
        let broken = "select count(*) from public.member_facts where fact_value::text ~ 'Ã©|â€|Ãƒ|Ã¨'";
        assert_eq!(count(db.admin_pool(), broken).await, 0);
        let broken =
            "select count(*) from public.gym_members_v2 m where to_jsonb(m)::text ~ 'Ã©|â€|Ãƒ|Ã¨|\\uFFFD'";
        assert_eq!(count(db.admin_pool(), broken).await, 0);
        let broken =
            "select count(*) from public.conversation_events m where to_jsonb(m)::text ~ 'Ã©|â€|Ãƒ|Ã¨'";
        assert_eq!(count(db.admin_pool(), broken).await, 0);
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

#[tokio::test]
async fn columns_land_where_the_mapping_says() {
    let db = with_legacy().await;
    import(&db, &[]).await;
    let wrong = lines(
        db.admin_pool(),
        "select g.id::text from public.gym_members g join public.gym_members_v2 m on m.id = g.id
           left join public.member_fitness_profile p on p.member_id = g.id
           left join public.member_preferences f on f.member_id = g.id
          where substr(g.id::text, 35)::integer not in (2, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16, 20, 25, 30, 35, 41)
            and ((m.gym_id, m.badge_id, m.first_name, m.last_name, m.email, m.phone, m.date_of_birth, m.gender, m.profile_photo_url,
                  m.membership_type, m.member_since, m.membership_expires, m.is_active, m.created_at, m.updated_at, m.last_visit,
                  m.total_visits, m.can_use_jarvis, p.height_cm, p.current_weight_kg, p.target_weight_kg, p.body_fat_percentage,
                  p.fitness_level, p.workout_frequency_per_week, p.preferred_workout_duration, p.primary_goals,
                  f.language, f.voice_preference)
                 is distinct from
                 (g.gym_id, g.badge_id, g.first_name, g.last_name, g.email, g.phone, g.date_of_birth, g.gender, g.profile_photo_url,
                  g.membership_type, g.member_since, g.membership_expires, g.is_active, g.created_at, g.updated_at, g.last_visit,
                  g.total_visits, g.can_use_jarvis, g.height_cm, g.current_weight_kg, g.target_weight_kg, g.body_fat_percentage,
                  g.fitness_level, g.workout_frequency_per_week, g.preferred_workout_duration,
                  array(select jsonb_array_elements_text(g.fitness_goals)),
                  g.member_preferences ->> 'language', g.member_preferences ->> 'voice')
                 or p.preferred_workout_times <> '{\"morning\": true, \"afternoon\": false, \"evening\": true}'
                 or f.communication_style <> case g.communication_style when 'formal' then 'direct' when 'motivational' then 'encouraging'
                      when 'humorous' then 'energetic' else 'friendly' end
                 or f.feedback_style <> case g.preferred_feedback_style when 'direct' then 'challenging'
                      when 'encouraging' then 'motivating' when 'detailed' then 'technical' else 'gentle' end
                 or p.preferred_workout_style is not null
                 or m.member_notes <> g.member_notes || E'\\nContact d''urgence : nom : ' || (g.emergency_contact ->> 'nom')
                                      || ', tel : ' || (g.emergency_contact ->> 'tel'))",
    )
    .await;
    assert_eq!(wrong, Vec::<String>::new());
    let visits = "select count(*) from public.member_visits where source <> 'opening_balance'";
    assert_eq!(count(db.admin_pool(), visits).await, 0);
    let history =
        "select count(*) from jarvis.member_analytics_history where source = 'legacy' and day < current_date
                      and data ? 'peak_visit_hours'";
    assert_eq!(count(db.admin_pool(), history).await, 39);
    let badges = lines(
        db.admin_pool(),
        "select badge_id from public.gym_members_v2 where lower(btrim(badge_id)) like 'badge_02%' order by 1",
    )
    .await;
    assert_eq!(badges.len(), 2, "{badges:?}");
    assert!(badges.iter().any(|badge| badge.ends_with("#2")), "{badges:?}");
}

#[tokio::test]
async fn without_a_consent_nothing_a_member_told_is_kept_where_the_assistant_reads_it() {
    let db = with_legacy().await;
    import(&db, &[]).await;
    assert_eq!(
        count(db.admin_pool(), "select count(*) from public.member_facts").await,
        0
    );
    let told = "select count(*) from public.conversation_events where coalesce(transcript, tool_args::text, tool_result::text) is not null";
    assert_eq!(count(db.admin_pool(), told).await, 0);
    let waiting = "select count(*) from public.conversation_sessions where state <> 'empty'";
    assert_eq!(count(db.admin_pool(), waiting).await, 0);
    assert_eq!(
        count(db.admin_pool(), "select count(*) from public.conversation_events").await,
        769
    );
}

#[tokio::test]
async fn a_consent_recorded_later_releases_what_it_allows_and_no_more() {
    let db = with_legacy().await;
    import(&db, &[]).await;
    consent(&db, 2, "health_memory", true, false).await;
    assert_eq!(
        facts(&db, 2).await,
        Vec::<String>::new(),
        "health alone is not enough"
    );
    consent(&db, 1, "memory", true, false).await;
    let found = facts(&db, 1).await;
    assert!(
        found.iter().any(|f| f.starts_with("goal legacy_current_goals_")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|f| f.starts_with("preference legacy_workout_style_")),
        "{found:?}"
    );
    assert!(
        !found
            .iter()
            .any(|f| f.starts_with("concern") || f.starts_with("injury")),
        "{found:?}"
    );
    assert_eq!(
        words(&db, 1).await,
        0,
        "which words are about health nobody can tell"
    );

    consent(&db, 1, "health_memory", true, false).await;
    let found = facts(&db, 1).await;
    assert_eq!(
        found.iter().filter(|f| f.starts_with("concern")).count(),
        4,
        "{found:?}"
    );
    assert!(words(&db, 1).await > 0);
    let processed = format!(
        "select count(*) from public.conversation_sessions where member_id = '{}' and state = 'closing'",
        member(1)
    );
    assert!(
        count(db.admin_pool(), &processed).await > 0,
        "the conversations go through the memory"
    );
    let left = format!(
        "select count(*) from jarvis.legacy_held where member_id = '{}' and needs <> '{{}}'",
        member(1)
    );
    assert_eq!(count(db.admin_pool(), &left).await, 0);
    let report = legacy::status(db.url()).await.unwrap();
    check_sums(&db, &report).await;
    let allergies = report
        .reconciliation
        .iter()
        .find(|l| l.column == "allergies")
        .unwrap();
    assert_eq!((allergies.imported, allergies.held), (1, 33));
    assert_eq!(
        facts(&db, 3).await,
        Vec::<String>::new(),
        "another member's consent is theirs"
    );
}

#[tokio::test]
async fn a_stated_consent_never_overrides_an_answer_and_not_for_children() {
    let db = with_legacy().await;
    import(&db, &[]).await;
    consent(&db, 3, "memory", false, false).await;
    consent(&db, 7, "memory", true, false).await;
    consent(&db, 7, "memory", false, false).await;
    let report = import(&db, &[Purpose::Memory, Purpose::HealthMemory]).await;
    for n in [3, 7] {
        assert!(
            !facts(&db, n).await.iter().any(|f| f.contains("workout_times")) || n == 7,
            "{n}"
        );
        let given = format!(
            "select count(*) from public.gym_members_v2 m where m.id = '{}' and jarvis.consent_given(m.gym_id, m.id, 'memory')",
            member(n)
        );
        assert_eq!(count(db.admin_pool(), &given).await, 0, "{n} said no");
    }
    assert!(!facts(&db, 2).await.is_empty());
    // Under fifteen, and a date of birth that nobody can read: a guardian, or the member, says it here.
    for n in [14, 6] {
        assert_eq!(facts(&db, n).await, Vec::<String>::new(), "{n}");
    }
    consent(&db, 14, "memory", true, false).await;
    assert_eq!(facts(&db, 14).await, Vec::<String>::new());
    consent(&db, 14, "memory", true, true).await;
    assert!(!facts(&db, 14).await.is_empty());
    let sources = lines(
        db.admin_pool(),
        "select distinct source || ' ' || statement_version || ' ' || actor from jarvis.consent_ledger where source = 'import'",
    )
    .await;
    assert_eq!(sources, ["import imported operator"]);
    assert!(report.consents_stated > 60, "{}", report.consents_stated);
}

#[tokio::test]
async fn a_second_import_changes_nothing_and_a_plan_changes_nothing_at_all() {
    let db = with_legacy().await;
    let before = content(&db).await;
    let plan = legacy::import(db.url(), &stating(&[Purpose::Memory]), false)
        .await
        .unwrap();
    assert_eq!(content(&db).await, before);
    let done = import(&db, &[Purpose::Memory]).await;
    assert_eq!(
        plan.reconciliation, done.reconciliation,
        "what was planned is what was done"
    );
    // Refused rows and rows of unknown members are tried each time; all else stays byte for byte.
    let but = |lines: Vec<String>| {
        lines
            .into_iter()
            .filter(|l| !l.starts_with("jarvis.legacy_"))
            .collect::<Vec<_>>()
    };
    let before = but(content(&db).await);
    let again = import(&db, &[Purpose::Memory]).await;
    assert_eq!(but(content(&db).await), before);
    assert_eq!(again.reconciliation, done.reconciliation);
}

#[tokio::test]
async fn a_changed_row_is_imported_again_and_what_a_person_changed_here_stays() {
    let db = with_legacy().await;
    let pool = db.admin_pool();
    import(&db, &[Purpose::Memory]).await;
    run(
        pool,
        format!(
            "update public.gym_members_v2 set email = 'corrige@exemple.fr' where id = '{}'",
            member(2)
        ),
    )
    .await;
    run(pool, format!("insert into public.member_visits (gym_id, member_id) select gym_id, id from public.gym_members_v2 where id = '{}'", member(2))).await;
    run(
        pool,
        format!(
            "update public.gym_members set email = 'ancien@exemple.fr', phone = '01 02 03 04 05', total_visits = total_visits + 5,
                    social_preference = 'm02 seul désormais' where id = '{}'",
            member(2)
        ),
    )
    .await;
    run(
        pool,
        "update public.jarvis_conversation_logs set message_text = 'l5 corrigé' where id = 5",
    )
    .await;
    let status = legacy::status(db.url()).await.unwrap();
    assert_eq!(
        status.tables.iter().map(|t| t.changed).collect::<Vec<_>>(),
        [1, 1, 0]
    );
    let report = import(&db, &[]).await;
    check_sums(&db, &report).await;
    let row = format!(
        "select email || ' ' || phone || ' ' || total_visits from public.gym_members_v2 where id = '{}'",
        member(2)
    );
    assert_eq!(lines(pool, &row).await, ["corrige@exemple.fr 01 02 03 04 05 108"]);
    let aside = "select content #>> '{}' from jarvis.legacy_held where reason = 'superseded' and source_column = 'email'";
    assert_eq!(lines(pool, aside).await, ["ancien@exemple.fr"]);
    let again = "select count(*) from public.conversation_events where provider_event_id = 'legacy:jarvis_conversation_logs:5'";
    assert_eq!(count(pool, again).await, 1);
    assert!(
        facts(&db, 2)
            .await
            .iter()
            .filter(|f| f.contains("social_preference"))
            .count()
            == 2
    );
    assert!(report.tables.iter().all(|t| t.changed == 0));
    for table in LEGACY {
        assert_eq!(lost_cells(pool, table).await, Vec::<String>::new());
    }
}

async fn refusal(db: &TestDb, tables: &[&str]) -> String {
    let tables: Vec<String> = tables.iter().map(|t| (*t).to_owned()).collect();
    match legacy::cleanup(db.url(), &tables).await.unwrap_err() {
        MigrationError::Refused { problem, hint } => format!("{problem} ({hint})"),
        other => panic!("{other}"),
    }
}

async fn what_others_built_on_a_table_keeps_it(db: &TestDb) {
    let pool = db.admin_pool();
    run(
        pool,
        "create table public.lockers (id int, member_id uuid references public.gym_members (id));
         create view public.old_members as select id from public.gym_members",
    )
    .await;
    let said = refusal(db, &LEGACY).await;
    assert!(
        said.contains("foreign key lockers_member_id_fkey of public.lockers, view public.old_members")
            || said.contains("foreign key lockers_member_id_fkey of lockers, view old_members"),
        "{said}"
    );
    assert_eq!(count(pool, "select count(*) from public.gym_members").await, 42);
    run(pool, "drop view public.old_members; drop table public.lockers").await;
}

#[tokio::test]
async fn cleanup_refuses_while_a_row_is_unaccounted_for_and_names_what_stands_in_the_way() {
    let db = with_legacy().await;
    let pool = db.admin_pool();
    assert!(
        refusal(&db, &["gym_members"])
            .await
            .contains("42 of 42 rows (42 never imported")
    );
    import(&db, &[]).await;
    assert!(
        refusal(&db, &["gym_members"])
            .await
            .contains("gym_members: 2 of 42 rows (0 never imported, 0 changed since, 2 refused)")
    );
    assert!(
        refusal(&db, &["gym_members_v2"])
            .await
            .contains("gym_members_v2 is none of")
    );
    assert!(refusal(&db, &[]).await.contains("--confirm"));
    run(
        pool,
        "insert into public.jarvis_conversation_logs (id, message_text) values (1001, 'trop tard')",
    )
    .await;
    assert!(
        refusal(&db, &LEGACY[1..])
            .await
            .contains("jarvis_conversation_logs: 1 of 501")
    );
    run(
        pool,
        "update public.openai_realtime_audio_events set transcript = 'x' where id = md5('audio1')::uuid",
    )
    .await;
    assert!(refusal(&db, &LEGACY[2..]).await.contains("1 changed since"));

    // The ways out: a gym for the one, a mended name for the other; then the import again.
    run(
        pool,
        "update public.gym_members set last_name = 'm10 Legrand' where last_name like 'm10%'",
    )
    .await;
    let mut statements = stating(&[]);
    statements.gyms = vec![(
        "cccccccc-0000-4000-8000-00000000000c".to_owned(),
        "nulle-part".to_owned(),
    )];
    let error = legacy::import(db.url(), &statements, true).await.unwrap_err();
    assert!(
        error.to_string().contains("nulle-part") && error.hint().unwrap().contains("gym list"),
        "{error}"
    );
    statements.gyms[0].1 = "salle-b".to_owned();
    let report = legacy::import(db.url(), &statements, true).await.unwrap();
    assert!(report.is_complete(), "{:?}", report.tables);
    check_sums(&db, &report).await;
    for table in LEGACY {
        assert_eq!(lost_cells(pool, table).await, Vec::<String>::new());
    }

    what_others_built_on_a_table_keeps_it(&db).await;

    let all: Vec<String> = LEGACY.map(str::to_owned).to_vec();
    assert_eq!(legacy::cleanup(db.url(), &all).await.unwrap(), all);
    assert_eq!(count(pool, "select count(*) from pg_class where relname = any (array['gym_members', 'jarvis_conversation_logs'])").await, 0);
    // What waits for a consent outlives the tables.
    consent(&db, 1, "memory", true, false).await;
    assert!(!facts(&db, 1).await.is_empty());
    let after = legacy::status(db.url()).await.unwrap();
    assert!(after.tables.is_empty() && !after.reconciliation.is_empty());
    import(&db, &[Purpose::Memory]).await;
    assert!(
        !facts(&db, 2).await.is_empty(),
        "a statement works after the cleanup too"
    );
}

#[tokio::test]
async fn an_erased_member_does_not_come_back() {
    let db = with_legacy().await;
    let pool = db.admin_pool();
    import(&db, &[Purpose::Memory, Purpose::HealthMemory]).await;
    run(
        pool,
        format!("delete from public.gym_members_v2 where id = '{}'", member(1)),
    )
    .await;
    run(
        pool,
        format!(
            "update public.gym_members set phone = '01 02 03 04 05' where id = '{}'",
            member(1)
        ),
    )
    .await;
    run(
        pool,
        "update public.jarvis_conversation_logs set message_text = 'l40 changé' where id = 40",
    )
    .await;
    let report = import(&db, &[Purpose::Memory]).await;
    let name = "select count(*) from public.gym_members_v2 where first_name like 'm01%'";
    assert_eq!(count(pool, name).await, 0);
    let traces = format!(
        "select count(*) from jarvis.legacy_held where content::text like '%m01%' or content::text like '%l40 %' or member_id = '{}'",
        member(1)
    );
    assert_eq!(count(pool, &traces).await, 0);
    let rows = report
        .reconciliation
        .iter()
        .find(|l| l.table == "gym_members" && l.column == "*")
        .unwrap();
    assert_eq!((rows.erased, rows.found), (1, 42));
    assert_eq!(
        report.tables[0].waiting + report.tables[0].changed,
        0,
        "{:?}",
        report.tables[0]
    );
}

#[tokio::test]
async fn erasing_a_member_takes_their_rows_in_the_predecessors_tables_along_or_says_which_stand_in_the_way() {
    let db = TestDb::new().await;
    let pool = db.admin_pool();
    run(pool, GYMS).await;
    run(
        pool,
        "create table public.gym_members (id bigint, gym_id text, badge_id text, first_name text, last_name text);
         insert into public.gym_members values (7, '1', 'B7', 'Ana', 'Sousa'), (8, '1', 'B8', 'Bea', 'Sousa'), (9, null, 'B9', 'Cléo', 'Petit');
         create table public.jarvis_conversation_logs (member_id bigint, content text);
         insert into public.jarvis_conversation_logs values (7, 'perroquet'), (7, 'perroquet'), (8, 'bonjour')",
    )
    .await;
    let mut statements = stating(&[Purpose::Memory]);
    statements.gyms = vec![("1".to_owned(), "salle-a".to_owned())];
    legacy::import(db.url(), &statements, true).await.unwrap();
    // What came after the import is theirs as well; what has their badge in a gym that nobody named may be.
    run(
        pool,
        "insert into public.jarvis_conversation_logs values (7, 'perroquet encore');
         insert into public.gym_members values (12, '2', 'b8', 'Bea', 'Sousa')",
    )
    .await;
    let gym: jarvis_core::GymId = "aaaaaaaa-0000-4000-8000-00000000000a".parse().unwrap();
    let id = async |badge: &str| -> jarvis_core::MemberId {
        let query = format!("select id::text from public.gym_members_v2 where badge_id = '{badge}'");
        lines(pool, &query).await[0].parse().unwrap()
    };
    let (ana, bea) = (id("B7").await, id("B8").await);
    let now = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let certificate = erasure::erase(&mut conn, gym, ana, uuid::Uuid::from_u128(1), now)
        .await
        .unwrap();
    let rows = |table: &str| {
        let touched = certificate.touched.iter().filter(|t| t.table == table);
        touched.map(|t| t.rows).sum::<i64>()
    };
    assert_eq!(
        (
            rows("public.gym_members"),
            rows("public.jarvis_conversation_logs")
        ),
        (1, 3)
    );
    let logs = "select member_id || ' ' || content from public.jarvis_conversation_logs";
    assert_eq!(lines(pool, logs).await, ["8 bonjour"]);
    let names = "select first_name from public.gym_members order by id";
    assert_eq!(lines(pool, names).await, ["Bea", "Cléo", "Bea"]);

    let refused = erasure::erase(&mut conn, gym, bea, uuid::Uuid::from_u128(2), now).await;
    assert!(
        matches!(&refused, Err(jarvis_db::DbError::Refused { code, hint: Some(hint), .. })
            if code == "JE002" && hint.contains("migration cleanup")),
        "{refused:?}"
    );
    assert_eq!(lines(pool, logs).await, ["8 bonjour"], "nothing was changed");
    run(pool, "delete from public.gym_members where id = 12").await;
    erasure::erase(&mut conn, gym, bea, uuid::Uuid::from_u128(2), now)
        .await
        .unwrap();
    assert_eq!(lines(pool, names).await, ["Cléo"]);
    // Nothing of them comes back.
    legacy::import(db.url(), &statements, true).await.unwrap();
    assert_eq!(count(pool, "select count(*) from public.gym_members_v2").await, 0);
}

/// Our migrations without the import and the cleanup: a database from before them.
fn before_the_import() -> Files {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../supabase/migrations");
    let files = Files::new(&[]);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|e| e == "sql")
            && !name.starts_with("20251023000004")
            && !name.starts_with("20251023000006")
        {
            std::fs::copy(&path, files.0.join(name)).unwrap();
        }
    }
    files
}

#[tokio::test]
async fn the_import_runs_by_itself_late_and_early_in_the_history_and_is_a_no_op_without_the_predecessors_tables()
 {
    let late = TestDb::empty().await;
    let files = before_the_import();
    migrations::up(late.url(), &files.source()).await.unwrap();
    run(late.admin_pool(), format!("{GYMS}; {FIXTURE}")).await;
    assert_eq!(
        migrations::up(late.url(), Source::embedded())
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        count(late.admin_pool(), "select count(*) from public.gym_members_v2").await,
        40
    );
    check_sums(&late, &legacy::status(late.url()).await.unwrap()).await;

    let early = TestDb::empty().await;
    let theirs = "create table public.legacy_gyms (id uuid primary key, name text, slug text, timezone text, franchise text);
        insert into public.legacy_gyms values ('aaaaaaaa-0000-4000-8000-00000000000a', 'Salle dâ€™AthÃ¨nes', null, 'Europe/Athens', 'x'),
                                              ('bbbbbbbb-0000-4000-8000-00000000000b', 'Salle B', 'Salle B', 'Mars/Base', 'x')";
    run(early.admin_pool(), format!("{theirs}; {FIXTURE}")).await;
    migrations::up(early.url(), Source::embedded()).await.unwrap();
    assert_eq!(
        count(early.admin_pool(), "select count(*) from public.gym_members_v2").await,
        40
    );
    let gyms = lines(
        early.admin_pool(),
        "select concat_ws(' / ', name, slug, timezone) from public.gyms order by id",
    )
    .await;
    assert_eq!(
        gyms,
        [
            "Salle d’Athènes / salle-d-athenes / Europe/Athens",
            "Salle B / salle-b / Europe/Paris"
        ]
    );
    for table in LEGACY {
        assert_eq!(lost_cells(early.admin_pool(), table).await, Vec::<String>::new());
    }

    let none = TestDb::new().await;
    let report = import(&none, &[Purpose::Memory]).await;
    assert!(report.tables.is_empty() && report.reconciliation.is_empty() && report.is_complete());
    assert_eq!(
        count(none.admin_pool(), "select count(*) from jarvis.legacy_rows").await,
        0
    );
}

#[tokio::test]
async fn going_down_and_up_again_doubles_nothing_and_going_down_says_what_it_loses() {
    let db = with_legacy().await;
    import(&db, &[Purpose::Memory, Purpose::HealthMemory]).await;
    let counts = "select (select sum(total_visits) from public.gym_members_v2) || ' ' || (select count(*) from public.member_facts) || ' '
                      || (select count(*) from public.conversation_events) || ' ' || (select count(*) from public.conversation_sessions) || ' '
                      || (select count(*) from jarvis.member_analytics_history) || ' ' || (select count(*) from public.gym_members_v2)";
    let before = lines(db.admin_pool(), counts).await;
    let down = include_str!(
        "../../../../supabase/migrations/down/20251023000006_cleanup_old_tables_safe.sql"
    )
    .to_owned()
        + include_str!(
            "../../../../supabase/migrations/down/20251023000004_migrate_existing_gym_members_data_fixed.sql"
        );
    run(db.admin_pool(), format!("begin; {down} delete from supabase_migrations.schema_migrations where version in ('20251023000004', '20251023000006'); commit")).await;
    migrations::up(db.url(), Source::embedded()).await.unwrap();
    assert_eq!(lines(db.admin_pool(), counts).await, before);
    let error = migrations::down(db.url(), Source::embedded(), 100, false)
        .await
        .unwrap_err();
    let MigrationError::DataLoss { lost } = error else {
        panic!("{error}")
    };
    assert!(lost.iter().any(|l| l.table == "jarvis.legacy_held"), "{lost:?}");
}

#[tokio::test]
async fn a_table_of_other_types_with_columns_missing_and_columns_of_its_own_is_imported_as_well() {
    let db = TestDb::new().await;
    let pool = db.admin_pool();
    run(pool, GYMS).await;
    run(
        pool,
        "create table public.gym_members (id bigint, gym_id text, badge_id text, first_name text, last_name text, is_active text,
             height_cm text, total_visits text, last_visit timestamp, injuries text, badge_type text, membership_status text, medical_notes text,
             requires_assistance boolean, member_preferences text, member_since text, date_of_birth text, shoe_size text);
         insert into public.gym_members values
           (7, '1', 'B7', 'Ana', 'Sousa', 'oui', '172,5', '12', '2025-02-03 04:05:06', 'entorse du genou', 'or', 'suspendu', 'asthme', true,
            '{\"language\": \"français\", \"couleur\": \"vert\"}', '2020-13-45', '1980-12-31', '42'),
           (9, '1', 'B8', 'Bea', 'Sousa', 'non', 'grande', 'douze', null, '[\"dos\", \"épaule\"]', null, null, null, false, 'pas du json {', null, '31/12/1980', null),
           (9, '1', 'B9', 'Cléo', 'Petit', null, null, null, null, null, null, null, null, null, null, null, null, null);
         create table public.jarvis_conversation_logs (member_id bigint, content text);
         insert into public.jarvis_conversation_logs values (7, 'bonjour'), (7, 'bonjour'), (8, 'qui parle ?'), (9, 'laquelle des deux ?')",
    )
    .await;
    let mut statements = stating(&[Purpose::Memory, Purpose::HealthMemory]);
    statements.gyms = vec![("1".to_owned(), "salle-a".to_owned())];
    let report = legacy::import(db.url(), &statements, true).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    let members = lines(
        pool,
        "select concat_ws(' ', m.badge_id, first_name, is_active, total_visits, last_visit at time zone 'UTC', p.height_cm)
           from public.gym_members_v2 m left join public.member_fitness_profile p on p.member_id = m.id order by badge_id",
    )
    .await;
    assert_eq!(
        members,
        [
            "B7 Ana t 12 2025-02-03 04:05:06 172.50",
            "B8 Bea f 0",
            "B9 Cléo t 0"
        ]
    );
    let held = lines(
        pool,
        "select source_column || ' ' || reason from jarvis.legacy_held where kind = 'value' order by 1",
    )
    .await;
    assert_eq!(
        held,
        [
            "badge_type no_place",
            "date_of_birth value_unfit",
            "height_cm value_unfit",
            "member_since value_unfit",
            "membership_status no_place",
            "shoe_size no_place",
            "total_visits value_unfit",
        ]
    );
    let events = lines(
        pool,
        "select coalesce(tool_args #>> '{legacy,content}', '-') from public.conversation_events",
    )
    .await;
    assert_eq!(events, ["bonjour", "bonjour"], "equal rows are two");
    let unknown = "select content ->> 'content' from jarvis.legacy_held where kind = 'row' order by 1";
    assert_eq!(lines(pool, unknown).await, ["laquelle des deux ?", "qui parle ?"]);
}

#[tokio::test]
async fn a_predecessors_own_gyms_and_users_are_not_run_over() {
    let db = TestDb::empty().await;
    run(
        db.admin_pool(),
        "create table public.gyms (id int, franchise_id int); create table public.users (id int)",
    )
    .await;
    let error = migrations::up(db.url(), Source::embedded()).await.unwrap_err();
    assert!(
        matches!(&error, MigrationError::NamesTaken { tables } if tables == &["gyms", "users"]),
        "{error}"
    );
    let hint = error.hint().unwrap();
    let renames = hint
        .split("with: ")
        .nth(1)
        .unwrap()
        .split(" then")
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        count(
            db.admin_pool(),
            "select count(*) from pg_namespace where nspname in ('jarvis', 'supabase_migrations')"
        )
        .await,
        0
    );
    run(db.admin_pool(), renames).await;
    migrations::up(db.url(), Source::embedded()).await.unwrap();
}

#[tokio::test]
async fn a_platform_that_gives_no_superuser_imports_as_well() {
    let cluster = Cluster::start_empty().await.unwrap();
    let url: SecretString = platform(&cluster).await;
    let pool = PgPool::connect(secrecy::ExposeSecret::expose_secret(&url))
        .await
        .unwrap();
    migrations::up(&url, Source::embedded()).await.unwrap();
    run(&pool, format!("{GYMS}; {FIXTURE}")).await;
    let report = legacy::import(&url, &stating(&[Purpose::Memory, Purpose::HealthMemory]), true)
        .await
        .unwrap();
    assert_eq!(report.tables[0].accounted, 40);
    assert!(count(&pool, "select count(*) from public.member_facts").await > 500);
    assert!(count(&pool, "select count(transcript) from public.conversation_events").await > 300);
    run(
        &pool,
        "delete from public.gym_members where id::text ~ '(10|42)$'",
    )
    .await;
    let all: Vec<String> = LEGACY.map(str::to_owned).to_vec();
    assert_eq!(legacy::cleanup(&url, &all).await.unwrap().len(), 3);
    pool.close().await;
    cluster.stop().await.unwrap();
}
