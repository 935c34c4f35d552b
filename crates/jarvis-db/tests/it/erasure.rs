//! A member who is erased is nowhere any more, whoever kept what of them.

use crate::world::{GYM_A, GYM_B, SERVER_A, World, become_, lines, one, refusal_code, run};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, MemberId};
use jarvis_db::DbError;
use jarvis_db::queries::erasure::{self, Certificate, Fate};
use sqlx::PgConnection;
use uuid::Uuid;

fn gym(id: &str) -> GymId {
    id.parse().unwrap()
}

/// The first member of gym A, who has rows everywhere.
fn member() -> MemberId {
    "aaaaaaaa-0000-7000-8000-000000000001".parse().unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

async fn erase(world: &World) -> Certificate {
    let mut conn = world.db.admin_pool().acquire().await.unwrap();
    erasure::erase(&mut conn, gym(GYM_A), member(), Uuid::from_u128(7), now())
        .await
        .unwrap()
}

/// Every column of every row of every table, as text; not the migrations.
async fn everything(conn: &mut PgConnection) -> Vec<String> {
    let tables = lines(
        conn,
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind = 'r' and n.nspname not like 'pg\\_%'
            and n.nspname not in ('information_schema', 'supabase_migrations') order by 1",
    )
    .await;
    let mut rows = Vec::new();
    for table in tables {
        rows.extend(lines(conn, &format!("select '{table}: ' || t::text from {table} t")).await);
    }
    rows
}

fn with<'a>(rows: &'a [String], words: &[&str]) -> Vec<&'a str> {
    let found = rows.iter().filter(|row| {
        let row = row.to_lowercase();
        words.iter().any(|word| row.contains(&word.to_lowercase()))
    });
    found.map(String::as_str).collect()
}

/// What is unmistakably this member's, in places of every kind.
const CANARIES: &str = "
  update public.gym_members_v2 set first_name = 'Zéphyrine', last_name = 'O''Quélen', badge_id = 'BADGE_ZQ7',
         email = 'zephyrine@exemple.fr', phone = '06 98 76 54 32', member_notes = 'turquoise' where id = {a1};
  update public.conversation_events set transcript = 'mon perroquet turquoise' where member_id = {a1};
  insert into jarvis.jobs (kind, gym_id, unique_key, args) values
    ('memory.process_session', {A}, 'session-a1', '{\"session\": \"session-a1\"}'),
    ('test.member', {A}, null, '{\"who\": \"aaaaaaaa-0000-7000-8000-000000000001\"}');
  insert into jarvis.jobs (kind, gym_id, state, lease_until, leased_by, unique_key, args) values
    ('memory.process_session', {A}, 'running', now(), 'x', 'session-a1', '{\"session\": \"session-a1\"}');
  update jarvis.jobs set errors = '[{\"error\": \"session-a1\"}]' where kind = 'test.member';
  update jarvis.usage_ledger set session_id = 'session-a1' where gym_id = {A};
  insert into jarvis.audit_log (gym_id, action, entity, entity_id, reason)
    values ({A}, 'member.read', 'member', 'aaaaaaaa-0000-7000-8000-000000000001', 'asked');
  insert into public.manager_alerts (gym_id, alert_type, title, context)
    values ({A}, 'equipment_issue', 'Signalé par Zéphyrine O''Quélen', '{\"said_by\": \"Zéphyrine O''Quélen\", \"n\": 3}');
  update public.insights_reports set summary = 'O''Quélen Zéphyrine (BADGE_ZQ7, zephyrine@exemple.fr) va bien.',
         metrics = '{\"best\": [\"aaaaaaaa-0000-7000-8000-000000000001\"], \"visits\": 12}' where gym_id = {A};
  create schema operator;
  create table operator.notes (id serial primary key, member_id uuid, note text);
  create table operator.lockers (number int primary key,
    holder uuid references public.gym_members_v2 (id) on delete no action);
  create table public.gym_members (id text primary key, gym_id text, full_name text);
  insert into public.gym_members values ('predecessor-a1', 'old', 'Zéphyrine O''Quélen'), ('predecessor-a2', 'old', 'Camille');
  -- One member may send what another one receives: each key has its own way to let go.
  create table operator.parcels (number int primary key, contents text,
    sender uuid references public.gym_members_v2 (id) on delete set null,
    receiver uuid references public.gym_members_v2 (id) on delete cascade,
    payer uuid references public.gym_members_v2 (id));
  insert into operator.parcels values (1, 'turquoise, envoyé', {a1}, {a2}, {a2}), (2, 'turquoise, reçu', {a2}, {a1}, {a2}),
    (3, 'turquoise, payé', {a2}, {a2}, {a1}), (4, 'vert', {a2}, {a2}, {a2});
  insert into operator.notes (member_id, note) values ({a1}, 'turquoise'), ({a2}, 'verte');
  insert into operator.lockers values (1, {a1}), (2, {a2});";

