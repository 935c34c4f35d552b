//! `/v1/embeddings`, as programs written for OpenAI use it.

use crate::world::{Answer, World, answer};
use jarvis_llm::{BoxFuture, Breaker, BreakerSettings, Embed, EmbedReply, LlmError, Usage};
use jarvis_memory::{Embedder, Provider};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

/// A vector that tells how long its text was, in a direction of three parts.
struct Lengths;

impl Embed for Lengths {
    fn embed<'a>(&'a self, inputs: &'a [String]) -> BoxFuture<'a, Result<EmbedReply, LlmError>> {
        let vectors = inputs.iter().map(|text| {
            #[expect(clippy::cast_precision_loss, reason = "texts of this test are short")]
            let length = text.len() as f32;
            vec![length, 2.0, 1.0]
        });
        let reply = EmbedReply {
            vectors: vectors.collect(),
            model: "text-embedding-3-small".to_owned(),
            usage: Usage {
                input_tokens: 7 * u64::try_from(inputs.len()).unwrap(),
                ..Usage::default()
            },
        };
        Box::pin(async { Ok(reply) })
    }
}

async fn world(model: &str) -> World {
    let embedder = Embedder::Provider(Arc::new(Provider {
        name: "openai".to_owned(),
        model: "text-embedding-3-small".to_owned(),
        client: Box::new(Lengths),
        breaker: Breaker::new(BreakerSettings::default()),
        local: None,
    }));
    let world = World::with(embedder).await;
    sqlx::query("update public.gyms set embedding_model = $1, external_models = true where id = $2")
        .bind(model.to_owned())
        .bind(world.gym_a.as_uuid())
        .execute(world.db.admin_pool())
        .await
        .unwrap();
    world
}

async fn ask(world: &World, body: &Value) -> Answer {
    let token = world.kiosk_token(&world.kiosk_a);
    let request = world.request(Method::POST, "/v1/embeddings").bearer_auth(token);
    answer(request.json(body)).await
}

fn numbers(item: &Value) -> Vec<f64> {
    item["embedding"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap())
        .collect()
}

#[tokio::test]
async fn texts_become_vectors_of_the_gyms_model_as_floats_and_as_base64() {
    let world = world("text-embedding-3-small").await;
    let floats = ask(
        &world,
        &json!({ "model": "any-model", "input": ["genou", "un objectif"] }),
    )
    .await;
    assert_eq!(floats.status, StatusCode::OK, "{}", floats.body);
    let body = floats.body;
    assert_eq!(
        (&body["object"], &body["model"]),
        (&json!("list"), &json!("text-embedding-3-small"))
    );
    assert_eq!(body["usage"], json!({ "prompt_tokens": 14, "total_tokens": 14 }));
    let first = numbers(&body["data"][0]);
    assert_eq!((first.len(), &body["data"][1]["index"]), (1536, &json!(1)));
    let norm: f64 = first.iter().map(|x| x * x).sum();
    assert!((norm - 1.0).abs() < 1e-5, "{norm}");

    let packed = ask(
        &world,
        &json!({ "model": "m", "input": "genou", "encoding_format": "base64" }),
    )
    .await;
    let text = packed.body["data"][0]["embedding"].as_str().unwrap().to_owned();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    let read: Vec<f64> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| f64::from(f32::from_le_bytes(*word)))
        .collect();
    assert!(first.iter().zip(&read).all(|(a, b)| (a - b).abs() < 1e-7) && read.len() == 1536);

    let short = ask(
        &world,
        &json!({ "model": "m", "input": "genou", "dimensions": 2 }),
    )
    .await;
    let short = numbers(&short.body["data"][0]);
    assert!(
        (short[0] - 5.0 / 29.0_f64.sqrt()).abs() < 1e-6 && short.len() == 2,
        "{short:?}"
    );
    let paid: i64 = sqlx::query_scalar("select sum(input_tokens)::bigint from jarvis.usage_ledger")
        .fetch_one(world.db.admin_pool())
        .await
        .unwrap();
    assert_eq!(paid, 28);
    let requests: i64 =
        sqlx::query_scalar("select count(*) from jarvis.usage_ledger where input_tokens = 14")
            .fetch_one(world.db.admin_pool())
            .await
            .unwrap();
    assert_eq!(requests, 1, "texts of one request are asked for together");
}

