//! Who was erased since does not come back.

use super::{Desk, open, rows};
use crate::world::{World, lines, one, run};
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

/// What members answered after the backup, as a line each.
const ANSWERED: &str = "
  select 'consent ' || purpose || ' ' || jarvis.consent_given(gym_id, member_id, purpose)::text || ' ' || count(*) as said
    from jarvis.consent_ledger where member_id = {a1} and purpose in ('health_memory', 'profiling')
   group by gym_id, member_id, purpose
  union all select 'restricted ' || right(member_id::text, 1) || ' ' || coalesce(reason, '-') from jarvis.restrictions
  union all select 'withdrawal ' || (args ->> 'purpose') from jarvis.jobs where kind = 'privacy.withdraw' and state = 'available'
  order by 1";

async fn answer(url: &SecretString, statement: &str) {
    let mut conn = open(url).await;
    run(&mut conn, statement).await;
    conn.close().await.unwrap();
}

#[tokio::test]
async fn what_members_answered_since_is_not_undone_and_where_nobody_knows_it_is_said() {
    let world = World::new().await;
    let mut desk = Desk::new(&world);
    let url = world.db.url().clone();
    answer(
        &url,
        "insert into jarvis.restrictions (gym_id, member_id) values ({A}, {a2})",
    )
    .await;
    let made = desk.back_up(&url).await;
    answer(
        &url,
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source) values
           ({A}, {a1}, 'health_memory', false, 'kiosk'), ({A}, {a1}, 'profiling', true, 'kiosk');
         delete from jarvis.jobs;
         delete from jarvis.restrictions;
         insert into jarvis.restrictions (gym_id, member_id, reason) values ({A}, {a9}, 'demande 12')",
    )
    .await;

    // Somewhere else nobody knows it.
    let elsewhere = desk.another();
    let list = desk.folder.join("none.json");
    std::fs::write(&list, "[]").unwrap();
    let restored = desk
        .restore_with(&made.path, &elsewhere, None, &[list], false)
        .await
        .unwrap();
    assert_eq!(
        (restored.unknown_since, restored.answers_as_of),
        (None, Some(restored.backed_up_at))
    );
    let mut there = open(&elsewhere).await;
    assert_eq!(
        lines(&mut there, ANSWERED).await,
        ["consent health_memory true 1", "restricted 2 -"]
    );
    there.close().await.unwrap();

    let restored = desk
        .restore_with(&made.path, &url, Some(world.db.name()), &[], false)
        .await
        .unwrap();
    assert_eq!((restored.unknown_since, restored.answers_as_of), (None, None));
    assert_eq!(
        (
            restored.answers.consents,
            restored.answers.restricted,
            restored.answers.lifted
        ),
        (2, 1, 1)
    );
    let mut there = open(&url).await;
    assert_eq!(
        lines(&mut there, ANSWERED).await,
        [
            "consent health_memory false 2",
            "consent profiling true 1",
            "restricted 9 demande 12",
            "withdrawal health_memory"
        ]
    );
    there.close().await.unwrap();
}

#[tokio::test]
async fn what_happens_while_the_names_change_is_not_lost() {
    let world = World::new().await;
    let desk = Desk::new(&world);
    let made = desk.back_up(world.db.url()).await;
    let url = world.db.url().clone();
    let meanwhile = move || {
        let url = url.clone();
        let changing = async move {
            let mut conn = open(&url).await;
            let gym = "aaaaaaaa-0000-7000-8000-000000000000".parse().unwrap();
            let member = "aaaaaaaa-0000-7000-8000-000000000001".parse().unwrap();
            erasure::erase(&mut conn, gym, member, Uuid::from_u128(9), SystemClock.now())
                .await
                .unwrap();
            run(
                &mut conn,
                "insert into jarvis.restrictions (gym_id, member_id) values ({A}, {a2})",
            )
            .await;
        };
        let elsewhere = std::thread::spawn(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(changing);
        });
        elsewhere.join().unwrap();
    };
    // The last look at the old database is over by then.
    let restored = desk
        .restore_while(&made.path, &world, backup::Stage::Swapping, &meanwhile)
        .await
        .unwrap();
    assert_eq!((restored.reapplied.len(), restored.unknown_since), (1, None));
    assert_eq!(restored.answers.restricted, 1);
    let mut there = open(world.db.url()).await;
    let back: i64 = one(
        &mut there,
        "select count(*) from public.gym_members_v2 where id = {a1}",
    )
    .await;
    let restricted: i64 = one(
        &mut there,
        "select count(*) from jarvis.restrictions where member_id = {a2}",
    )
    .await;
    let old: i64 = sqlx::query_scalar(
        "select count(*) from pg_database where starts_with(datname, 'restore_' || left($1, 30)) and datname like '%\\_old'",
    )
    .bind(world.db.name())
    .fetch_one(&mut there)
    .await
    .unwrap();
    assert_eq!((back, restricted, old), (0, 1, 0));
}

