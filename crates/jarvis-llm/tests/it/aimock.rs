//! The client against aimock of npm: a fake of the same protocol that knows nothing of ours. It cannot refuse and
//! packs no base64; the rest of what a provider does, good and bad, it does in its own way.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jarvis_llm::{Api, Chat, Embed, LlmError, Usage};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{SAID, client, client_of, fetched, question, quick};

const APIS: [Api; 2] = [Api::ChatCompletions, Api::Responses];
const GOOD: &str = r#"{"facts":["knee"],"mood":"bad"}"#;

/// Serves until it is dropped.
struct Aimock {
    base_url: String,
    folder: PathBuf,
    _process: Child,
}

impl Drop for Aimock {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Aimock {
    /// One that answers with these and 503 to everything else; nothing where it was not fetched.
    async fn start(fixtures: Value) -> Option<Self> {
        let node = fetched("JARVIS_NODE")?;
        let program = fetched("JARVIS_NODE_MODULES")?.join("@copilotkit/aimock/dist/aimock-cli.js");
        assert!(program.is_file(), "{} is not there", program.display());
        // One process runs one test.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("aimock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, value: &Value| std::fs::write(folder.join(name), value.to_string()).unwrap();
        write("fixtures.json", &json!({ "fixtures": fixtures }));
        write(
            "aimock.json",
            &json!({ "strict": true, "llm": { "fixtures": "fixtures.json", "strict": true } }),
        );
        let mut process = Command::new(node)
            .env_clear()
            .arg(program)
            .args(["--config", "aimock.json", "--host", "127.0.0.1", "--port", "0"])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("it ended before it served");
            if let Some(address) = line.strip_prefix("aimock server listening on ") {
                break address.to_owned();
            }
        };
        // Its pipe is read to the end, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self {
            base_url: format!("{address}/v1"),
            folder,
            _process: process,
        })
    }

    /// What it received on this path, oldest first.
    async fn received(&self, path: &str) -> Vec<Value> {
        let address = self.base_url.replace("/v1", "/__aimock/journal");
        let journal: Vec<Value> = reqwest::get(address).await.unwrap().json().await.unwrap();
        journal
            .into_iter()
            .filter(|entry| entry["path"] == path)
            .collect()
    }

    /// What our client makes of the answer to these words.
    async fn error(&self, words: &str, api: Api) -> LlmError {
        let mut asked = question();
        asked.user = format!("my knee says {words}");
        let client = client_of(quick(&self.base_url), "gpt-6-luna", api);
        let error = client.structured(&asked).await.unwrap_err();
        let told = format!("{error:?} {error}");
        assert!(!told.contains(&asked.user), "{told}");
        error
    }
}

/// An answer to a member who says `words`.
fn says(words: &str, response: &Value) -> Value {
    json!({ "match": { "userMessage": words }, "response": response })
}

fn fails(words: &str, status: u16, code: &str) -> Value {
    let error = json!({ "message": words, "type": "of_the_test", "code": code });
    says(
        words,
        &json!({ "error": error, "status": status, "retryAfter": 1 }),
    )
}

fn path_of(api: Api) -> &'static str {
    match api {
        Api::Responses => "/v1/responses",
        _ => "/v1/chat/completions",
    }
}

#[tokio::test]
async fn a_strict_answer_of_aimock_is_read_with_its_cost_in_both_apis() {
    let usage =
        json!({ "prompt_tokens": 40, "completion_tokens": 9, "input_tokens": 40, "output_tokens": 9 });
    let answer = says(
        SAID,
        &json!({ "content": GOOD, "usage": usage, "model": "gpt-6-luna-2026-09-01" }),
    );
    let Some(aimock) = Aimock::start(json!([answer])).await else {
        return;
    };
    for api in APIS {
        let client = client_of(quick(&aimock.base_url), "gpt-6-luna", api);
        let reply = client.structured(&question()).await.unwrap();
        assert_eq!(reply.value, json!({ "facts": ["knee"], "mood": "bad" }));
        let expected = Usage {
            input_tokens: 40,
            output_tokens: 9,
            ..Usage::default()
        };
        assert_eq!(reply.usage, expected, "{api:?}");
        assert_eq!(reply.served_model, "gpt-6-luna-2026-09-01");
        let received = aimock.received(path_of(api)).await;
        assert_eq!(received.len(), 1, "{received:?}");
    }
}

