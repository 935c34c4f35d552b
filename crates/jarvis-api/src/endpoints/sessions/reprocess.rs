//! `POST /api/v1/sessions/{id}/reprocess`

use crate::caller::{Manager, SessionPath};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::StandingView;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jarvis_core::{Actor, ErrorCode, Scope};
use jarvis_memory::sessions;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::Forbidden,
    ErrorCode::SessionNotFound,
    ErrorCode::SessionOpen,
    ErrorCode::TranscriptGone,
];

/// Make the memory of an ended session again.
#[utoipa::path(post, path = "/sessions/{id}/reprocess", tag = "manager", security(("person" = [])),
    params(("id" = String, Path, description = "The session.")),
    responses((status = 202, description = "It will be processed.", body = StandingView)))]
pub(crate) async fn reprocess_session(
    State(state): State<ApiState>,
    Manager(person): Manager,
    SessionPath(id): SessionPath,
) -> Result<(StatusCode, Json<StandingView>), Problem> {
    // The manager's own eyes decide whether the session exists; the server then acts in its gym.
    let seen = sessions::get(&state.memory, &person.scope(), &id).await?;
    let gym = seen.session.gym_id;
    let server = Scope::gym(gym, Actor::User(person.account.id));
    let closed = sessions::reprocess(&state.memory, gym, &server, &id).await?;
    let view = StandingView {
        state: closed.state,
        already_closed: closed.already_closed,
    };
    Ok((StatusCode::ACCEPTED, Json(view)))
}
