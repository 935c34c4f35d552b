//! The client against a scripted HTTP server, against the fake and against a fake of other authors; the fake against
//! the official client.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands"
)]

mod aimock;
mod chat;
mod embeddings;
mod fake;
mod official_sdk;
mod responses;
mod retry;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jarvis_llm::fake::{FakeOpenAi, FakeOptions};
use jarvis_llm::{Api, Backoff, ModelEntry, ModelRegistry, OpenAi, OpenAiConfig, Role, StructuredRequest};
use secrecy::SecretString;
use serde_json::{Value, json};

/// Something a member says; it must never appear in an error.
const SAID: &str = "my left knee hurts since Tuesday";

/// What `make test` fetched and named in this variable. Without it a test is skipped and says so, except where CI is
/// set: there everything is tested.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn fetched(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.exists());
    if path.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{variable} is not set, or its file is not there"
        );
        println!("skipped: {variable} is not set; `make test` fetches it and sets it");
    }
    path
}

async fn start_fake() -> FakeOpenAi {
    FakeOpenAi::start(FakeOptions::default()).await.unwrap()
}

/// The settings of a client that does not make a test wait.
fn quick(base_url: &str) -> OpenAiConfig {
    OpenAiConfig {
        backoff: Backoff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(2),
        },
        jitter: Arc::new(|| 0.0),
        timeout: Duration::from_secs(5),
        ..OpenAiConfig::new(base_url).with_api_key(SecretString::from("sk-of-the-test"))
    }
}

fn client(base_url: &str) -> OpenAi {
    OpenAi::new(quick(base_url), Arc::new(ModelRegistry::defaults())).unwrap()
}

/// A client whose model has this API; the name may end in a demand to the fake.
fn client_of(config: OpenAiConfig, model: &str, api: Api) -> OpenAi {
    let mut registry = ModelRegistry::defaults();
    registry.insert(ModelEntry::new(model, api));
    registry.assign(Role::Extraction, model).unwrap();
    OpenAi::new(config, Arc::new(registry)).unwrap()
}

fn question() -> StructuredRequest {
    StructuredRequest {
        role: Role::Extraction,
        system: "Extract the facts.".to_owned(),
        user: SAID.to_owned(),
        schema_name: "facts".to_owned(),
        schema: json!({
            "type": "object",
            "properties": {
                "facts": { "type": "array", "items": { "type": "string" } },
                "mood": { "type": "string", "enum": ["good", "bad"] }
            },
            "required": ["facts", "mood"],
            "additionalProperties": false
        }),
        max_output_tokens: 200,
    }
}

/// A well-formed completion with this message and end.
#[expect(clippy::needless_pass_by_value, reason = "reads better at the calls")]
fn completion(message: Value, finish_reason: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-6-luna-2026-09-01",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }],
        "usage": {
            "prompt_tokens": 40, "completion_tokens": 9, "total_tokens": 49,
            "prompt_tokens_details": { "cached_tokens": 8 }
        }
    })
}

fn good_completion() -> Value {
    completion(
        json!({ "role": "assistant", "content": r#"{"facts":["knee"],"mood":"bad"}"# }),
        "stop",
    )
}
