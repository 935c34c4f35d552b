//! What comes back is what went in, or nothing at all.

use crate::world::{World, lines, one, run};
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::backup::{self, BackupError, BackupRequest, Keys, Made, RestoreRequest, Restored};
use jarvis_db::migrations::Catalogue;
use jarvis_db::queries::erasure;
use jarvis_testkit::TestDb;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::future::pending;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// A folder with a key, gone with the test; and the names of databases to drop.
struct Desk {
    folder: PathBuf,
    server: SecretString,
    made: Vec<String>,
}

impl Desk {
    fn new(world: &World) -> Self {
        let folder = std::env::temp_dir().join(format!("jarvis-backup-{:032x}", rand_number()));
        std::fs::create_dir(&folder).unwrap();
        let desk = Self {
            folder,
            server: world.db.url().clone(),
            made: Vec::new(),
        };
        let (text, _) = backup::generate(SystemClock.now());
        std::fs::write(desk.folder.join("key"), text.expose_secret()).unwrap();
        desk
    }

    fn keys(&self) -> Keys {
        Keys::read(&self.folder.join("key")).unwrap()
    }

    /// The URL of a database that does not exist yet.
    fn another(&mut self) -> SecretString {
        let name = format!("r_{:032x}", rand_number());
        let url = with_name(&self.server, &name);
        self.made.push(name);
        url
    }

    async fn back_up(&self, url: &SecretString) -> Made {
        self.try_back_up(url).await.unwrap()
    }

    async fn try_back_up(&self, url: &SecretString) -> Result<Made, BackupError> {
        let keys = self.keys();
        let request = BackupRequest {
            url,
            to: &self.folder,
            keys: &keys,
            signing_key: Some("a signing key".to_owned().into()),
            made_by: "test",
            now: SystemClock.now(),
        };
        backup::create(&request, pending(), &|_| {}).await
    }

    async fn restore(&self, file: &Path, url: &SecretString) -> Result<Restored, BackupError> {
        self.restore_with(file, url, None, &[], false).await
    }

    /// As `restore_with`, replacing the target, while `meanwhile` happens at the stage that is named.
    async fn restore_while(
        &self,
        file: &Path,
        world: &World,
        stage: backup::Stage,
        meanwhile: &(dyn Fn() + Send + Sync),
    ) -> Result<Restored, BackupError> {
        let keys = self.keys();
        let request = RestoreRequest {
            file,
            keys: &keys,
            url: world.db.url(),
            replace: Some(world.db.name()),
            migrate: false,
            erasures: &[],
            journals: &[],
            now: SystemClock.now(),
        };
        backup::restore(&request, pending(), &|now| {
            if now == stage {
                meanwhile();
            }
        })
        .await
    }

    async fn restore_with(
        &self,
        file: &Path,
        url: &SecretString,
        replace: Option<&str>,
        erasures: &[PathBuf],
        migrate: bool,
    ) -> Result<Restored, BackupError> {
        let keys = self.keys();
        let request = RestoreRequest {
            file,
            keys: &keys,
            url,
            replace,
            migrate,
            erasures,
            journals: &[self.folder.join(backup::JOURNAL)],
            now: SystemClock.now(),
        };
        backup::restore(&request, pending(), &|_| {}).await
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("key"))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
        let (server, made) = (self.server.clone(), std::mem::take(&mut self.made));
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let url = with_name(&server, "postgres");
                let Ok(mut conn) = PgConnection::connect(url.expose_secret()).await else {
                    return;
                };
                for name in made {
                    let statement = format!("drop database if exists {name} with (force)");
                    drop(sqlx::query(AssertSqlSafe(statement)).execute(&mut conn).await);
                }
            });
        });
        drop(dropping.join());
    }
}

fn rand_number() -> u128 {
    jarvis_core::ids::uuid_v7(SystemClock.now()).as_u128()
}

fn with_name(url: &SecretString, name: &str) -> SecretString {
    let url = url.expose_secret();
    let (server, rest) = url.rsplit_once('/').unwrap();
    let options = rest
        .split_once('?')
        .map(|(_, o)| format!("?{o}"))
        .unwrap_or_default();
    format!("{server}/{name}{options}").into()
}

async fn open(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.unwrap()
}

/// Databases that were built for `target` and are still there under another name.
async fn leftovers(world: &World, target: &str) -> Vec<String> {
    let target: String = target.chars().take(30).collect();
    let statement = format!("select datname::text from pg_database where datname like 'restore\\_{target}%'");
    lines(&mut open(world.db.url()).await, &statement).await
}

