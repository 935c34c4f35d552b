//! What a transaction is allowed to carry, and what it must leave behind.

use chrono::DateTime;
use jarvis_core::{Actor, GymId, KioskId, Purpose, Scope, UserId};
use jarvis_db::{ConnectSettings, Db, DbError};
use jarvis_testkit::TestDb;
use secrecy::SecretString;
use std::time::Duration;

/// Role, gym, actor and claims, as PostgreSQL sees them now.
type Settings = (String, String, String, String);

async fn settings(connection: &mut sqlx::PgConnection) -> Settings {
    sqlx::query_as(
        "select current_user::text, coalesce(current_setting('app.gym_id', true), ''),
                coalesce(current_setting('app.actor', true), ''),
                coalesce(current_setting('request.jwt.claims', true), '')",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

/// A pool of one connection, so that every transaction gets the one of the transaction before.
async fn one_connection(test: &TestDb) -> Db {
    let settings = ConnectSettings {
        max_connections: 1,
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_millis(400),
        ..ConnectSettings::new(test.login_url())
    };
    Db::connect(&settings).await.unwrap()
}

fn kiosk() -> Actor {
    Actor::Kiosk(KioskId::from(uuid::Uuid::from_u128(7)))
}

#[tokio::test]
async fn a_scope_sets_role_gym_actor_and_claims() {
    let test = TestDb::new().await;
    let db = one_connection(&test).await;
    let gym = test.seed_gym("Lyon").await;
    let user = UserId::new(DateTime::UNIX_EPOCH);
    let empty = String::new;

    let mut tx = db.begin(&Scope::gym(gym, kiosk())).await.unwrap();
    assert_eq!(tx.gym(), Some(gym));
    let expected = (
        "jarvis_server".to_owned(),
        gym.to_string(),
        kiosk().to_string(),
        empty(),
    );
    assert_eq!(settings(&mut tx).await, expected);
    tx.commit().await.unwrap();

    let mut tx = db.begin(&Scope::Person(user)).await.unwrap();
    let (role, gym_id, actor, claims) = settings(&mut tx).await;
    assert_eq!((role.as_str(), gym_id.as_str()), ("authenticated", ""));
    assert_eq!(actor, format!("user:{user}"));
    assert_eq!(claims, format!(r#"{{"role":"authenticated","sub":"{user}"}}"#));
    tx.commit().await.unwrap();

    let mut tx = db.begin(&Scope::System).await.unwrap();
    assert_eq!(
        settings(&mut tx).await,
        ("jarvis_system".to_owned(), empty(), "server".to_owned(), empty())
    );
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_pooled_connection_carries_nothing_over() {
    let test = TestDb::new().await;
    let db = one_connection(&test).await;
    let gym = test.seed_gym("Lyon").await;
    let nobody = ("anon".to_owned(), String::new(), String::new(), String::new());

    for scope in [
        Scope::gym(gym, kiosk()),
        Scope::Person(UserId::new(DateTime::UNIX_EPOCH)),
        Scope::System,
    ] {
        db.begin(&scope).await.unwrap().commit().await.unwrap();
        let mut next = db.begin(&Scope::Anonymous).await.unwrap();
        assert_eq!(settings(&mut next).await, nobody, "after a commit of {scope:?}");
        next.rollback().await.unwrap();

        db.begin(&scope).await.unwrap().rollback().await.unwrap();
        let mut next = db.begin(&Scope::Anonymous).await.unwrap();
        assert_eq!(settings(&mut next).await, nobody, "after a rollback of {scope:?}");
        next.rollback().await.unwrap();

        let mut failing = db.begin(&scope).await.unwrap();
        assert!(sqlx::query("select 1 / 0").execute(&mut *failing).await.is_err());
        drop(failing);
        let mut next = db.begin(&Scope::Anonymous).await.unwrap();
        assert_eq!(
            settings(&mut next).await,
            nobody,
            "after an error and a drop of {scope:?}"
        );
        next.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn outside_of_a_transaction_the_login_has_no_role_and_no_gym() {
    let test = TestDb::new().await;
    let db = one_connection(&test).await;
    let gym = test.seed_gym("Lyon").await;
    db.begin(&Scope::gym(gym, kiosk()))
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    let mut listener = db.listener().await.unwrap();
    let (role, gym_id): (String, Option<String>) =
        sqlx::query_as("select current_user::text, nullif(current_setting('app.gym_id', true), '')")
            .fetch_one(&mut listener)
            .await
            .unwrap();
    assert_eq!((role.as_str(), gym_id), ("jarvis_login", None));
}

#[tokio::test]
async fn a_transaction_dropped_halfway_leaves_no_row() {
    let test = TestDb::new().await;
    let db = one_connection(&test).await;
    let gym = test.seed_gym("Lyon").await;
    let mut tx = db.begin(&Scope::gym(gym, kiosk())).await.unwrap();
    let changed = sqlx::query("update public.gyms set name = 'Elsewhere'")
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    drop(tx);
    // The only connection of the pool answers again, so the rollback has happened.
    db.begin(&Scope::System).await.unwrap().commit().await.unwrap();
    let name: String = sqlx::query_scalar("select name from public.gyms")
        .fetch_one(test.admin_pool())
        .await
        .unwrap();
    assert_eq!(name, "Lyon");
}

#[tokio::test]
async fn one_gyms_scope_sees_no_member_of_another_gym() {
    let test = TestDb::new().await;
    let db = one_connection(&test).await;
    let (lyon, lille) = (test.seed_gym("Lyon").await, test.seed_gym("Lille").await);
    let member = test.seed_member(lyon, "B-001", "Alice", &[Purpose::Memory]).await;
    test.seed_member(lille, "B-001", "Alice", &[]).await;

    let seen = async |scope: Scope| -> Result<Vec<uuid::Uuid>, DbError> {
        let mut tx = db.begin(&scope).await?;
        Ok(sqlx::query_scalar("select id from public.gym_members_v2")
            .fetch_all(&mut *tx)
            .await?)
    };
    assert_eq!(seen(Scope::gym(lyon, kiosk())).await.unwrap(), [member.as_uuid()]);
    let stranger = GymId::new(DateTime::UNIX_EPOCH);
    assert!(seen(Scope::gym(stranger, kiosk())).await.unwrap().is_empty());
    assert!(matches!(
        seen(Scope::Anonymous).await,
        Err(DbError::Denied { .. })
    ));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled() {
    let test = TestDb::new().await;
    let db = one_connection(&test).await;
    let mut tx = db.begin(&Scope::System).await.unwrap();
    let error = sqlx::query("select pg_sleep(20)")
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert!(matches!(DbError::from(error), DbError::Timeout));
}

#[tokio::test]
async fn a_killed_connection_is_unavailable_once_and_replaced_after() {
    let test = TestDb::new().await;
    let db = one_connection(&test).await;
    let mut tx = db.begin(&Scope::System).await.unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    sqlx::query("select pg_terminate_backend($1)")
        .bind(pid)
        .execute(test.admin_pool())
        .await
        .unwrap();
    let error = sqlx::query("select 1").execute(&mut *tx).await.unwrap_err();
    let error = DbError::from(error);
    assert!(matches!(error, DbError::Unavailable { .. }), "{error:?}");
    assert!(error.is_transient());
    drop(tx);
    db.begin(&Scope::System).await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn an_error_never_quotes_a_row() {
    const CANARY: &str = "le canari parle tout bas";
    let test = TestDb::new().await;
    let db = one_connection(&test).await;
    let gym = test.seed_gym("Lyon").await;
    test.seed_member(gym, CANARY, "Alice", &[]).await;
    let scope = Scope::gym(gym, kiosk());
    let attempts = [
        "insert into public.gym_members_v2 (gym_id, badge_id, first_name, last_name)
         values (nullif(current_setting('app.gym_id', true), '')::uuid, $1, 'A', 'B')",
        "select $1::text::uuid",
        "select $1::text::int",
        "select ($1::text)::jsonb",
        "insert into public.gym_members_v2 (gym_id, badge_id, first_name, last_name, email)
         values (nullif(current_setting('app.gym_id', true), '')::uuid, 'b', 'A', 'B', $1)",
    ];
    for sql in attempts {
        let mut tx = db.begin(&scope).await.unwrap();
        let error = sqlx::query(sql).bind(CANARY).execute(&mut *tx).await.unwrap_err();
        let error = DbError::from(error);
        assert!(
            matches!(error, DbError::Conflict { .. } | DbError::Invalid { .. }),
            "{sql}: {error:?}"
        );
        assert!(!format!("{error} {error:?}").contains("canari"), "{error:?}");
    }
}

async fn refusal(url: SecretString) -> DbError {
    let settings = ConnectSettings {
        acquire_timeout: Duration::from_secs(10),
        ..ConnectSettings::new(url)
    };
    Db::connect(&settings).await.unwrap_err()
}

#[tokio::test]
async fn connecting_says_what_is_wrong_and_the_way_out() {
    let test = TestDb::new().await;
    let empty = TestDb::empty().await;

    let error = refusal("postgres://nobody@127.0.0.1:1/jarvis".to_owned().into()).await;
    assert!(
        matches!(&error, DbError::Unavailable { reason } if reason.contains("127.0.0.1:1")),
        "{error}"
    );

    let error = refusal("not a url".to_owned().into()).await;
    assert!(error.hint().unwrap().contains("postgres://"), "{error}");

    let error = refusal(empty.url().clone()).await;
    assert!(error.hint().unwrap().contains("jarvis migration up"), "{error}");

    let name = format!("stranger_{}", test.name());
    let create = format!(
        "create role {name} login password 'x'; grant connect on database {} to {name}",
        test.name()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(create))
        .execute(test.admin_pool())
        .await
        .unwrap();
    let error = refusal(test.url_of(&name, "x")).await;
    assert!(
        error
            .to_string()
            .contains("jarvis_server, jarvis_system, authenticated, anon"),
        "{error}"
    );
    assert!(
        error.hint().unwrap().contains(&format!("to \"{name}\"")),
        "{error}"
    );
    let drop = format!("drop owned by {name}; drop role {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop))
        .execute(test.admin_pool())
        .await
        .unwrap();

    sqlx::query("delete from supabase_migrations.schema_migrations where version > '20251023000001'")
        .execute(test.admin_pool())
        .await
        .unwrap();
    let error = refusal(test.login_url()).await;
    assert!(error.to_string().contains("behind"), "{error}");
    assert!(error.hint().unwrap().contains("jarvis migration up"), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_and_not_as_a_database_that_is_away() {
    let test = TestDb::new().await;
    let db = one_connection(&test).await;
    let mut tx = db.begin(&Scope::System).await.unwrap();
    let raised =
        sqlx::query("do $$ begin raise sqlstate '53100' using message = 'could not extend file'; end $$")
            .execute(&mut *tx)
            .await
            .unwrap_err();
    let error = DbError::from(raised);
    assert!(matches!(error, DbError::StorageFull), "{error:?}");
    assert!(error.is_transient() && error.hint().is_some_and(|hint| hint.contains("space")));
    tx.rollback().await.unwrap();
    // Its neighbours of the same class say that resources are short for a while.
    let mut tx = db.begin(&Scope::System).await.unwrap();
    let raised = sqlx::query("do $$ begin raise sqlstate '53200'; end $$")
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert!(matches!(DbError::from(raised), DbError::Unavailable { .. }));
}
