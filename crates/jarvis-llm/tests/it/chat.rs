use jarvis_llm::fake::Answer;
use jarvis_llm::{
    Api, Chat, LlmError, LlmErrorKind, ModelEntry, ModelRegistry, OpenAi, OutputLimitField, Role, Usage,
};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{SAID, client, completion, good_completion, question, quick, start_fake};

async fn server_saying(reply: Value) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(reply)
                .insert_header("x-request-id", "req_7"),
        )
        .mount(&server)
        .await;
    server
}

async fn error_for(reply: Value) -> LlmError {
    let server = server_saying(reply).await;
    let error = client(&server.uri()).structured(&question()).await.unwrap_err();
    assert_eq!(
        server.received_requests().await.unwrap().len(),
        1,
        "an answer is billed: no second try"
    );
    error
}

#[tokio::test]
async fn an_answer_is_asked_for_strictly_and_read_with_its_cost() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .and(header("authorization", "Bearer sk-of-the-test"))
        .and(header("content-type", "application/json"))
        .respond_with(ResponseTemplate::new(200).set_body_json(good_completion()))
        .expect(1)
        .mount(&server)
        .await;
    let asked = question();
    let reply = client(&format!("{}/v1/", server.uri()))
        .structured(&asked)
        .await
        .unwrap();

    assert_eq!(reply.value, json!({ "facts": ["knee"], "mood": "bad" }));
    assert_eq!(
        reply.usage,
        Usage {
            input_tokens: 40,
            cached_input_tokens: 8,
            output_tokens: 9,
            reasoning_tokens: 0
        }
    );
    assert_eq!(
        (reply.model.as_str(), reply.served_model.as_str()),
        ("gpt-6-luna", "gpt-6-luna-2026-09-01")
    );

    let sent: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    let expected = json!({
        "model": "gpt-6-luna",
        "store": false,
        "max_completion_tokens": 200,
        "messages": [
            { "role": "system", "content": "Extract the facts." },
            { "role": "user", "content": SAID }
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": { "name": "facts", "strict": true, "schema": asked.schema }
        }
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_role_can_be_served_by_a_local_model_with_its_own_limit_field() {
    let server = server_saying(good_completion()).await;
    let mut registry = ModelRegistry::defaults();
    registry.insert(
        ModelEntry::new("llama3.2", Api::ChatCompletions).with_output_limit(OutputLimitField::MaxTokens),
    );
    registry.assign(Role::Extraction, "llama3.2").unwrap();
    let reply = OpenAi::new(quick(&server.uri()), registry.into())
        .unwrap()
        .structured(&question())
        .await
        .unwrap();
    assert_eq!(reply.model, "llama3.2");
    let sent: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(
        (&sent["max_tokens"], &sent["max_completion_tokens"]),
        (&json!(200), &Value::Null)
    );
}

#[tokio::test]
async fn every_way_an_answer_can_be_unusable_has_its_own_error() {
    let says = |content: &str, end: &str| completion(json!({ "role": "assistant", "content": content }), end);
    let refusal = completion(
        json!({ "role": "assistant", "content": null, "refusal": SAID }),
        "stop",
    );
    let cases = [
        (refusal, "refused", false),
        (says(r#"{"facts":["#, "length"), "cut_short", false),
        (says("", "content_filter"), "filtered", false),
        (says(SAID, "stop"), "not_json", true),
        (says("", "stop"), "bad_reply", true),
        (
            says(r#"{"facts":[],"mood":"good"}"#, "tool_calls"),
            "bad_reply",
            true,
        ),
        (
            says(&json!({ "facts": [], "mood": SAID }).to_string(), "stop"),
            "breaks_schema",
            true,
        ),
        (
            says(
                &json!({ "facts": [], "mood": "bad", SAID: 1 }).to_string(),
                "stop",
            ),
            "breaks_schema",
            true,
        ),
    ];
    for (reply, code, retryable) in cases {
        let error = error_for(reply).await;
        assert_eq!((error.kind.code(), error.is_retryable()), (code, retryable));
        assert_eq!(error.request_id.as_deref(), Some("req_7"), "{code}");
        assert_eq!(
            error.usage.as_ref().map(|usage| usage.input_tokens),
            Some(40),
            "{code} was billed"
        );
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains("knee"), "{printed}");
    }
}

#[tokio::test]
async fn a_broken_rule_of_the_schema_is_the_cause_of_the_error() {
    let reply = json!({ "role": "assistant", "content": r#"{"facts":[1],"mood":"bad"}"# });
    let error = error_for(completion(reply, "stop")).await;
    assert_eq!(
        error.to_string(),
        "the answer of the model breaks its schema (provider request req_7)"
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "$.facts[0]: has the wrong type");
}

#[tokio::test]
async fn an_answer_without_its_cost_is_an_error() {
    let mut reply = good_completion();
    reply["usage"] = Value::Null;
    assert_eq!(error_for(reply).await.kind, LlmErrorKind::UsageMissing);
}

#[tokio::test]
async fn a_reply_that_is_not_a_completion_is_an_error() {
    for reply in [
        json!("hello"),
        json!({}),
        json!({ "choices": [] }),
        json!({ "choices": [{}] }),
    ] {
        assert_eq!(error_for(reply).await.kind.code(), "bad_reply");
    }
}

#[tokio::test]
async fn a_request_that_cannot_work_is_never_sent() {
    let fake = start_fake().await;
    let client = client(&fake.base_url());
    let mut unnamed = question();
    unnamed.schema_name = "two words".to_owned();
    let mut loose = question();
    loose.schema["additionalProperties"] = json!(true);
    let mut silent = question();
    silent.max_output_tokens = 0;
    let mut voice = question();
    voice.role = Role::Realtime;
    for (request, code) in [
        (unnamed, "invalid_request"),
        (loose, "invalid_schema"),
        (silent, "invalid_request"),
        (voice, "no_model"),
    ] {
        let error = client.structured(&request).await.unwrap_err();
        assert_eq!(
            (error.kind.code(), error.attempts, error.is_retryable()),
            (code, 0, false)
        );
    }
    assert_eq!(fake.requests(), []);
}

#[tokio::test]
async fn a_whole_conversation_with_the_fake_goes_through_the_seam() {
    let fake = start_fake().await;
    let chat: std::sync::Arc<dyn Chat> = std::sync::Arc::new(client(&fake.base_url()));
    fake.answer("facts", Answer::Json(json!({ "facts": ["knee"], "mood": "bad" })));
    assert_eq!(
        chat.structured(&question()).await.unwrap().value["facts"],
        json!(["knee"])
    );

    for (answer, code) in [
        (Answer::Refusal("no".to_owned()), "refused"),
        (Answer::CutShort, "cut_short"),
        (Answer::Filtered, "filtered"),
        (Answer::Raw("{}".to_owned()), "breaks_schema"),
        (Answer::Raw("well".to_owned()), "not_json"),
        (
            Answer::WithoutUsage(json!({ "facts": [], "mood": "good" })),
            "usage_missing",
        ),
    ] {
        fake.answer("facts", answer);
        assert_eq!(chat.structured(&question()).await.unwrap_err().kind.code(), code);
    }
    let invented = chat.structured(&question()).await.unwrap();
    assert!(invented.usage.output_tokens > 0);
    assert_eq!(fake.requests().len(), 8);
}

#[tokio::test]
async fn an_address_that_carries_a_password_or_is_no_address_is_refused() {
    for address in ["", "gym", "ftp://gym/v1", "https://user:pass@gym/v1"] {
        let error = OpenAi::new(quick(address), ModelRegistry::defaults().into()).unwrap_err();
        assert_eq!(error.kind.code(), "invalid_request", "{address}");
        assert!(!format!("{error} {error:?}").contains("pass@"));
    }
}

#[test]
fn the_key_is_in_no_debug_output() {
    let config = quick("http://127.0.0.1:1/v1");
    let client = OpenAi::new(config.clone(), ModelRegistry::defaults().into()).unwrap();
    assert!(!format!("{config:?} {client:?}").contains("sk-of-the-test"));
}
