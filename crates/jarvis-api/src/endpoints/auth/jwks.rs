//! `GET /auth/v1/.well-known/jwks.json`

use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use jarvis_core::ErrorCode;
use jsonwebtoken::jwk::JwkSet;

pub(crate) const ERRORS: &[ErrorCode] = &[];

/// The public keys by which our access tokens verify (RFC 7517).
#[utoipa::path(get, path = "/auth/v1/.well-known/jwks.json", tag = "person",
    responses((status = 200, description = "The key set.", body = Object,
        example = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "…", "x": "…", "y": "…"}]}))))]
pub(crate) async fn jwks(State(state): State<ApiState>) -> ([(HeaderName, &'static str); 1], Json<JwkSet>) {
    (
        [(header::CACHE_CONTROL, "public, max-age=300")],
        Json(state.tokens.key_set()),
    )
}
