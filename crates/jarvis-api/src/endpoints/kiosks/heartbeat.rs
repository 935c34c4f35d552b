//! `POST /api/v1/kiosks/heartbeat`

use crate::caller::Kiosk;
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use jarvis_core::{ErrorCode, Scope};
use jarvis_db::queries::kiosk;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) const ERRORS: &[ErrorCode] = &[];

/// The kiosk was seen.
#[derive(Serialize, ToSchema)]
pub(crate) struct Heartbeat {
    /// The server's time, by which a kiosk can tell that its own clock is wrong.
    now: DateTime<Utc>,
}

/// Say that the kiosk is there.
#[utoipa::path(post, path = "/kiosks/heartbeat", tag = "kiosk", security(("kiosk" = [])),
    responses((status = 200, description = "The kiosk was seen.", body = Heartbeat)))]
pub(crate) async fn kiosk_heartbeat(
    State(state): State<ApiState>,
    kiosk: Kiosk,
) -> Result<Json<Heartbeat>, Problem> {
    let now = state.now();
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    kiosk::touch(&mut tx, kiosk.identity.kiosk, now).await?;
    tx.commit().await?;
    Ok(Json(Heartbeat { now }))
}
