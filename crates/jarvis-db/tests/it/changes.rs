//! What the triggers tell of changed rows: tables and keys, to those who listen, after the commit.

use jarvis_db::changes::{Act, Changes};
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

fn tables(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn every_table_of_public_tells_its_changes() {
    let db = TestDb::new().await;
    let silent: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and 3 <> (select count(*) from pg_trigger t
                       where t.tgrelid = c.oid and t.tgfoid = 'jarvis.tell_changes()'::regprocedure)
          order by 1",
    )
    .fetch_all(db.admin_pool())
    .await
    .unwrap();
    assert!(
        silent.is_empty(),
        "select jarvis.tell_changes_of(…) is missing for {silent:?}"
    );
}

#[tokio::test]
async fn who_listens_hears_keys_after_the_commit_and_nobody_else_pays() {
    let db = TestDb::new().await;
    let (lyon, pool) = (db.seed_gym("Lyon").await, db.admin_pool());
    let mut changes = Changes::listen(&db.db().await).await.unwrap();
    // Nobody wants to hear of it yet.
    db.seed_gym("Nice").await;
    let wanted = tables(&["gyms", "kiosks", "nowhere"]);
    assert_eq!(changes.want(&wanted).await.unwrap(), &tables(&["gyms", "kiosks"]));
    let undone = async {
        let mut tx = pool.begin().await?;
        tx.execute("update public.gyms set name = 'Never'").await?;
        tx.rollback().await
    };
    undone.await.unwrap();
    sqlx::query("update public.gyms set name = name || '!' where id = $1")
        .bind(uuid::Uuid::from(lyon))
        .execute(pool)
        .await
        .unwrap();
    let change = tokio::time::timeout(SOON, changes.next()).await.unwrap().unwrap();
    assert_eq!(
        (change.table.as_str(), change.act, change.gym),
        ("gyms", Act::Update, Some(lyon))
    );
    let keys = change.keys.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(
        serde_json::to_value(&keys[0]).unwrap(),
        serde_json::json!({"id": lyon})
    );

    // Many keys in a notice, and of very many none.
    let kiosks = |count: i32| {
        sqlx::query("insert into public.kiosks (gym_id, name, slug) select $1, 'Borne', 'b-' || $2 || '-' || n from generate_series(1, $2) n")
            .bind(uuid::Uuid::from(lyon))
            .bind(count)
            .execute(pool)
    };
    kiosks(100).await.unwrap();
    let mut heard = Vec::new();
    while heard.iter().sum::<usize>() < 100 {
        let change = tokio::time::timeout(SOON, changes.next()).await.unwrap().unwrap();
        assert_eq!((change.act, change.gym), (Act::Insert, Some(lyon)));
        heard.push(change.keys.unwrap().len());
    }
    heard.sort_unstable();
    assert_eq!(heard, [20, 40, 40]);
    kiosks(1_001).await.unwrap();
    let change = tokio::time::timeout(SOON, changes.next()).await.unwrap().unwrap();
    assert_eq!((change.table.as_str(), change.keys), ("kiosks", None));

    // Wanted no more: the next that is heard is of another table.
    changes.want(&tables(&["gyms"])).await.unwrap();
    sqlx::query("delete from public.kiosks")
        .execute(pool)
        .await
        .unwrap();
    sqlx::query("delete from public.gyms where id <> $1")
        .bind(uuid::Uuid::from(lyon))
        .execute(pool)
        .await
        .unwrap();
    let change = tokio::time::timeout(SOON, changes.next()).await.unwrap().unwrap();
    assert_eq!((change.table.as_str(), change.act), ("gyms", Act::Delete));
}

#[tokio::test]
async fn a_lost_connection_is_told_and_holds_no_lock() {
    let db = TestDb::new().await;
    let mut changes = Changes::listen(&db.db().await).await.unwrap();
    changes.want(&tables(&["gyms"])).await.unwrap();
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and classid = 20261127
                   and database = (select oid from pg_database where datname = current_database())";
    let held: i64 = sqlx::query_scalar(locks)
        .fetch_one(db.admin_pool())
        .await
        .unwrap();
    assert_eq!(held, 1);
    db.admin_pool()
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and application_name = 'jarvis-listener'",
        )
        .await
        .unwrap();
    let told = tokio::time::timeout(SOON, changes.next()).await.unwrap();
    assert!(told.is_err(), "{told:?}");
    let held: i64 = sqlx::query_scalar(locks)
        .fetch_one(db.admin_pool())
        .await
        .unwrap();
    assert_eq!(held, 0);
}

/// Not a test of right or wrong: what an insert costs without the triggers, with them, and with a listener.
#[tokio::test]
#[ignore = "measures, and wants a quiet machine"]
async fn cost_of_telling() {
    const ROUNDS: usize = 9;
    const INSERTS: usize = 400;
    let db = TestDb::new().await;
    let gym = db.seed_gym("Lyon").await;
    let member = db.seed_member(gym, "BADGE_001", "Sophie", &[]).await;
    sqlx::query(
        "insert into public.conversation_sessions (session_id, member_id, gym_id) values ('s', $1, $2)",
    )
    .bind(uuid::Uuid::from(member))
    .bind(uuid::Uuid::from(gym))
    .execute(db.admin_pool())
    .await
    .unwrap();
    let mut writer = PgConnection::connect(db.url().expose_secret()).await.unwrap();
    let mut changes = Changes::listen(&db.db().await).await.unwrap();
    let mut micros = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (kind, micros) in micros.iter_mut().enumerate() {
            let word = if kind == 0 { "disable" } else { "enable" };
            let switch = format!("alter table public.conversation_events {word} trigger tell_inserted");
            writer.execute(sqlx::AssertSqlSafe(switch)).await.unwrap();
            let wanted = if kind == 2 {
                tables(&["conversation_events"])
            } else {
                BTreeSet::new()
            };
            changes.want(&wanted).await.unwrap();
            let started = Instant::now();
            for _ in 0..INSERTS {
                sqlx::query("insert into public.conversation_events (session_id, event_type) values ('s', 'user_speech_start')")
                    .execute(&mut writer)
                    .await
                    .unwrap();
            }
            micros.push(started.elapsed().as_micros() / INSERTS as u128);
        }
    }
    for (kind, micros) in ["no triggers", "nobody listens", "somebody listens"]
        .iter()
        .zip(&mut micros)
    {
        micros.sort_unstable();
        println!(
            "{kind}: {} µs per insert (median of {ROUNDS} rounds)",
            micros[ROUNDS / 2]
        );
    }
}
