//! What calls of models cost, by the prices that an operator sets.

use crate::gyms::{self, EVERYTHING};
use crate::program::Program;
use crate::server::Server;
use jarvis_testkit::{FakeOpenAi, FakeOptions, TestDb};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const MODEL: &str = "text-embedding-3-small";

async fn spent(program: &Program) -> Value {
    program.json(&["cost", "show", "--gym", "lyon"]).await["models"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_costs_what_the_book_says_and_without_a_price_nobody_knows() {
    let fake = FakeOpenAi::start(FakeOptions::default()).await.unwrap();
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_EMBEDDINGS", "openai");
    program.set("JARVIS_OPENAI_BASE_URL", &fake.base_url());
    program.set("JARVIS_E5_WEIGHTS", "/nowhere");
    let server = Server::serve(&program).await;
    let add = ["gym", "add", "Salle", "--slug", "lyon", "--external-models"];
    program.json(&add).await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;

    kiosk.converse("BADGE_001", &["Bonjour"]).await;
    let before = spent(&program).await;
    let calls = before["calls"].as_i64().unwrap();
    assert!(calls > 0);
    assert_eq!(before["calls_without_price"], before["calls"], "{before}");
    assert_eq!(before["usd"], json!(null), "unknown is not free: {before}");

    let set = [
        "cost",
        "price",
        "set",
        MODEL,
        "input-token=0.000123",
        "--source",
        "a test",
    ];
    program.json(&set).await;
    kiosk
        .converse("BADGE_001", &["Je veux perdre cinq kilos avant juin"])
        .await;
    let after = spent(&program).await;
    assert_eq!(
        after["calls_without_price"], calls,
        "the past keeps its cost: {after}"
    );
    let tokens = |told: &Value| told["input_tokens"].as_i64().unwrap();
    let pico = (tokens(&after) - tokens(&before)) * 123;
    let usd = format!("{:.12}", 0.0).replace("000000000000", &format!("{pico:012}"));
    assert_eq!(
        after["usd"],
        usd.trim_end_matches('0'),
        "to the last digit: {after}"
    );

    let (status, _) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn prices_are_added_and_listed_and_never_changed() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let set = async |words: &[&str]| {
        let words = [
            &["cost", "price", "set", "gpt-6-luna"],
            words,
            &["--source", "a list"],
        ]
        .concat();
        program.run(&words).await
    };
    let empty = program.run(&["cost", "price", "list"]).await;
    assert_eq!(empty.code, 0);
    assert!(empty.stderr.contains("jarvis cost price set"), "{empty:?}");

    let first = set(&["input-token=0.15", "output-token=0.6", "--from", "2026-01-01"]).await;
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.stderr.contains("cached-input-token"), "{first:?}");
    let again = set(&["output-token=0.7", "--from", "2026-01-01"]).await;
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("never changed"), "{again:?}");
    assert_eq!(set(&["output-token=0.70", "--from", "2026-02-01"]).await.code, 0);
    assert_eq!(set(&["output-token=9", "--from", "2999-01-01"]).await.code, 0);
    for wrong in [
        &["output-token=cheap"][..],
        &["tokens=1"],
        &["output-token=1", "output_token=2"],
        &["output-token=1", "--from", "tomorrow"],
        &[],
    ] {
        let refused = set(wrong).await;
        assert_eq!(refused.code, 2, "{wrong:?}: {refused:?}");
    }

    let listed = async |more: &[&str]| {
        let list = program.json(&[&["cost", "price", "list"], more].concat()).await;
        let line = |row: &Value| {
            format!(
                "{}={}",
                row["unit"].as_str().unwrap(),
                row["usd_per_million"].as_str().unwrap()
            )
        };
        list.as_array().unwrap().iter().map(line).collect::<Vec<_>>()
    };
    let now = ["input_token=0.15", "output_token=0.7", "output_token=9"];
    assert_eq!(listed(&[]).await, now);
    let all = [
        "input_token=0.15",
        "output_token=0.6",
        "output_token=0.7",
        "output_token=9",
    ];
    assert_eq!(listed(&["--past", "--model", "gpt-6-luna"]).await, all);
    assert_eq!(listed(&["--model", "another"]).await, [""; 0]);
}
