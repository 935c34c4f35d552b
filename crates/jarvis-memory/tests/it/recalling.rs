//! What was said is found again, by meaning or by words.

use crate::stage::{EVERYTHING, Gym, Stage, embedder};
use jarvis_core::{Actor, ErrorCode, MemberId, Scope};
use jarvis_embed::{Calibration, LocalModel};
use jarvis_memory::recall::{self, DEFAULT_THRESHOLD, RecallMethod, RecallQuery, Recalled};

async fn ask(stage: &Stage, gym: &Gym, member: MemberId, text: &str) -> Recalled {
    let query = RecallQuery {
        text: text.to_owned(),
        k: 3,
        threshold: DEFAULT_THRESHOLD,
    };
    recall::recall(&stage.memory, Scope::gym(gym.id, Actor::Server), member, &query)
        .await
        .unwrap()
}

async fn three_conversations(stage: &Stage, gym: &Gym) {
    for turns in [
        "J'ai mal au genou droit depuis janvier, surtout dans les escaliers",
        "Le vestiaire était sale hier soir et il n'y avait plus de savon",
        "J'adore le cours de yoga du mercredi avec la nouvelle coach",
    ] {
        stage.talk(gym, "BADGE_001", &[turns]).await;
        stage.clock.advance(chrono::TimeDelta::days(1));
    }
}

#[tokio::test]
async fn a_paraphrase_finds_the_conversation() {
    let stage = Stage::with(embedder()).await;
    if stage.memory.embedder.model().is_none() {
        println!("skipped: JARVIS_E5_WEIGHTS is not set");
        return;
    }
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    three_conversations(&stage, &gym).await;
    for (question, expected) in [
        ("douleur à l'articulation de la jambe", "genou"),
        ("la propreté des douches", "vestiaire"),
        ("her favourite class", "yoga"),
    ] {
        let found = ask(&stage, &gym, member, question).await;
        assert_eq!(found.method, RecallMethod::Embedding);
        assert!(
            found.memories[0].summary_text.contains(expected),
            "{question}: {:?}",
            found.memories
        );
    }
}

#[tokio::test]
async fn without_a_model_recall_goes_by_words_and_says_so() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    three_conversations(&stage, &gym).await;
    let found = ask(&stage, &gym, member, "Vestiaires sales ?").await;
    assert_eq!(found.method, RecallMethod::FullText);
    assert!(found.memories[0].summary_text.contains("vestiaire"));
    assert!(!found.nothing_noted, "{found:?}");
    assert!(
        found.memories[0].similarity > 0.5,
        "the share of the words: {found:?}"
    );
    let nothing = ask(&stage, &gym, member, "parapluie").await;
    assert!(nothing.memories.is_empty() && nothing.nothing_noted);
}

#[tokio::test]
async fn what_another_model_embedded_is_still_found_by_its_words() {
    let stage = Stage::with(embedder()).await;
    if stage.memory.embedder.model().is_none() {
        println!("skipped: JARVIS_E5_WEIGHTS is not set");
        return;
    }
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    three_conversations(&stage, &gym).await;
    // As a program of the release before writes into a gym that has the new model.
    sqlx::query(
        "update public.gyms set embedding_model = case embedding_model
            when 'e5-small-multilingual' then 'e5-use-multilingual' else 'e5-small-multilingual' end",
    )
    .execute(stage.test.admin_pool())
    .await
    .unwrap();
    let found = ask(&stage, &gym, member, "mal au genou").await;
    assert_eq!(found.memories.len(), 1, "{found:?}");
    assert!(found.memories[0].summary_text.contains("genou"), "{found:?}");
    assert!(ask(&stage, &gym, member, "parapluie").await.memories.is_empty());
}

#[tokio::test]
async fn another_gyms_member_does_not_exist() {
    let stage = Stage::new().await;
    let (lyon, nantes) = (stage.gym("lyon").await, stage.gym("nantes").await);
    let member = stage.member(&lyon, "BADGE_001", EVERYTHING).await;
    three_conversations(&stage, &lyon).await;
    let query = RecallQuery {
        text: "genou".to_owned(),
        k: 3,
        threshold: 0.0,
    };
    let error = recall::recall(
        &stage.memory,
        Scope::gym(nantes.id, Actor::Server),
        member,
        &query,
    )
    .await
    .unwrap_err();
    assert_eq!(error.code(), ErrorCode::MemberNotFound);
}

#[tokio::test]
async fn a_question_out_of_bounds_is_refused() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let scope = Scope::gym(gym.id, Actor::Server);
    for (text, k, threshold) in [
        ("", 3, 0.3),
        ("x", 0, 0.3),
        ("x", 51, 0.3),
        ("x", 3, 1.5),
        ("x", 3, f64::NAN),
    ] {
        let query = RecallQuery {
            text: text.to_owned(),
            k,
            threshold,
        };
        let error = recall::recall(&stage.memory, scope, member, &query)
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest, "{k} {threshold}");
    }
}

#[tokio::test]
async fn the_database_calibrates_the_local_models_as_they_do() {
    let stage = Stage::new().await;
    for model in LocalModel::ALL {
        let stored: (f64, f64, i32) =
            sqlx::query_as("select a, c, dimensions from jarvis.embedding_models where model = $1")
                .bind(model.name())
                .fetch_one(stage.test.admin_pool())
                .await
                .unwrap();
        let Calibration { a, c } = model.calibration();
        assert!(
            (stored.0 - f64::from(a)).abs() < 1e-4 && (stored.1 - f64::from(c)).abs() < 1e-6,
            "{stored:?}"
        );
        assert_eq!(usize::try_from(stored.2).unwrap(), model.dimensions());
    }
    let of_new_gyms: String = sqlx::query_scalar(
        "insert into public.gyms (name, slug) values ('Nice', 'nice') returning embedding_model",
    )
    .fetch_one(stage.test.admin_pool())
    .await
    .unwrap();
    assert_eq!(of_new_gyms, LocalModel::DEFAULT.name());
}

#[tokio::test]
async fn recall_tells_no_health_once_the_consent_is_withdrawn() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    three_conversations(&stage, &gym).await;
    assert!(
        ask(&stage, &gym, member, "genou").await.memories[0]
            .summary_text
            .contains("genou")
    );
    stage
        .test
        .seed_consent(gym.id, member, jarvis_core::Purpose::HealthMemory, false)
        .await;
    let found = ask(&stage, &gym, member, "genou").await;
    assert!(
        found.memories.iter().all(|m| !m.summary_text.contains("genou")),
        "{:?}",
        found.memories
    );
}
