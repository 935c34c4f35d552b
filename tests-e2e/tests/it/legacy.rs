//! What the predecessor left, brought along by the commands an operator uses.

use crate::program::{Program, text};
use jarvis_testkit::TestDb;
use serde_json::Value;
use sqlx::AssertSqlSafe;

const FIXTURE: &str = include_str!("../../../crates/jarvis-db/tests/fixtures/legacy.sql");
const GYMS: &str = "insert into public.gyms (id, name, slug) values
    ('aaaaaaaa-0000-4000-8000-00000000000a', 'Salle A', 'salle-a'),
    ('bbbbbbbb-0000-4000-8000-00000000000b', 'Salle B', 'salle-b')";
const ALL: &str = "gym_members,jarvis_conversation_logs,openai_realtime_audio_events";

async fn sql(db: &TestDb, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(db.admin_pool())
        .await
        .unwrap();
}

/// The line of the reconciliation for whole rows of a table.
fn rows<'a>(report: &'a Value, table: &str) -> &'a Value {
    let lines = report["reconciliation"].as_array().unwrap();
    lines
        .iter()
        .find(|l| l["table"] == table && l["column"] == "*")
        .unwrap()
}

#[tokio::test]
async fn an_operator_plans_imports_settles_and_cleans_up() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let nothing = program.run(&["migration", "legacy"]).await;
    assert_eq!(nothing.code, 0, "{nothing:?}");
    assert!(nothing.stdout.contains("left nothing"), "{nothing:?}");
    sql(&db, &format!("{GYMS}; {FIXTURE}")).await;

    let plan = program.run(&["migration", "legacy"]).await;
    assert_eq!(plan.code, 3, "two rows cannot be imported as they are: {plan:?}");
    assert!(plan.stderr.contains("nothing was changed"), "{plan:?}");
    assert!(
        plan.stdout.contains("gym_unknown") && plan.stdout.contains("encoding_doubtful"),
        "{plan:?}"
    );
    let members = program.json(&["member", "list", "--gym", "salle-a"]).await;
    assert_eq!(members.as_array().unwrap().len(), 0, "a plan imports nobody");
    let refused = program.run(&["migration", "cleanup", "--confirm", ALL]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("42 of 42") && refused.stderr.contains("migration legacy --yes"),
        "{refused:?}"
    );
    let wrong = program.run(&["migration", "legacy", "--consent", "memory"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("imported:memory"), "{wrong:?}");

    let done = program
        .run(&[
            "migration",
            "legacy",
            "--yes",
            "--json",
            "--consent",
            "imported:memory,health_memory",
        ])
        .await;
    assert_eq!(done.code, 3, "{done:?}");
    let report = done.json();
    assert_eq!(rows(&report, "gym_members")["imported"], 40);
    assert_eq!(rows(&report, "gym_members")["refused"], 2);
    assert_eq!(rows(&report, "jarvis_conversation_logs")["imported"], 484);
    assert!(
        report["doubts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|d| d["reason"] == "gym_unknown")
    );
    assert!(
        !done.stderr.contains("m10") && !done.stdout.contains("m10 Legrand"),
        "no value of a row is told"
    );

    what_was_imported_is_there_for_the_product(&program).await;
    the_rest_is_settled_and_the_tables_go(&db, &program).await;
}

async fn what_was_imported_is_there_for_the_product(program: &Program) {
    let facts = program
        .json(&["fact", "list", "BADGE_01", "--gym", "salle-b"])
        .await;
    assert!(facts.to_string().contains("m01 allergies"), "{facts}");
    let doctor = program.run(&["doctor", "--json"]).await;
    assert!(doctor.code == 0 || doctor.code == 3, "{doctor:?}");
    let gone_wrong = doctor.json().to_string();
    assert!(
        !gone_wrong.contains("legacy-") && !gone_wrong.contains("log-session"),
        "{gone_wrong}"
    );
}

async fn the_rest_is_settled_and_the_tables_go(db: &TestDb, program: &Program) {
    sql(
        db,
        "delete from public.gym_members where id::text like '%42'; update public.gym_members set last_name = 'm10 Legrand' where last_name like 'm10%'",
    )
    .await;
    program.json(&["migration", "legacy", "--yes"]).await;
    let ready = program.json(&["migration", "cleanup"]).await;
    assert_eq!(ready["dropped"].as_array().unwrap().len(), 0);
    let dropped = program.json(&["migration", "cleanup", "--confirm", ALL]).await;
    assert_eq!(text(&dropped, "/dropped/0"), "gym_members");
    assert_eq!(dropped["tables"].as_array().unwrap().len(), 0);
    let again = program
        .run(&["migration", "cleanup", "--confirm", "gym_members"])
        .await;
    assert_eq!(again.code, 2, "{again:?}");
    let held = program
        .json(&[
            "consent",
            "record",
            "BADGE_14",
            "--grant",
            "memory",
            "--by-guardian",
            "--gym",
            "salle-a",
        ])
        .await;
    assert!(held.to_string().contains("memory"));
    let facts = program
        .json(&["fact", "list", "BADGE_14", "--gym", "salle-a"])
        .await;
    assert!(
        facts.to_string().contains("m14 workout") || facts.to_string().contains("m14 current_goals"),
        "{facts}"
    );
}
