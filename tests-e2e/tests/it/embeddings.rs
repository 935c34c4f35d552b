//! `POST /v1/embeddings` with the local model, asked by the official clients for Python and npm.

use crate::gyms;
use crate::program::{Program, fetched};
use crate::server::Server;
use crate::supabase_js;
use jarvis_testkit::TestDb;
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/embeds.py");

#[tokio::test]
async fn the_official_client_embeds_with_the_local_model_and_understands_every_refusal() {
    let (Some(sdk), Some(_)) = (fetched("JARVIS_OPENAI_SDK"), fetched("JARVIS_E5_WEIGHTS")) else {
        return;
    };
    let db = TestDb::new().await;
    let program = Program::on(&db);
    gyms::gym(&program, "lyon").await;
    let server = Server::serve(&program).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let python = std::env::var_os("JARVIS_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python)
        .args(["-B", SCRIPT])
        .env_clear()
        .env("PYTHONPATH", sdk)
        .env("OPENAI_BASE_URL", format!("http://{}/v1", server.address))
        .env("OPENAI_API_KEY", &kiosk.token)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bad = |parameter: &str| json!(["BadRequestError", 400, "invalid_request", parameter]);
    assert_eq!(
        told,
        json!({
            "answered_by": "e5-use-multilingual",
            "order": [0, 1, 2],
            "lengths": [1536, 1536, 256],
            "same": true,
            "unit": true,
            "nearer": true,
            "counted": true,
            "other_name": "e5-use-multilingual",
            "refused": {
                "empty list": bad("input"),
                "empty text": bad("input"),
                "too many": bad("input"),
                "too long": bad("input"),
                "nul": ["BadRequestError", 400, "invalid_utf8", null],
                "tokens": bad("input"),
                "dimensions": bad("dimensions"),
                "encoding": bad("encoding_format"),
                "wrong key": ["AuthenticationError", 401, "unauthenticated", null],
            },
        }),
        "{told:#}"
    );
}

#[tokio::test]
async fn the_official_client_for_npm_embeds_in_every_form_and_waits_when_it_is_told_to() {
    if fetched("JARVIS_E5_WEIGHTS").is_none() {
        return;
    }
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    // As many at a burst, then one every two seconds.
    program.set("JARVIS_GYM_REQUESTS_PER_MINUTE", "30");
    gyms::gym(&program, "lyon").await;
    let server = Server::serve(&program).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let url = format!("http://{}/v1", server.address);
    let variables = [
        ("OPENAI_BASE_URL", url.as_str()),
        ("OPENAI_API_KEY", kiosk.token.as_str()),
    ];
    let Some(told) = supabase_js::run("embeds.mjs", &variables).await else {
        return;
    };
    let bad = |parameter: &str| {
        json!([
            "BadRequestError",
            400,
            "invalid_request_error",
            "invalid_request",
            parameter
        ])
    };
    assert_eq!(
        told,
        json!({
            "answered_by": "e5-use-multilingual",
            "order": [0, 1, 2],
            "lengths": [1536, 1536, 1536, 256, 1],
            "same": true,
            "unit": true,
            "beginning": true,
            "nearer": true,
            "counted": true,
            "most": 128,
            "refused": {
                "empty list": bad("input"),
                "empty text among others": bad("input"),
                "too many": bad("input"),
                "too long": bad("input"),
                "nul": ["BadRequestError", 400, "invalid_request_error", "invalid_utf8", null],
                "tokens": bad("input"),
                "no dimensions": bad("dimensions"),
                "too many dimensions": bad("dimensions"),
                "encoding": bad("encoding_format"),
                "no model": bad("model"),
                "wrong key": ["AuthenticationError", 401, "authentication_error", "unauthenticated", null],
                "another path": ["NotFoundError", 404, "/api/docs#not_found", "not_found", null],
            },
            "limited": ["RateLimitError", 429, "rate_limit_error", "rate_limited", null],
            "after_waiting": { "tried_again": true, "first": 429, "last": 200, "same": true },
        }),
        "{told:#}"
    );
}