/// Every row of every table as text, sorted.
async fn rows(conn: &mut PgConnection) -> Vec<String> {
    let tables = lines(
        conn,
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind = 'r' and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' order by 1",
    )
    .await;
    let mut rows = Vec::new();
    for table in tables {
        rows.extend(
            lines(
                conn,
                &format!("select '{table}: ' || t::text from {table} t order by 1"),
            )
            .await,
        );
    }
    rows
}

#[tokio::test]
async fn a_restored_database_is_the_one_that_was_backed_up() {
    let world = World::new().await;
    let mut desk = Desk::new(&world);
    let made = desk.back_up(world.db.url()).await;
    assert!(
        made.label.rows > 100 && made.label.tables >= 28,
        "{:?}",
        made.label
    );
    let permissions = std::fs::metadata(&made.path).unwrap().permissions().mode();
    assert_eq!(permissions & 0o777, 0o600);
    let target = desk.another();
    let restored = desk.restore(&made.path, &target).await.unwrap();
    assert_eq!(
        (restored.rows, restored.tables),
        (made.label.rows, made.label.tables)
    );
    assert!(restored.structure_compared && !restored.replaced && restored.pending == 0);
    assert_eq!(restored.signing_key.unwrap().expose_secret(), "a signing key");

    let (mut old, mut new) = (open(world.db.url()).await, open(&target).await);
    assert_eq!(rows(&mut new).await, rows(&mut old).await);
    let (was, is) = (
        Catalogue::read(&mut old).await.unwrap(),
        Catalogue::read(&mut new).await.unwrap(),
    );
    // The words of a check may stand in other parentheses; what it lets through was compared.
    let differences = was.differences(&is);
    assert!(
        differences.iter().all(|d| d.object.kind == "constraint"),
        "{differences:?}"
    );
    let path = "select setting from pg_settings where name = 'search_path'";
    assert_eq!(lines(&mut new, path).await, lines(&mut old, path).await);
    let owner =
        "select pg_get_userbyid(proowner)::text || prosecdef from pg_proc where proname = 'guard_fact'";
    assert_eq!(lines(&mut new, owner).await, ["jarvis_writertrue"]);
    // Sequences go on where they stood.
    run(&mut new, "insert into jarvis.jobs (kind) values ('test.after')").await;
    assert_eq!(leftovers(&world, &desk.made[0]).await, [""; 0]);
}

