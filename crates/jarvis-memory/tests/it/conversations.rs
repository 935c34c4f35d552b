//! What is said comes back at the next visit.

use crate::stage::{EVERYTHING, Stage, embedder, said};
use jarvis_core::{Actor, Category, Channel, ErrorCode, Purpose, Scope, SessionState};
use jarvis_memory::{process, sessions};

const KNEE: &str = "J'ai mal au genou droit depuis janvier, plus de squats pour moi";
const GOAL: &str = "mon objectif c'est de perdre cinq kilos avant l'été";

#[tokio::test]
async fn what_a_member_says_is_known_at_the_next_visit_injury_first() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage
        .talk(
            &gym,
            " badge_001 ",
            &["JARVIS: Bonjour !", KNEE, "JARVIS: Un objectif ?", GOAL],
        )
        .await;

    let scope = Scope::gym(gym.id, Actor::Server);
    let detail = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(detail.session.state, SessionState::Processed);
    assert_eq!(detail.events.user_turns, 2);
    let [injury, goal] = &detail.facts[..] else {
        panic!("an injury and a goal, got {:?}", detail.facts)
    };
    assert_eq!(
        (injury.category, goal.category),
        (Category::Injury, Category::Goal)
    );
    assert!(KNEE.contains(injury.source_quote.as_deref().unwrap()));
    assert!(GOAL.contains(goal.source_quote.as_deref().unwrap()));
    assert!(injury.verified && goal.verified);
    let summary = detail.summary.expect("a processed session has a summary");
    if stage.memory.embedder.model().is_some() {
        assert_eq!(summary.embedding_dimensions, Some(1536));
    } else {
        println!("without JARVIS_E5_WEIGHTS: the embedding is not checked");
        assert_eq!(detail.session.notes, ["embedding_unavailable"]);
    }

    let context = stage.open(&gym, "BADGE_001").await.context;
    let categories: Vec<_> = context.facts.iter().map(|f| f.category).collect();
    assert_eq!(categories, [Category::Injury, Category::Goal]);
    assert!(context.prompt.contains("genou droit depuis janvier"));
    assert_eq!(context.memories.len(), 1);
}

#[tokio::test]
async fn two_gyms_with_equal_badges_never_mix() {
    let stage = Stage::with(embedder()).await;
    let (lyon, nantes) = (stage.gym("lyon").await, stage.gym("nantes").await);
    stage.member(&lyon, "BADGE_001", EVERYTHING).await;
    stage.member(&nantes, "BADGE_001", EVERYTHING).await;
    let session = stage.talk(&lyon, "BADGE_001", &[KNEE]).await;

    let elsewhere = stage.open(&nantes, "BADGE_001").await.context;
    assert!(elsewhere.facts.is_empty() && elsewhere.memories.is_empty());
    let foreign = Scope::gym(nantes.id, Actor::Server);
    let error = sessions::get(&stage.memory, &foreign, &session)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SessionNotFound);
    let error = sessions::close(&stage.memory, &nantes.kiosk, &session, None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SessionNotFound);
}

#[tokio::test]
async fn a_kiosk_cannot_touch_another_kiosks_session() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let second = stage.kiosk(gym.id, "etage").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let error = sessions::record(&stage.memory, &second, &session, vec![Ok(said("Bonjour", 0))])
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SessionNotFound);
    assert_eq!(
        stage
            .count("select count(*) from public.conversation_events")
            .await,
        0
    );
}

#[tokio::test]
async fn unknown_inactive_and_barred_badges_are_refused_alike() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let inactive = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let barred = stage.member(&gym, "BADGE_002", EVERYTHING).await;
    for (sql, id) in [
        (
            "update public.gym_members_v2 set is_active = false where id = $1",
            inactive,
        ),
        (
            "update public.gym_members_v2 set can_use_jarvis = false where id = $1",
            barred,
        ),
    ] {
        sqlx::query(sql)
            .bind(id.as_uuid())
            .execute(stage.test.admin_pool())
            .await
            .unwrap();
    }
    for badge in ["BADGE_001", "BADGE_002", "NEVER_SEEN"] {
        let error = stage
            .try_open(&gym.kiosk, badge, Channel::Text)
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), error.detail()),
            (ErrorCode::BadgeUnknown, None),
            "{badge}"
        );
    }
}

