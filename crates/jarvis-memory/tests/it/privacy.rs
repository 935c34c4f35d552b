//! A consent that is withdrawn takes along what rested on it; a restriction takes nothing and lets nothing be used.

use crate::stage::{EVERYTHING, Gym, Stage, embedder};
use jarvis_core::{Actor, MemberId, Purpose, Scope, SessionId, SessionState};
use jarvis_db::queries::erasure;
use jarvis_memory::recall::{RecallQuery, recall};
use jarvis_memory::{orphans, privacy, process, sessions};

const KNEE: &str = "J'ai mal au genou droit depuis janvier, plus de squats pour moi";
const GOAL: &str = "mon objectif c'est de perdre cinq kilos avant l'été";
const CANARY: &str = "je préfère m'entraîner avec mon perroquet turquoise Archibald";

/// Rows of every table, every column as text, in which one of these words stands.
async fn traces(stage: &Stage, words: &[&str]) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'supabase_migrations')
            -- Words of ours, which no member said.
            and c.oid <> 'jarvis.data_map'::regclass
            and c.oid not in (select coalesce(to_regclass(t), 0) from unnest(array['jarvis.fact_slots', 'jarvis.slot_words']) as t)",
    )
    .fetch_all(stage.test.admin_pool())
    .await
    .unwrap();
    assert!(tables.len() > 15, "the schema is there");
    let mut found = Vec::new();
    for table in tables {
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select t::text from {table} t")))
                .fetch_all(stage.test.admin_pool())
                .await
                .unwrap();
        let speaking = rows.into_iter().filter(|row| {
            let row = row.to_lowercase();
            words.iter().any(|word| row.contains(word))
        });
        found.extend(speaking.map(|row| format!("{table}: {row}")));
    }
    found
}

/// Records an answer as any writer may, and runs what it asked for.
async fn answer(stage: &Stage, member: MemberId, purpose: Purpose, granted: bool) {
    sqlx::query(
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
         select gym_id, id, $2, $3, 'kiosk' from public.gym_members_v2 where id = $1",
    )
    .bind(member.as_uuid())
    .bind(purpose.as_str())
    .bind(granted)
    .execute(stage.test.admin_pool())
    .await
    .unwrap();
}

/// The withdrawals that wait in the queue, as the worker would take them.
async fn withdrawals(stage: &Stage) -> Vec<privacy::WithdrawConsent> {
    let jobs: Vec<serde_json::Value> = sqlx::query_scalar(
        "delete from jarvis.jobs where kind = 'privacy.withdraw' and state = 'available' returning args",
    )
    .fetch_all(stage.test.admin_pool())
    .await
    .unwrap();
    jobs.into_iter()
        .map(|args| serde_json::from_value(args).unwrap())
        .collect()
}

async fn carry_out(stage: &Stage) {
    for job in withdrawals(stage).await {
        privacy::run(&stage.memory, job).await.unwrap();
    }
}

/// Processes the sessions that wait, as the worker would.
async fn process_waiting(stage: &Stage, gym: &Gym) {
    let ids: Vec<String> =
        sqlx::query_scalar("select session_id from public.conversation_sessions where state = 'closing'")
            .fetch_all(stage.test.admin_pool())
            .await
            .unwrap();
    for id in ids {
        let id: SessionId = id.parse().unwrap();
        process::process_session(&stage.memory, gym.id, &id)
            .await
            .unwrap();
    }
}

async fn state(stage: &Stage, gym: &Gym, session: &SessionId) -> (SessionState, Option<String>) {
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, session).await.unwrap();
    (detail.session.state, detail.session.state_reason)
}

#[tokio::test]
async fn withdrawing_memory_leaves_no_word_anywhere_and_nobody_elses_is_touched() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.member(&gym, "BADGE_002", EVERYTHING).await;
    let session = stage
        .talk(
            &gym,
            "BADGE_001",
            &[KNEE, CANARY, "JARVIS: Archibald doit être content !"],
        )
        .await;
    stage.talk(&gym, "BADGE_002", &[GOAL]).await;
    let words = ["turquoise", "archibald", "genou", "squat"];
    let before = traces(&stage, &words).await;
    for table in [
        "public.member_facts",
        "jarvis.member_fact_history",
        "public.conversation_summaries",
        "public.conversation_events",
    ] {
        assert!(
            before.iter().any(|row| row.starts_with(table)),
            "{table} in {before:?}"
        );
    }
    answer(&stage, member, Purpose::Memory, false).await;
    carry_out(&stage).await;
    assert_eq!(traces(&stage, &words).await, [""; 0]);
    let vectors = "select count(*) from jarvis.summary_vectors v
                    where v.member_id = (select id from public.gym_members_v2 where badge_id = 'BADGE_001')";
    assert_eq!(stage.count(vectors).await, 0);
    assert_eq!(
        state(&stage, &gym, &session).await,
        (SessionState::Empty, Some("no_consent".to_owned()))
    );
    let other = traces(&stage, &["cinq kilos"]).await;
    assert!(other.len() >= 4, "{other:?}");

    // Again, it changes nothing; and what was agreed to again is not taken away by a job that came late.
    privacy::withdraw(&stage.memory, gym.id, member, Purpose::Memory)
        .await
        .unwrap();
    assert_eq!(traces(&stage, &["cinq kilos"]).await, other);
    answer(&stage, member, Purpose::Memory, true).await;
    stage.talk(&gym, "BADGE_001", &[CANARY]).await;
    privacy::withdraw(&stage.memory, gym.id, member, Purpose::Memory)
        .await
        .unwrap();
    assert!(!traces(&stage, &["turquoise"]).await.is_empty());
}