#[tokio::test]
async fn every_unusable_answer_of_aimock_has_its_own_error_and_no_second_try() {
    let fixtures = json!([
        says("length", &json!({ "content": "{", "finishReason": "length" })),
        says("filter", &json!({ "content": "", "finishReason": "content_filter" })),
        says("prose", &json!({ "content": "Sure! Here is your JSON:" })),
        says("nonsense", &json!({ "content": "{\"facts\": 1, \"mood\": \"bad\"}" })),
        says("silence", &json!({ "content": " " })),
        { "match": { "userMessage": "garbage" }, "response": { "content": GOOD }, "chaos": { "malformedRate": 1 } },
        fails("401", 401, "invalid_api_key"),
        fails("404", 404, "model_not_found"),
        fails("quota", 429, "insufficient_quota"),
    ]);
    let Some(aimock) = Aimock::start(fixtures).await else {
        return;
    };
    for (words, in_chat, in_response) in [
        ("length", "cut_short", "bad_reply"), // its responses do not say why they are incomplete
        ("filter", "filtered", "bad_reply"),  // and a filtered one says `failed`
        ("prose", "not_json", "not_json"),
        ("nonsense", "breaks_schema", "breaks_schema"),
        ("silence", "bad_reply", "bad_reply"),
        ("garbage", "bad_reply", "bad_reply"),
        ("401", "unauthorized", "unauthorized"),
        ("404", "rejected", "rejected"),
        ("quota", "quota_exhausted", "quota_exhausted"),
    ] {
        for (api, expected) in APIS.into_iter().zip([in_chat, in_response]) {
            let error = aimock.error(words, api).await;
            assert_eq!(
                (error.kind.code(), error.attempts),
                (expected, 1),
                "{words} {api:?}"
            );
            assert!(error.request_id.is_some(), "{words} {api:?}");
        }
    }
}

#[tokio::test]
async fn what_passes_at_aimock_is_tried_again_after_the_wait_it_asks_for_and_what_stays_is_told() {
    let first = |mut fixture: Value| {
        fixture["match"]["sequenceIndex"] = json!(0);
        fixture
    };
    let fixtures = json!([
        first(fails(SAID, 429, "rate_limit_exceeded")),
        says(SAID, &json!({ "content": GOOD })),
        fails("503", 503, "overloaded"),
        { "match": { "userMessage": "hang up" }, "response": { "content": GOOD }, "chaos": { "disconnectRate": 1 } },
    ]);
    let Some(aimock) = Aimock::start(fixtures).await else {
        return;
    };
    let started = std::time::Instant::now();
    client(&aimock.base_url).structured(&question()).await.unwrap();
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "it asked for a second"
    );
    assert_eq!(aimock.received("/v1/chat/completions").await.len(), 2);
    for api in APIS {
        let error = aimock.error("503", api).await;
        assert_eq!((error.kind.code(), error.attempts), ("unavailable", 3), "{api:?}");
        let error = aimock.error("hang up", api).await;
        assert_eq!((error.kind.code(), error.attempts), ("connection", 3), "{api:?}");
    }
}

#[tokio::test]
async fn a_late_answer_of_aimock_is_a_timeout() {
    let late = json!([{
        "match": { "userMessage": SAID }, "response": { "content": GOOD }, "chaos": { "latencyMs": 5000 }
    }]);
    let Some(aimock) = Aimock::start(late).await else {
        return;
    };
    let mut config = quick(&aimock.base_url);
    config.timeout = Duration::from_millis(200);
    config.max_retries = 0;
    for api in APIS {
        let client = client_of(config.clone(), "gpt-6-luna", api);
        let error = client.structured(&question()).await.unwrap_err();
        assert_eq!(error.kind.code(), "timeout", "{api:?}");
    }
}

#[tokio::test]
async fn vectors_of_aimock_are_read_in_batches_though_it_sends_lists_where_base64_was_asked_for() {
    let of = |text: &str, vector: Value| json!({ "match": { "inputText": text, "endpoint": "embedding" }, "response": { "embedding": vector } });
    let numbers = |first: f32| {
        Value::from(
            (0..1536)
                .map(|i| if i == 0 { first } else { 0.5 })
                .collect::<Vec<_>>(),
        )
    };
    let fixtures = json!([
        of("genou", numbers(0.25)),
        of("knee", numbers(-0.25)),
        of("nothing", Value::from(vec![0.0; 1536])),
        of("short", json!([0.5, 0.5])),
    ]);
    let Some(aimock) = Aimock::start(fixtures).await else {
        return;
    };
    let mut config = quick(&aimock.base_url);
    config.batch_inputs = 2;
    let client = client_of(config, "gpt-6-luna", Api::ChatCompletions);
    let texts = ["genou a", "genou b", "knee"].map(str::to_owned);
    let reply = client.embed(&texts).await.unwrap();
    let firsts: Vec<f32> = reply.vectors.iter().map(|vector| vector[0]).collect();
    assert_eq!(firsts, [0.25, 0.25, -0.25]);
    assert!(reply.vectors.iter().all(|vector| vector.len() == 1536));
    assert_eq!(aimock.received("/v1/embeddings").await.len(), 2);
    for (text, code) in [("nothing", "bad_reply"), ("short", "wrong_dimension")] {
        let error = client.embed(&[text.to_owned()]).await.unwrap_err();
        assert_eq!(error.kind.code(), code);
    }
}
