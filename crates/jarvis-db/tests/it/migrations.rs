//! Up, down, twice, at the same time, and on databases that are not as they should be.

use chrono::DateTime;
use jarvis_core::{Purpose, Scope, UserId};
use jarvis_db::migrations::{self, Loss, Mark, MigrationError, Source, State, Which};
use jarvis_db::queries::account::Account;
use jarvis_db::{ConnectSettings, Db, DbError, provision};
use jarvis_testkit::{Cluster, LOGIN_PASSWORD, TestDb};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::fs;
use std::path::PathBuf;

pub fn ours() -> &'static Source {
    Source::embedded()
}

async fn connect(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.unwrap()
}

pub async fn run(url: &SecretString, sql: impl Into<String>) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

pub async fn ask<T>(url: &SecretString, sql: &'static str) -> T
where
    T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
{
    let mut connection = connect(url).await;
    let answer = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

/// A folder of migrations of a test's own, removed with the value.
pub struct Files(pub PathBuf);

impl Files {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("jarvis-migrations-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(folder.join("down")).unwrap();
        for (name, sql) in files {
            fs::write(folder.join(name), sql).unwrap();
        }
        Self(folder)
    }

    pub fn source(&self) -> Source {
        Source::from_dir(&self.0).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[tokio::test]
async fn a_fresh_database_gets_everything_once() {
    let test = TestDb::empty().await;
    let all = ours().migrations().len();
    assert!(all >= 5);
    let pending = migrations::status(test.url(), ours()).await.unwrap();
    assert!(pending.iter().all(|entry| entry.state == State::Pending));

    assert_eq!(migrations::up(test.url(), ours()).await.unwrap().len(), all);
    assert!(migrations::up(test.url(), ours()).await.unwrap().is_empty());

    let status = migrations::status(test.url(), ours()).await.unwrap();
    assert!(status.len() == all && status.iter().all(|entry| entry.state == State::Applied));
    let db = Db::connect(&ConnectSettings::new(test.login_url()))
        .await
        .unwrap();
    db.begin(&Scope::System).await.unwrap().commit().await.unwrap();
}

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
async fn two_at_once_migrate_a_database_once() {
    let test = TestDb::empty().await;
    let (one, two) = tokio::join!(
        migrations::up(test.url(), ours()),
        migrations::up(test.url(), ours())
    );
    let mut applied = [one.unwrap().len(), two.unwrap().len()];
    applied.sort_unstable();
    assert_eq!(applied, [0, ours().migrations().len()]);
}

#[tokio::test]
async fn two_databases_of_a_new_cluster_can_be_migrated_at_once() {
    let cluster = Cluster::start_empty().await.unwrap();
    for statement in ["create database a", "create database b", "create database c"] {
        run(cluster.url(), statement).await;
    }
    let url = |name: &str| -> SecretString {
        cluster
            .url()
            .expose_secret()
            .replace("/postgres?", &format!("/{name}?"))
            .into()
    };
    let (a, b, c) = (url("a"), url("b"), url("c"));
    let (a, b, c) = tokio::join!(
        migrations::up(&a, ours()),
        migrations::up(&b, ours()),
        migrations::up(&c, ours())
    );
    for applied in [a, b, c] {
        assert_eq!(applied.unwrap().len(), ours().migrations().len());
    }
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_migration_that_meets_another_change_of_the_same_role_is_tried_again() {
    let cluster = Cluster::start_empty().await.unwrap();
    let files = Files::new(&[(
        "20300101000001_role.sql",
        "alter role somebody connection limit 7",
    )]);
    run(cluster.url(), "create role somebody").await;
    let mut other = connect(cluster.url()).await;
    sqlx::raw_sql("begin; alter role somebody connection limit 5")
        .execute(&mut other)
        .await
        .unwrap();
    let (url, source) = (cluster.url().clone(), files.source());
    let migrating = tokio::spawn(async move { migrations::up(&url, &source).await });
    let waiting = "select exists (select from pg_stat_activity where wait_event_type = 'Lock')";
    while !ask::<bool>(cluster.url(), waiting).await {
        assert!(!migrating.is_finished(), "it did not wait");
    }
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    assert_eq!(migrating.await.unwrap().unwrap().len(), 1);
    assert_eq!(
        ask::<i32>(
            cluster.url(),
            "select rolconnlimit from pg_roles where rolname = 'somebody'"
        )
        .await,
        7
    );
    cluster.stop().await.unwrap();
}

/// The bootstrap superuser cannot lose its rights, but its name: "postgres" is a plain role on the platform.
pub async fn platform(cluster: &Cluster) -> SecretString {
    const RENAME: &str =
        "alter role postgres rename to platform_admin; create role postgres login createdb createrole
                          replication bypassrls password 'p'; create role jarvis_other";
    let admin = cluster.url();
    run(admin, "create role stepladder superuser login password 's'").await;
    let as_user = |user: &str, password: &str, database: &str| -> SecretString {
        let (_, rest) = admin.expose_secret().split_once('@').unwrap();
        let rest = rest.replace("/postgres?", &format!("/{database}?"));
        format!("postgres://{user}:{password}@{rest}").into()
    };
    let stepladder = as_user("stepladder", "s", "postgres");
    run(&stepladder, RENAME).await;
    project(cluster, "project").await
}

/// Another project of the same platform.
pub async fn project(cluster: &Cluster, name: &str) -> SecretString {
    let as_user = |user: &str, password: &str, database: &str| -> SecretString {
        let (_, rest) = cluster.url().expose_secret().split_once('@').unwrap();
        let rest = rest.replace("/postgres?", &format!("/{database}?"));
        format!("postgres://{user}:{password}@{rest}").into()
    };
    run(
        &as_user("stepladder", "s", "postgres"),
        format!("create database {name} owner postgres"),
    )
    .await;
    run(
        &as_user("stepladder", "s", name),
        include_str!("../fixtures/supabase_platform.sql"),
    )
    .await;
    as_user("postgres", "p", name)
}

/// A password once, then another one and other rights, beside an identity of single sign-on with the same address.
async fn accounts_are_made_and_changed(url: &SecretString) {
    const IDENTITIES: &str =
        "select array_agg(concat_ws(' ', email, encrypted_password) order by is_sso_user)
                              from auth.users";
    run(
        url,
        "insert into auth.users (id, email, is_sso_user) values (gen_random_uuid(), 'lea@exemple.fr', true)",
    )
    .await;
    let account = Account {
        id: UserId::from(uuid::Uuid::now_v7()),
        email: " Lea@exemple.fr".to_owned(),
        full_name: None,
        role: "gym_staff".to_owned(),
        gym_access: Vec::new(),
        is_active: true,
    };
    let mut owner = connect(url).await;
    let id = provision::upsert_account(&mut owner, &account, "one")
        .await
        .unwrap();
    assert_eq!(id, account.id.as_uuid());
    let identities: Vec<String> = ask(url, IDENTITIES).await;
    assert_eq!(identities, ["lea@exemple.fr one", "lea@exemple.fr"]);

    let changed = Account {
        id: UserId::from(uuid::Uuid::now_v7()),
        role: "gym_manager".to_owned(),
        email: "LEA@exemple.fr".to_owned(),
        ..account
    };
    let again = provision::upsert_account(&mut owner, &changed, "two")
        .await
        .unwrap();
    assert_eq!(again, id, "the same address is the same person");
    let identities: Vec<String> = ask(url, IDENTITIES).await;
    assert_eq!(identities, ["lea@exemple.fr two", "lea@exemple.fr"]);
    let people: Vec<String> = ask(url, "select array_agg(email || ' ' || role) from public.users").await;
    assert_eq!(people, ["lea@exemple.fr gym_manager"]);
    owner.close().await.unwrap();
}

#[tokio::test]
async fn an_account_is_made_once_in_a_schema_of_ours_too() {
    let test = TestDb::new().await;
    let mut owner = connect(test.url()).await;
    let mut account = Account {
        id: UserId::from(uuid::Uuid::now_v7()),
        email: "Noa@exemple.fr".to_owned(),
        full_name: None,
        role: "gym_staff".to_owned(),
        gym_access: Vec::new(),
        is_active: true,
    };
    let id = provision::upsert_account(&mut owner, &account, "one")
        .await
        .unwrap();
    account.id = UserId::from(uuid::Uuid::now_v7());
    let again = provision::upsert_account(&mut owner, &account, "two")
        .await
        .unwrap();
    assert_eq!(again, id);
    let stored: String = ask(
        test.url(),
        "select concat_ws(' ', email, encrypted_password) from auth.users",
    )
    .await;
    assert_eq!(stored, "noa@exemple.fr two");
    owner.close().await.unwrap();
}

#[tokio::test]
async fn a_platform_that_gives_no_superuser_is_migrated_and_left_as_it_is() {
    const PLATFORM: &str = "select string_agg(x, ',' order by x) from (
        select relname || relowner::regrole from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r'
        union all select proname || md5(prosrc) from pg_proc where pronamespace = 'auth'::regnamespace
        union all select rolname || rolbypassrls || rolcanlogin || rolinherit from pg_roles
                  where rolname in ('anon', 'authenticated', 'service_role', 'authenticator')) as s (x)";
    let cluster = Cluster::start_empty().await.unwrap();
    let url = platform(&cluster).await;
    assert!(!ask::<bool>(&url, "select rolsuper from pg_roles where rolname = current_user").await);
    let before: String = ask(&url, PLATFORM).await;

    assert_eq!(
        migrations::up(&url, ours()).await.unwrap().len(),
        ours().migrations().len()
    );
    assert_eq!(ask::<String>(&url, PLATFORM).await, before);

    accounts_are_made_and_changed(&url).await;
    run(
        &url,
        format!("alter role jarvis_login password '{LOGIN_PASSWORD}'"),
    )
    .await;
    let login = url
        .expose_secret()
        .replace("postgres:p@", &format!("jarvis_login:{LOGIN_PASSWORD}@"));
    let db = Db::connect(&ConnectSettings::new(login.into())).await.unwrap();
    db.begin(&Scope::System).await.unwrap().commit().await.unwrap();
    db.close().await;

    migrations::down(&url, ours(), 100, true).await.unwrap();
    assert_eq!(ask::<String>(&url, PLATFORM).await, before);
    assert_eq!(
        migrations::up(&url, ours()).await.unwrap().len(),
        ours().migrations().len()
    );
    cluster.stop().await.unwrap();
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
async fn a_failing_migration_is_named_with_its_line_and_leaves_nothing() {
    let files = Files::new(&[
        ("20300101000001_good.sql", "create table public.good (id int)"),
        (
            "20300101000002_bad.sql",
            "create table public.half (id int);\n\nselect wrong from public.half;",
        ),
    ]);
    let test = TestDb::empty().await;
    let error = migrations::up(test.url(), &files.source()).await.unwrap_err();
    assert!(
        error.to_string().contains("20300101000002_bad failed at line 3"),
        "{error}"
    );
    let there: Vec<Option<String>> = ask(
        test.url(),
        "select array[to_regclass('public.good')::text, to_regclass('public.half')::text]",
    )
    .await;
    assert_eq!(there, [Some("good".to_owned()), None]);
    let status = migrations::status(test.url(), &files.source()).await.unwrap();
    assert_eq!(
        status.iter().map(|e| e.state).collect::<Vec<_>>(),
        [State::Applied, State::Pending]
    );

    let error = migrations::down(test.url(), &files.source(), 1, true)
        .await
        .unwrap_err();
    assert!(matches!(error, MigrationError::NoDown { .. }), "{error}");
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