#[tokio::test]
async fn a_voice_session_needs_the_consent_to_voice() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", &[Purpose::Memory]).await;
    let error = stage
        .try_open(&gym.kiosk, "BADGE_001", Channel::Voice)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.detail()),
        (ErrorCode::ConsentRequired, Some("voice"))
    );
    stage
        .try_open(&gym.kiosk, "BADGE_001", Channel::Text)
        .await
        .unwrap();
}

#[tokio::test]
async fn another_badge_ends_the_session_before_it() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.member(&gym, "BADGE_002", EVERYTHING).await;
    let first = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &first, &[GOAL]).await;
    stage.open(&gym, "BADGE_002").await;
    process::process_session(&stage.memory, gym.id, &first)
        .await
        .unwrap();
    let detail = sessions::get(&stage.memory, &Scope::gym(gym.id, Actor::Server), &first)
        .await
        .unwrap();
    assert_eq!(detail.session.state, SessionState::Processed);
    assert_eq!(detail.session.end_reason.unwrap().as_str(), "badge_change");
}

#[tokio::test]
async fn a_recovery_retires_the_injury() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.talk(&gym, "BADGE_001", &[KNEE]).await;
    stage.clock.advance(chrono::TimeDelta::days(30));
    stage
        .talk(&gym, "BADGE_001", &["Je n'ai plus mal au genou, c'est fini"])
        .await;
    let context = stage.open(&gym, "BADGE_001").await.context;
    assert!(
        context.facts.iter().all(|f| f.category != Category::Injury),
        "{:?}",
        context.facts
    );
    assert_eq!(
        stage
            .count("select count(*) from jarvis.member_fact_history where operation = 'retire'")
            .await,
        1
    );
}

#[tokio::test]
async fn processing_again_changes_nothing() {
    let stage = Stage::with(embedder()).await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.talk(&gym, "BADGE_001", &[KNEE, GOAL]).await;
    let scope = Scope::gym(gym.id, Actor::Server);
    let before = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    for _ in 0..5 {
        sessions::reprocess(&stage.memory, gym.id, &scope, &session)
            .await
            .unwrap();
        process::process_session(&stage.memory, gym.id, &session)
            .await
            .unwrap();
    }
    let after = sessions::get(&stage.memory, &scope, &session).await.unwrap();
    assert_eq!(after.facts, before.facts);
    assert_eq!(after.summary, before.summary);
    assert_eq!(
        stage
            .count("select count(*) from public.conversation_summaries")
            .await,
        1
    );
    assert_eq!(
        stage
            .count("select count(*) from public.member_facts where times_confirmed > 0")
            .await,
        0
    );
}

#[tokio::test]
async fn the_same_words_another_day_confirm_a_fact() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage
        .talk(&gym, "BADGE_001", &["Je préfère m'entraîner le matin"])
        .await;
    stage.clock.advance(chrono::TimeDelta::days(1));
    stage
        .talk(&gym, "BADGE_001", &["Je préfère m'entraîner le matin"])
        .await;
    assert_eq!(stage.count("select count(*) from public.member_facts").await, 1);
    assert_eq!(
        stage
            .count("select times_confirmed::bigint from public.member_facts")
            .await,
        1
    );
}

#[tokio::test]
async fn nothing_the_assistant_says_becomes_a_fact() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage
        .talk(
            &gym,
            "BADGE_001",
            &[
                "JARVIS: Tu as mal au genou droit depuis janvier ?",
                "Non non, tout va bien",
            ],
        )
        .await;
    assert_eq!(stage.count("select count(*) from public.member_facts").await, 0);
}
