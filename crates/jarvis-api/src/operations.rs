//! What operators see, on a listener of its own: metrics, and readiness with all its details.

use crate::edge::language_of;
use crate::endpoints::system::healthz;
use crate::endpoints::system::readyz::status_of;
use crate::readiness::{Audience, Pulse, Readiness, ReadinessReport, report};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use jarvis_core::Language;
use jarvis_memory::Memory;
use jarvis_observe::METRICS;
use jarvis_observe::metrics::CONTENT_TYPE;
use std::time::Duration;
use tower_http::timeout::TimeoutLayer;

/// Prometheus gives a scrape 10 seconds.
const TIMEOUT: Duration = Duration::from_secs(9);

#[derive(Clone)]
struct Watched {
    memory: Memory,
    readiness: Readiness,
    pulse: Pulse,
}

/// `/metrics`, `/healthz`, and `/readyz` with what was observed. No log line is written for these requests, and nobody is
/// asked who they are: keep it on the loopback or a private network.
pub fn operations_router(memory: Memory, readiness: Readiness, pulse: Pulse) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz::healthz))
        .route("/readyz", get(readyz))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIMEOUT,
        ))
        .with_state(Watched {
            memory,
            readiness,
            pulse,
        })
}

async fn readyz(State(watched): State<Watched>, headers: HeaderMap) -> (StatusCode, Json<ReadinessReport>) {
    let report = watched.report(language_of(&headers)).await;
    (status_of(&report), Json(report))
}

async fn metrics(State(watched): State<Watched>) -> ([(HeaderName, &'static str); 1], String) {
    let connections = watched.memory.db.connections();
    METRICS.db_pool.set(&["busy"], connections.busy.into());
    METRICS.db_pool.set(&["idle"], connections.idle.into());
    METRICS.db_pool.set(&["max"], connections.max.into());
    // Brings what is seen in the database, and the readiness of each part, up to date.
    let _shown = watched.report(Language::En).await;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], METRICS.render())
}

impl Watched {
    async fn report(&self, language: Language) -> ReadinessReport {
        report(
            &self.memory,
            &self.readiness,
            &self.pulse,
            language,
            Audience::Operator,
        )
        .await
    }
}
