//! A database of the predecessor's guide becomes ours, by the command an operator uses.

use crate::gyms::{self, KNEE};
use crate::program::{Program, fetched, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::time::Duration;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../crates/jarvis-db/tests/fixtures/guide_",
            $name,
            ".sql"
        ))
    };
}

const GYM: &str = "salle-de-lyon";

/// What the operator states in these tests.
const STATED: &str = "imported:voice,memory,health_memory,profiling";

/// A database as the guide leaves it, with what years of use add.
pub async fn guide() -> TestDb {
    let db = TestDb::empty().await;
    let given = concat!("set search_path = public, extensions;\n", fixture!("given"));
    let parts = [
        fixture!("identities"),
        fixture!("predecessor"),
        given,
        fixture!("rest"),
        fixture!("rows"),
        fixture!("extras"),
    ];
    for part in parts {
        sqlx::raw_sql(part).execute(db.admin_pool()).await.unwrap();
    }
    db
}

async fn rows(db: &TestDb, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_all(db.admin_pool())
        .await
        .unwrap()
}

fn facts(context: &Value) -> Vec<String> {
    context["facts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| text(f, "/fact_key"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adopted_gym_works_and_remembers_what_it_may() {
    if fetched("JARVIS_E5_WEIGHTS").is_none() {
        return;
    }
    let db = guide().await;
    let program = Program::on(&db);
    let up = program.run(&["migration", "up"]).await;
    assert_eq!(up.code, 2, "{up:?}");
    assert!(up.stderr.contains("jarvis migration adopt"), "{up:?}");

    let plan = program.json(&["migration", "adopt"]).await;
    assert_eq!(plan["verdict"], "planned", "{plan}");
    let done = program.json(&["migration", "adopt", "--yes"]).await;
    assert_eq!(done["verdict"], "adopted", "{done}");
    assert_eq!(plan["tables"], done["tables"]);
    let again = program.run(&["migration", "adopt", "--yes"]).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("nothing was changed"), "{again:?}");
    assert_eq!(program.json(&["migration", "up"]).await, json!([]));
    nothing_of_ours_is_out_of_order(&program).await;

    let server = Server::serve(&program).await;
    let kiosk = gyms::kiosk(&program, &server, GYM, "entree").await.caller;
    nothing_is_used_without_consent(&program, &kiosk).await;

    let stated = program
        .json(&["migration", "adopt", "--yes", "--consent", STATED])
        .await;
    assert_eq!(stated["consents"], 44, "{stated}");
    let opened = kiosk.open("badge_001").await;
    let known = facts(&opened["context"]);
    assert!(known.contains(&"knee_pain".to_owned()), "{opened}");
    assert!(
        known.contains(&"musique".to_owned()),
        "an odd value is told as it is: {opened}"
    );
    let session = text(&opened, "/session_id");
    kiosk.say(&session, &[KNEE]).await;
    kiosk.close(&session).await;
    let processed = kiosk.processed(&session).await;
    assert_eq!(processed["state"], "processed", "{processed}");
    let recalled = recall(&program).await;
    assert!(
        recalled.iter().any(|m| text(m, "/session_id") == session),
        "{recalled:?}"
    );

    old_words_are_read_now(&program, &db).await;
    nothing_of_ours_is_out_of_order(&program).await;
    server.stop(Signal::SIGTERM).await;
}

