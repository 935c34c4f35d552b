use jarvis_llm::fake::{Answer, FakeOpenAi, FakeOptions};
use jarvis_llm::{Chat, Embed, LlmErrorKind};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{client, question, start_fake};

async fn post(fake: &FakeOpenAi, path: &str, body: Value) -> (u16, Value) {
    let response = reqwest::Client::new()
        .post(format!("{}{path}", fake.base_url()))
        .json(&body)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn chat_body() -> Value {
    json!({
        "model": "gpt-6-luna",
        "messages": [{ "role": "user", "content": "hello" }],
        "response_format": {
            "type": "json_schema",
            "json_schema": { "name": "facts", "strict": true, "schema": question().schema }
        }
    })
}

#[tokio::test]
async fn the_same_question_gets_the_same_answer_and_another_gets_another() {
    let (one, two) = (start_fake().await, start_fake().await);
    let ask = async |fake: &FakeOpenAi, user: &str| {
        let mut asked = question();
        asked.user = user.to_owned();
        client(&fake.base_url()).structured(&asked).await.unwrap().value
    };
    assert_eq!(ask(&one, "hello").await, ask(&two, "hello").await);
    assert_ne!(ask(&one, "hello").await, ask(&one, "goodbye").await);
}

#[tokio::test]
async fn a_scripted_answer_that_does_not_fit_fails_loudly() {
    let fake = start_fake().await;
    fake.answer("facts", Answer::Json(json!({ "facts": [] })));
    let (status, body) = post(&fake, "/chat/completions", chat_body()).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (500, &json!("fake_script_error"))
    );
    assert_eq!(body["error"]["message"], "$.mood: is missing");
}

#[tokio::test]
async fn json_mode_answers_an_object_that_was_queued_and_wants_the_word_in_a_message() {
    let fake = start_fake().await;
    let mut body = chat_body();
    body["response_format"] = json!({ "type": "json_object" });
    let (status, refused) = post(&fake, "/chat/completions", body.clone()).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (400, &json!("invalid_value"))
    );

    body["messages"][0]["content"] = json!("Answer in JSON.");
    let said = async || {
        let (status, answer) = post(&fake, "/chat/completions", body.clone()).await;
        (status, answer["choices"][0]["message"]["content"].clone())
    };
    fake.answer("json_object", Answer::Json(json!({ "facts": [] })));
    assert_eq!(said().await, (200, json!(r#"{"facts":[]}"#)));
    assert_eq!(said().await, (200, json!("{}")), "nothing was queued");
    fake.answer("json_object", Answer::Json(json!([])));
    assert_eq!(said().await.0, 500, "no object");
}

#[tokio::test]
async fn what_openai_refuses_the_fake_refuses() {
    let fake = start_fake().await;
    let changed = |pointer: &str, value: Value| {
        let mut body = chat_body();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let schema = "/response_format/json_schema";
    let cases = [
        (changed("/model", json!("gpt-1")), 404, "model_not_found"),
        (
            changed("/model", json!("text-embedding-3-small")),
            404,
            "model_not_found",
        ),
        (changed("/messages", json!([])), 400, "invalid_value"),
        (changed("/messages/0/role", json!("judge")), 400, "invalid_value"),
        (changed("/messages/0/content", Value::Null), 400, "invalid_value"),
        (
            changed(&format!("{schema}/strict"), json!(false)),
            400,
            "invalid_value",
        ),
        (
            changed(&format!("{schema}/name"), json!("two words")),
            400,
            "invalid_value",
        ),
        (
            changed(&format!("{schema}/schema/additionalProperties"), json!(true)),
            400,
            "invalid_json_schema",
        ),
    ];
    for (body, status, code) in cases {
        let (got, error) = post(&fake, "/chat/completions", body).await;
        assert_eq!((got, error["error"]["code"].as_str()), (status, Some(code)));
    }
    let model = "text-embedding-3-small";
    for body in [
        json!({ "model": model, "input": "" }),
        json!({ "model": model, "input": [] }),
        json!({ "model": model, "input": vec!["x"; 2049] }),
        json!({ "model": model, "input": "a", "dimensions": 1537 }),
        json!({ "model": model, "input": "a", "encoding_format": "hex" }),
    ] {
        assert_eq!(post(&fake, "/embeddings", body).await.0, 400);
    }
    assert_eq!(post(&fake, "/images", json!({})).await.0, 404);
}

#[tokio::test]
async fn floats_and_base64_are_the_same_vector_and_it_can_be_shorter() {
    let fake = start_fake().await;
    let ask = |format: &str| {
        json!({
            "model": "text-embedding-3-small", "input": "genou", "encoding_format": format, "dimensions": 8
        })
    };
    let (_, floats) = post(&fake, "/embeddings", ask("float")).await;
    let (_, packed) = post(&fake, "/embeddings", ask("base64")).await;
    let listed: Vec<f32> = serde_json::from_value(floats["data"][0]["embedding"].clone()).unwrap();
    let bytes = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        packed["data"][0]["embedding"].as_str().unwrap(),
    )
    .unwrap();
    let unpacked: Vec<f32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| f32::from_le_bytes(*word))
        .collect();
    assert_eq!(listed, unpacked);
    assert_eq!(listed.len(), 8);
}

#[tokio::test]
async fn a_wrong_key_is_refused_when_the_fake_has_one() {
    let start = async |key: &str| {
        let options = FakeOptions {
            api_key: Some(SecretString::from(key)),
            ..FakeOptions::default()
        };
        FakeOpenAi::start(options).await.unwrap()
    };
    let (right, wrong) = (start("sk-of-the-test").await, start("sk-another").await);
    client(&right.base_url()).embed(&["a".to_owned()]).await.unwrap();
    let error = client(&wrong.base_url())
        .embed(&["a".to_owned()])
        .await
        .unwrap_err();
    assert_eq!(error.kind, LlmErrorKind::Unauthorized { status: 401 });
}

#[tokio::test]
async fn a_long_beginning_is_cached_from_its_second_use_and_is_part_of_the_input() {
    let fake = start_fake().await;
    let mut asked = question();
    asked.system = "rule ".repeat(1000);
    let client = client(&fake.base_url());
    let first = client.structured(&asked).await.unwrap().usage;
    asked.user = "something else".to_owned();
    let second = client.structured(&asked).await.unwrap().usage;
    assert_eq!((first.cached_input_tokens, second.cached_input_tokens), (0, 1152));
    assert!(second.input_tokens > second.cached_input_tokens);
}

#[tokio::test]
async fn an_answer_over_its_limit_is_cut() {
    let fake = start_fake().await;
    let mut asked = question();
    asked.max_output_tokens = 2;
    let error = client(&fake.base_url()).structured(&asked).await.unwrap_err();
    assert_eq!(error.kind, LlmErrorKind::CutShort);
    assert_eq!(error.usage.map(|usage| usage.output_tokens), Some(2));
}