#[tokio::test]
async fn withdrawing_health_takes_health_alone_and_makes_the_rest_into_memory_again() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage
        .talk(
            &gym,
            "BADGE_001",
            &[KNEE, "JARVIS: D'accord, ménage ton genou.", GOAL],
        )
        .await;
    let words = ["genou", "squat", "knee"];
    assert!(traces(&stage, &words).await.len() >= 4);
    answer(&stage, member, Purpose::HealthMemory, false).await;
    carry_out(&stage).await;
    process_waiting(&stage, &gym).await;
    assert_eq!(traces(&stage, &words).await, [""; 0]);
    assert!(traces(&stage, &["cinq kilos"]).await.len() >= 3, "the goal stays");
    assert_eq!(state(&stage, &gym, &session).await.0, SessionState::Processed);
    let context = stage.open(&gym, "BADGE_001").await.context;
    assert!(context.prompt.contains("cinq kilos"), "{}", context.prompt);
}

#[tokio::test]
async fn a_child_who_was_taken_for_an_adult_is_forgotten() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.talk(&gym, "BADGE_001", &[CANARY]).await;
    sqlx::query("update public.gym_members_v2 set date_of_birth = current_date - interval '13 years'")
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    carry_out(&stage).await;
    assert_eq!(traces(&stage, &["turquoise"]).await, [""; 0]);
    // Nor is anything kept of what comes later, without a guardian.
    stage.talk(&gym, "BADGE_001", &[CANARY]).await;
    assert_eq!(traces(&stage, &["turquoise"]).await, [""; 0]);
}

#[tokio::test]
async fn a_restricted_member_is_kept_and_used_for_nothing_until_it_is_lifted() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.talk(&gym, "BADGE_001", &[GOAL]).await;
    let waiting = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &waiting, &[CANARY]).await;
    sessions::close(&stage.memory, &gym.kiosk, &waiting, None)
        .await
        .unwrap();
    let kept = traces(&stage, &["cinq kilos", "turquoise"]).await.len();
    let scope = Scope::gym(gym.id, Actor::Operator);
    for expected in [true, false] {
        let changed = privacy::restrict(&stage.memory, &scope, gym.id, member, None)
            .await
            .unwrap();
        assert_eq!(changed, expected);
    }
    process_waiting(&stage, &gym).await;
    stage.clock.advance(chrono::TimeDelta::hours(1));
    let swept = orphans::sweep(&stage.memory).await.unwrap();
    assert_eq!(swept.enqueued, 0, "nobody works with it");
    assert_eq!(state(&stage, &gym, &waiting).await.0, SessionState::Closing);
    let query = RecallQuery {
        text: "kilos".to_owned(),
        k: 5,
        threshold: 0.0,
    };
    let recalled = recall(&stage.memory, scope, member, &query).await.unwrap();
    assert!(recalled.memories.is_empty());
    let opened = stage.open(&gym, "BADGE_001").await;
    assert!(opened.context.facts.is_empty() && opened.context.memories.is_empty());
    assert_eq!(
        traces(&stage, &["cinq kilos", "turquoise"]).await.len(),
        kept,
        "all is kept"
    );
    assert!(
        withdrawals(&stage).await.is_empty(),
        "a restriction withdraws nothing"
    );

    assert!(
        privacy::lift(&stage.memory, &scope, gym.id, member)
            .await
            .unwrap()
    );
    process_waiting(&stage, &gym).await;
    assert_eq!(state(&stage, &gym, &waiting).await.0, SessionState::Processed);
    assert!(
        stage
            .open(&gym, "BADGE_001")
            .await
            .context
            .prompt
            .contains("cinq kilos")
    );
}

#[tokio::test]
async fn an_erased_member_leaves_no_word_in_any_table() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.talk(&gym, "BADGE_001", &[KNEE, CANARY]).await;
    let scope = Scope::gym(gym.id, Actor::Operator);
    privacy::restrict(&stage.memory, &scope, gym.id, member, Some("demande 12"))
        .await
        .unwrap();
    let exported = privacy::export(&stage.memory, &scope, gym.id, member)
        .await
        .unwrap()
        .unwrap();
    assert!(exported.to_string().contains("turquoise"), "{exported}");
    let mut conn = stage.test.admin_pool().acquire().await.unwrap();
    let now = crate::stage::noon();
    erasure::erase(&mut conn, gym.id, member, jarvis_core::ids::uuid_v7(now), now)
        .await
        .unwrap();
    let words = ["turquoise", "archibald", "genou", "demande 12"];
    assert_eq!(traces(&stage, &words).await, [""; 0]);
}