#[tokio::test]
async fn a_backup_under_load_is_one_moment() {
    let world = World::new().await;
    let mut desk = Desk::new(&world);
    let mut conn = open(world.db.url()).await;
    run(
        &mut conn,
        "create table public.ledger (account int primary key, amount bigint not null);
         insert into public.ledger select n, 100 from generate_series(1, 2000) as n",
    )
    .await;
    let url = world.db.url().clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = stop.clone();
    let moving = tokio::spawn(async move {
        let mut conn = open(&url).await;
        let mut moved = 0;
        while !told.load(std::sync::atomic::Ordering::Relaxed) {
            run(
                &mut conn,
                "with pair as (select (random() * 1999)::int + 1 as a, (random() * 1999)::int + 1 as b)
                 update public.ledger l set amount = amount + (l.account = pair.a)::int - (l.account = pair.b)::int
                   from pair where l.account in (pair.a, pair.b)",
            )
            .await;
            moved += 1;
        }
        moved
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let made = desk.back_up(world.db.url()).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(moving.await.unwrap() > 10, "there was a load");
    let target = desk.another();
    // Comparing with the manifest is part of it: counts and sums are of the same moment as the dump.
    desk.restore(&made.path, &target).await.unwrap();
    let sum: i64 = one(
        &mut open(&target).await,
        "select sum(amount)::bigint from public.ledger",
    )
    .await;
    assert_eq!(sum, 200_000);
}

#[tokio::test]
async fn a_database_that_holds_something_is_replaced_only_by_name_and_only_when_all_is_well() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let made = desk.back_up(world.db.url()).await;
    let mut tx = world.admin().await;
    run(&mut tx, "update public.gyms set name = 'plus tard'").await;
    tx.commit().await.unwrap();
    let names = "select distinct name from public.gyms";
    let url = world.db.url();

    let refused = desk.restore(&made.path, url).await.unwrap_err();
    assert!(
        matches!(refused, BackupError::NotEmpty { .. }) && refused.is_refusal(),
        "{refused}"
    );
    let refused = desk
        .restore_with(&made.path, url, Some("other"), &[], false)
        .await
        .unwrap_err();
    assert!(matches!(refused, BackupError::NotConfirmed { .. }), "{refused}");
    assert_eq!(lines(&mut open(url).await, names).await, ["plus tard"]);

    // Somebody is connected, as a server would be.
    let idle = open(url).await;
    let restored = desk
        .restore_with(&made.path, url, Some(world.db.name()), &[], false)
        .await
        .unwrap();
    assert!(
        restored.replaced && restored.unknown_since.is_none(),
        "{restored:?}"
    );
    drop(idle);
    assert_eq!(lines(&mut open(url).await, names).await, ["Salle du Canal"]);
    assert_eq!(leftovers(&world, world.db.name()).await, [""; 0]);
}

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

#[tokio::test]
async fn what_is_damaged_cut_or_made_for_others_restores_nothing() {
    let world = World::new().await;
    let mut desk = Desk::new(&world);
    let made = desk.back_up(world.db.url()).await;
    let whole = std::fs::read(&made.path).unwrap();
    let target = desk.another();
    let broken = desk.folder.join("broken.age");
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let mut head = whole.clone();
    head[60] ^= 1;
    let cases: [(&str, &[u8]); 8] = [
        ("a changed byte", &changed),
        ("a changed head", &head),
        ("cut in the middle", &whole[..middle]),
        (
            "cut at a border of 64 KiB",
            &whole[..whole.len() - whole.len() % 65_536 - 1],
        ),
        ("the last byte is gone", &whole[..whole.len() - 1]),
        ("something is added", &[&whole[..], b"x"].concat()),
        ("an empty file", b""),
        ("another file", b"PGDMP is a dump without a coat"),
    ];
    for (what, bytes) in cases {
        std::fs::write(&broken, bytes).unwrap();
        let error = desk.restore(&broken, &target).await.unwrap_err();
        let clear = matches!(
            error,
            BackupError::Damaged { .. } | BackupError::NotABackup { .. } | BackupError::WrongKey { .. }
        );
        assert!(clear && error.hint().is_some(), "{what}: {error:?}");
    }
    let (text, _) = backup::generate(SystemClock.now());
    std::fs::write(desk.folder.join("key"), text.expose_secret()).unwrap();
    let error = desk.restore(&made.path, &target).await.unwrap_err();
    assert!(
        matches!(error, BackupError::WrongKey { .. }) && error.is_refusal(),
        "{error}"
    );
    let name = desk.made[0].clone();
    let there: Vec<String> = lines(
        &mut open(world.db.url()).await,
        &format!("select datname::text from pg_database where datname = '{name}'"),
    )
    .await;
    assert_eq!((there, leftovers(&world, &name).await), (vec![], vec![]));
}

#[tokio::test]
async fn a_backup_of_a_schema_from_the_future_is_refused() {
    let world = World::new().await;
    let mut desk = Desk::new(&world);
    run(
        &mut open(world.db.url()).await,
        "insert into supabase_migrations.schema_migrations (version, name) values ('29990101000000', 'future')",
    )
    .await;
    let made = desk.back_up(world.db.url()).await;
    let target = desk.another();
    let error = desk.restore(&made.path, &target).await.unwrap_err();
    assert!(
        matches!(error, BackupError::Newer { .. }) && error.to_string().contains("29990101000000"),
        "{error}"
    );
}

#[tokio::test]
async fn a_role_that_cannot_see_every_row_cannot_back_up_less() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let name = format!("owner_{:032x}", rand_number());
    let setup = format!(
        "create role {name} login password 'x';
         grant all on schema public, jarvis, auth, extensions, supabase_migrations, world to {name};
         grant select on all tables in schema public, jarvis, auth, supabase_migrations, world to {name};
         alter schema public owner to {name}; alter schema jarvis owner to {name}"
    );
    run(&mut open(world.db.url()).await, &setup).await;
    let error = desk.try_back_up(&world.db.url_of(&name, "x")).await.unwrap_err();
    assert!(matches!(error, BackupError::HiddenRows { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("bypassrls"));
    assert_eq!(desk.files(), [""; 0], "nothing is left");
    let undo = format!("reassign owned by {name} to current_user; drop owned by {name}; drop role {name}");
    run(&mut open(world.db.url()).await, &undo).await;
}

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
