//! `POST /api/v1/kiosks/pair`

use crate::body::Input;
use crate::device::DeviceKey;
use crate::fields::{FieldError, Fields, FromFields, required};
use crate::limits::ClientAddress;
use crate::pairing;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::KioskView;
use axum::Json;
use axum::extract::State;
use jarvis_core::{ErrorCode, Scope};
use jarvis_db::queries::kiosk;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::PairingCodeInvalid,
    ErrorCode::RateLimited,
];

/// A one-time code and the public half of a key made on the device.
#[derive(ToSchema)]
#[schema(as = PairInput)]
pub(crate) struct PairInput {
    /// The code that staff read out, such as `ABCD-EFGH`; case, dashes and spaces do not matter.
    #[schema(example = "ABCD-EFGH")]
    code: String,
    /// The public half of the device's key.
    #[schema(value_type = PublicKeyInput)]
    public_key: Value,
}

/// A JWK of an EC key on P-256, without its private half. Members that are not listed are ignored.
#[derive(ToSchema)]
#[schema(as = DevicePublicKey)]
#[expect(dead_code, reason = "the schema of what the device's key reads")]
pub(crate) struct PublicKeyInput {
    /// Always `EC`.
    #[schema(example = "EC")]
    kty: String,
    /// Always `P-256`.
    #[schema(example = "P-256")]
    crv: String,
    /// The point's x: 32 bytes in base64url without padding.
    #[schema(example = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")]
    x: String,
    /// The point's y: 32 bytes in base64url without padding.
    #[schema(example = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")]
    y: String,
}

impl FromFields for PairInput {
    const FIELDS: &'static [&'static str] = &["code", "public_key"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        Ok(Self {
            code: fields.required_text("code")?,
            public_key: fields.value("public_key").ok_or_else(|| required("public_key"))?,
        })
    }
}

/// The kiosk that the device is now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Paired {
    /// The kiosk.
    kiosk: KioskView,
}

/// Pair a device with a kiosk by a one-time code.
///
/// The code works once, within ten minutes, and five tries a minute are allowed per address. The device then asks
/// for access tokens with assertions signed by the private half of its key.
#[utoipa::path(post, path = "/kiosks/pair", tag = "kiosk", request_body = PairInput,
    responses((status = 200, description = "The kiosk that the device is now.", body = Paired)))]
pub(crate) async fn pair_kiosk(
    State(state): State<ApiState>,
    address: ClientAddress,
    Input(input): Input<PairInput>,
) -> Result<Json<Paired>, Problem> {
    state.limits.pairing(address)?;
    let key = DeviceKey::from_jwk(&input.public_key)
        .map_err(|rule| Problem::because(ErrorCode::InvalidRequest, rule))?;
    let invalid = || Problem::new(ErrorCode::PairingCodeInvalid);
    let hash = pairing::hash_typed(&input.code).ok_or_else(invalid)?;
    let mut tx = state.memory.db.begin(&Scope::System).await?;
    let kiosk = kiosk::pair(&mut tx, &hash, &key.to_jwk(), state.now())
        .await?
        .ok_or_else(invalid)?;
    tx.commit().await?;
    Ok(Json(Paired { kiosk: kiosk.into() }))
}
