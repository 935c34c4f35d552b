//! `/healthz` and `/readyz`: every cause is told when it is caused, to everybody by its code, to operators in full.

use crate::world::{Answer, World, answer};
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_api::{Pulse, Readiness, operations_router};
use jarvis_core::Clock;
use jarvis_llm::{
    BoxFuture, Breaker, BreakerSettings, Chat, Embed, EmbedReply, LlmError, StructuredReply,
    StructuredRequest,
};
use jarvis_memory::{Embedder, Provider, Reader};
use jarvis_observe::METRICS;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

async fn readyz(world: &World) -> Answer {
    answer(
        world
            .request(Method::GET, "/readyz")
            .header("accept-language", "en"),
    )
    .await
}

/// As an operator sees it.
async fn in_full(world: &World) -> Answer {
    let router = operations_router(world.memory.clone(), world.readiness.clone(), Pulse::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    answer(client.get(format!("http://{address}/readyz"))).await
}

/// Asserts that a part has this cause, with a hint and without a detail.
#[track_caller]
fn blames(answer: &Answer, part: &str, status: &str, cause: &str) {
    let told = &answer.body[part];
    assert_eq!(
        (&told["status"], &told["cause"]),
        (&json!(status), &json!(cause)),
        "{}",
        answer.body
    );
    assert!(
        told["hint"].as_str().is_some_and(|hint| hint.len() > 10),
        "{told}"
    );
    assert!(told.get("detail").is_none(), "{told}");
}

#[tokio::test]
async fn a_process_that_lacks_its_weights_and_whose_worker_is_not_yet_there_is_degraded() {
    let world = World::new().await;
    assert_eq!(
        answer(world.request(Method::GET, "/healthz")).await.body["status"],
        "ok"
    );
    let told = readyz(&world).await;
    assert_eq!(
        (told.status, &told.body["status"]),
        (StatusCode::OK, &json!("degraded"))
    );
    for part in ["process", "database", "schema", "queue"] {
        assert_eq!(
            told.body[part],
            json!({"status": "ready", "cause": null, "hint": null, "name": null, "last_seen_at": null})
        );
    }
    blames(&told, "embedding", "degraded", "embedding_unavailable");
    blames(&told, "worker", "degraded", "worker_absent");
    assert!(told.body.get("provider").is_none() && told.body.get("disk").is_none());
    assert_eq!(
        in_full(&world).await.body["embedding"]["detail"],
        "tests run without weights"
    );
}

#[tokio::test]
async fn a_worker_that_was_killed_is_missed_after_two_minutes() {
    let world = World::new().await;
    world.readiness.note_worker(world.clock.now());
    let seen = readyz(&world).await;
    assert_eq!(seen.body["worker"]["status"], "ready");
    assert!(seen.body["worker"]["last_seen_at"].is_string());
    world.clock.advance(TimeDelta::seconds(121));
    blames(&readyz(&world).await, "worker", "degraded", "worker_silent");
    world.readiness.note_works_elsewhere();
    assert!(readyz(&world).await.body.get("worker").is_none());
}

#[tokio::test]
async fn a_dead_database_is_told_without_its_place_and_no_request_hangs() {
    let world = World::new().await;
    world.memory.db.close().await;
    let told = readyz(&world).await;
    assert_eq!(
        (told.status, &told.body["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("down"))
    );
    blames(&told, "database", "down", "database_unreachable");
    assert!(told.body.get("schema").is_none() && told.body.get("queue").is_none());
    assert!(
        in_full(&world).await.body["database"]["detail"]
            .as_str()
            .is_some_and(|d| d.contains("not available"))
    );
    assert_eq!(
        answer(world.request(Method::GET, "/healthz")).await.status,
        StatusCode::OK
    );
    let open = world
        .by_kiosk(Method::POST, "/api/v1/sessions")
        .json(&json!({"badge_id": "BADGE_001"}));
    let refused = answer(open).await;
    refused.is_problem(503, "database_unavailable");
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_migration_that_is_undone_under_the_server_makes_it_not_ready_until_it_is_there_again() {
    let world = World::new().await;
    sqlx::query("create table kept as table supabase_migrations.schema_migrations")
        .execute(world.db.admin_pool())
        .await
        .unwrap();
    sqlx::query("delete from supabase_migrations.schema_migrations where version = (select max(version) from supabase_migrations.schema_migrations)")
        .execute(world.db.admin_pool())
        .await
        .unwrap();
    let told = readyz(&world).await;
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE);
    blames(&told, "schema", "down", "schema_behind");
    assert!(
        told.body["schema"]["hint"]
            .as_str()
            .unwrap()
            .contains("jarvis migration up")
    );
    let french = answer(
        world
            .request(Method::GET, "/readyz")
            .header("accept-language", "fr"),
    )
    .await;
    assert_eq!(french.body["schema"]["hint"], "Lancez `jarvis migration up`.");
    sqlx::query(
        "insert into supabase_migrations.schema_migrations select * from kept on conflict do nothing",
    )
    .execute(world.db.admin_pool())
    .await
    .unwrap();
    // Probes share a look for a quarter of a second.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(readyz(&world).await.body["schema"]["status"], "ready");
}

#[tokio::test]
async fn a_job_that_nobody_takes_is_told_after_five_minutes() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    world.close(&session).await;
    world.clock.advance(TimeDelta::seconds(290));
    assert_eq!(readyz(&world).await.body["queue"]["status"], "ready");
    world.clock.advance(TimeDelta::seconds(20));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let told = readyz(&world).await;
    assert_eq!(told.status, StatusCode::OK);
    blames(&told, "queue", "degraded", "queue_stuck");
    let detail = in_full(&world).await.body["queue"]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(detail.contains("310 s"), "{detail}");
}

#[tokio::test]
async fn a_process_that_was_told_to_stop_is_not_ready_at_once() {
    let world = World::new().await;
    assert_eq!(readyz(&world).await.status, StatusCode::OK);
    world.readiness.note_stopping();
    let told = readyz(&world).await;
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE);
    blames(&told, "process", "down", "stopping");
    // It still serves those who come.
    world.open("BADGE_001").await;
}

/// A provider that is not asked in these tests.
struct Absent;

impl Embed for Absent {
    fn embed<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, Result<EmbedReply, LlmError>> {
        Box::pin(async { Err(LlmError::too_late()) })
    }
}

#[tokio::test]
async fn a_provider_that_fails_degrades_until_it_is_back_and_its_pause_ends_by_itself() {
    let mut world = World::new().await;
    let pause = Duration::from_millis(400);
    let breaker = Breaker::new(BreakerSettings {
        failures: 1,
        first_pause: pause,
        longest_pause: pause,
    });
    world.memory.embedder = Embedder::Provider(Arc::new(Provider {
        name: "test".to_owned(),
        model: "turquoise-1".to_owned(),
        client: Box::new(Absent),
        breaker: breaker.clone(),
        local: None,
    }));
    let told = async |status: &str, gauge: f64| {
        let told = in_full(&world).await.body;
        assert_eq!(told["provider"]["status"], status, "{told}");
        assert_eq!(told["embedding"]["status"], status, "{told}");
        let page = METRICS.render();
        let shown = page
            .lines()
            .find_map(|line| line.strip_prefix("jarvis_model_breaker_open{use=\"embedding\"} "));
        assert_eq!(shown.and_then(|value| value.parse().ok()), Some(gauge), "{page}");
        told
    };
    told("ready", 0.0).await;
    let failed: Result<(), _> = Err(LlmError::too_late());
    breaker.admit().unwrap().settle(&failed);
    let failing = told("degraded", 1.0).await;
    for part in ["provider", "embedding"] {
        assert_eq!(failing[part]["cause"], "provider_failing", "{failing}");
    }
    let detail = failing["embedding"]["detail"].as_str().unwrap();
    assert!(detail.contains("(timeout)"), "{failing}");
    tokio::time::sleep(pause).await;
    told("degraded", 0.5).await;
    breaker.admit().unwrap().settle(&Ok::<_, LlmError>(()));
    told("ready", 0.0).await;
}

impl Chat for Absent {
    fn structured<'a>(
        &'a self,
        _: &'a StructuredRequest,
    ) -> BoxFuture<'a, Result<StructuredReply, LlmError>> {
        Box::pin(async { Err(LlmError::too_late()) })
    }
}

