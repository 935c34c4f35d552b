//! `jarvis bench` at a size that says nothing of speed: what it does, refuses and leaves behind.

use crate::program::{Program, fetched};
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, PgConnection};

const INGEST: [&str; 14] = [
    "bench",
    "ingest",
    "--batch",
    "40",
    "--batches",
    "2",
    "--rounds",
    "1",
    "--clients",
    "2",
    "--rate",
    "30",
    "--seconds",
    "1",
];

/// The pages as they are before, with the marks of this section.
fn pages(program: &Program) {
    for name in ["bench.md", "bench.fr.md"] {
        let text = "# Title\n\n<!-- ingest -->\nold\n<!-- /ingest -->\n\nafter\n";
        std::fs::write(program.folder().join(name), text).unwrap();
    }
}

#[tokio::test]
async fn every_event_that_the_bench_was_told_is_stored_is_stored_and_the_pages_say_the_figures() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    pages(&program);
    let told = program.json(&[&INGEST[..], &["--page", "."]].concat()).await;
    // A round before that is not counted, and one that is: 2 clients, 2 batches of 40; 30 single events.
    assert_eq!(told["acknowledged"], 2 * 2 * 2 * 40 + 30, "{told}");
    assert_eq!(told["stored"], told["acknowledged"]);
    assert_eq!(
        (&told["single"]["refused"], &told["single"]["sent"]),
        (&0.into(), &30.into())
    );
    assert_eq!(told["twin"]["rows"], 2 * 2 * 2 * 40);
    assert_eq!(told["twin"]["triggers"], 0);
    assert_eq!(told["twin"]["foreign_keys"], told["table"]["foreign_keys"]);
    assert!(told["ratio"].as_f64().unwrap() > 0.0);
    for (name, word) in [("bench.md", "rows/s"), ("bench.fr.md", "lignes/s")] {
        let page = std::fs::read_to_string(program.folder().join(name)).unwrap();
        assert!(
            page.contains(word) && page.contains("fsync") && !page.contains("old"),
            "{page}"
        );
        assert!(
            page.starts_with("# Title\n") && page.ends_with("after\n"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn the_bench_refuses_a_database_that_is_in_use_and_pages_that_are_not_there() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let ended = program.run(&[&INGEST[..], &["--page", "nowhere"]].concat()).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("bench.md"), "{ended:?}");
    let ended = program.run(&["bench", "ingest", "--batch", "5001"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    program
        .json(&["gym", "add", "Salle Lumière", "--slug", "lyon"])
        .await;
    let ended = program.run(&INGEST).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("in use"), "{ended:?}");
    let mut admin = PgConnection::connect(db.url().expose_secret()).await.unwrap();
    let left: bool =
        sqlx::query_scalar("select to_regnamespace('bench') is null and count(*) = 1 from public.gyms")
            .fetch_one(&mut admin)
            .await
            .unwrap();
    assert!(left, "nothing was changed");
}

#[tokio::test]
async fn every_session_that_the_bench_opens_has_its_full_context_and_says_where_the_time_went() {
    if fetched("JARVIS_E5_WEIGHTS").is_none() || fetched("JARVIS_USE_WEIGHTS").is_none() {
        return;
    }
    let db = TestDb::new().await;
    let program = Program::on(&db);
    for name in ["bench.md", "bench.fr.md"] {
        let text = "<!-- open -->\n<!-- /open -->\n";
        std::fs::write(program.folder().join(name), text).unwrap();
    }
    let told = program
        .json(&[
            "bench",
            "open",
            "--members",
            "10",
            "--conversations",
            "120",
            "--turns",
            "3",
            "--badges",
            "12",
            "--page",
            ".",
        ])
        .await;
    assert_eq!(told["with_model"], true, "{told}");
    assert_eq!(
        (&told["full_contexts"], &told["open"]["times"]["calls"]),
        (&12.into(), &12.into())
    );
    let part = |step: &str, of: &str| told[step]["share"][of].as_f64().unwrap();
    // Opening asks no model; a question does. Either costs statements.
    assert!(
        part("open", "model") < 1e-9 && part("ask", "model") > 0.0,
        "{told}"
    );
    assert!(part("open", "sql") > 1.0 && part("ask", "sql") > 1.0, "{told}");
    let mut admin = PgConnection::connect(db.url().expose_secret()).await.unwrap();
    let asked_back: bool = sqlx::query_scalar(
        "select count(*) filter (where state = 'processed') >= 120 and count(*) filter (where state = 'closing') > 12
           from public.conversation_sessions",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert!(
        asked_back,
        "conversations of before, and those that the bench held"
    );
    let page = std::fs::read_to_string(program.folder().join("bench.fr.md")).unwrap();
    assert!(page.contains("du badge au contexte"), "{page}");
}