/// What the operator built has holes of its own, which are told. Nothing else is.
async fn nothing_of_ours_is_out_of_order(program: &Program) {
    const THEIRS: [&str; 5] = [
        "public.franchises",
        "public.member_audit",
        "public.lockers",
        "public.count_members()",
        "public.members_of(gym uuid)",
    ];
    let verified = program.run(&["migration", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    let lint = program.run(&["db", "lint", "--json"]).await.json();
    for finding in lint["findings"].as_array().unwrap() {
        let object = text(finding, "/object");
        let known = THEIRS.contains(&object.as_str()) || finding["code"] == "extension_in_exposed_schema";
        assert!(known, "{finding}");
    }
    let doctor = program.run(&["doctor", "--json"]).await.json();
    for finding in doctor["findings"].as_array().unwrap() {
        assert_eq!(finding["code"], "database_holes", "{doctor}");
    }
    assert_eq!(doctor["facts_without_evidence"], 0, "{doctor}");
}

async fn recall(program: &Program) -> Vec<Value> {
    let asked = ["recall", "BADGE_001", "douleur au genou", "--gym", GYM];
    let recalled = program.json(&asked).await;
    recalled["memories"].as_array().unwrap().clone()
}

async fn nothing_is_used_without_consent(program: &Program, kiosk: &crate::device::Caller) {
    let opened = kiosk.open("BADGE_001").await;
    assert_eq!(opened["context"]["facts"], json!([]), "{opened}");
    assert_eq!(opened["context"]["memories"], json!([]), "{opened}");
    for word in ["genou", "marathon", "knee"] {
        assert!(!opened.to_string().contains(word), "{word}: {opened}");
    }
    assert_eq!(recall(program).await, Vec::<Value>::new());
    kiosk.close(&text(&opened, "/session_id")).await;
}

/// A conversation of the old system that nobody summed up, since its member agreed.
async fn old_words_are_read_now(program: &Program, db: &TestDb) {
    const STATE: &str = "select state from public.conversation_sessions where session_id = 's-old-words'";
    program
        .json(&["session", "reprocess", "s-old-words", "--gym", GYM])
        .await;
    for _ in 0..300 {
        if rows(db, STATE).await == ["processed"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rows(db, STATE).await, ["processed"]);
    let goals = rows(
        db,
        "select source_quote from public.member_facts where source_session_id = 's-old-words' and verified",
    )
    .await;
    assert!(goals.iter().any(|q| q.contains("cinq kilos")), "{goals:?}");
}

#[tokio::test]
async fn an_obstacle_is_told_with_exit_code_3() {
    let db = guide().await;
    rows(
        &db,
        "update public.gym_members_v2 set badge_id = 'badge_001' where badge_id = 'BADGE_002' returning badge_id",
    )
    .await;
    let program = Program::on(&db);
    for arguments in [&["migration", "adopt"][..], &["migration", "adopt", "--yes"]] {
        let stopped = program.run(arguments).await;
        assert_eq!(stopped.code, 3, "{stopped:?}");
        assert!(stopped.stdout.contains("--settle-badges suffix"), "{stopped:?}");
        assert!(stopped.stdout.contains("nothing was changed"), "{stopped:?}");
    }
    for wrong in ["memory", "imported:everything", "imported:"] {
        let refused = program
            .run(&["migration", "adopt", "--yes", "--consent", wrong])
            .await;
        assert_eq!(refused.code, 2, "{refused:?}");
    }
}

const FINGERPRINT: &str = "select md5(string_agg(x, ',' order by x)) from (
  select to_jsonb(t)::text as x from public.gym_members_v2 t union all
  select to_jsonb(t)::text from public.conversation_events t union all
  select to_jsonb(t)::text from supabase_migrations.schema_migrations t union all
  select n.nspname || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname in ('public', 'jarvis', 'jarvis_adoption')) as everything";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_leaves_the_database_as_it_was() {
    let db = guide().await;
    let before = rows(&db, FINGERPRINT).await;
    let program = Program::on(&db);
    let (mut inside, mut too_late) = (0, false);
    for delay in [0, 50, 100, 200, 400] {
        let mut child = program
            .command(&["migration", "adopt", "--yes"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let working = "select pid::text from pg_stat_activity where datname = current_database()
                        and application_name = 'jarvis-migration' and xact_start is not null";
        while rows(&db, working).await.is_empty() && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(delay)).await;
        // Who ended already needs no kill.
        drop(child.kill().await);
        let gone = "select pid::text from pg_stat_activity where datname = current_database()
                     and application_name = 'jarvis-migration'";
        for _ in 0..600 {
            if rows(&db, gone).await.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let ours = "select 'adopted' where to_regclass('jarvis.consent_ledger') is not null";
        too_late = !rows(&db, ours).await.is_empty();
        if too_late {
            break;
        }
        inside += 1;
        assert_eq!(rows(&db, FINGERPRINT).await, before, "killed after {delay} ms");
    }
    assert!(inside >= 2, "{inside} kills came in time");
    let done = program.json(&["migration", "adopt", "--yes"]).await;
    let verdict = if too_late { "already_adopted" } else { "adopted" };
    assert_eq!(done["verdict"], verdict, "{done}");
}
