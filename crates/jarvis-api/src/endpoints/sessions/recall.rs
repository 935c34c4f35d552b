//! `GET /api/v1/sessions/{id}/recall`

use crate::caller::{Kiosk, SessionPath};
use crate::endpoints::members::recall::RecallInput;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::RecalledView;
use axum::Json;
use axum::extract::State;
use jarvis_core::ErrorCode;
use jarvis_memory::recall;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::InvalidUtf8,
    ErrorCode::SessionNotFound,
    ErrorCode::SessionClosed,
];

/// What the member of this session said before, nearest to a question.
///
/// A kiosk never names a member: it asks about the one in front of it.
#[utoipa::path(get, path = "/sessions/{id}/recall", tag = "kiosk", security(("kiosk" = [])),
    params(("id" = String, Path, description = "The session."), RecallInput),
    responses((status = 200, description = "Ranked memories.", body = RecalledView)))]
pub(crate) async fn recall_in_session(
    State(state): State<ApiState>,
    kiosk: Kiosk,
    SessionPath(id): SessionPath,
    input: RecallInput,
) -> Result<Json<RecalledView>, Problem> {
    let recalled =
        recall::recall_in_session(&state.memory, &kiosk.identity, &id, &input.into_query()).await?;
    Ok(Json(recalled.into()))
}
