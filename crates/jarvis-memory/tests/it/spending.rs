//! What a provider of models counted is in the ledger, whatever becomes of what it was asked for.

use crate::stage::{EVERYTHING, Stage};
use jarvis_core::{Actor, Scope};
use jarvis_llm::{BoxFuture, Breaker, BreakerSettings, Embed, EmbedReply, LlmError, Usage};
use jarvis_memory::recall::{RecallMethod, RecallQuery, recall};
use jarvis_memory::{Embedder, Provider, process, sessions};
use std::sync::Arc;

const MODEL: &str = "text-embedding-3-small";

/// A provider for which every text is the same, and costs five tokens.
struct Same;

impl Embed for Same {
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
        Box::pin(async { Ok(reply) })
    }
}

async fn stage() -> Stage {
    let stage = Stage::with(Embedder::Provider(Arc::new(Provider {
        name: "test".to_owned(),
        model: MODEL.to_owned(),
        client: Box::new(Same),
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
    stage
}

const SPENT: &str = "select coalesce(sum(input_tokens), 0)::bigint from jarvis.usage_ledger";

#[tokio::test]
async fn a_question_is_answered_although_the_ledger_takes_no_row() {
    let stage = stage().await;
    let gym = stage.gym("lyon").await;
    let member = stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage
        .talk(&gym, "BADGE_001", &["Je veux perdre cinq kilos"])
        .await;
    assert_eq!(stage.count(SPENT).await, 5);
    sqlx::query("alter table jarvis.usage_ledger add constraint broken check (input_tokens < 0) not valid")
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    let query = RecallQuery {
        text: "perdre du poids".to_owned(),
        k: 5,
        threshold: 0.0,
    };
    let scope = Scope::gym(gym.id, Actor::Server);
    let recalled = recall(&stage.memory, scope, member, &query).await.unwrap();
    assert_eq!(
        (recalled.method, recalled.memories.len()),
        (RecallMethod::Embedding, 1)
    );
    assert_eq!(stage.count(SPENT).await, 5);
}

#[tokio::test]
async fn tokens_are_in_the_ledger_although_the_memory_could_not_be_stored() {
    let stage = stage().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.open(&gym, "BADGE_001").await.session_id;
    stage.say(&gym, &session, &["Je veux perdre cinq kilos"]).await;
    sessions::close(&stage.memory, &gym.kiosk, &session, None)
        .await
        .unwrap();
    let admin = stage.test.admin_pool();
    sqlx::query(
        "alter table public.conversation_summaries add constraint broken check (turn_count < 0) not valid",
    )
    .execute(admin)
    .await
    .unwrap();
    process::process_session(&stage.memory, gym.id, &session)
        .await
        .unwrap_err();
    assert_eq!(stage.count(SPENT).await, 5);
    sqlx::query("alter table public.conversation_summaries drop constraint broken")
        .execute(admin)
        .await
        .unwrap();
    process::process_session(&stage.memory, gym.id, &session)
        .await
        .unwrap();
    assert_eq!(stage.count(SPENT).await, 10, "both tries were paid");
}

#[tokio::test]
async fn costs_add_up_to_the_last_digit_and_a_price_that_nobody_told_is_no_price() {
    let stage = stage().await;
    let gym = stage.gym("lyon").await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    stage.talk(&gym, "BADGE_001", &["Bonjour"]).await;
    let unknown = "select count(*) from jarvis.usage_ledger where cost_usd is null";
    let without_a_price = stage.count(unknown).await;
    assert!(without_a_price > 0);
    let begins = stage.memory.clock.now();
    sqlx::query(
        "insert into jarvis.price_book (model, unit, valid_from, usd_per_million, source)
         values ($1, 'input_token', $2, 0.02, 'test')",
    )
    .bind(MODEL)
    .bind(begins)
    .execute(stage.test.admin_pool())
    .await
    .unwrap();
    for _ in 0..7 {
        stage.talk(&gym, "BADGE_001", &["Bonjour"]).await;
    }
    assert_eq!(
        stage.count(unknown).await,
        without_a_price,
        "the past keeps its cost"
    );
    // Five tokens of a call are a tenth of a millionth of a dollar: rounded call by call they would be nothing.
    let priced = "select count(*) from jarvis.usage_ledger where cost_usd = 0.0000001";
    assert!(stage.count(priced).await >= 7);
    let off = "select count(*) from (select sum(cost_usd) as paid, sum(input_tokens) as tokens from jarvis.usage_ledger
                where cost_usd is not null) s where paid * 1000000 <> tokens * 0.02";
    assert_eq!(stage.count(off).await, 0);
}
