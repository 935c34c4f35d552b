//! Late, repeated, impossible and forgotten: nothing acknowledged is lost, nothing is doubled.

use crate::stage::{EVERYTHING, Stage, noon, said};
use chrono::{DateTime, TimeDelta};
use jarvis_core::{Actor, Clock as _, ErrorCode, Scope, SessionState, SystemClock};
use jarvis_memory::{orphans, process, sessions};

#[tokio::test]
async fn closing_twice_says_so_and_changes_nothing() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let first = sessions::close(&stage.memory, &gym.kiosk, &session, None)
        .await
        .unwrap();
    let second = sessions::close(&stage.memory, &gym.kiosk, &session, None)
        .await
        .unwrap();
    assert_eq!((first.already_closed, second.already_closed), (false, true));
    assert_eq!(
        stage
            .count("select count(*) from jarvis.jobs where kind = 'memory.process_session'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_repeated_event_is_one_row() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &["Bonjour"]).await;
    let again = stage
        .say(&gym, &session, &["Bonjour", "Je voudrais courir"])
        .await;
    assert_eq!(
        again.accepted.iter().map(|a| a.duplicate).collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(
        stage
            .count("select count(*) from public.conversation_events")
            .await,
        2
    );
}

#[tokio::test]
async fn one_bad_event_does_not_lose_the_others() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let mut negative = said("Un", 1);
    negative.turn_number = Some(-1);
    let mut unsure = said("Deux", 2);
    unsure.confidence_score = Some(f64::NAN);
    let mut nul = said("Trois\0", 3);
    nul.provider_event_id = Some("nul".to_owned());
    let mut long = said("x", 4);
    long.transcript = Some("x".repeat(20_001));
    let batch = vec![
        Ok(said("Zéro", 0)),
        Ok(negative),
        Ok(unsure),
        Ok(nul),
        Ok(long),
        Err("event_type: unknown".into()),
    ];
    let recorded = sessions::record(&stage.memory, &gym.kiosk, &session, batch)
        .await
        .unwrap();
    assert_eq!(recorded.accepted.iter().map(|a| a.index).collect::<Vec<_>>(), [0]);
    assert_eq!(
        recorded.rejected.iter().map(|r| r.index).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(
        stage
            .count("select count(*) from public.conversation_events")
            .await,
        1
    );
}

#[tokio::test]
async fn an_impossible_time_is_replaced_by_the_time_of_arrival() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let mut old = said("Un", 0);
    old.timestamp = DateTime::from_timestamp(0, 0);
    let mut far = said("Deux", 1);
    far.timestamp = DateTime::from_timestamp(13_569_465_600, 0);
    let mut buffered = said("Trois", 2);
    buffered.timestamp = Some(noon() - TimeDelta::hours(3));
    let batch = vec![Ok(old), Ok(far), Ok(buffered)];
    let recorded = sessions::record(&stage.memory, &gym.kiosk, &session, batch)
        .await
        .unwrap();
    let adjusted: Vec<_> = recorded.accepted.iter().map(|a| a.timestamp_adjusted).collect();
    assert_eq!(adjusted, [true, true, false]);
    let stored: Vec<(DateTime<chrono::Utc>,)> =
        sqlx::query_as("select \"timestamp\" from public.conversation_events order by turn_number")
            .fetch_all(stage.test.admin_pool())
            .await
            .unwrap();
    assert_eq!(stored, [(noon(),), (noon(),), (noon() - TimeDelta::hours(3),)]);
}

#[tokio::test]
async fn a_late_event_is_processed_and_a_very_late_one_refused() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.talk(&gym, "BADGE_001", &["Bonjour, je viens courir"]).await;
    stage.clock.advance(TimeDelta::minutes(9));
    let late = vec![Ok(said("Je veux courir un semi-marathon en octobre", 1))];
    sessions::record(&stage.memory, &gym.kiosk, &session, late)
        .await
        .unwrap();
    process::process_session(&stage.memory, gym.id, &session)
        .await
        .unwrap();
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(detail.session.state, SessionState::Processed);
    assert!(
        detail.facts.iter().any(|f| f.category.as_str() == "goal"),
        "{:?}",
        detail.facts
    );
    assert_eq!(
        stage
            .count("select count(*) from public.conversation_summaries")
            .await,
        1
    );

    stage.clock.advance(TimeDelta::minutes(2));
    let later = vec![Ok(said("Encore un mot", 2))];
    let error = sessions::record(&stage.memory, &gym.kiosk, &session, later)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SessionClosed);
}