const WORDS: [&str; 9] = [
    "turquoise",
    "zéphyrine",
    "z\\u00e9phyrine",
    "quélen",
    "badge_zq7",
    "zephyrine@",
    "06 98 76",
    "session-a1",
    "aaaaaaaa-0000-7000-8000-000000000001",
];

#[tokio::test]
async fn nothing_of_an_erased_member_is_left_in_any_table() {
    let world = World::new().await;
    let mut conn = world.db.admin_pool().acquire().await.unwrap();
    run(&mut conn, CANARIES).await;
    let before = everything(&mut conn).await;
    for word in WORDS.iter().filter(|w| !w.contains("\\u")) {
        assert!(!with(&before, &[word]).is_empty(), "{word} is planted");
    }
    let plan = erasure::plan(&mut conn, gym(GYM_A), member()).await.unwrap();
    assert_eq!(everything(&mut conn).await, before, "a plan changes nothing");

    let certificate = erase(&world).await;
    assert_eq!((&certificate.touched, certificate.left), (&plan, 0));
    let after = everything(&mut conn).await;
    let left: Vec<&str> = with(&after, &WORDS)
        .into_iter()
        .filter(|row| !row.starts_with("jarvis.erasures: ") && !row.starts_with("world."))
        .collect();
    assert_eq!(left, [""; 0]);
    // Of the import stays that this row of the predecessor is not to come again.
    let told = with(&after, &["predecessor-a1"]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("jarvis.legacy_rows: (gym_members,predecessor-a1,\"\",erased,"),
        "{told:?}"
    );
    assert!(told[0].contains(",{},"), "{told:?}");

    let cleaned = |table: &str| plan.iter().any(|t| t.table == table && t.fate == Fate::Cleaned);
    for table in [
        "public.insights_reports",
        "public.manager_alerts",
        "jarvis.jobs",
        "jarvis.usage_ledger",
    ] {
        assert!(cleaned(table), "{table} in {plan:?}");
    }
    let mut tx = world.admin().await;
    let kept: Vec<String> = lines(
        &mut tx,
        "select (metrics ->> 'visits') || ' ' || summary from public.insights_reports where gym_id = {A} limit 1",
    )
    .await;
    assert_eq!(kept, ["12 erased (erased, erased) va bien."]);
    assert_eq!(lines(&mut tx, "select note from operator.notes").await, ["verte"]);
    assert_eq!(
        lines(&mut tx, "select number::text from operator.lockers").await,
        ["2"]
    );
    assert_eq!(
        lines(&mut tx, "select number::text from operator.parcels").await,
        ["4"]
    );
    let cost: i64 = one(
        &mut tx,
        "select count(*) from jarvis.usage_ledger where gym_id = {A}",
    )
    .await;
    assert_eq!(cost, 2, "what was paid stays in the books");
}

#[tokio::test]
async fn other_members_and_other_gyms_lose_nothing() {
    let world = World::new().await;
    let mut conn = world.db.admin_pool().acquire().await.unwrap();
    run(&mut conn, "update public.conversation_events set transcript = 'avec BADGE_001x et BADGE_001' where member_id = {a2}").await;
    let before = everything(&mut conn).await;
    let certificate = erase(&world).await;
    let after = everything(&mut conn).await;
    let ours = |row: &&String| {
        row.contains("aaaaaaaa-0000-7000-8000-000000000001")
            || row.contains("session-a1")
            || row.starts_with("jarvis.erasures")
    };
    let gone: Vec<&String> = before.iter().filter(|row| !after.contains(row)).collect();
    assert!(gone.iter().all(ours), "{gone:?}");
    let touched: i64 = certificate.touched.iter().map(|t| t.rows).sum();
    assert_eq!(i64::try_from(gone.len()).unwrap(), touched);
}