#[tokio::test]
async fn a_restriction_that_comes_between_two_steps_of_the_work_takes_nothing() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.talk(&gym, "BADGE_001", &[GOAL]).await;
    let kept = traces(&stage, &["cinq kilos"]).await.len();
    let scope = Scope::gym(gym.id, Actor::Server);
    sessions::reprocess(&stage.memory, gym.id, &scope, &session)
        .await
        .unwrap();
    // The restriction is there once the try is counted, before anything is read.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "create function public.restrict_now() returns trigger language plpgsql security definer as $$
         begin
           insert into jarvis.restrictions (gym_id, member_id, actor) values (new.gym_id, '{member}', 'operator') on conflict do nothing;
           return null;
         end $$;
         create trigger z90_restrict after update of attempts on public.conversation_sessions
           for each row when (new.attempts > 0) execute function public.restrict_now()"
    )))
    .execute(stage.test.admin_pool())
    .await
    .unwrap();
    process_waiting(&stage, &gym).await;
    assert_eq!(
        state(&stage, &gym, &session).await,
        (SessionState::Closing, None),
        "it waits for the restriction to be lifted"
    );
    assert_eq!(traces(&stage, &["cinq kilos"]).await.len(), kept, "all is kept");
}

#[tokio::test]
async fn of_a_restricted_member_a_withdrawal_of_health_masks_and_no_more() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.talk(&gym, "BADGE_001", &[KNEE, GOAL]).await;
    let scope = Scope::gym(gym.id, Actor::Operator);
    privacy::restrict(&stage.memory, &scope, gym.id, member, None)
        .await
        .unwrap();
    answer(&stage, member, Purpose::HealthMemory, false).await;
    carry_out(&stage).await;
    assert!(traces(&stage, &["genou"]).await.is_empty());
    let said = traces(&stage, &["cinq kilos"]).await;
    assert!(
        said.iter()
            .any(|row| row.starts_with("public.conversation_events")),
        "{said:?}"
    );
}

#[tokio::test]
async fn of_a_restricted_member_a_forgotten_fact_leaves_the_rest_of_a_summary_of_others() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.talk(&gym, "BADGE_001", &[KNEE]).await;
    sqlx::raw_sql(
        "update public.conversation_summaries
            set written_by = 'client', summary_text = 'Elle vient le lundi. Son genou droit la gêne.', key_topics = '{genou}'",
    )
    .execute(stage.test.admin_pool())
    .await
    .unwrap();
    let knee: uuid::Uuid = sqlx::query_scalar("select id from public.member_facts where category = 'injury'")
        .fetch_one(stage.test.admin_pool())
        .await
        .unwrap();
    let scope = Scope::gym(gym.id, Actor::Operator);
    privacy::restrict(&stage.memory, &scope, gym.id, member, None)
        .await
        .unwrap();
    jarvis_memory::facts::forget(&stage.memory, &scope, gym.id, knee.into())
        .await
        .unwrap();
    let text: String = sqlx::query_scalar("select summary_text from public.conversation_summaries")
        .fetch_one(stage.test.admin_pool())
        .await
        .unwrap();
    assert!(
        text.starts_with("Elle vient le lundi.") && !text.contains("genou"),
        "{text}"
    );
}

#[tokio::test]
async fn a_clock_that_is_a_year_ahead_purges_nothing() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.talk(&gym, "BADGE_001", &[KNEE, GOAL]).await;
    // What came along before retention began is spared for another reason.
    sqlx::raw_sql("update jarvis.retention_periods set begun_at = '2020-01-01'")
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    let real = chrono::TimeDelta::zero() - apart(&stage).await;
    stage.clock.advance(real + chrono::TimeDelta::days(365));
    let kept = traces(&stage, &["genou"]).await.len();
    privacy::run_retention(&stage.memory, privacy::ApplyRetention::default())
        .await
        .unwrap();
    jarvis_memory::facts::run(&stage.memory, jarvis_memory::jobs::TendFacts::default())
        .await
        .unwrap();
    assert_eq!(traces(&stage, &["genou"]).await.len(), kept);
    // The database's clock is right again, or was never wrong: the same day purges.
    let done = privacy::expire(&stage.memory, privacy::Retention::Daily)
        .await
        .unwrap();
    assert!(done.iter().any(|one| one.rows > 0), "{done:?}");
    stage.clock.advance(chrono::TimeDelta::days(-365));
    assert_eq!(
        jarvis_memory::purging::clocks_apart(&stage.memory).await.unwrap(),
        None
    );
}

/// How far the clock of the test is ahead of the database's.
async fn apart(stage: &Stage) -> chrono::TimeDelta {
    let theirs: chrono::DateTime<chrono::Utc> = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(stage.test.admin_pool())
        .await
        .unwrap();
    jarvis_core::Clock::now(&*stage.clock) - theirs
}
