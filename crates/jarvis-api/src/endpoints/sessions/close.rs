//! `POST /api/v1/sessions/{id}/close`

use crate::body::OptionalInput;
use crate::caller::{Kiosk, SessionPath};
use crate::fields::{FieldError, Fields, FromFields};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::StandingView;
use crate::words::EndReasonWord;
use axum::Json;
use axum::extract::State;
use jarvis_core::{EndReason, ErrorCode};
use jarvis_memory::sessions;
use utoipa::ToSchema;

pub(crate) const ERRORS: &[ErrorCode] = &[ErrorCode::InvalidRequest, ErrorCode::SessionNotFound];

/// Why the conversation ends.
#[derive(ToSchema)]
#[schema(as = CloseSessionInput)]
pub(crate) struct CloseSessionInput {
    /// `client` when absent.
    #[schema(value_type = Option<EndReasonWord>)]
    reason: Option<EndReason>,
}

impl FromFields for CloseSessionInput {
    const FIELDS: &'static [&'static str] = &["reason"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        Ok(Self {
            reason: fields.word("reason")?,
        })
    }
}

/// End a session of this kiosk; its memory is then made.
///
/// Needs nothing but the id. Closing again changes nothing and says so, so that a kiosk whose answer was lost can
/// simply repeat.
#[utoipa::path(post, path = "/sessions/{id}/close", tag = "kiosk", security(("kiosk" = [])),
    params(("id" = String, Path, description = "The session.")),
    request_body(content = Option<CloseSessionInput>, description = "May be empty."),
    responses((status = 200, description = "The session has ended.", body = StandingView)))]
pub(crate) async fn close_session(
    State(state): State<ApiState>,
    kiosk: Kiosk,
    SessionPath(id): SessionPath,
    OptionalInput(input): OptionalInput<CloseSessionInput>,
) -> Result<Json<StandingView>, Problem> {
    let reason = input.and_then(|i| i.reason);
    let closed = sessions::close(&state.memory, &kiosk.identity, &id, reason).await?;
    Ok(Json(StandingView {
        state: closed.state,
        already_closed: closed.already_closed,
    }))
}
