//! `jarvis doctor`: each finding is planted and found, with its cause and its mend, in both languages.

use crate::cli::BROKEN;
use crate::program::{Program, fetched, text};
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;

/// A gym, a member, and a way to write past every trigger.
const WORLD: &str = "
    insert into public.gyms (id, name, slug) values ('aaaaaaaa-0000-7000-8000-000000000000', 'Lyon', 'lyon');
    insert into public.gym_members_v2 (id, gym_id, badge_id, first_name, last_name)
    values ('aaaaaaaa-0000-7000-8000-000000000001', 'aaaaaaaa-0000-7000-8000-000000000000', 'BADGE_001', 'Sophie', 'Martin')";

/// What is planted, and what doctor calls it.
const PLANTED: [(&str, &str); 10] = [
    (
        "memory_unsearchable",
        "set session_replication_role = replica;
         insert into public.conversation_summaries (gym_id, member_id, session_id, summary_text, embedding, embedding_model)
         select gym_id, id, 's-1', 'x', array_fill(0.1, array[1536])::extensions.vector, 'some-model' from public.gym_members_v2;
         reset session_replication_role",
    ),
    (
        "facts_without_evidence",
        "set session_replication_role = replica;
         insert into public.conversation_events (id, gym_id, member_id, session_id, event_type, transcript)
         select 'eeeeeeee-0000-7000-8000-000000000001', gym_id, id, 's-1', 'user_transcript', 'bonjour' from public.gym_members_v2;
         insert into public.member_facts (gym_id, member_id, category, fact_key, fact_value, verified, source_event_id, source_quote)
         select gym_id, id, 'goal', 'k', '{}', true, 'eeeeeeee-0000-7000-8000-000000000001', 'je veux courir' from public.gym_members_v2;
         reset session_replication_role",
    ),
    (
        "jobs_dead",
        "insert into jarvis.jobs (kind, unique_key, state, attempt, finished_at, last_error)
         values ('memory.process_session', 's-1', 'discarded', 20, now(), 'disk full')",
    ),
    (
        "jobs_late",
        "insert into jarvis.jobs (kind, run_at) values ('memory.sweep_orphans', now() - interval '20 minutes')",
    ),
    (
        "jobs_abandoned",
        "insert into jarvis.jobs (kind, state, attempt, lease_until, leased_by)
         values ('memory.sweep_orphans', 'running', 1, now() - interval '6 minutes', 'a worker')",
    ),
    (
        "models_degraded",
        "set session_replication_role = replica;
         insert into public.conversation_sessions (session_id, gym_id, member_id, state, state_reason, started_at, ended_at,
                                                   processed_at, degraded_reason)
         select 's-1', gym_id, id, 'empty', 'no_consent', now(), now(), now(), 'circuit_open' from public.gym_members_v2;
         reset session_replication_role",
    ),
    (
        "database_holes",
        "create policy x on public.gyms for select to anon using (true); grant select on public.gyms to anon",
    ),
    (
        "migrations_unknown",
        "insert into supabase_migrations.schema_migrations (version, name) values ('20990101000001', 'of_tomorrow')",
    ),
    (
        "migrations_pending",
        "delete from supabase_migrations.schema_migrations
          where version = (select max(version) from supabase_migrations.schema_migrations)",
    ),
    ("extension_missing", "drop extension unaccent cascade"),
];

async fn plant(db: &TestDb, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(db.admin_pool())
        .await
    {
        panic!("{error}\nin: {sql}");
    }
}

fn codes(report: &Value, list: &str) -> Vec<String> {
    report[list]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| text(finding, "/code"))
        .collect()
}

async fn found(program: &Program, arguments: &[&str]) -> Value {
    let ended = program.run(&[&["doctor", "--json"], arguments].concat()).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    ended.json()
}

#[tokio::test]
async fn a_healthy_database_has_no_finding() {
    let db = TestDb::new().await;
    plant(&db, WORLD).await;
    let program = Program::on(&db);
    assert_eq!(program.json(&["doctor"]).await["findings"], serde_json::json!([]));
    let said = program.run(&["doctor", "--lang", "fr"]).await;
    assert!(
        said.code == 0 && said.stdout.contains("✓ chaque conversation"),
        "{said:?}"
    );
}