#[tokio::test]
async fn a_member_of_another_gym_is_not_found() {
    let world = World::new().await;
    let mut conn = world.db.admin_pool().acquire().await.unwrap();
    let before = everything(&mut conn).await;
    let refused = erasure::erase(&mut conn, gym(GYM_B), member(), Uuid::from_u128(7), now()).await;
    assert!(matches!(refused, Err(DbError::NotFound)), "{refused:?}");
    assert!(matches!(
        erasure::plan(&mut conn, gym(GYM_B), member()).await,
        Err(DbError::NotFound)
    ));
    assert_eq!(everything(&mut conn).await, before);
}

#[tokio::test]
async fn an_erased_member_does_not_come_back_under_the_same_id() {
    let world = World::new().await;
    erase(&world).await;
    let again = "insert into public.gym_members_v2 (id, gym_id, badge_id, first_name, last_name)
                 values ({a1}, {A}, 'BACK', 'Camille', 'Martin')";
    let mut tx = world.admin().await;
    assert_eq!(refusal_code(&mut tx, again).await, "JE001");
    become_(&mut tx, SERVER_A).await;
    assert_eq!(refusal_code(&mut tx, again).await, "JE001");
    let elsewhere = again.replace("{A}", "{B}");
    assert_eq!(
        refusal_code(&mut tx, &elsewhere).await,
        "42501",
        "another gym learns nothing"
    );
    // The conversation is gone; what arrives late for it opens no other one.
    let late =
        "insert into public.conversation_events (session_id, event_type) values ('session-a1', 'error')";
    assert_eq!(refusal_code(&mut tx, late).await, "JS001");
    let late = late
        .replace("(session_id,", "(member_id, session_id,")
        .replace("('session-a1'", "({a1}, 'session-a1'");
    assert_eq!(refusal_code(&mut tx, &late).await, "23503");
}

#[tokio::test]
async fn the_ledger_keeps_ids_and_is_never_edited() {
    let world = World::new().await;
    erase(&world).await;
    let mut conn = world.db.admin_pool().acquire().await.unwrap();
    let known = erasure::list(&mut conn, Some(gym(GYM_A))).await.unwrap();
    let entry = known.iter().find(|e| e.member_id == member().as_uuid()).unwrap();
    assert_eq!((entry.id, entry.erased_at), (Uuid::from_u128(7), now()));
    let mut tx = world.admin().await;
    for statement in [
        "update jarvis.erasures set erased_at = now()",
        "delete from jarvis.erasures",
        "truncate jarvis.erasures",
    ] {
        assert_eq!(refusal_code(&mut tx, statement).await, "JA001", "{statement}");
    }
}

#[tokio::test]
async fn an_erasure_that_is_applied_again_changes_nothing_more_and_keeps_its_time() {
    let world = World::new().await;
    erase(&world).await;
    let mut conn = world.db.admin_pool().acquire().await.unwrap();
    let before = everything(&mut conn).await;
    let known = erasure::list(&mut conn, None).await.unwrap();
    for erasure in &known {
        assert_eq!(erasure::reapply(&mut conn, erasure).await.unwrap(), 0);
    }
    assert_eq!(everything(&mut conn).await, before);
}

#[tokio::test]
async fn an_erasure_waits_for_who_is_writing_and_then_takes_it_along() {
    let world = World::new().await;
    let mut writer = world.act_as(SERVER_A).await;
    run(
        &mut writer,
        "insert into public.conversation_events (session_id, event_type, transcript) values ('session-a1', 'user_transcript', 'encore')",
    )
    .await;
    let erasing = erase(&world);
    let ends = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        writer.commit().await.unwrap();
    };
    let (certificate, ()) = tokio::join!(erasing, ends);
    assert_eq!(certificate.left, 0);
    let mut tx = world.admin().await;
    let left: i64 = one(
        &mut tx,
        "select count(*) from public.conversation_events where member_id = {a1}",
    )
    .await;
    assert_eq!(left, 0);
}