#[tokio::test]
async fn a_forgotten_session_is_closed_and_processed() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &["Je veux perdre cinq kilos"]).await;
    assert_eq!(orphans::sweep(&stage.memory).await.unwrap().closed, 0);
    stage.clock.advance(orphans::IDLE + TimeDelta::seconds(1));
    assert_eq!(orphans::sweep(&stage.memory).await.unwrap().closed, 1);
    process::process_session(&stage.memory, gym.id, &session)
        .await
        .unwrap();
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(detail.session.end_reason.unwrap().as_str(), "orphaned");
    assert_eq!(detail.session.state, SessionState::Processed);
}

#[tokio::test]
async fn a_session_dated_ahead_by_a_jump_of_the_clock_is_closed_a_quarter_of_an_hour_after_it_was_set_right()
{
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.clock.advance(TimeDelta::days(2));
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &["Je veux perdre cinq kilos"]).await;
    stage.clock.advance(TimeDelta::days(-2));
    // The database's clock was right all the time.
    stage.written_ago("14 minutes").await;
    assert_eq!(orphans::sweep(&stage.memory).await.unwrap().closed, 0);
    stage.clock.advance(orphans::IDLE + TimeDelta::seconds(1));
    stage.written_ago("15 minutes 1 second").await;
    assert_eq!(orphans::sweep(&stage.memory).await.unwrap().closed, 1);
    process::process_session(&stage.memory, gym.id, &session)
        .await
        .unwrap();
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(detail.session.state, SessionState::Processed);
}

#[tokio::test]
async fn a_live_session_stays_open_and_a_closed_one_waits_its_time_however_far_apart_the_clocks_stand() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    // The program's clock is a day ahead of the database's, which is no reason to end what was just said.
    let ahead = SystemClock.now() - stage.memory.clock.now() + TimeDelta::days(1);
    stage.clock.advance(ahead);
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &["Je veux perdre cinq kilos"]).await;
    assert_eq!(
        orphans::sweep(&stage.memory).await.unwrap(),
        orphans::Swept::default()
    );
    sessions::close(&stage.memory, &gym.kiosk, &session, None)
        .await
        .unwrap();
    assert_eq!(
        orphans::sweep(&stage.memory).await.unwrap(),
        orphans::Swept::default()
    );
    stage.written_ago("11 minutes").await;
    assert_eq!(orphans::sweep(&stage.memory).await.unwrap().enqueued, 1);
}

#[tokio::test]
async fn a_session_closed_by_a_jump_of_the_clock_takes_what_is_said_on_and_remembers_all_of_it() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &["Je veux perdre cinq kilos"]).await;
    stage.clock.advance(TimeDelta::days(2));
    assert_eq!(orphans::sweep(&stage.memory).await.unwrap().closed, 1);
    stage.clock.advance(TimeDelta::days(-2));
    let more = vec![Ok(said("J'ai mal au genou droit", 1))];
    sessions::record(&stage.memory, &gym.kiosk, &session, more)
        .await
        .unwrap();
    process::process_session(&stage.memory, gym.id, &session)
        .await
        .unwrap();
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    let mut categories: Vec<_> = detail.facts.iter().map(|f| f.category.as_str()).collect();
    categories.sort_unstable();
    assert_eq!(categories, ["goal", "injury"]);
}

#[tokio::test]
async fn what_is_said_after_the_clock_was_set_back_stays_after_what_was_said_before() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    for (number, words) in ["Un", "Deux", "Trois"].into_iter().enumerate() {
        let mut event = said(words, number);
        (event.turn_number, event.timestamp) = (None, None);
        sessions::record(&stage.memory, &gym.kiosk, &session, vec![Ok(event)])
            .await
            .unwrap();
        stage.clock.advance(TimeDelta::hours(-3));
    }
    let order: Vec<(String,)> =
        sqlx::query_as("select transcript from public.conversation_events order by \"timestamp\", id")
            .fetch_all(stage.test.admin_pool())
            .await
            .unwrap();
    assert_eq!(order, ["Un", "Deux", "Trois"].map(|words| (words.to_owned(),)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_badges_at_one_kiosk_in_one_instant_each_get_a_session_and_one_stays_open() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let opened = tokio::join!(
        stage.open(&gym, "BADGE_001"),
        stage.open(&gym, "BADGE_001"),
        stage.open(&gym, "BADGE_001"),
        stage.open(&gym, "BADGE_001"),
        stage.open(&gym, "BADGE_001"),
    );
    let ids = [&opened.0, &opened.1, &opened.2, &opened.3, &opened.4].map(|o| o.session_id.to_string());
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 5);
    let open = "select count(*) from public.conversation_sessions where state = 'open'";
    assert_eq!(stage.count(open).await, 1);
}

