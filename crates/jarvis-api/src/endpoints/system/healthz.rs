//! `GET /healthz`

use axum::Json;
use jarvis_core::ErrorCode;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) const ERRORS: &[ErrorCode] = &[];

/// The process is alive.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version that runs.
    version: &'static str,
}

/// Whether the process is alive. Looks at nothing else.
#[utoipa::path(get, path = "/healthz", tag = "system",
    responses((status = 200, description = "It is.", body = Alive)))]
pub(crate) async fn healthz() -> Json<Alive> {
    Json(Alive {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}
