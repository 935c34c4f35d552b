//! `jarvis import visits`: what a turnstile counted.

use crate::gyms;
use crate::program::Program;
use jarvis_testkit::TestDb;
use serde_json::{Value, json};

/// As a French turnstile exports it, in Latin-1. The clocks of Paris skipped the morning of line 7.
const PASSAGES: &str = "N° badge;Nom;Date de passage;Heure\n\
     badge_001;Sophie;02/03/2026;18:05\n\
     BADGE_001;Sophie;04/03/2026;18:10\n\
     BADGE_001;Sophie;04/03/2026;18:10\n\
     BADGE_002;Léa;31/03/2026;07:45\n\
     BADGE_404;Zoé;31/03/2026;07:45\n\
     BADGE_002;Léa;29/03/2026;02:30\n\
     BADGE_002;Léa;hier;07:45\n\
     BADGE_002;Léa;31/12/2199;07:45\n\
     BADGE_002;Léa\n";

fn latin(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect()
}

fn refused(report: &Value) -> Vec<(u64, &str)> {
    let refused = report["refused"].as_array().unwrap().iter();
    refused
        .map(|r| (r["line"].as_u64().unwrap(), r["code"].as_str().unwrap()))
        .collect()
}

async fn visits(db: &TestDb) -> Vec<(String, String)> {
    sqlx::query_as(
        "select g.slug, m.first_name || ' ' || (v.visited_at at time zone 'Europe/Paris') || ' ' || v.source
           from public.member_visits v join public.gym_members_v2 m on m.id = v.member_id
           join public.gyms g on g.id = v.gym_id order by v.visited_at",
    )
    .fetch_all(db.admin_pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn visits_of_a_turnstile_come_in_once_and_every_other_row_is_told_with_its_line() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    for slug in ["lyon", "paris"] {
        gyms::gym(&program, slug).await;
        gyms::member(&program, slug, "BADGE_001", &format!("Sophie-{slug}"), "").await;
    }
    gyms::member(&program, "lyon", "BADGE_002", "Léa", "").await;
    let file = program.folder().join("passages.csv");
    std::fs::write(&file, latin(PASSAGES)).unwrap();
    let file = file.display().to_string();
    let import = ["import", "visits", file.as_str(), "--gym", "lyon", "--json"];
    let for_good = [&import[..], &["--yes"]].concat();

    let plan = program.run(&import).await;
    assert_eq!(plan.code, 3, "{plan:?}");
    let plan = plan.json();
    assert_eq!(
        (&plan["found"], &plan["added"], &plan["known"], &plan["done"]),
        (&json!(9), &json!(3), &json!(1), &json!(false)),
        "{plan:#}"
    );
    assert_eq!(visits(&db).await, [], "a plan changes nothing");

    let report = program.run(&for_good).await;
    assert_eq!(report.code, 3, "{report:?}");
    let report = report.json();
    assert_eq!(report["columns"], json!(["N° badge", "Date de passage", "Heure"]));
    assert_eq!(
        refused(&report),
        [
            (6, "unknown_badge"),
            (7, "never_was"),
            (8, "unreadable"),
            (9, "yet_to_come"),
            (10, "columns"),
        ]
    );
    let lyon = |what: &str| ("lyon".to_owned(), what.to_owned());
    let known = [
        lyon("Sophie-lyon 2026-03-02 18:05:00 import"),
        lyon("Sophie-lyon 2026-03-04 18:10:00 import"),
        lyon("Léa 2026-03-31 07:45:00 import"),
    ];
    assert_eq!(
        visits(&db).await,
        known,
        "nobody of another gym with the same badge"
    );
    let counted: i32 =
        sqlx::query_scalar("select total_visits from public.gym_members_v2 where first_name = 'Sophie-lyon'")
            .fetch_one(db.admin_pool())
            .await
            .unwrap();
    assert_eq!(counted, 2);

    let again = program.run(&for_good).await.json();
    assert_eq!(
        (&again["added"], &again["known"]),
        (&json!(0), &json!(4)),
        "{again:#}"
    );
    assert_eq!(visits(&db).await, known, "it can run again");
}

#[tokio::test]
async fn columns_are_shown_and_can_be_named() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "B1", "Sophie", "").await;
    let file = program.folder().join("jours.csv");
    std::fs::write(&file, "client,jour\nB1,2026-03-02\nB1,2026-03-05\n").unwrap();
    let file = file.display().to_string();
    let import = ["import", "visits", file.as_str()];

    let unknown = program.run(&import).await;
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("--at") && unknown.stderr.contains("client, jour"),
        "{unknown:?}"
    );
    let named = [&import[..], &["--badge", "client", "--at", "Jour"]].concat();
    let no_time = program.run(&named).await;
    assert_eq!(no_time.code, 3);
    assert!(no_time.stdout.contains("--days-only"), "{no_time:?}");
    let days = program
        .run(&[&named[..], &["--days-only", "--yes"]].concat())
        .await;
    assert_eq!(days.code, 0, "{days:?}");
    assert!(
        days.stderr
            .contains("badge: column `client`; moment: column `jour`"),
        "{days:?}"
    );
    assert!(
        days.stdout
            .contains("2 found, 2 added, 0 known already, 0 refused"),
        "{days:?}"
    );
    let misnamed = program.run(&[&import[..], &["--badge", "carte"]].concat()).await;
    assert_eq!(misnamed.code, 2);
    assert!(misnamed.stderr.contains("no column `carte`"), "{misnamed:?}");
}