#[tokio::test]
async fn a_lost_job_is_found_again() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    sessions::close(&stage.memory, &gym.kiosk, &session, None)
        .await
        .unwrap();
    sqlx::query("delete from jarvis.jobs")
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    stage.clock.advance(TimeDelta::minutes(11));
    orphans::sweep(&stage.memory).await.unwrap();
    orphans::sweep(&stage.memory).await.unwrap();
    assert_eq!(
        stage
            .count("select count(*) from jarvis.jobs where kind = 'memory.process_session'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_session_that_cannot_be_processed_fails_visibly_and_can_be_tried_again() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &["Je veux perdre cinq kilos"]).await;
    sessions::close(&stage.memory, &gym.kiosk, &session, None)
        .await
        .unwrap();
    let admin = stage.test.admin_pool();
    let break_it =
        "alter table public.conversation_summaries add constraint broken check (turn_count < 0) not valid";
    sqlx::query(break_it).execute(admin).await.unwrap();
    for attempt in 1..=process::MAX_ATTEMPTS {
        let result = process::process_session(&stage.memory, gym.id, &session).await;
        assert_eq!(
            result.is_err(),
            attempt < process::MAX_ATTEMPTS,
            "attempt {attempt}"
        );
    }
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(detail.session.state, SessionState::Failed);
    assert!(detail.session.last_error.unwrap().contains("broken"));
    assert!(detail.facts.is_empty(), "a failed try leaves nothing behind");

    sqlx::query("alter table public.conversation_summaries drop constraint broken")
        .execute(admin)
        .await
        .unwrap();
    sessions::reprocess(&stage.memory, gym.id, &scope, &session)
        .await
        .unwrap();
    process::process_session(&stage.memory, gym.id, &session)
        .await
        .unwrap();
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(
        (detail.session.state, detail.session.last_error),
        (SessionState::Processed, None)
    );
}

#[tokio::test]
async fn a_late_correction_replaces_what_it_corrects() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.talk(&gym, "BADGE_001", &["J'ai mal au genou droit"]).await;
    let late = vec![Ok(said("Non pardon, c'est le genou gauche", 1))];
    sessions::record(&stage.memory, &gym.kiosk, &session, late)
        .await
        .unwrap();
    process::process_session(&stage.memory, gym.id, &session)
        .await
        .unwrap();
    let keys: Vec<(String,)> = sqlx::query_as("select fact_key from public.member_facts where is_active")
        .fetch_all(stage.test.admin_pool())
        .await
        .unwrap();
    assert_eq!(keys, [("knee_left_pain".to_owned(),)]);
}

#[tokio::test]
async fn a_session_whose_tries_never_end_fails_visibly() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &["Je veux perdre cinq kilos"]).await;
    sessions::close(&stage.memory, &gym.kiosk, &session, None)
        .await
        .unwrap();
    // As kills and time-outs leave it: tries were counted, none said anything.
    sqlx::query("update public.conversation_sessions set attempts = $1")
        .bind(process::MAX_ATTEMPTS)
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    process::process_session(&stage.memory, gym.id, &session)
        .await
        .unwrap();
    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(detail.session.state, SessionState::Failed);
    assert_eq!(
        detail.session.last_error.as_deref(),
        Some("no try came to its end")
    );
}

#[tokio::test]
async fn the_shortest_conversation_is_memory_too() {
    let stage = Stage::with(crate::stage::embedder()).await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    for word in ["Bonjour", "Oui merci", "Non", "42"] {
        let session = stage.talk(&gym, "BADGE_001", &[word]).await;
        let scope = Scope::gym(gym.id, Actor::Server);
        let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
        let summary = detail.summary.unwrap();
        assert!(summary.summary_text.contains(word), "{}", summary.summary_text);
        if stage.memory.embedder.model().is_some() {
            assert_eq!(summary.embedding_dimensions, Some(1536), "{word}");
        }
    }
}

#[tokio::test]
async fn a_kiosk_recalls_only_for_the_member_in_front_of_it() {
    use jarvis_memory::recall::{DEFAULT_THRESHOLD, RecallQuery, recall_in_session};
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let ended = stage
        .talk(&gym, "BADGE_001", &["Je veux perdre cinq kilos"])
        .await;
    let open = stage.open(&gym, "BADGE_001").await.session_id;
    let query = RecallQuery {
        text: "kilos".to_owned(),
        k: 3,
        threshold: DEFAULT_THRESHOLD,
    };
    let recalled = recall_in_session(&stage.memory, &gym.kiosk, &open, &query)
        .await
        .unwrap();
    assert_eq!(recalled.memories.len(), 1);
    let error = recall_in_session(&stage.memory, &gym.kiosk, &ended, &query)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SessionClosed);
}
