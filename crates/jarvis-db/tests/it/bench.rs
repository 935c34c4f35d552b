use jarvis_db::DbError;
use jarvis_db::bench::ingest::{self, Rows};
use jarvis_db::bench::recall::{Settings, run};
use jarvis_db::bench::{ground, guide};
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, PgConnection};

fn settings() -> Settings {
    Settings {
        summaries: 240,
        members: 12,
        clients: 2,
        questions: 24,
        seconds: 1,
        rounds: 1,
        seed: 1,
    }
}

/// Sizes are tiny: what is found is asserted, not how fast.
#[tokio::test]
async fn our_recall_finds_all_that_the_exact_answer_holds_and_the_guides_design_runs_beside_it() {
    let db = TestDb::new().await;
    let report = run(db.url(), &settings(), &|_| {}).await.unwrap();
    assert!(report.rows >= 240);
    assert!((report.ours.recall_at_5 - 1.0).abs() < 1e-9, "{:?}", report.ours);
    assert!(report.ours.empty.abs() < 1e-9);
    let asked: usize = report.ours.buckets.values().map(|b| b.questions).sum();
    assert_eq!(asked, 24);
    assert!(
        (0.0..=1.0).contains(&report.guide.recall_at_5),
        "{:?}",
        report.guide
    );
    for times in [
        report.ours.times,
        report.guide.times,
        report.round_trip,
        report.dot_products,
    ] {
        assert!(times.calls > 0 && times.p50_ms > 0.0 && times.p50_ms <= times.p99_ms);
    }
    assert!(report.qps_ratio.is_finite() && report.qps_ratio > 0.0);
    for name in ["server_version", "fsync", "pgvector"] {
        assert!(report.postgresql.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn the_twin_that_copy_fills_has_the_keys_and_indexes_of_the_events_and_no_triggers() {
    let db = TestDb::new().await;
    let mut admin = PgConnection::connect(db.url().expose_secret()).await.unwrap();
    assert!(ground::is_empty(&mut admin).await.unwrap());
    ingest::make_twin(&mut admin).await.unwrap();
    let places = ground::settle(&mut admin, 0, 1, 2).await.unwrap();
    assert!(!ground::is_empty(&mut admin).await.unwrap(), "it is in use now");
    sqlx::query(
        "insert into public.conversation_sessions (session_id, gym_id, member_id) values ('bench', $1, $2)",
    )
    .bind(places[0].gym.as_uuid())
    .bind(places[0].member.as_uuid())
    .execute(&mut admin)
    .await
    .unwrap();
    let now = "2026-03-01T10:00:00Z".parse().unwrap();
    let rows = |place, run| Rows::of(place, "bench", run, 7, now);
    let took = ingest::copy(db.url(), vec![rows(&places[0], "a"), rows(&places[0], "b")]).await;
    assert!(took.unwrap().as_nanos() > 0);
    let (table, twin) = ingest::makes(&mut admin).await.unwrap();
    assert_eq!(
        (table.indexes, table.foreign_keys, table.checks),
        (twin.indexes, twin.foreign_keys, twin.checks)
    );
    assert!(twin.foreign_keys == 2 && twin.indexes >= 5 && table.triggers > 0);
    assert_eq!((twin.triggers, twin.rows, table.rows), (0, 14, 0));
    // Its keys bite: a row of nobody's session, and a row that came before.
    let nobody = Rows::of(&places[1], "nowhere", "c", 1, now);
    assert!(matches!(
        ingest::copy(db.url(), vec![nobody]).await,
        Err(DbError::Reference { .. })
    ));
    assert!(matches!(
        ingest::copy(db.url(), vec![rows(&places[0], "a")]).await,
        Err(DbError::Conflict { .. })
    ));
}

#[tokio::test]
async fn the_guides_table_is_built_as_the_guide_says_with_its_index_before_any_row() {
    let db = TestDb::new().await;
    let mut admin = PgConnection::connect(db.url().expose_secret()).await.unwrap();
    guide::build(&mut admin).await.unwrap();
    let indexes: Vec<String> = sqlx::query_scalar(
        "select replace(indexdef, 'extensions.', '') from pg_indexes
          where schemaname = 'guide' and tablename = 'conversation_summaries' order by indexname collate \"C\"",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(indexes.len(), 2, "{indexes:?}");
    assert!(
        indexes[0].contains("UNIQUE") && indexes[0].contains("(id)"),
        "{indexes:?}"
    );
    assert!(
        indexes[1].contains("USING ivfflat (embedding vector_cosine_ops) WITH (lists='100')"),
        "{indexes:?}"
    );
    let (rows, plain): (i64, bool) = sqlx::query_as(
        "select (select count(*) from guide.conversation_summaries),
                (select bool_and(c.relrowsecurity) from pg_class c
                  where c.relnamespace = 'guide'::regnamespace and c.relkind = 'r')
                and (select proconfig is null and not prosecdef from pg_proc
                      where pronamespace = 'guide'::regnamespace and proname = 'match_conversation_summaries')",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert_eq!((rows, plain), (0, true), "no settings of ours steer the planner");
}
