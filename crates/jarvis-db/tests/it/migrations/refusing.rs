//! What is refused before anything changes, and the files and history both tools read.

use super::{Files, ask, ours, run};
use chrono::DateTime;
use jarvis_db::migrations::{self, Mark, MigrationError, Source};
use jarvis_db::{ConnectSettings, Db, DbError};
use jarvis_testkit::TestDb;
use std::fs;

#[test]
fn a_folder_is_refused_when_the_other_tool_would_run_what_this_one_does_not_see() {
    let short = Files::new(&[("1_short.sql", "select 1")]);
    let error = Source::from_dir(&short.0).unwrap_err();
    assert!(error.to_string().contains("14 digits"), "{error}");
    let broken = Files::new(&[("20300101000001_one.sql", "select 1")]);
    fs::write(broken.0.join("20300101000002_two.sql"), [0xff, 0xfe]).unwrap();
    let error = Source::from_dir(&broken.0).unwrap_err();
    assert!(error.to_string().contains("20300101000002_two.sql"), "{error}");
    let empty = Files::new(&[("README.md", "none")]);
    assert!(matches!(
        Source::like_embedded(&empty.0),
        Err(MigrationError::BadSource(_))
    ));
}

#[tokio::test]
async fn the_history_has_the_shape_of_the_supabase_cli() {
    const COLUMNS: &str = "select string_agg(column_name || ' ' || udt_name || ' ' || is_nullable, ', '
                                             order by ordinal_position)
                           from information_schema.columns where table_schema = 'supabase_migrations'";
    let test = TestDb::empty().await;
    migrations::up(test.url(), ours()).await.unwrap();
    let columns: String = ask(test.url(), COLUMNS).await;
    assert_eq!(columns, "version text NO, statements _text YES, name text YES");
    let first: String = ask(
        test.url(),
        "select name from supabase_migrations.schema_migrations order by version limit 1",
    )
    .await;
    assert_eq!(first, "create_core_tables");
    let statements: Vec<String> = ask(
        test.url(),
        "select statements from supabase_migrations.schema_migrations order by version limit 1",
    )
    .await;
    assert!(statements.concat().contains("create table"));
}

const HISTORY: &str = "create schema supabase_migrations;

    create table supabase_migrations.schema_migrations (version text not null primary key, statements text[], name text);";

#[tokio::test]
async fn a_database_of_the_guides_own_schema_is_refused_and_pointed_to_adoption() {
    let test = TestDb::empty().await;
    let recorded = "insert into supabase_migrations.schema_migrations select '2025102300000' || n from generate_series(1, 6) n";
    run(
        test.url(),
        format!("{HISTORY} create table public.gym_members_v2 (id uuid); {recorded}"),
    )
    .await;
    let error = migrations::up(test.url(), ours()).await.unwrap_err();
    assert!(
        matches!(&error, MigrationError::ForeignSchema { versions } if versions.len() == 6),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("jarvis migration adopt"));
    assert!(!ask::<bool>(test.url(), "select to_regclass('public.gyms') is not null").await);
}

#[tokio::test]
async fn a_version_nobody_here_knows_is_refused_with_the_repair() {
    let test = TestDb::new().await;
    run(
        test.url(),
        "insert into supabase_migrations.schema_migrations values ('20991231235959')",
    )
    .await;
    let error = migrations::up(test.url(), ours()).await.unwrap_err();
    assert!(matches!(error, MigrationError::UnknownVersions { .. }), "{error}");
    let hint = error.hint().unwrap();
    for command in [
        "jarvis migration repair 20991231235959 --status reverted",
        "supabase migration repair 20991231235959 --status reverted --remote=",
    ] {
        assert!(hint.contains(command), "{hint}");
    }
    migrations::repair(test.url(), ours(), &["20991231235959".to_owned()], Mark::Reverted)
        .await
        .unwrap();
    assert!(migrations::up(test.url(), ours()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_or_old_extension_is_named_before_anything_is_changed() {
    let test = TestDb::empty().await;
    let missing = ours().clone().with_extensions(&[("no_such_extension", "1")]);
    let error = migrations::up(test.url(), &missing).await.unwrap_err();
    assert!(
        error.to_string().contains("no extension \"no_such_extension\""),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("install the package"));

    let newer = ours().clone().with_extensions(&[("vector", "99.0")]);
    let error = migrations::up(test.url(), &newer).await.unwrap_err();
    assert!(
        matches!(
            error,
            MigrationError::OldExtension {
                extension: "vector",
                ..
            }
        ),
        "{error}"
    );
    assert!(
        !ask::<bool>(
            test.url(),
            "select to_regnamespace('supabase_migrations') is not null"
        )
        .await
    );
}

#[tokio::test]
async fn an_old_server_is_refused() {
    let test = TestDb::new().await;
    let old = "create schema old;
        create function old.current_setting(setting text) returns text language sql as
          $$ select case setting when 'server_version_num' then '140011' else '14.11' end $$;
        grant usage on schema old to public;
        alter role current_user in database DATABASE set search_path = old, pg_catalog, public;
        alter role jarvis_login in database DATABASE set search_path = old, pg_catalog, public";
    run(test.url(), old.replace("DATABASE", test.name())).await;
    let error = migrations::up(test.url(), ours()).await.unwrap_err();
    assert!(
        error.to_string().contains("PostgreSQL 14.11; JARVIS needs 15"),
        "{error}"
    );
    let error = Db::connect(&ConnectSettings::new(test.login_url()))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, DbError::Unfit { hint, .. } if hint.contains("jarvis up")),
        "{error}"
    );
}

#[test]
fn a_new_migration_comes_with_its_down_and_a_name_in_snake_case() {
    let files = Files::new(&[]);
    let now = DateTime::from_timestamp(1_900_000_000, 0).unwrap();
    let paths = migrations::new_file(&files.0, "add_lockers", now).unwrap();
    assert!(paths[0].ends_with("20300317174640_add_lockers.sql"), "{paths:?}");
    assert!(
        paths[1].ends_with("down/20300317174640_add_lockers.sql"),
        "{paths:?}"
    );
    assert!(files.source().migrations()[0].has_down());
    let same_second = migrations::new_file(&files.0, "add_showers", now).unwrap();
    assert!(
        same_second[0].ends_with("20300317174641_add_showers.sql"),
        "a version is recorded but once: {same_second:?}"
    );
    let before = now - chrono::TimeDelta::days(1);
    let later = migrations::new_file(&files.0, "add_saunas", before).unwrap();
    assert!(
        later[0].ends_with("20300317174642_add_saunas.sql"),
        "a new migration comes last: {later:?}"
    );
    for bad in ["", "Add Lockers", "../up", "é"] {
        assert!(
            matches!(
                migrations::new_file(&files.0, bad, now),
                Err(MigrationError::BadSource(_))
            ),
            "{bad}"
        );
    }
}
