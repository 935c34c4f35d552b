//! `GET /api/v1/members/{id}/context`

use crate::caller::{Manager, MemberPath};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::ContextView;
use axum::Json;
use axum::extract::State;
use jarvis_core::ErrorCode;
use jarvis_memory::context;

pub(crate) const ERRORS: &[ErrorCode] = &[ErrorCode::Forbidden, ErrorCode::MemberNotFound];

/// The context that the next session of a member would be given.
#[utoipa::path(get, path = "/members/{id}/context", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The member.")),
    responses((status = 200, description = "The context.", body = ContextView)))]
pub(crate) async fn preview_context(
    State(state): State<ApiState>,
    Manager(person): Manager,
    MemberPath(member): MemberPath,
) -> Result<Json<ContextView>, Problem> {
    let context = context::preview(&state.memory, person.scope(), member).await?;
    let context = context.ok_or_else(|| Problem::new(ErrorCode::MemberNotFound))?;
    Ok(Json(context.into()))
}
