//! What the assistant is given for what the member says now.

use crate::stage::{EVERYTHING, Gym, Stage, embedder};
use chrono::TimeDelta;
use jarvis_core::{Actor, Category, ErrorCode, MemberId, Purpose, Scope, SessionId};
use jarvis_llm::{BoxFuture, Breaker, BreakerSettings, Embed, EmbedReply, LlmError, Usage};
use jarvis_memory::context::{
    self, BY_WORDS_ALONE, Context, MAX_TOKENS, NO_HEALTH_MEMORY_CONSENT, NO_MEMORY_CONSENT, OUT_OF_TIME,
    estimated_tokens,
};
use jarvis_memory::{Embedder, Provider};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

async fn past(stage: &Stage, gym: &Gym) {
    for turns in [
        &["J'ai mal au genou droit depuis janvier, surtout dans les escaliers"][..],
        &["Le vestiaire était sale hier soir et il n'y avait plus de savon"],
        &["Mon objectif c'est de perdre cinq kilos avant l'été"],
        &["J'adore le cours de yoga du mercredi avec la nouvelle coach"],
    ] {
        stage.talk(gym, "BADGE_001", turns).await;
        stage.clock.advance(TimeDelta::days(1));
    }
}

async fn told(stage: &Stage, gym: &Gym, session: &SessionId, words: &str) -> Context {
    context::in_session(&stage.memory, &gym.kiosk, session, words)
        .await
        .unwrap()
}

async fn lyon(stage: &Stage, consents: &[Purpose]) -> (Gym, MemberId) {
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", consents).await;
    (gym, member)
}

#[tokio::test]
async fn the_words_decide_which_memory_and_which_fact_come_first() {
    let stage = Stage::new().await;
    let (gym, _) = lyon(&stage, EVERYTHING).await;
    past(&stage, &gym).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    for (words, memory, category) in [
        ("les vestiaires sont sales", "vestiaire", Category::Concern),
        ("j'aimerais retourner au yoga", "yoga", Category::Preference),
        ("je voudrais perdre des kilos", "cinq kilos", Category::Goal),
    ] {
        let context = told(&stage, &gym, &session, words).await;
        assert!(
            context.memories[0].summary.contains(memory),
            "{words}: {context:?}"
        );
        assert_eq!(context.facts[0].category, Category::Injury, "always first");
        assert_eq!(context.facts[1].category, category, "{words}: {context:?}");
        assert!(!context.nothing_noted);
        assert_eq!(context.notes, [BY_WORDS_ALONE]);
        assert!(estimated_tokens(&context.prompt) <= MAX_TOKENS);
        let again = told(&stage, &gym, &session, words).await;
        assert_eq!(context.prompt, again.prompt, "the same words, the same context");
    }
}

#[tokio::test]
async fn a_paraphrase_brings_the_fact_whose_turn_it_means() {
    let stage = Stage::with(embedder()).await;
    if stage.memory.embedder.model().is_none() {
        println!("skipped: JARVIS_E5_WEIGHTS is not set");
        return;
    }
    let (gym, _) = lyon(&stage, EVERYTHING).await;
    past(&stage, &gym).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let words = "c'est toujours aussi peu propre dans les douches";
    let mut context = told(&stage, &gym, &session, words).await;
    // The first question of a process also reads the weights, and a busy machine takes its time.
    for _ in 0..20 {
        if context.notes.is_empty() {
            break;
        }
        context = told(&stage, &gym, &session, words).await;
    }
    assert!(context.notes.is_empty(), "{context:?}");
    assert!(context.memories[0].summary.contains("vestiaire"), "{context:?}");
    assert_eq!(context.facts[1].category, Category::Concern, "{context:?}");
}

