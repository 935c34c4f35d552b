//! `GET /api/v1/facts/review`

use crate::caller::Manager;
use crate::fact_views::{ReviewItemView, ReviewView};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use jarvis_core::ErrorCode;
use jarvis_db::queries::gym;
use jarvis_memory::facts;

pub(crate) const ERRORS: &[ErrorCode] = &[ErrorCode::Forbidden];

/// Facts of one gym in one answer.
const MOST: i64 = 200;

/// What to look at in the gyms one manages: keys that no slot knows, and facts that nobody said for long; at most 200 of
/// each gym.
#[utoipa::path(get, path = "/facts/review", tag = "manager", security(("person" = [])),
    responses((status = 200, description = "The facts, the oldest end first in each gym.", body = ReviewView)))]
pub(crate) async fn review_facts(
    State(state): State<ApiState>,
    Manager(person): Manager,
) -> Result<Json<ReviewView>, Problem> {
    let now = state.memory.clock.now();
    let mut tx = state.memory.db.begin(&person.scope()).await?;
    let gyms = gym::list(&mut tx).await?;
    tx.commit().await?;
    let mut items = Vec::new();
    for gym in gyms {
        let found = facts::read::review(&state.memory, &person.scope(), gym.id, MOST).await?;
        items.extend(found.into_iter().map(|item| ReviewItemView::of(item, now)));
    }
    Ok(Json(ReviewView { items }))
}
