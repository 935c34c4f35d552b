//! Who was erased since does not come back.

use super::{Desk, open, rows};
use crate::world::{World, one};
use chrono::{DateTime, Utc};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::backup;
use jarvis_db::queries::erasure;
use jarvis_testkit::TestDb;
use secrecy::SecretString;
use sqlx::Connection as _;
use uuid::Uuid;

#[tokio::test]
async fn members_erased_since_do_not_come_back() {
    let world = World::new().await;
    let mut desk = Desk::new(&world);
    let made = desk.back_up(world.db.url()).await;
    let mut conn = open(world.db.url()).await;
    let gym = "aaaaaaaa-0000-7000-8000-000000000000".parse().unwrap();
    let member = "aaaaaaaa-0000-7000-8000-000000000001".parse().unwrap();
    let now: DateTime<Utc> = SystemClock.now();
    erasure::erase(&mut conn, gym, member, Uuid::from_u128(9), now)
        .await
        .unwrap();
    let all = erasure::list(&mut conn, None).await.unwrap();
    conn.close().await.unwrap();
    let is_gone = async |url: &SecretString| {
        let mut there = open(url).await;
        let left = rows(&mut there).await;
        let left: Vec<&String> = left
            .iter()
            .filter(|row| row.contains("aaaaaaaa-0000-7000-8000-000000000001") || row.contains("session-a1"))
            .filter(|row| !row.starts_with("jarvis.erasures") && !row.starts_with("world."))
            .collect();
        assert_eq!(left, [""; 0]);
        let ledger: i64 = one(
            &mut there,
            "select count(*) from jarvis.erasures where member_id = {a1} and recorded_at > erased_at",
        )
        .await;
        assert_eq!(ledger, 1, "the ledger says so");
    };

    // Nobody who knows is asked: the member is back, and it is said that nobody knows.
    let bare = desk.another();
    let restored = desk.restore(&made.path, &bare).await.unwrap();
    assert_eq!(restored.reapplied, []);
    assert_eq!(restored.unknown_since, Some(restored.backed_up_at));
    let back: i64 = one(
        &mut open(&bare).await,
        "select count(*) from public.gym_members_v2 where id = {a1}",
    )
    .await;
    assert_eq!(back, 1);

    // A list that the operator gives.
    let list = desk.folder.join("list.json");
    std::fs::write(&list, serde_json::to_string(&all).unwrap()).unwrap();
    let told = desk.another();
    let restored = desk
        .restore_with(&made.path, &told, None, std::slice::from_ref(&list), false)
        .await
        .unwrap();
    assert_eq!((restored.reapplied.len(), restored.unknown_since), (1, None));
    is_gone(&told).await;

    // The journal beside the backups knows it, but not whether it is all.
    backup::keep_journal(&desk.folder, &all).unwrap();
    let journal = desk.another();
    let restored = desk.restore(&made.path, &journal).await.unwrap();
    assert_eq!(
        (restored.reapplied.len(), restored.unknown_since.is_some()),
        (1, true)
    );
    is_gone(&journal).await;
    std::fs::remove_file(desk.folder.join(backup::JOURNAL)).unwrap();

    // A newer backup knows what was erased before it.
    let newer = desk.back_up(world.db.url()).await;
    let beside = desk.another();
    let restored = desk.restore(&made.path, &beside).await.unwrap();
    assert_eq!(restored.reapplied.len(), 1, "{:?}", restored.sources);
    assert_eq!(restored.unknown_since, Some(newer.label.created_at));
    is_gone(&beside).await;
    std::fs::remove_file(&newer.path).unwrap();

    // The database that is replaced knows everything.
    let restored = desk
        .restore_with(&made.path, world.db.url(), Some(world.db.name()), &[], false)
        .await
        .unwrap();
    assert_eq!((restored.reapplied.len(), restored.unknown_since), (1, None));
    is_gone(world.db.url()).await;
}

#[tokio::test]
async fn a_member_who_is_erased_while_a_restore_runs_does_not_come_back_with_it() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let made = desk.back_up(world.db.url()).await;
    let url = world.db.url().clone();
    let erase = move || {
        let url = url.clone();
        let erasing = async move {
            let mut conn = open(&url).await;
            let gym = "aaaaaaaa-0000-7000-8000-000000000000".parse().unwrap();
            let member = "aaaaaaaa-0000-7000-8000-000000000001".parse().unwrap();
            erasure::erase(&mut conn, gym, member, Uuid::from_u128(9), SystemClock.now())
                .await
                .unwrap();
        };
        let elsewhere = std::thread::spawn(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(erasing);
        });
        elsewhere.join().unwrap();
    };
    let restored = desk
        .restore_while(&made.path, &world, backup::Stage::Erasing, &erase)
        .await
        .unwrap();
    assert_eq!((restored.reapplied.len(), restored.unknown_since), (1, None));
    let count = "select count(*) from public.gym_members_v2 where id = {a1}";
    let back: i64 = one(&mut open(world.db.url()).await, count).await;
    assert_eq!(back, 0);
}

#[tokio::test]
async fn a_newer_backup_of_another_installation_knows_nothing_of_this_one() {
    let world = World::new().await;
    let mut desk = Desk::new(&world);
    let made = desk.back_up(world.db.url()).await;
    let other = TestDb::new().await;
    sqlx::raw_sql("insert into public.gyms (name, slug) values ('Ailleurs', 'ailleurs')")
        .execute(other.admin_pool())
        .await
        .unwrap();
    let newer = desk.back_up(other.url()).await;
    // Their databases have the same name.
    let label = format!("{}.json", newer.path.display());
    let text = std::fs::read_to_string(&label).unwrap();
    std::fs::write(&label, text.replace(other.name(), world.db.name())).unwrap();
    let url = desk.another();
    let restored = desk.restore(&made.path, &url).await.unwrap();
    assert_eq!(restored.sources.len(), 1, "{:?}", restored.sources);
    assert_eq!(restored.unknown_since, Some(restored.backed_up_at));
}
