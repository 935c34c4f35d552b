//! `POST /api/v1/members/{id}/export`

use super::gym_of;
use crate::caller::{Manager, MemberPath};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use jarvis_core::{Actor, ErrorCode, Scope};
use jarvis_memory::privacy;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::Forbidden,
    ErrorCode::MemberNotFound,
    ErrorCode::DataMapIncomplete,
];

/// Everything that is kept of a member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemberExport)]
pub(crate) struct ExportView {
    /// The member.
    member_id: Uuid,
    /// When it was read.
    exported_at: DateTime<Utc>,
    /// Tables by name, each with the member's rows.
    #[schema(value_type = BTreeMap<String, Vec<Object>>)]
    tables: BTreeMap<String, Value>,
}

/// Hand out everything that is kept of a member, health data included.
///
/// It is entered in the audit. A table that names members and is not on the data map stops it: nothing is left out
/// quietly.
#[utoipa::path(post, path = "/members/{id}/export", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The member.")),
    responses((status = 200, description = "Everything, table by table.", body = ExportView)))]
pub(crate) async fn export_member(
    State(state): State<ApiState>,
    Manager(person): Manager,
    MemberPath(member): MemberPath,
) -> Result<Json<ExportView>, Problem> {
    let gym = gym_of(&state, &person, member).await?;
    let server = Scope::gym(gym, Actor::User(person.account.id));
    let tables = privacy::export(&state.memory, &server, gym, member).await?;
    let tables = tables.ok_or_else(|| Problem::new(ErrorCode::MemberNotFound))?;
    Ok(Json(ExportView {
        member_id: member.as_uuid(),
        exported_at: state.memory.clock.now(),
        tables: tables
            .as_object()
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .collect(),
    }))
}
