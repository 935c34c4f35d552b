//! `GET /readyz`

use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use jarvis_core::ErrorCode;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

pub(crate) const ERRORS: &[ErrorCode] = &[];

/// A database that takes longer than this to answer nothing is down.
const PING: Duration = Duration::from_secs(3);

/// How well a part works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// As it should.
    Ready,
    /// Requests are answered, something is missing.
    Degraded,
    /// Requests fail.
    Down,
}

/// How well the process works, and why not better.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReadinessReport {
    /// The worst of the parts.
    status: Standing,
    /// The database. Its migrations were checked at the start.
    database: Part,
    /// The embedding model. Without one, recall is by words.
    embedding: Part,
    /// The worker of this process, which makes memory of ended sessions.
    worker: Part,
}

/// One part.
#[derive(Serialize, ToSchema)]
pub(crate) struct Part {
    /// How well it works.
    status: Standing,
    /// Why not better.
    cause: Option<String>,
    /// Which one, such as the model's name.
    name: Option<String>,
    /// When it was last seen at work.
    last_seen_at: Option<DateTime<Utc>>,
}

impl Part {
    fn ready(name: Option<&str>) -> Self {
        Self {
            status: Standing::Ready,
            cause: None,
            name: name.map(str::to_owned),
            last_seen_at: None,
        }
    }

    fn lacking(status: Standing, cause: impl Into<String>) -> Self {
        Self {
            status,
            cause: Some(cause.into()),
            name: None,
            last_seen_at: None,
        }
    }
}

/// Whether requests can be served: 503 only when the database is down.
#[utoipa::path(get, path = "/readyz", tag = "system", responses(
    (status = 200, description = "Ready, or degraded with its causes.", body = ReadinessReport),
    (status = 503, description = "The database is down.", body = ReadinessReport)))]
pub(crate) async fn readyz(State(state): State<ApiState>) -> (StatusCode, Json<ReadinessReport>) {
    let database = database(&state).await;
    let embedder = &state.memory.embedder;
    let embedding = match embedder.lacking() {
        Some(why) => Part::lacking(Standing::Degraded, why),
        None => Part::ready(embedder.model()),
    };
    let worker = match state.readiness.worker_seen(state.now()) {
        Some(at) => Part {
            last_seen_at: Some(at),
            ..Part::ready(None)
        },
        None => Part::lacking(
            Standing::Degraded,
            "no worker was seen in this process in the last two minutes",
        ),
    };
    let status = database.status.max(embedding.status).max(worker.status);
    let code = if status == Standing::Down {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (
        code,
        Json(ReadinessReport {
            status,
            database,
            embedding,
            worker,
        }),
    )
}

async fn database(state: &ApiState) -> Part {
    match tokio::time::timeout(PING, state.memory.db.ping()).await {
        Ok(Ok(())) => Part::ready(None),
        Ok(Err(error)) => Part::lacking(Standing::Down, error.to_string()),
        Err(_) => Part::lacking(Standing::Down, "no answer within 3 seconds"),
    }
}
