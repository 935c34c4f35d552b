//! The folder of backups and its journal.

use super::{Desk, open};
use crate::world::{World, run};
use chrono::TimeDelta;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::backup::{self, BackupError, BackupRequest};
use jarvis_db::queries::erasure;
use std::path::PathBuf;
use std::time::Duration;

#[tokio::test]
async fn an_interrupted_backup_leaves_nothing_and_an_abandoned_one_is_cleared_away() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    // pg_dump waits for this lock, so the interruption comes in the middle.
    let mut lock = world.admin().await;
    run(
        &mut lock,
        "create table public.held (id int) partition by range (id)",
    )
    .await;
    lock.commit().await.unwrap();
    let mut lock = world.admin().await;
    let keys = desk.keys();
    let request = BackupRequest {
        url: world.db.url(),
        to: &desk.folder,
        keys: &keys,
        signing_key: None,
        made_by: "test",
        now: SystemClock.now(),
    };
    let stages = std::sync::Mutex::new(Vec::new());
    let dumping = tokio::sync::Notify::new();
    let progress = |stage| {
        stages.lock().unwrap().push(stage);
        if stage == backup::Stage::Dumping {
            dumping.notify_one();
        }
    };
    // A parent of partitions holds no rows: we do not count it, but pg_dump locks it.
    let stop = async {
        dumping.notified().await;
        run(
            &mut lock,
            "lock table public.held in access exclusive mode nowait",
        )
        .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let ended = backup::create(&request, stop, &progress).await;
    assert!(matches!(ended, Err(BackupError::Interrupted)), "{ended:?}");
    let whole: Vec<String> = desk
        .files()
        .into_iter()
        .filter(|f| f.contains("unfinished"))
        .collect();
    assert_eq!(whole, [""; 0]);

    std::fs::write(desk.folder.join(".jarvis-0123.unfinished"), "half").unwrap();
    lock.rollback().await.unwrap();
    desk.back_up(world.db.url()).await;
    assert!(
        desk.files().iter().all(|name| !name.contains("unfinished")),
        "{:?}",
        desk.files()
    );
}

#[tokio::test]
async fn old_backups_go_only_when_enough_newer_ones_are_sound() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(desk.back_up(world.db.url()).await.path);
    }
    // The newest is damaged: it must not count.
    let mut bytes = std::fs::read(&made[2]).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&made[2], bytes).unwrap();
    let pruned = backup::prune(&desk.folder, world.db.name(), 1).unwrap();
    assert_eq!(
        (pruned.damaged, pruned.removed),
        (vec![made[2].clone()], vec![made[0].clone()])
    );
    let kept: Vec<PathBuf> = backup::list(&desk.folder)
        .unwrap()
        .into_iter()
        .map(|k| k.path)
        .collect();
    assert_eq!(kept, [made[2].clone(), made[1].clone()]);
    assert_eq!(
        backup::prune(&desk.folder, "another", 1).unwrap(),
        backup::Pruned::default()
    );
}

#[tokio::test]
async fn a_journal_that_a_crash_cut_off_is_read_and_goes_on() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let mut conn = open(world.db.url()).await;
    let all = erasure::list(&mut conn, None).await.unwrap();
    assert!(all.len() >= 5);
    let path = backup::keep_journal(&desk.folder, &all[..3]).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 20]).unwrap();
    assert_eq!(backup::read_erasures(&path).unwrap(), all[..2]);
    backup::keep_journal(&desk.folder, &all).unwrap();
    let mut read = backup::read_erasures(&path).unwrap();
    read.sort_by_key(|e| (e.erased_at, e.id));
    assert_eq!(read, all);
    std::fs::write(&path, "{\"id\": 1}\n").unwrap();
    assert!(matches!(
        backup::read_erasures(&path),
        Err(BackupError::BadErasures { .. })
    ));
    assert!(SystemClock.now() - all[0].erased_at < TimeDelta::hours(1));
}
