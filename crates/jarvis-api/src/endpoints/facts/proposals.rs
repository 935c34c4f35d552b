//! `GET /api/v1/fact-proposals`, `POST /api/v1/fact-proposals/{id}/decide`

use crate::body::Input;
use crate::caller::{Manager, ProposalPath};
use crate::fact_views::{DecideProposalInput, ProposalView, ProposalsView};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use jarvis_core::{Actor, ErrorCode, Scope};
use jarvis_db::queries::fact::proposal;
use jarvis_db::queries::gym;
use jarvis_memory::facts;

pub(crate) const ERRORS: &[ErrorCode] = &[ErrorCode::Forbidden];
pub(crate) const DECIDE_ERRORS: &[ErrorCode] = &[
    ErrorCode::Forbidden,
    ErrorCode::FactNotFound,
    ErrorCode::ProposalDecided,
    ErrorCode::ProposalStale,
    ErrorCode::ConsentRequired,
];

/// Proposals of one gym in one answer.
const MOST: i64 = 200;

/// Facts that look like one, in the gyms one manages; at most 200 of each gym. Nothing is merged until somebody decides.
#[utoipa::path(get, path = "/fact-proposals", tag = "manager", security(("person" = [])),
    responses((status = 200, description = "The proposals, oldest first in each gym.", body = ProposalsView)))]
pub(crate) async fn list_proposals(
    State(state): State<ApiState>,
    Manager(person): Manager,
) -> Result<Json<ProposalsView>, Problem> {
    let now = state.memory.clock.now();
    let mut tx = state.memory.db.begin(&person.scope()).await?;
    let gyms = gym::list(&mut tx).await?;
    tx.commit().await?;
    let mut proposals = Vec::new();
    for gym in gyms {
        let server = Scope::gym(gym.id, Actor::User(person.account.id));
        let found = facts::read::proposals(&state.memory, &server, gym.id, None, MOST).await?;
        proposals.extend(found.into_iter().map(|p| ProposalView::of(p, now)));
    }
    Ok(Json(ProposalsView { proposals }))
}

/// Merge two facts, or leave them apart for good.
#[utoipa::path(post, path = "/fact-proposals/{id}/decide", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The proposal.")), request_body = DecideProposalInput,
    responses((status = 200, description = "What was decided.", body = ProposalView)))]
pub(crate) async fn decide_proposal(
    State(state): State<ApiState>,
    Manager(person): Manager,
    ProposalPath(id): ProposalPath,
    Input(input): Input<DecideProposalInput>,
) -> Result<Json<ProposalView>, Problem> {
    let mut tx = state.memory.db.begin(&person.scope()).await?;
    let gyms = gym::list(&mut tx).await?;
    tx.commit().await?;
    for gym in gyms {
        let server = Scope::gym(gym.id, Actor::User(person.account.id));
        let mut tx = state.memory.db.begin(&server).await?;
        let known = proposal::find(&mut tx, gym.id, id).await?;
        drop(tx);
        if known.is_some() {
            let decided = facts::decide(&state.memory, &server, gym.id, id, input.into()).await?;
            return Ok(Json(ProposalView::of(decided, state.memory.clock.now())));
        }
    }
    Err(Problem::new(ErrorCode::FactNotFound))
}
