//! What the log holds: one line per request, and never what a member said.

use crate::world::{PASSWORD, World, answer};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

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

/// Listens to everything that is logged on this thread, where the test's server runs too, and counts statements.
fn listen() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let written = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(lines.clone());
    let subscriber = tracing_subscriber::registry()
        .with(written)
        .with(jarvis_observe::statements());
    (lines, tracing::subscriber::set_default(subscriber))
}

fn written_by(log: &str, target: &str) -> Vec<Value> {
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == target).collect()
}

fn requests(log: &str) -> Vec<Value> {
    written_by(log, "jarvis_api::edge")
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
    let context = world.by_kiosk(Method::POST, &format!("/api/v1/sessions/{session}/context"));
    answer(context.json(&json!({"words": canary}))).await;
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
    assert_eq!(written.len(), 10, "one line per request");
    assert_eq!(written[0]["message"], "request");
    assert_eq!(written[0]["route"], "/api/v1/sessions");
    assert_eq!(
        (&written[0]["method"], &written[0]["status"]),
        (&json!("POST"), &json!(201))
    );
    assert_eq!(written[3]["route"], "/api/v1/sessions/{id}/recall");
    assert_eq!(written[3]["session"], session);
    assert_eq!(
        (&written[5]["code"], &written[5]["status"]),
        (&json!("badge_unknown"), &json!(404))
    );
    assert_eq!(written[6]["route"], "-");
}

#[tokio::test]
async fn the_line_of_a_request_says_who_asked_and_what_it_cost() {
    let world = World::new().await;
    let (lines, _guard) = listen();
    let session = world.open("BADGE_001").await.id;
    let log = lines.take();
    let statements = written_by(&log, "sqlx::query").len();
    let line = &requests(&log)[0];
    assert_eq!(line["actor"], format!("kiosk:{}", world.kiosk_a.kiosk));
    assert_eq!(line["gym"], world.gym_a.to_string());
    // `sqlx` tells of every statement but the BEGIN of the two transactions, of the kiosk and of the session.
    assert_eq!(line["queries"], statements + 2);
    assert!(statements >= 8, "{statements}");
    let number = |name: &str| line[name].as_f64().unwrap_or_else(|| panic!("{name}: {line}"));
    assert!(
        0.0 < number("db_ms") && number("db_ms") <= number("duration_ms"),
        "{line}"
    );
    assert!(number("pool_wait_ms") <= number("duration_ms"), "{line}");
    assert_eq!(line["bytes_in"], 24, "{{\"badge_id\":\"BADGE_001\"}}");
    assert!(
        number("bytes_out") > 200.0 && line["request_id"].is_string(),
        "{line}"
    );
    assert!(
        line.get("model_calls").is_none() && line.get("code").is_none(),
        "{line}"
    );

    answer(world.request(Method::GET, "/healthz")).await;
    answer(world.request(Method::GET, "/api/v1/me")).await;
    let log = lines.take();
    let written = requests(&log);
    assert_eq!(written[0]["level"], "DEBUG", "a probe that is well is no news");
    assert_eq!(
        (&written[1]["queries"], &written[1]["code"]),
        (&json!(0), &json!("unauthenticated"))
    );
    assert!(written[1].get("actor").is_none() && written[1].get("gym").is_none());
    drop(session);
}

#[tokio::test]
async fn a_session_id_that_another_application_chose_is_not_repeated() {
    let world = World::new().await;
    let (lines, _guard) = listen();
    answer(world.by_kiosk(Method::GET, "/api/v1/sessions/Sophie-Martin")).await;
    let written = requests(&lines.take());
    assert_eq!(written[0]["route"], "/api/v1/sessions/{id}");
    assert!(written[0].get("session").is_none(), "{}", written[0]);
}

#[tokio::test]
async fn a_caller_who_leaves_has_a_line_too() {
    let world = World::new().await;
    // The kiosk's row is locked, so the request waits until its caller has lost patience.
    let mut lock = world.db.admin_pool().begin().await.unwrap();
    sqlx::query("lock table public.kiosks")
        .execute(&mut *lock)
        .await
        .unwrap();
    let (lines, _guard) = listen();
    let asked = world
        .by_kiosk(Method::GET, "/api/v1/me")
        .timeout(Duration::from_millis(200))
        .send()
        .await;
    assert!(asked.unwrap_err().is_timeout());
    let mut written = Vec::new();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        written = requests(&lines.take());
        if !written.is_empty() {
            break;
        }
    }
    assert_eq!(
        (&written[0]["status"], &written[0]["message"]),
        (&json!(499), &json!("the caller left"))
    );
    assert_eq!(written[0]["actor"], format!("kiosk:{}", world.kiosk_a.kiosk));
    lock.rollback().await.unwrap();
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
