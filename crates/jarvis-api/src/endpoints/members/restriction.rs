//! `PUT` and `DELETE /api/v1/members/{id}/restriction`

use super::gym_of;
use crate::caller::{Manager, MemberPath};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use jarvis_core::{Actor, ErrorCode, Scope};
use jarvis_memory::privacy;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) const ERRORS: &[ErrorCode] = &[ErrorCode::Forbidden, ErrorCode::MemberNotFound];

/// Whether a member's data may be used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Restriction)]
pub(crate) struct RestrictionView {
    /// Kept, and used for nothing.
    restricted: bool,
    /// Whether this request changed it.
    changed: bool,
}

/// Keep a member's data and use it for nothing (GDPR, article 18), until that is lifted.
///
/// The assistant knows nothing of the member meanwhile, and what is said is kept without its words.
#[utoipa::path(put, path = "/members/{id}/restriction", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The member.")),
    responses((status = 200, description = "It is restricted.", body = RestrictionView)))]
pub(crate) async fn restrict_member(
    State(state): State<ApiState>,
    Manager(person): Manager,
    MemberPath(member): MemberPath,
) -> Result<Json<RestrictionView>, Problem> {
    let gym = gym_of(&state, &person, member).await?;
    let server = Scope::gym(gym, Actor::User(person.account.id));
    let changed = privacy::restrict(&state.memory, &server, gym, member, None).await?;
    Ok(Json(RestrictionView {
        restricted: true,
        changed,
    }))
}

/// Lift a restriction; conversations that waited for it are made into memory.
#[utoipa::path(delete, path = "/members/{id}/restriction", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The member.")),
    responses((status = 200, description = "It is not restricted.", body = RestrictionView)))]
pub(crate) async fn lift_restriction(
    State(state): State<ApiState>,
    Manager(person): Manager,
    MemberPath(member): MemberPath,
) -> Result<Json<RestrictionView>, Problem> {
    let gym = gym_of(&state, &person, member).await?;
    let server = Scope::gym(gym, Actor::User(person.account.id));
    let changed = privacy::lift(&state.memory, &server, gym, member).await?;
    Ok(Json(RestrictionView {
        restricted: false,
        changed,
    }))
}
