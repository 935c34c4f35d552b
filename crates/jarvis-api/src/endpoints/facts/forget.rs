//! `DELETE /api/v1/facts/{id}`

use crate::caller::{FactPath, Manager};
use crate::fact_views::ForgottenView;
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jarvis_core::{Actor, ErrorCode, Scope};
use jarvis_db::queries::fact::person;
use jarvis_memory::facts;

pub(crate) const ERRORS: &[ErrorCode] = &[ErrorCode::Forbidden, ErrorCode::FactNotFound];

/// Forget a fact for good: its value, its quote and its history, the words it was read out of, and what was made of
/// them. Summaries are made again without it.
#[utoipa::path(delete, path = "/facts/{id}", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The fact.")),
    responses((status = 202, description = "It is gone; summaries are made again.", body = ForgottenView)))]
pub(crate) async fn forget_fact(
    State(state): State<ApiState>,
    Manager(manager): Manager,
    FactPath(fact): FactPath,
) -> Result<(StatusCode, Json<ForgottenView>), Problem> {
    // The manager's own eyes decide whether the fact exists; the server then acts in its gym.
    let mut tx = state.memory.db.begin(&manager.scope()).await?;
    let seen = person::find(&mut tx, fact).await?;
    drop(tx);
    let gym = seen.ok_or_else(|| Problem::new(ErrorCode::FactNotFound))?.gym_id;
    let server = Scope::gym(gym, Actor::User(manager.account.id));
    let forgotten = facts::forget(&state.memory, &server, gym, fact).await?;
    Ok((StatusCode::ACCEPTED, Json(forgotten.into())))
}
