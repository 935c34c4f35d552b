//! A gym changes its embedding model: in the background, and recall goes on.

use crate::stage::{EVERYTHING, Stage};
use jarvis_core::{Actor, ErrorCode, Purpose, Scope};
use jarvis_jobs::JobError;
use jarvis_llm::{BoxFuture, Breaker, BreakerSettings, Embed, EmbedReply, LlmError, Usage};
use jarvis_memory::jobs::Reembed;
use jarvis_memory::recall::{RecallQuery, recall};
use jarvis_memory::{Embedder, Provider, reembed};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const NEW: &str = "text-embedding-3-small";

/// Embeds so many texts, and is then away.
struct Lasting(Arc<AtomicUsize>);

impl Embed for Lasting {
    fn embed<'a>(&'a self, inputs: &'a [String]) -> BoxFuture<'a, Result<EmbedReply, LlmError>> {
        let left = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let mut vector = vec![0.1; 1536];
        vector[0] = 1.0;
        let reply = EmbedReply {
            vectors: vec![vector; inputs.len()],
            model: NEW.to_owned(),
            usage: Usage {
                input_tokens: 3,
                ..Usage::default()
            },
        };
        Box::pin(async move { left.map(|_| reply).map_err(|_| LlmError::too_late()) })
    }
}

#[tokio::test]
async fn summaries_are_embedded_again_where_it_stood_and_then_the_gym_compares_them() {
    let mut stage = Stage::new().await;
    let (gym, other) = (stage.gym("lyon").await, stage.gym("lille").await);
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.member(&other, "BADGE_001", EVERYTHING).await;
    let gone = stage.member(&gym, "BADGE_002", EVERYTHING).await;
    for number in 2..7 {
        let words = format!("Je veux perdre {number} kilos");
        stage.talk(&gym, "BADGE_001", &[&words]).await;
    }
    stage
        .talk(&gym, "BADGE_002", &["Je veux perdre neuf kilos"])
        .await;
    stage
        .talk(&other, "BADGE_001", &["Je veux perdre neuf kilos"])
        .await;
    stage
        .test
        .seed_consent(gym.id, gone, Purpose::Memory, false)
        .await;

    let left = Arc::new(AtomicUsize::new(2));
    stage.memory.embedder = Embedder::Provider(Arc::new(Provider {
        name: "openai".to_owned(),
        model: NEW.to_owned(),
        client: Box::new(Lasting(Arc::clone(&left))),
        breaker: Breaker::new(BreakerSettings::default()),
        local: None,
    }));
    stage.allow_external_models(&gym, true).await;
    let job = || Reembed {
        gym: gym.id,
        model: NEW.to_owned(),
    };
    reembed::ask(&stage.memory, gym.id, NEW).await.unwrap();
    let waits = reembed::run(&stage.memory, job()).await.unwrap_err();
    assert!(matches!(waits, JobError::Wait { .. }), "{waits:?}");
    let query = RecallQuery {
        text: "perdre kilos".to_owned(),
        k: 10,
        threshold: 0.0,
    };
    let scope = Scope::gym(gym.id, Actor::Server);
    let half = reembed::progress(&stage.memory, gym.id).await.unwrap();
    assert_ne!(half.model, NEW);
    assert_eq!(
        half.summaries
            .iter()
            .find(|row| row.model == NEW)
            .unwrap()
            .summaries,
        2
    );
    assert_eq!(
        recall(&stage.memory, scope, member, &query)
            .await
            .unwrap()
            .memories
            .len(),
        5
    );

    left.store(100, Ordering::SeqCst);
    reembed::run(&stage.memory, job()).await.unwrap();
    assert_eq!(
        left.load(Ordering::SeqCst),
        92,
        "two summaries were done and are not done again; three are left, and the turns of five conversations"
    );
    let done = reembed::progress(&stage.memory, gym.id).await.unwrap();
    assert_eq!(done.model, NEW);
    assert_eq!(done.summaries[0].summaries, 5, "{done:?}");
    let recalled = recall(&stage.memory, scope, member, &query).await.unwrap();
    assert_eq!(recalled.memories.len(), 5);
    let untouched = reembed::progress(&stage.memory, other.id).await.unwrap();
    assert!(untouched.model != NEW && untouched.summaries.iter().all(|row| row.model != NEW));
}

#[tokio::test]
async fn a_model_that_nobody_calibrated_is_refused_and_one_that_is_missing_is_waited_for() {
    let stage = Stage::new().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage
        .talk(&gym, "BADGE_001", &["Je veux perdre cinq kilos"])
        .await;
    let refused = reembed::ask(&stage.memory, gym.id, "turquoise-1")
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidRequest);
    stage.allow_external_models(&gym, true).await;
    let job = Reembed {
        gym: gym.id,
        model: NEW.to_owned(),
    };
    let waits = reembed::run(&stage.memory, job).await.unwrap_err();
    assert!(matches!(waits, JobError::Wait { .. }), "{waits:?}");
}