fn reading(model: &str, breaker: &Breaker) -> Arc<Reader> {
    Arc::new(Reader {
        provider: "test".to_owned(),
        model: model.to_owned(),
        window: 128_000,
        client: Box::new(Absent),
        breaker: breaker.clone(),
    })
}

#[tokio::test]
async fn a_model_that_reads_and_fails_degrades_and_leaves_the_process_ready() {
    let mut world = World::new().await;
    assert_eq!(
        in_full(&world).await.body.get("reader"),
        None,
        "rules alone need no part"
    );
    let breaker = Breaker::new(BreakerSettings {
        failures: 1,
        ..BreakerSettings::default()
    });
    world.memory.reader = Some(reading("turquoise-1", &breaker));
    let told = in_full(&world).await.body;
    assert_eq!(
        (&told["reader"]["status"], &told["reader"]["name"]),
        (&json!("ready"), &json!("turquoise-1"))
    );
    breaker
        .admit()
        .unwrap()
        .settle(&Err::<(), _>(LlmError::too_late()));
    let told = in_full(&world).await;
    assert_eq!(told.status, StatusCode::OK);
    let told = told.body;
    assert_eq!(
        (&told["reader"]["status"], &told["reader"]["cause"]),
        (&json!("degraded"), &json!("provider_failing"))
    );
    let detail = told["reader"]["detail"].as_str().unwrap();
    assert!(detail.contains("(timeout)"), "{detail}");
    let page = METRICS.render();
    assert!(
        page.contains("jarvis_model_breaker_open{use=\"extraction\"} 1"),
        "{page}"
    );
}