#[tokio::test]
async fn what_cannot_be_embedded_is_told_as_openai_tells_it() {
    let world = world("text-embedding-3-small").await;
    for (body, word) in [
        (json!({ "model": "m" }), "input"),
        (json!({ "model": "m", "input": [] }), "input"),
        (json!({ "model": "m", "input": " " }), "input"),
        (json!({ "model": "m", "input": [[1, 2]] }), "tokens"),
        (json!({ "model": "m", "input": vec!["a"; 129] }), "128"),
        (json!({ "model": "m", "input": "a".repeat(8001) }), "8000"),
        (json!({ "input": "a" }), "model"),
        (
            json!({ "model": "m", "input": "a", "dimensions": 0 }),
            "dimensions",
        ),
        (
            json!({ "model": "m", "input": "a", "dimensions": 1537 }),
            "dimensions",
        ),
        (
            json!({ "model": "m", "input": "a", "encoding_format": "int8" }),
            "encoding_format",
        ),
        (
            json!({ "model": "m", "input": "a", "encoding_format": 1 }),
            "encoding_format",
        ),
        (json!([]), "model"),
    ] {
        let told = ask(&world, &body).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{body}");
        let error = &told.body["error"];
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("invalid_request_error"), &json!("invalid_request"))
        );
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }
    let stranger = answer(world.request(Method::POST, "/v1/embeddings").json(&json!({}))).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.body["error"]["type"], "authentication_error");
}

#[tokio::test]
async fn a_gym_whose_model_this_process_cannot_compute_is_told_so() {
    let world = world("e5-use-multilingual").await;
    let told = ask(&world, &json!({ "model": "m", "input": "genou" })).await;
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE, "{}", told.body);
    assert_eq!(told.body["error"]["code"], "provider_unavailable");
    assert_eq!(told.body["error"]["type"], "server_error");
}

#[tokio::test]
async fn a_person_embeds_as_their_gyms_do_when_they_have_one_model() {
    let world = world("text-embedding-3-small").await;
    let ask_as = async |token: String| {
        let request = world.request(Method::POST, "/v1/embeddings").bearer_auth(token);
        answer(request.json(&json!({ "model": "m", "input": "genou" }))).await
    };
    assert_eq!(ask_as(world.manager_a().await).await.status, StatusCode::OK);
    let both = world
        .person("both", "gym_manager", &[world.gym_a, world.gym_b], true)
        .await;
    let told = ask_as(world.token_of(both)).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    let message = |told: &Answer| told.body["error"]["message"].as_str().unwrap().to_owned();
    assert!(message(&told).contains("several models"));
    sqlx::query("update public.gyms set embedding_model = 'text-embedding-3-small', external_models = true")
        .execute(world.db.admin_pool())
        .await
        .unwrap();
    let told = ask_as(world.token_of(both)).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(message(&told).contains("several gyms to pay"), "{}", told.body);
}

#[tokio::test]
async fn a_gym_that_refuses_models_of_a_provider_is_told_so_and_nothing_is_sent() {
    let world = world("text-embedding-3-small").await;
    sqlx::query("update public.gyms set external_models = false")
        .execute(world.db.admin_pool())
        .await
        .unwrap();
    let told = ask(&world, &json!({ "model": "m", "input": "genou" })).await;
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE, "{}", told.body);
    let message = told.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("lets no model of a provider"), "{message}");
    let paid: i64 = sqlx::query_scalar("select count(*) from jarvis.usage_ledger")
        .fetch_one(world.db.admin_pool())
        .await
        .unwrap();
    assert_eq!(paid, 0);
}
