//! `GET /api/v1/sessions/{id}`

use crate::caller::{Caller, SessionPath};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::SessionView;
use axum::Json;
use axum::extract::State;
use jarvis_core::ErrorCode;
use jarvis_memory::privacy::{self, Read};
use jarvis_memory::sessions;

pub(crate) const ERRORS: &[ErrorCode] = &[ErrorCode::SessionNotFound];

/// A session with its processing state and its result.
///
/// A kiosk sees its own sessions; a person sees what row level security shows them.
#[utoipa::path(get, path = "/sessions/{id}", tag = "both", security(("kiosk" = []), ("person" = [])),
    params(("id" = String, Path, description = "The session.")),
    responses((status = 200, description = "The session.", body = SessionView)))]
pub(crate) async fn show_session(
    State(state): State<ApiState>,
    caller: Caller,
    SessionPath(id): SessionPath,
) -> Result<Json<SessionView>, Problem> {
    let (scope, own_kiosk) = match &caller {
        Caller::Kiosk(kiosk) => (kiosk.identity.scope(), Some(kiosk.identity.kiosk)),
        Caller::Person(person) => (person.scope(), None),
    };
    let detail = sessions::get(&state.memory, &scope, &id).await?;
    if own_kiosk.is_some() && detail.session.kiosk_id != own_kiosk {
        return Err(Problem::new(ErrorCode::SessionNotFound));
    }
    if own_kiosk.is_none() {
        let (gym, member) = (detail.session.gym_id, detail.session.member_id);
        privacy::note_read(
            &state.memory,
            &scope,
            gym,
            member,
            Read::Transcript,
            Some(id.as_str()),
        )
        .await?;
    }
    Ok(Json(detail.into()))
}
