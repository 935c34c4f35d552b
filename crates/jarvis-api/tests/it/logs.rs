//! What the log holds: one line per request, and never what a member said.

use crate::world::{PASSWORD, World, answer};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Listens to everything that is logged on this thread, where the test's server runs too.
fn listen() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

fn requests(log: &str) -> Vec<Value> {
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["target"] == "jarvis_api::edge")
        .collect()
}

#[tokio::test]
async fn a_canary_that_is_spoken_searched_and_typed_never_sings_in_the_log() {
    let world = World::new().await;
    world.person("marie", "gym_manager", &[world.gym_a], true).await;
    let manager = world.manager_a().await;
    let (lines, _guard) = listen();
    let canary = "le canari bleu chante";
    let session = world.open("BADGE_001").await.id;
    world
        .record(
            &session,
            &json!([{"event_type": "user_transcript", "transcript": canary}, {"event_type": canary}]),
        )
        .await;
    world
        .record(
            &session,
            &json!({"event_type": "tool_call", "tool_name": canary, "tool_args": {"x": canary}}),
        )
        .await;
    let recall = format!("/api/v1/sessions/{session}/recall?q=canari%20bleu");
    answer(world.by_kiosk(Method::GET, &recall)).await;
    let ask = world.request(Method::POST, &format!("/api/v1/members/{}/recall", world.camille));
    answer(ask.bearer_auth(manager).json(&json!({"q": canary}))).await;
    answer(
        world
            .by_kiosk(Method::POST, "/api/v1/sessions")
            .json(&json!({"badge_id": canary})),
    )
    .await;
    answer(world.by_kiosk(Method::GET, "/api/v1/canari")).await;
    let sign_in = json!({"email": "marie@example.org", "password": PASSWORD});
    answer(world.request(Method::POST, "/api/v1/auth/sign-in").json(&sign_in)).await;
    world.close(&session).await;
    world.process(&session).await;

    let log = lines.take();
    let ours: String = log.lines().filter(|line| line.contains("\"jarvis_")).collect();
    assert!(!ours.is_empty());
    for word in ["canari", PASSWORD, "marie", "Camille", "eyJ"] {
        assert!(!ours.contains(word), "{word} is in the log");
    }
    let written = requests(&log);
    assert_eq!(written.len(), 9, "one line per request");
    assert_eq!(written[0]["message"], "request");
    assert_eq!(written[0]["route"], "/api/v1/sessions");
    assert_eq!(
        (&written[0]["method"], &written[0]["status"]),
        (&json!("POST"), &json!(201))
    );
    assert_eq!(written[0]["actor"], format!("kiosk:{}", world.kiosk_a.kiosk));
    assert!(written[0]["ms"].is_number() && written[0]["request_id"].is_string());
    assert_eq!(written[3]["route"], "/api/v1/sessions/{id}/recall");
    assert_eq!(
        (&written[5]["code"], &written[5]["status"]),
        (&json!("badge_unknown"), &json!(404))
    );
    assert_eq!(written[6]["route"], "-");
}

#[tokio::test]
async fn a_failure_is_logged_with_its_cause_and_answered_without() {
    let world = World::new().await;
    world.memory.db.close().await;
    let (lines, _guard) = listen();
    let refused = answer(world.by_kiosk(Method::GET, "/api/v1/me")).await;
    refused.is_problem(503, "database_unavailable");
    let written = requests(&lines.take());
    assert_eq!((written.len(), &written[0]["level"]), (1, &json!("ERROR")));
    let cause = written[0]["cause"].as_str().unwrap();
    assert!(cause.contains("not available"), "{cause}");
    assert!(!refused.body.to_string().contains(cause));
    assert_eq!(written[0]["request_id"], refused.body["request_id"]);
}
