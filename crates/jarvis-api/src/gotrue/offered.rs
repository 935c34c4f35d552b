//! What is offered, and what is not.

use super::error::GoTrueError;
use axum::Json;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// `GET /auth/v1/settings`: an address with a password, and nobody signs up by themselves.
pub(crate) async fn settings() -> Json<Value> {
    Json(json!({
        "external": { "email": true, "phone": false, "anonymous_users": false },
        "disable_signup": true,
        "mailer_autoconfirm": false,
        "phone_autoconfirm": false,
        "sms_provider": "",
        "saml_enabled": false,
    }))
}

/// `GET /auth/v1/health`
pub(crate) async fn health() -> Json<Value> {
    Json(json!({
        "name": "JARVIS",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Signs people in as GoTrue does",
    }))
}

/// `POST /auth/v1/signup`: managers are invited.
pub(crate) async fn sign_up() -> GoTrueError {
    GoTrueError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "signup_disabled",
        "Signups not allowed for this instance: an operator adds people with `jarvis user add`",
    )
}

/// `POST /auth/v1/otp` and `/magiclink`: no mail is sent.
pub(crate) async fn otp() -> GoTrueError {
    GoTrueError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "otp_disabled",
        "Signing in without a password is not offered",
    )
}

/// Anything else of GoTrue.
pub(crate) async fn nothing_here() -> GoTrueError {
    GoTrueError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "JARVIS signs people in with an e-mail address and a password; docs/auth.md says what else there is",
    )
}