#[tokio::test]
async fn what_was_said_word_for_word_is_told_where_no_summary_has_it() {
    let stage = Stage::new().await;
    let (gym, _) = lyon(&stage, EVERYTHING).await;
    let turns = [
        "J'ai mal au genou droit depuis janvier",
        "ma fille joue du violoncelle le jeudi",
        "JARVIS: Le violoncelle, quel bel instrument",
    ];
    stage.talk(&gym, "BADGE_001", &turns).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let context = told(&stage, &gym, &session, "violoncelle").await;
    assert!(context.memories[0].summary.contains("violoncelle"), "{context:?}");
    assert!(!context.nothing_noted, "{context:?}");
    assert!(context.said.is_empty(), "the summary has it: {context:?}");
    // As an application of one's own would summarise it.
    sqlx::query("update public.conversation_summaries set summary_text = 'On a parlé de musique.'")
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    let context = told(&stage, &gym, &session, "violoncelle").await;
    let said: Vec<_> = context.said.iter().map(|turn| turn.said.as_str()).collect();
    assert_eq!(said, [turns[1]], "{context:?}");
    assert!(context.prompt.contains(turns[1]));
}

#[tokio::test]
async fn without_a_consent_nothing_of_it_is_told() {
    let stage = Stage::new().await;
    let (gym, member) = lyon(&stage, EVERYTHING).await;
    past(&stage, &gym).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let knee = || told(&stage, &gym, &session, "mon genou dans les escaliers");
    assert!(knee().await.prompt.contains("escaliers"));
    stage
        .test
        .seed_consent(gym.id, member, Purpose::HealthMemory, false)
        .await;
    let context = knee().await;
    assert!(!context.prompt.contains("genou"), "{}", context.prompt);
    assert!(context.notes.contains(&NO_HEALTH_MEMORY_CONSENT));
    stage
        .test
        .seed_consent(gym.id, member, Purpose::Memory, false)
        .await;
    let context = knee().await;
    assert_eq!((context.facts.len(), context.memories.len()), (0, 0));
    assert_eq!(context.notes, [NO_MEMORY_CONSENT]);
}

#[tokio::test]
async fn a_member_without_a_past_gets_an_empty_context() {
    let stage = Stage::new().await;
    let (gym, _) = lyon(&stage, EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let context = told(&stage, &gym, &session, "on avait dit quoi la dernière fois ?").await;
    assert_eq!((context.facts.len(), context.memories.len()), (0, 0));
    assert!(context.nothing_noted);
    assert!(context.prompt.contains("\"nothing_noted\":true"));
}

#[tokio::test]
async fn when_the_search_takes_too_long_the_facts_are_told_and_the_context_says_so() {
    let stage = Stage::new().await;
    let (gym, _) = lyon(&stage, EVERYTHING).await;
    past(&stage, &gym).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let mut held = stage.test.admin_pool().begin().await.unwrap();
    sqlx::query("lock table jarvis.memory_windows in access exclusive mode")
        .execute(&mut *held)
        .await
        .unwrap();
    let started = Instant::now();
    let context = told(&stage, &gym, &session, "les vestiaires sont sales").await;
    let took = started.elapsed();
    held.rollback().await.unwrap();
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert!(context.notes.contains(&OUT_OF_TIME), "{:?}", context.notes);
    assert!(context.memories.is_empty());
    assert!(!context.nothing_noted, "who did not look cannot say so");
    assert_eq!(context.facts[0].category, Category::Injury);
    assert_eq!(context.facts[1].category, Category::Concern, "by their words");
    let whole = told(&stage, &gym, &session, "les vestiaires sont sales").await;
    assert!(!whole.notes.contains(&OUT_OF_TIME) && !whole.memories.is_empty());
}

const MODEL: &str = "text-embedding-3-small";

/// A provider that takes as long as it is told, and counts who came to the end.
struct Slow {
    millis: Arc<AtomicU64>,
}

impl Embed for Slow {
    fn embed<'a>(&'a self, inputs: &'a [String]) -> BoxFuture<'a, Result<EmbedReply, LlmError>> {
        let mut vector = vec![0.0; 1536];
        vector[0] = 1.0;
        let reply = EmbedReply {
            vectors: vec![vector; inputs.len()],
            model: MODEL.to_owned(),
            usage: Usage {
                input_tokens: 5,
                ..Usage::default()
            },
        };
        let pause = Duration::from_millis(self.millis.load(Ordering::Relaxed));
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            Ok(reply)
        })
    }
}

