//! What comes back is what was there, or nothing comes.

use super::{Desk, open, rand_number, rows};
use crate::world::{World, lines, one, run};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::backup::{self, BackupError};
use jarvis_db::migrations::Catalogue;
use secrecy::ExposeSecret as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// Databases that were built for `target` and are still there under another name.
async fn leftovers(world: &World, target: &str) -> Vec<String> {
    let target: String = target.chars().take(30).collect();
    let statement = format!("select datname::text from pg_database where datname like 'restore\\_{target}%'");
    lines(&mut open(world.db.url()).await, &statement).await
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
    // Nobody stays signed in over a restore; that is all that differs.
    let signed_in = "select count(*) from jarvis.auth_sessions where ended_at is null";
    let (before, after): (i64, i64) = (one(&mut old, signed_in).await, one(&mut new, signed_in).await);
    assert!(before > 0 && after == 0, "{before} {after}");
    run(&mut new, "update jarvis.auth_sessions set ended_at = null").await;
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