#[tokio::test]
async fn doctor_finds_what_is_planted_and_says_cause_and_mend_in_both_languages() {
    for (n, (code, sql)) in PLANTED.into_iter().enumerate() {
        let db = TestDb::new().await;
        plant(&db, WORLD).await;
        let program = Program::on(&db);
        plant(&db, sql).await;
        let report = found(&program, &[]).await;
        assert_eq!(codes(&report, "findings"), [code], "{report}");
        for field in ["what", "meaning", "cause", "mend"] {
            assert!(
                !text(&report, &format!("/findings/0/{field}")).is_empty(),
                "{field}: {report}"
            );
        }
        assert_eq!(report["findings"][0]["count"], 1, "{report}");
        let (lang, words) = if n % 2 == 0 {
            ("fr", "remède: ")
        } else {
            ("en", "likely cause: ")
        };
        let said = program.run(&["doctor", "--lang", lang]).await;
        assert!(
            said.code == 3 && said.stdout.contains(words) && said.stdout.contains(code),
            "{said:?}"
        );
        assert!(
            !said.stdout.contains("courir"),
            "nothing that was said is shown: {said:?}"
        );
    }
}

#[tokio::test]
async fn a_model_that_ends_is_told_and_a_gym_whose_model_is_not_set_here_is_noted() {
    let db = TestDb::new().await;
    plant(&db, WORLD).await;
    let mut program = Program::on(&db);
    let allowed = program
        .json(&["gym", "external-models", "allow", "--gym", "lyon"])
        .await;
    assert_eq!(allowed["external_models"], true);
    let report = program.json(&["doctor"]).await;
    assert!(
        codes(&report, "notes").contains(&"models_unused".to_owned()),
        "{report}"
    );
    program.set("JARVIS_CHAT", "openai");
    program.set("JARVIS_OPENAI_BASE_URL", "http://127.0.0.1:9/v1");
    let report = program.json(&["doctor"]).await;
    assert!(
        !codes(&report, "notes").contains(&"models_unused".to_owned()),
        "{report}"
    );
    // Its last day is 2027-01-14, which is near or past.
    program.set("JARVIS_CHAT_MODEL", "gpt-4o-mini");
    let report = found(&program, &[]).await;
    assert_eq!(codes(&report, "findings"), ["model_ending"], "{report}");
    let told = text(&report, "/findings/0/examples/0");
    assert!(
        told.contains("2027-01-14") && told.contains("gpt-6-luna"),
        "{told}"
    );
    program.unset("JARVIS_CHAT");
    // Made for the provider's model, and refusing since.
    program.set("JARVIS_EMBEDDINGS", "openai");
    program.set("JARVIS_EMBEDDING_MODEL", "e5-use-multilingual");
    let refuse = ["gym", "external-models", "refuse", "--gym", "lyon"];
    program.json(&refuse).await;
    let report = found(&program, &[]).await;
    assert!(
        codes(&report, "findings").contains(&"embedding_refused".to_owned()),
        "{report}"
    );
    program.unset("JARVIS_EMBEDDINGS");
    program.set("JARVIS_CHAT", "openai");
    program.set("JARVIS_MODELS_EU_ONLY", "true");
    program.set("JARVIS_OPENAI_BASE_URL", "https://api.openai.com/v1");
    let refused = program.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert!(
        refused.code == 2 && refused.stderr.contains("European Union"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn more_findings_than_fit_a_page_are_all_counted_and_what_could_not_be_checked_is_noted() {
    let db = TestDb::new().await;
    plant(
        &db,
        "insert into jarvis.jobs (kind, unique_key, state, attempt, finished_at, last_error)
         select 'memory.process_session', 's-' || n, 'discarded', 20, now(), 'disk full' from generate_series(1, 1203) as n;
         create policy x on public.gyms for delete to anon using (pg_sleep(60)::text <> ''); grant select, delete on public.gyms to anon",
    )
    .await;
    let report = found(&Program::on(&db), &[]).await;
    assert_eq!(codes(&report, "findings"), ["jobs_dead"], "{report}");
    assert_eq!(report["findings"][0]["count"], 1203);
    assert!(
        codes(&report, "notes").contains(&"database_unchecked".to_owned()),
        "{}",
        report["notes"]
    );
}

#[tokio::test]
async fn the_servers_own_login_is_tried_and_must_be_small() {
    let db = TestDb::new().await;
    let role = format!("login_{}", uuid::Uuid::now_v7().simple());
    plant(
        &db,
        &format!("create role {role} login password 'only-for-tests'"),
    )
    .await;
    let mut program = Program::on(&db);
    program.set("DATABASE_URL", db.url_of(&role, "only-for-tests").expose_secret());
    let report = found(&program, &[]).await;
    assert_eq!(codes(&report, "findings"), ["login_unfit"], "{report}");
    plant(&db, &format!("alter role {role} superuser")).await;
    let report = found(&program, &[]).await;
    assert_eq!(codes(&report, "findings"), ["login_too_powerful"], "{report}");
    assert!(
        text(&report, "/findings/0/examples/0").contains(&role),
        "{report}"
    );
    program.set("DATABASE_URL", db.url_of(&role, "another").expose_secret());
    let report = found(&program, &[]).await;
    assert!(
        codes(&report, "findings").contains(&"login_too_powerful".to_owned()),
        "{report}"
    );
    plant(&db, &format!("drop role {role}")).await;
}

#[tokio::test]
async fn the_machine_is_looked_at_too() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    std::fs::create_dir_all(program.data()).unwrap();
    let report = found(&program, &["--min-free", "999999999999"]).await;
    assert_eq!(codes(&report, "findings"), ["disk_low"], "{report}");
    program.set("JARVIS_E5_WEIGHTS", "/nowhere/at/all");
    let report = program.json(&["doctor", "--min-free", "0"]).await;
    assert_eq!(
        (codes(&report, "findings"), codes(&report, "notes")),
        (
            vec![],
            vec!["backup_missing".to_owned(), "model_missing".to_owned()]
        )
    );
}

#[tokio::test]
async fn a_backup_that_is_missing_old_or_damaged_is_noticed() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let notes = |report: &Value| codes(report, "notes").contains(&"backup_missing".to_owned());
    assert!(notes(&program.json(&["doctor"]).await));
    for arguments in [["backup", "key"].as_slice(), &["backup"]] {
        let ended = program.run(arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert!(!notes(&program.json(&["doctor"]).await));
    let files = std::fs::read_dir(program.data().join("backups")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    let [label] = files
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "json"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("one label: {files:?}");
    };
    let [backup] = files
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "age"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("one backup: {files:?}");
    };
    let mut told: Value = serde_json::from_slice(&std::fs::read(label).unwrap()).unwrap();
    told["created_at"] = serde_json::json!("2020-01-01T00:00:00Z");
    std::fs::write(label, told.to_string()).unwrap();
    assert_eq!(codes(&found(&program, &[]).await, "findings"), ["backup_old"]);
    let patient = program.json(&["doctor", "--max-backup-age", "1000000"]).await;
    assert_eq!(patient["findings"], serde_json::json!([]));
    let whole = std::fs::read(backup).unwrap();
    std::fs::write(backup, &whole[..whole.len() - 1]).unwrap();
    let report = found(&program, &["--max-backup-age", "1000000"]).await;
    assert_eq!(codes(&report, "findings"), ["backup_damaged"], "{report}");
}

#[tokio::test]
async fn every_finding_is_explained_and_planted_in_a_test() {
    let program = Program::without_database();
    let all = program.json(&["doctor", "explain"]).await;
    let all: BTreeSet<String> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|line| text(line, "/0"))
        .collect();
    let rules: BTreeSet<_> = jarvis_testkit::lint::RULES
        .iter()
        .map(|rule| rule.code.to_owned())
        .collect();
    // The clock of another machine cannot be set from here: its arithmetic has a test of its own.
    let elsewhere = [
        "backup_damaged",
        "backup_old",
        "backup_missing",
        "login_unfit",
        "login_too_powerful",
        "disk_low",
        "model_missing",
        "model_ending",
        "models_unused",
        "embedding_refused",
        "database_unchecked",
        "clock_skew",
    ];
    let here = PLANTED
        .iter()
        .map(|(code, _)| *code)
        .chain(BROKEN.iter().map(|(_, code, _)| *code))
        .chain(elsewhere);
    let planted: BTreeSet<_> = here.map(str::to_owned).collect();
    assert_eq!(&all - &rules, planted);
    for (code, lang, word) in [
        ("jobs_dead", "fr", "Remède"),
        ("jobs_dead", "en", "Likely cause"),
        ("rls_off", "fr", "désactivée"),
    ] {
        let page = program.run(&["doctor", "explain", code, "--lang", lang]).await;
        assert!(
            page.code == 0 && page.stdout.starts_with(code) && page.stdout.contains(word),
            "{page:?}"
        );
    }
    let unknown = program.run(&["doctor", "explain", "plague"]).await;
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("explain"), "{unknown:?}");
}
