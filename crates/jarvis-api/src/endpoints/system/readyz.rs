//! `GET /readyz`

use crate::edge::MessageLanguage;
use crate::readiness::{Audience, ReadinessReport, Standing, report};
use crate::state::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jarvis_core::ErrorCode;

pub(crate) const ERRORS: &[ErrorCode] = &[];

/// Whether requests can be served. 503 means that they fail, or soon will because the process ends; `degraded`
/// that they are answered and somebody should look. Each part names its cause and what to do.
#[utoipa::path(get, path = "/readyz", tag = "system", responses(
    (status = 200, description = "Ready, or degraded with its causes.", body = ReadinessReport),
    (status = 503, description = "Requests fail, with the causes.", body = ReadinessReport)))]
pub(crate) async fn readyz(
    State(state): State<ApiState>,
    Extension(MessageLanguage(language)): Extension<MessageLanguage>,
) -> (StatusCode, Json<ReadinessReport>) {
    let ApiState {
        memory,
        readiness,
        pulse,
        ..
    } = &state;
    let report = report(memory, readiness, pulse, language, Audience::Anybody).await;
    (status_of(&report), Json(report))
}

/// The status by which a proxy decides.
pub(crate) fn status_of(report: &ReadinessReport) -> StatusCode {
    if report.status == Standing::Down {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    }
}