/// A fact of the first member, the words it came from, and what was made of them; another fact beside it.
const TOLD: &str = "
  insert into public.conversation_events (session_id, member_id, gym_id, event_type, transcript, tool_args, timestamp) values
    ('session-a1', {a1}, {A}, 'user_transcript', 'Je préfère la musique turquoise', null, now()),
    ('session-a1', {a1}, {A}, 'ai_transcript', 'De la turquoise, noté.', null, now()),
    ('session-a1', {a1}, {A}, 'tool_call', null, '{\"wish\": \"turquoise\"}', now());
  insert into public.member_facts (gym_id, member_id, category, fact_key, fact_value, source_quote, source_session_id) values
    ({A}, {a1}, 'preference', 'favourite_music', '{\"subject\": \"turquoise\"}', 'Je préfère la musique turquoise', 'session-a1'),
    ({A}, {a1}, 'preference', 'water_bottle', '{\"subject\": \"grenadine\"}', null, 'session-a1');
  insert into public.manager_alerts (gym_id, member_id, alert_type, title, description)
  values ({A}, {a1}, 'negative_feedback', 'À voir', 'Je préfère la musique turquoise')";

/// As `forget` does.
const FORGOTTEN: &str = "
  insert into jarvis.forgotten_facts (gym_id, member_id, mark, forgotten_at)
  select f.gym_id, f.member_id, m.mark, clock_timestamp()
    from public.member_facts f, unnest(jarvis.fact_marks(f.member_id, f.category, f.fact_key, array[f.slot])) as m (mark)
   where f.member_id = {a1} and f.fact_key = 'favourite_music';
  delete from public.member_facts where member_id = {a1} and fact_key = 'favourite_music';
  delete from jarvis.member_fact_history where member_id = {a1} and fact_key = 'favourite_music'";

#[tokio::test]
async fn what_was_forgotten_since_is_forgotten_again_and_marks_are_in_backups() {
    let world = World::new().await;
    let mut desk = Desk::new(&world);
    let url = world.db.url().clone();
    answer(&url, "drop schema world cascade").await;
    answer(&url, TOLD).await;
    let made = desk.back_up(&url).await;
    answer(&url, FORGOTTEN).await;
    let restored = desk
        .restore_with(&made.path, &url, Some(world.db.name()), &[], false)
        .await
        .unwrap();
    assert_eq!(restored.answers.forgotten, 1);
    let left = "
      select 'fact ' || fact_key from public.member_facts where member_id = {a1} and fact_key in ('favourite_music', 'water_bottle')
      union all select 'history ' || fact_key from jarvis.member_fact_history
                 where member_id = {a1} and fact_key in ('favourite_music', 'water_bottle')
      union all select 'said ' || transcript from public.conversation_events where transcript ilike '%turquoise%'
      union all select 'called ' || tool_args::text from public.conversation_events where tool_args::text like '%turquoise%'
      union all select 'alert ' || description from public.manager_alerts where description ilike '%turquoise%'
      order by 1";
    let mut there = open(&url).await;
    assert_eq!(
        lines(&mut there, left).await,
        ["fact water_bottle", "history water_bottle"]
    );
    there.close().await.unwrap();

    // A new machine knows it by the backup alone.
    let made = desk.back_up(&url).await;
    let elsewhere = desk.another();
    desk.restore(&made.path, &elsewhere).await.unwrap();
    let mut there = open(&elsewhere).await;
    let marks = lines(
        &mut there,
        "select mark from jarvis.forgotten_facts where member_id = {a1}",
    )
    .await;
    assert!(!marks.is_empty());
    there.close().await.unwrap();
}
