//! The official Python client reads every reply of the fake with strict validation.
//!
//! Set `JARVIS_TEST_OPENAI_SDK` to a python that has the version of `openai` named in `official_sdk.txt`;
//! without the variable this test does nothing and says so.

use std::process::Output;

use jarvis_llm::fake::{Answer, FakeOpenAi, FakeOptions, Fault};
use secrecy::SecretString;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/official_sdk.py");
const PINNED: &str = include_str!("official_sdk.txt");

async fn run(python: &str, fake: &FakeOpenAi, part: &str) -> Output {
    tokio::process::Command::new(python)
        .args([SCRIPT, part])
        .env("OPENAI_BASE_URL", fake.base_url())
        .env("OPENAI_API_KEY", "sk-of-the-test")
        .env("EXPECTED_VERSION", PINNED.trim().trim_start_matches("openai=="))
        .output()
        .await
        .unwrap()
}

fn assert_passed(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert_eq!(text(&output.stdout).trim(), "passed");
}

#[tokio::test]
async fn the_official_client_understands_every_reply_of_the_fake() {
    let Ok(python) = std::env::var("JARVIS_TEST_OPENAI_SDK") else {
        eprintln!("not run: JARVIS_TEST_OPENAI_SDK names no python with the official client");
        return;
    };
    let key = Some(SecretString::from("sk-of-the-test"));
    let fake = FakeOpenAi::start(FakeOptions {
        api_key: key,
        ..FakeOptions::default()
    })
    .await
    .unwrap();

    // Two passing failures: the client must come back, twice.
    fake.fault(Fault::status(429).with_header("retry-after-ms", "1"));
    fake.fault(Fault::status(503).with_header("retry-after-ms", "1"));
    fake.answer("Refused", Answer::Refusal("I cannot help with that.".to_owned()));
    fake.answer("Cut", Answer::CutShort);
    fake.answer("Filtered", Answer::Filtered);
    assert_passed(&run(&python, &fake, "replies").await);
    assert_eq!(fake.requests()[0], fake.requests()[2]);

    for _ in 0..3 {
        fake.fault(
            Fault::status(429)
                .with_code("insufficient_quota")
                .with_header("retry-after-ms", "1"),
        );
    }
    assert_passed(&run(&python, &fake, "quota").await);
}
