//! `POST /responses`, and what goes wrong on demand with both APIs.

use jarvis_llm::{Api, Chat, LlmErrorKind, StructuredReply, Usage};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{SAID, client_of, question, quick, start_fake};

async fn answered(reply: Value) -> Result<StructuredReply, LlmErrorKind> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/responses"))
        .respond_with(ResponseTemplate::new(200).set_body_json(reply))
        .mount(&server)
        .await;
    let config = quick(&format!("{}/v1", server.uri()));
    let client = client_of(config, "gpt-6-luna", Api::Responses);
    let reply = client.structured(&question()).await.map_err(|error| {
        let told = format!("{error:?} {error}");
        assert!(!told.contains(SAID) && !told.contains("knee"), "{told}");
        error.kind
    });
    let sent: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    let asked = question();
    let expected = json!({
        "model": "gpt-6-luna", "store": false, "max_output_tokens": 200,
        "instructions": "Extract the facts.",
        "input": [{ "role": "user", "content": SAID }],
        "text": { "format": {
            "type": "json_schema", "name": "facts", "strict": true, "schema": asked.schema,
        } },
    });
    assert_eq!(sent, expected);
    reply
}

fn response(status: &str, content: &Value, why: &Value) -> Value {
    json!({
        "id": "resp_1", "object": "response", "model": "gpt-6-luna-2026-09-01", "status": status,
        "incomplete_details": why,
        "output": [
            { "type": "reasoning", "id": "rs_1", "summary": [] },
            { "type": "message", "role": "assistant", "content": content },
        ],
        "usage": {
            "input_tokens": 40, "input_tokens_details": { "cached_tokens": 8 },
            "output_tokens": 9, "output_tokens_details": { "reasoning_tokens": 3 }, "total_tokens": 49
        }
    })
}

fn text(text: &str) -> Value {
    json!([{ "type": "output_text", "text": text, "annotations": [] }])
}

const GOOD: &str = r#"{"facts":["knee"],"mood":"bad"}"#;

#[tokio::test]
async fn a_response_is_read_with_its_cost_and_reasoning_is_no_answer() {
    let reply = answered(response("completed", &text(GOOD), &Value::Null))
        .await
        .unwrap();
    assert_eq!(reply.value, json!({ "facts": ["knee"], "mood": "bad" }));
    let usage = Usage {
        input_tokens: 40,
        cached_input_tokens: 8,
        output_tokens: 9,
        reasoning_tokens: 3,
    };
    assert_eq!(reply.usage, usage);
    assert_eq!(reply.served_model, "gpt-6-luna-2026-09-01");
}

#[tokio::test]
async fn a_response_that_is_no_answer_is_an_error_of_its_own_kind() {
    let refusal = json!([{ "type": "refusal", "refusal": "no" }]);
    let cut = json!({ "reason": "max_output_tokens" });
    let filtered = json!({ "reason": "content_filter" });
    for (reply, code) in [
        (response("completed", &refusal, &Value::Null), "refused"),
        (response("incomplete", &text("{"), &cut), "cut_short"),
        (response("incomplete", &json!([]), &filtered), "filtered"),
        (response("failed", &json!([]), &Value::Null), "bad_reply"),
        (response("completed", &json!([]), &Value::Null), "bad_reply"),
        (response("completed", &text("Sure!"), &Value::Null), "not_json"),
        (
            response("completed", &text("{\"facts\": []}"), &Value::Null),
            "breaks_schema",
        ),
        (json!({ "status": "completed" }), "bad_reply"),
        (json!([1]), "bad_reply"),
    ] {
        assert_eq!(answered(reply).await.unwrap_err().code(), code);
    }
    let mut free = response("completed", &text(GOOD), &Value::Null);
    free["usage"] = Value::Null;
    assert_eq!(answered(free).await.unwrap_err().code(), "usage_missing");
}

#[tokio::test]
async fn the_fake_answers_both_apis_alike_and_fails_in_both_as_it_is_asked() {
    let fake = start_fake().await;
    for api in [Api::ChatCompletions, Api::Responses] {
        let mut config = quick(&fake.base_url());
        config.max_retries = 0;
        let client = client_of(config.clone(), "gpt-6-luna", api);
        let reply = client.structured(&question()).await.unwrap();
        assert!(
            reply.usage.input_tokens > 0 && reply.usage.output_tokens > 0,
            "{reply:?}"
        );
        for (demand, code) in [
            ("429", "rate_limited"),
            ("503", "unavailable"),
            ("500", "unavailable"),
            ("401", "unauthorized"),
            ("quota", "quota_exhausted"),
            ("garbage", "bad_reply"),
            ("refusal", "refused"),
            ("length", "cut_short"),
            ("filter", "filtered"),
            ("not-json", "not_json"),
            ("nonsense", "breaks_schema"),
            ("no-usage", "usage_missing"),
            ("telepathy", "rejected"),
        ] {
            let client = client_of(config.clone(), &format!("gpt-6-luna@{demand}"), api);
            let error = client.structured(&question()).await.unwrap_err();
            assert_eq!(error.kind.code(), code, "{demand} {api:?}");
        }
        config.timeout = std::time::Duration::from_millis(200);
        let client = client_of(config, "gpt-6-luna@slow-5", api);
        assert_eq!(
            client.structured(&question()).await.unwrap_err().kind.code(),
            "timeout"
        );
    }
}
