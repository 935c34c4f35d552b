//! `jarvis db lint` as an operator runs it.

use crate::program::{Program, text};
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use sqlx::AssertSqlSafe;

async fn plant(db: &TestDb, sql: &'static str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(db.admin_pool())
        .await
        .unwrap();
}

/// What everybody can read, and a table that says nothing of its tenant.
const OPEN: &str = "create table public.lockers (id uuid primary key, code text);
    alter table public.lockers enable row level security; alter table public.lockers force row level security;
    create policy everybody on public.lockers for select using (true);
    grant select on public.lockers to anon; insert into public.lockers values (gen_random_uuid(), '4711')";

#[tokio::test]
async fn a_migrated_database_has_no_hole_and_ends_with_0() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let report = program.json(&["db", "lint"]).await;
    assert_eq!(report["findings"], serde_json::json!([]), "{report}");
    let allowed: Vec<_> = report["allowed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (text(f, "/code"), text(f, "/object")))
        .collect();
    let named = [
        ("tenant_column_missing", "jarvis.api_keys"),
        ("tenant_column_missing", "jarvis.auth_sessions"),
        ("tenant_column_missing", "jarvis.refresh_tokens"),
        ("unique_without_tenant", "public.conversation_summaries"),
    ];
    let named = named.map(|(code, object)| (code.to_owned(), object.to_owned()));
    assert_eq!(allowed, named, "{report}");
    let said = program.run(&["db", "lint", "--lang", "fr"]).await;
    assert!(
        said.code == 0 && said.stdout.starts_with("✓ aucun constat"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_hole_ends_with_3_and_says_what_it_gives_away_and_how_to_close_it_in_both_languages() {
    let db = TestDb::new().await;
    plant(&db, OPEN).await;
    let program = Program::on(&db);
    let ended = program.run(&["db", "lint", "--json"]).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    let report = ended.json();
    let found: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (text(f, "/code"), text(f, "/object")))
        .collect();
    let expected = [
        ("anon_can_read", "public.lockers"),
        ("policy_to_public", "public.lockers"),
        ("tenant_column_missing", "public.lockers"),
        ("not_in_data_map", "public.lockers"),
    ];
    assert_eq!(
        found,
        expected.map(|(code, object)| (code.to_owned(), object.to_owned())),
        "{report}"
    );
    assert!(
        text(&report, "/findings/0/danger").contains("public key"),
        "{report}"
    );
    assert!(!ended.stdout.contains("4711"), "no row is shown: {ended:?}");

    for (lang, word) in [
        ("en", "a visitor without any account reads rows"),
        ("fr", "un visiteur sans compte lit des lignes"),
    ] {
        let said = program.run(&["db", "lint", "--lang", lang]).await;
        assert_eq!(said.code, 3);
        for word in [word, "anon_can_read", "revoke select on public.lockers"] {
            assert!(said.stdout.contains(word), "{word}: {said:?}");
        }
    }
    let accepted = [
        "db",
        "lint",
        "--allow",
        "anon_can_read",
        "--allow",
        "policy_to_public:public.lockers",
        "--allow",
        "tenant_column_missing",
        "--allow",
        "not_in_data_map",
    ];
    let report = program.json(&accepted).await;
    assert_eq!(report["allowed"].as_array().map(Vec::len), Some(8), "{report}");
}

#[tokio::test]
async fn any_database_may_be_looked_at_and_wrong_questions_end_with_2() {
    let db = TestDb::empty().await;
    let mut program = Program::without_database();
    program.set("DATABASE_URL", db.url().expose_secret());
    let empty = program.json(&["db", "lint"]).await;
    assert!(text(&empty, "/remarks/0").contains("no table"), "{empty}");

    plant(&db, "create table public.clubs (id uuid primary key)").await;
    let denied = db.url_of("nobody_at_all", "wrong").expose_secret().to_owned();
    for (arguments, word) in [
        (["--tenant", "club_id"], "--no-tenant"),
        (["--schema", "nowhere"], "nowhere"),
        (["--allow", "no_such_rule"], "no_such_rule"),
        (
            ["--database-url", denied.as_str()],
            "its owner or an administrator",
        ),
    ] {
        let ended = program
            .run(&[&["db", "lint"], arguments.as_slice()].concat())
            .await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {ended:?}"
        );
        assert!(ended.stderr.contains(word), "{arguments:?}: {}", ended.stderr);
    }
    let found = program.run(&["db", "lint", "--no-tenant", "--json"]).await;
    assert_eq!(
        (found.code, text(&found.json(), "/findings/0/code").as_str()),
        (3, "rls_off"),
        "{found:?}"
    );
}
