//! The import is repeated, undone, and made in other surroundings.

use super::{
    FIXTURE, GYMS, LEGACY, check_sums, content, count, facts, import, lines, lost_cells, member, run,
    stating, with_legacy,
};
use crate::migrations::{Files, platform};
use jarvis_core::Purpose;
use jarvis_db::migrations::{self, MigrationError, Source, legacy};
use jarvis_testkit::{Cluster, TestDb};
use secrecy::SecretString;
use sqlx::PgPool;

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
        "../../../../../supabase/migrations/down/20251023000006_cleanup_old_tables_safe.sql"
    )
    .to_owned()
        + include_str!(
            "../../../../../supabase/migrations/down/20251023000004_migrate_existing_gym_members_data_fixed.sql"
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
