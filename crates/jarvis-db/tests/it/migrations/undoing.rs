//! Down: with what it would lose.

use super::{Files, ask, ours, run};
use jarvis_core::Purpose;
use jarvis_db::migrations::{self, Loss, MigrationError, Which};
use jarvis_testkit::TestDb;
use std::fs;

#[tokio::test]
async fn every_migration_has_a_down_that_leads_back_to_nothing() {
    const OBJECTS: &str = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                           where n.nspname in ('public', 'jarvis', 'auth')";
    let test = TestDb::empty().await;
    assert!(migrations::list().iter().all(migrations::Migration::has_down));
    migrations::up(test.url(), ours()).await.unwrap();
    let made: i64 = ask(test.url(), OBJECTS).await;
    assert!(made > 20);

    let reverted = migrations::down(test.url(), ours(), 100, false).await.unwrap();
    assert_eq!(reverted.len(), ours().migrations().len());
    assert_eq!(ask::<i64>(test.url(), OBJECTS).await, 0);

    migrations::up(test.url(), ours()).await.unwrap();
    assert_eq!(ask::<i64>(test.url(), OBJECTS).await, made);
}

#[tokio::test]
async fn going_down_counts_the_rows_it_would_lose_and_refuses() {
    let test = TestDb::new().await;
    let gym = test.seed_gym("Lyon").await;
    test.seed_member(gym, "B-001", "Alice", &[Purpose::Voice, Purpose::Memory])
        .await;

    let error = migrations::down(test.url(), ours(), 100, false)
        .await
        .unwrap_err();
    let MigrationError::DataLoss { lost } = &error else {
        panic!("{error}");
    };
    let loss = |table: &str, rows| Loss {
        table: table.to_owned(),
        column: None,
        rows,
    };
    for expected in [
        loss("public.gyms", 1),
        loss("public.gym_members_v2", 1),
        loss("jarvis.consent_ledger", 2),
    ] {
        assert!(lost.contains(&expected), "{expected} is not in: {error}");
    }
    assert!(error.hint().unwrap().contains("--allow-data-loss"));
    assert_eq!(
        ask::<i64>(test.url(), "select count(*) from public.gyms").await,
        1
    );

    migrations::down(test.url(), ours(), 100, true).await.unwrap();
    assert!(!ask::<bool>(test.url(), "select to_regclass('public.gyms') is not null").await);
}

#[tokio::test]
async fn a_column_with_something_in_it_counts_as_loss() {
    let files = Files::new(&[
        (
            "20300101000001_one.sql",
            "create table public.things (id int, label text)",
        ),
        ("down/20300101000001_one.sql", "drop table public.things"),
        (
            "20300101000002_two.sql",
            "alter table public.things add column colour text",
        ),
        (
            "down/20300101000002_two.sql",
            "alter table public.things drop column colour",
        ),
    ]);
    let test = TestDb::empty().await;
    migrations::up(test.url(), &files.source()).await.unwrap();
    run(
        test.url(),
        "insert into public.things values (1, 'a', 'red'), (2, 'b', null)",
    )
    .await;
    let error = migrations::down(test.url(), &files.source(), 1, false)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "going down would lose 1 row in column public.things.colour"
    );
    run(test.url(), "update public.things set colour = null").await;
    assert_eq!(
        migrations::down(test.url(), &files.source(), 1, false)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn rows_deleted_out_of_a_table_that_stays_count_as_loss_and_a_plan_changes_nothing() {
    let files = Files::new(&[
        ("20300101000001_one.sql", "create table public.things (id int)"),
        ("down/20300101000001_one.sql", "drop table public.things"),
        (
            "20300101000002_two.sql",
            "create table public.extra (id int, label text)",
        ),
        (
            "down/20300101000002_two.sql",
            "delete from public.things where id > 1; drop table public.extra",
        ),
    ]);
    let test = TestDb::empty().await;
    migrations::up(test.url(), &files.source()).await.unwrap();
    run(
        test.url(),
        "insert into public.things values (1), (2), (3); insert into public.extra values (1, 'a')",
    )
    .await;
    let plan = migrations::plan_undo(test.url(), &files.source(), &Which::Newest(1))
        .await
        .unwrap();
    let lost: Vec<String> = plan.lost.iter().map(ToString::to_string).collect();
    assert_eq!(lost, ["1 row of public.extra", "2 rows of public.things"]);
    assert_eq!(plan.migrations.len(), 1);
    let error = migrations::down(test.url(), &files.source(), 1, false)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, MigrationError::DataLoss { lost } if *lost == plan.lost),
        "{error}"
    );
    assert_eq!(
        ask::<i64>(test.url(), "select count(*) from public.things").await,
        3
    );
    migrations::down(test.url(), &files.source(), 1, true)
        .await
        .unwrap();
    assert_eq!(
        ask::<i64>(test.url(), "select count(*) from public.things").await,
        1
    );
}

#[tokio::test]
async fn what_an_upgrade_applied_late_is_undone_by_its_versions_alone() {
    let table = |name: &str| format!("create table public.{name} (id int)");
    let (one, two, three) = (table("one"), table("two"), table("three"));
    let files = Files::new(&[
        ("20300101000001_one.sql", &one),
        ("20300101000003_three.sql", &three),
        ("down/20300101000003_three.sql", "drop table public.three"),
    ]);
    let test = TestDb::empty().await;
    migrations::up(test.url(), &files.source()).await.unwrap();
    fs::write(files.0.join("20300101000002_two.sql"), two).unwrap();
    fs::write(
        files.0.join("down/20300101000002_two.sql"),
        "drop table public.two",
    )
    .unwrap();
    let applied = migrations::up(test.url(), &files.source()).await.unwrap();
    let versions: Vec<String> = applied.into_iter().map(|a| a.version).collect();
    assert_eq!(versions, ["20300101000002"]);
    let undone = migrations::undo(
        test.url(),
        &files.source(),
        &Which::These(versions.clone()),
        false,
    )
    .await
    .unwrap();
    assert_eq!(undone.migrations[0].name, "two");
    assert_eq!(undone.lost, []);
    assert!(ask::<bool>(test.url(), "select to_regclass('public.three') is not null").await);
    assert!(ask::<bool>(test.url(), "select to_regclass('public.two') is null").await);
    let again = migrations::undo(test.url(), &files.source(), &Which::These(versions), false)
        .await
        .unwrap_err();
    assert!(matches!(again, MigrationError::NoSuchVersion { .. }), "{again}");
}