#[tokio::test]
async fn the_last_day_of_a_model_is_told_ninety_days_before_and_degrades_a_month_before() {
    let mut world = World::new().await;
    let breaker = Breaker::new(BreakerSettings::default());
    world.memory.reader = Some(reading("gpt-4o-mini", &breaker));
    for (today, status, ends_on) in [
        ("2026-10-15", "ready", json!(null)),
        ("2026-10-16", "ready", json!("2027-01-14")),
        ("2026-12-14", "ready", json!("2027-01-14")),
        ("2026-12-15", "degraded", json!("2027-01-14")),
        ("2027-03-01", "degraded", json!("2027-01-14")),
    ] {
        let noon: DateTime<Utc> = format!("{today}T12:00:00Z").parse().unwrap();
        world.clock.advance(noon - world.clock.now());
        let told = in_full(&world).await;
        assert_eq!(told.status, StatusCode::OK);
        let reader = &told.body["reader"];
        assert_eq!(
            (&reader["status"], &reader["ends_on"]),
            (&json!(status), &ends_on),
            "{today}"
        );
        let cause = if status == "degraded" {
            json!("model_ending")
        } else {
            json!(null)
        };
        assert_eq!(reader["cause"], cause, "{today}");
    }
}

#[tokio::test]
async fn a_disk_below_its_mark_degrades_and_one_that_is_gone_is_told() {
    let mut world = World::new().await;
    world.readiness.watch_disk("/".into(), u64::MAX);
    blames(&readyz(&world).await, "disk", "degraded", "disk_low");
    world.readiness = Readiness::new();
    world.readiness.watch_disk("/nowhere/at/all".into(), 0);
    assert_eq!(in_full(&world).await.body["disk"]["cause"], "disk_unknown");
}