#[tokio::test]
async fn a_provider_that_is_slow_is_not_waited_for_and_is_paid_all_the_same() {
    let millis = Arc::new(AtomicU64::new(0));
    let client = Box::new(Slow {
        millis: Arc::clone(&millis),
    });
    let stage = Stage::with(Embedder::Provider(Arc::new(Provider {
        name: "test".to_owned(),
        model: MODEL.to_owned(),
        client,
        breaker: Breaker::new(BreakerSettings::default()),
        local: None,
    })))
    .await;
    sqlx::query(
        "alter table public.gyms alter column embedding_model set default 'text-embedding-3-small',
           alter column external_models set default true",
    )
    .execute(stage.test.admin_pool())
    .await
    .unwrap();
    let (gym, _) = lyon(&stage, EVERYTHING).await;
    past(&stage, &gym).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let quick = told(&stage, &gym, &session, "les vestiaires sont sales").await;
    assert!(!quick.notes.contains(&BY_WORDS_ALONE), "{:?}", quick.notes);
    let spent = "select count(*) from jarvis.usage_ledger";
    let before = stage.count(spent).await;

    millis.store(1_200, Ordering::Relaxed);
    let started = Instant::now();
    let context = told(&stage, &gym, &session, "les vestiaires sont sales").await;
    assert!(
        started.elapsed() < Duration::from_millis(1_100),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(context.notes, [BY_WORDS_ALONE]);
    assert!(context.memories[0].summary.contains("vestiaire"));
    for _ in 0..100 {
        if stage.count(spent).await > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what the provider counted is not in the ledger");
}

#[tokio::test]
async fn only_what_a_member_may_hear_of_an_alert_is_told() {
    let stage = Stage::new().await;
    let (gym, member) = lyon(&stage, EVERYTHING).await;
    for (kind, title, status, snoozed) in [
        (
            "membership_expiring",
            "Abonnement à échéance le 30 mars",
            "pending",
            None,
        ),
        ("goal_milestone", "50 visites", "resolved", None),
        ("member_achievement", "100 visites", "pending", Some("2099-01-01")),
        ("churn_risk", "Risque de départ", "pending", None),
        ("health_concern", "Une blessure", "pending", None),
        ("negative_feedback", "Mécontente", "in_progress", None),
        ("inactivity", "Absente depuis longtemps", "pending", None),
        ("equipment_issue", "Rameur en panne", "in_progress", None),
    ] {
        sqlx::query(
            "insert into public.manager_alerts (gym_id, member_id, alert_type, title, status, snoozed_until, priority)
             values ($1, $2, $3, $4, $5, $6::text::timestamptz, case $3 when 'equipment_issue' then 'low' else 'high' end)",
        )
        .bind(gym.id.as_uuid())
        .bind(member.as_uuid())
        .bind(kind)
        .bind(title)
        .bind(status)
        .bind(snoozed)
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    }
    let opened = stage.open(&gym, "BADGE_001").await;
    let words = told(&stage, &gym, &opened.session_id, "bonjour").await;
    for context in [opened.context, words] {
        let about: Vec<_> = context.alerts.iter().map(|a| a.about.as_str()).collect();
        assert_eq!(about, ["membership_expiring", "equipment_issue"]);
        assert!(context.prompt.contains("Abonnement à échéance le 30 mars"));
        assert!(!context.prompt.contains("Risque"));
    }
}

#[tokio::test]
async fn a_context_with_an_injury_is_in_the_audit_and_another_kiosk_gets_none() {
    let stage = Stage::new().await;
    let (gym, _) = lyon(&stage, EVERYTHING).await;
    past(&stage, &gym).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    let reads = "select count(*) from jarvis.audit_log where action = 'context.read'";
    let before = stage.count(reads).await;
    told(&stage, &gym, &session, "bonjour").await;
    assert_eq!(stage.count(reads).await, before + 1);
    let other = stage.kiosk(gym.id, "sortie").await;
    let error = context::in_session(&stage.memory, &other, &session, "bonjour")
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SessionNotFound);
    stage.end(&gym, &session).await;
    let error = context::in_session(&stage.memory, &gym.kiosk, &session, "bonjour")
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SessionClosed);
}

#[tokio::test]
async fn another_gyms_member_has_no_context() {
    let stage = Stage::new().await;
    let (_, member) = lyon(&stage, EVERYTHING).await;
    let nantes = stage.gym("nantes").await;
    let scope = Scope::gym(nantes.id, Actor::Operator);
    let error = context::preview_for_words(&stage.memory, scope, member, "bonjour")
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::MemberNotFound);
}
