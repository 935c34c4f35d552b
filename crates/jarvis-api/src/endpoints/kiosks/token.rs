//! `POST /api/v1/kiosks/token`

use crate::body::Input;
use crate::device::{DeviceKey, claimed_kiosk};
use crate::fields::{FieldError, Fields, FromFields};
use crate::limits::ClientAddress;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::TokenView;
use axum::Json;
use axum::extract::State;
use jarvis_core::{ErrorCode, Scope};
use jarvis_db::queries::kiosk;
use jarvis_memory::sessions::KioskIdentity;
use utoipa::ToSchema;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::Unauthenticated,
    ErrorCode::KioskRevoked,
    ErrorCode::RateLimited,
];

/// An assertion signed by the device.
#[derive(ToSchema)]
#[schema(as = KioskTokenInput)]
pub(crate) struct KioskTokenInput {
    /// A JWT signed with ES256 by the device's key. Claims: `iss` and `sub` the kiosk's id, `aud` `"jarvis"`, `exp`
    /// at most 120 seconds ahead, `jti` a value that is never used again.
    assertion: String,
}

impl FromFields for KioskTokenInput {
    const FIELDS: &'static [&'static str] = &["assertion"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        Ok(Self {
            assertion: fields.required_text("assertion")?,
        })
    }
}

/// Exchange an assertion of a paired device for an access token of 15 minutes.
///
/// Every assertion works once.
#[utoipa::path(post, path = "/kiosks/token", tag = "kiosk", request_body = KioskTokenInput,
    responses((status = 200, description = "The access token.", body = TokenView)))]
pub(crate) async fn issue_kiosk_token(
    State(state): State<ApiState>,
    address: ClientAddress,
    Input(input): Input<KioskTokenInput>,
) -> Result<Json<TokenView>, Problem> {
    state.limits.assertion(address)?;
    let refused = |rule| Problem::because(ErrorCode::Unauthenticated, rule);
    let id = claimed_kiosk(&input.assertion)
        .ok_or_else(|| refused("assertion: must be a JWT whose sub is the kiosk's id"))?;
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    let kiosk = kiosk::find(&mut tx, id).await?;
    tx.commit().await?;
    // An unknown kiosk and a wrong signature look alike.
    let kiosk = kiosk.ok_or_else(|| refused("assertion: wrong signature or claims"))?;
    let key = kiosk.public_key.as_ref().filter(|_| kiosk.status == "active");
    let Some(key) = key.and_then(|jwk| DeviceKey::from_jwk(jwk).ok()) else {
        return Err(Problem::new(ErrorCode::KioskRevoked));
    };
    let now = state.now();
    let assertion = key.verify(&input.assertion, id, now).map_err(refused)?;
    if !state.used_assertions.use_up(id, assertion, now) {
        return Err(refused("assertion: jti was used before"));
    }
    let identity = KioskIdentity {
        kiosk: kiosk.id,
        gym: kiosk.gym_id,
    };
    let token = state
        .tokens
        .mint_kiosk(&identity)
        .map_err(|_| Problem::new(ErrorCode::Internal))?;
    Ok(Json(token.into()))
}
