//! The official Python client reads every reply of the fake with strict validation, and every failure on demand.

use std::path::Path;

use jarvis_llm::fake::{FakeOpenAi, FakeOptions, Fault};
use secrecy::SecretString;

use super::fetched;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/official_sdk.py");

/// Runs one part of the script against the fake.
async fn passes(sdk: &Path, fake: &FakeOpenAi, part: &str) {
    let python = std::env::var_os("JARVIS_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let output = tokio::process::Command::new(python)
        .args(["-B", SCRIPT, part])
        .env_clear()
        .env("PYTHONPATH", sdk)
        .env("OPENAI_BASE_URL", fake.base_url())
        .env("OPENAI_API_KEY", "sk-of-the-test")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert_eq!(text(&output.stdout).trim(), "passed", "{told}");
}

/// A fake that wants the key of the script, and where the client is; nothing where it was not fetched.
async fn fake_and_client() -> Option<(FakeOpenAi, std::path::PathBuf)> {
    let sdk = fetched("JARVIS_OPENAI_SDK")?;
    let options = FakeOptions {
        api_key: Some(SecretString::from("sk-of-the-test")),
        ..FakeOptions::default()
    };
    Some((FakeOpenAi::start(options).await.unwrap(), sdk))
}

#[tokio::test]
async fn the_official_client_understands_chat_completions_and_comes_back_after_two_failures() {
    let Some((fake, sdk)) = fake_and_client().await else {
        return;
    };
    fake.fault(Fault::status(429).with_header("retry-after-ms", "1"));
    fake.fault(Fault::status(503).with_header("retry-after-ms", "1"));
    passes(&sdk, &fake, "completions").await;
    assert_eq!(fake.requests()[0], fake.requests()[2]);
}

#[tokio::test]
async fn the_official_client_understands_responses() {
    let Some((fake, sdk)) = fake_and_client().await else {
        return;
    };
    passes(&sdk, &fake, "responses").await;
    assert!(
        fake.requests()
            .iter()
            .all(|request| request.path == "/v1/responses")
    );
}

#[tokio::test]
async fn the_official_client_understands_vectors_and_models() {
    let Some((fake, sdk)) = fake_and_client().await else {
        return;
    };
    passes(&sdk, &fake, "embeddings").await;
    passes(&sdk, &fake, "models").await;
}

#[tokio::test]
async fn the_official_client_understands_every_failure_on_demand() {
    let Some((fake, sdk)) = fake_and_client().await else {
        return;
    };
    passes(&sdk, &fake, "failures").await;
}
