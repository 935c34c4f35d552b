//! Up: once, also by two at a time and on a platform.

use super::{Files, ask, connect, ours, platform, run};
use jarvis_core::{Scope, UserId};
use jarvis_db::migrations::{self, MigrationError, State};
use jarvis_db::queries::account::Account;
use jarvis_db::{ConnectSettings, Db, provision};
use jarvis_testkit::{Cluster, LOGIN_PASSWORD, TestDb};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::Connection as _;

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
