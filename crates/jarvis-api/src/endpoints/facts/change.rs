//! `PATCH /api/v1/facts/{id}`, `POST /api/v1/facts/{id}/confirm` and `…/retire`

use crate::body::Input;
use crate::caller::{FactPath, Manager};
use crate::fact_views::{CorrectFactInput, OwnedFactView};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use jarvis_core::{ErrorCode, FactId};
use jarvis_memory::facts::{self, Change};

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::Forbidden,
    ErrorCode::FactNotFound,
    ErrorCode::ConsentRequired,
];
pub(crate) const CORRECT_ERRORS: &[ErrorCode] = &[
    ErrorCode::Forbidden,
    ErrorCode::FactNotFound,
    ErrorCode::FactValueInvalid,
    ErrorCode::ConsentRequired,
];

/// Give a fact another value. The old one stays in the history; the quote of the old value goes.
#[utoipa::path(patch, path = "/facts/{id}", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The fact.")), request_body = CorrectFactInput,
    responses((status = 200, description = "The fact as it is now.", body = OwnedFactView)))]
pub(crate) async fn correct_fact(
    State(state): State<ApiState>,
    manager: Manager,
    FactPath(fact): FactPath,
    Input(input): Input<CorrectFactInput>,
) -> Result<Json<OwnedFactView>, Problem> {
    let confidence = input.confidence.unwrap_or(1.0);
    change(
        &state,
        &manager,
        fact,
        &Change::Correct(input.fact_value, confidence),
    )
    .await
}

/// A fact is still true, or true again.
#[utoipa::path(post, path = "/facts/{id}/confirm", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The fact.")),
    responses((status = 200, description = "The fact as it is now.", body = OwnedFactView)))]
pub(crate) async fn confirm_fact(
    State(state): State<ApiState>,
    manager: Manager,
    FactPath(fact): FactPath,
) -> Result<Json<OwnedFactView>, Problem> {
    change(&state, &manager, fact, &Change::Confirm).await
}

/// A fact is no longer true; its history stays.
#[utoipa::path(post, path = "/facts/{id}/retire", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The fact.")),
    responses((status = 200, description = "The fact as it is now.", body = OwnedFactView)))]
pub(crate) async fn retire_fact(
    State(state): State<ApiState>,
    manager: Manager,
    FactPath(fact): FactPath,
) -> Result<Json<OwnedFactView>, Problem> {
    change(&state, &manager, fact, &Change::Retire).await
}

async fn change(
    state: &ApiState,
    Manager(person): &Manager,
    fact: FactId,
    change: &Change,
) -> Result<Json<OwnedFactView>, Problem> {
    let stored = facts::change(&state.memory, &person.scope(), fact, change).await?;
    Ok(Json(OwnedFactView::of(stored, state.memory.clock.now())))
}
