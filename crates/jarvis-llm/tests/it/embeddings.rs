use std::sync::Arc;

use jarvis_llm::{Embed, LlmErrorKind, ModelRegistry, OpenAi, OpenAiConfig};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{SAID, client, quick, start_fake};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn item(index: usize, embedding: &[f32]) -> Value {
    json!({ "object": "embedding", "index": index, "embedding": embedding })
}

/// A vector of the right size, pointing along one axis.
fn axis(at: usize) -> Vec<f32> {
    let mut vector = vec![0.0; 1536];
    vector[at] = 1.0;
    vector
}

async fn server_saying(data: Vec<Value>, usage: Value) -> MockServer {
    let server = MockServer::start().await;
    let reply = json!({ "object": "list", "data": data, "model": "m", "usage": usage });
    Mock::given(method("POST"))
        .and(path("/embeddings"))
        .respond_with(ResponseTemplate::new(200).set_body_json(reply))
        .mount(&server)
        .await;
    server
}

fn cost() -> Value {
    json!({ "prompt_tokens": 5, "total_tokens": 5 })
}

#[tokio::test]
async fn texts_become_unit_vectors_asked_for_as_base64() {
    let fake = start_fake().await;
    let embed: Arc<dyn Embed> = Arc::new(client(&fake.base_url()));
    let reply = embed.embed(&texts(&["genou", "knee", "genou"])).await.unwrap();

    assert_eq!(reply.model, "text-embedding-3-small");
    assert_eq!(reply.vectors.iter().map(Vec::len).collect::<Vec<_>>(), [1536; 3]);
    assert_eq!(reply.vectors[0], reply.vectors[2]);
    assert_ne!(reply.vectors[0], reply.vectors[1]);
    let length: f32 = reply.vectors[1].iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-4, "{length}");
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (5, 0));
    assert_eq!(fake.requests()[0].body["encoding_format"], "base64");
}

#[tokio::test]
async fn batches_come_back_in_order_and_their_costs_add_up() {
    let fake = start_fake().await;
    let config = OpenAiConfig {
        batch_inputs: 2,
        ..quick(&fake.base_url())
    };
    let small = OpenAi::new(config, ModelRegistry::defaults().into()).unwrap();
    let inputs = texts(&["one", "two", "three", "four", "five"]);
    let in_batches = small.embed(&inputs).await.unwrap();
    assert_eq!(fake.requests().len(), 3);
    assert_eq!(in_batches, client(&fake.base_url()).embed(&inputs).await.unwrap());
}

#[tokio::test]
async fn vectors_are_put_in_the_order_of_their_index_and_lists_are_understood_too() {
    let server = server_saying(vec![item(1, &axis(7)), item(0, &axis(3))], cost()).await;
    let reply = client(&server.uri()).embed(&texts(&["a", "b"])).await.unwrap();
    assert_eq!(reply.vectors, [axis(3), axis(7)]);
}

#[tokio::test]
async fn a_vector_of_another_size_is_an_error() {
    let server = server_saying(vec![item(0, &[1.0, 0.0])], cost()).await;
    let error = client(&server.uri()).embed(&texts(&[SAID])).await.unwrap_err();
    assert_eq!(
        error.kind,
        LlmErrorKind::WrongDimension {
            expected: 1536,
            actual: 2
        }
    );
    assert!(!error.is_retryable());
    assert_eq!(error.usage.map(|usage| usage.input_tokens), Some(5));
}

#[tokio::test]
async fn a_reply_that_does_not_match_the_inputs_is_an_error() {
    for data in [
        vec![],
        vec![item(0, &axis(0))],
        vec![item(0, &axis(0)), item(0, &axis(1))],
        vec![item(0, &axis(0)), item(2, &axis(1))],
        vec![item(0, &axis(0)), item(1, &axis(1)), item(2, &axis(2))],
        vec![item(0, &axis(0)), json!({ "index": 1, "embedding": "AAA" })],
        vec![item(0, &axis(0)), item(1, &[0.0; 1536])],
    ] {
        let server = server_saying(data, cost()).await;
        let error = client(&server.uri())
            .embed(&texts(&["a", "b"]))
            .await
            .unwrap_err();
        assert_eq!(error.kind.code(), "bad_reply");
    }
}

#[tokio::test]
async fn vectors_without_their_cost_are_an_error() {
    let server = server_saying(vec![item(0, &axis(0))], Value::Null).await;
    let error = client(&server.uri()).embed(&texts(&["a"])).await.unwrap_err();
    assert_eq!(error.kind, LlmErrorKind::UsageMissing);
}

#[tokio::test]
async fn nothing_to_embed_costs_nothing_and_an_empty_text_is_refused_here() {
    let fake = start_fake().await;
    let client = client(&fake.base_url());
    assert_eq!(client.embed(&[]).await.unwrap().vectors, Vec::<Vec<f32>>::new());
    let error = client.embed(&texts(&["a", ""])).await.unwrap_err();
    assert_eq!(error.kind.code(), "invalid_request");
    assert_eq!(fake.requests(), []);
}

#[tokio::test]
async fn a_batch_that_fails_reports_what_the_batches_before_it_cost() {
    let fake = start_fake().await;
    let config = OpenAiConfig {
        batch_inputs: 1,
        max_retries: 0,
        ..quick(&fake.base_url())
    };
    let client = OpenAi::new(config, ModelRegistry::defaults().into()).unwrap();
    // The first request passes after an empty fault, the second is refused.
    fake.fault(jarvis_llm::fake::Fault::default());
    fake.fault(jarvis_llm::fake::Fault::status(503));
    let error = client.embed(&texts(&["eight ch", "b"])).await.unwrap_err();
    assert_eq!(error.kind, LlmErrorKind::Unavailable { status: 503 });
    assert_eq!(error.usage.map(|usage| usage.input_tokens), Some(2));
}
