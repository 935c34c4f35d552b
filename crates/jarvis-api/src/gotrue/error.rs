//! Errors as GoTrue tells them: a status, a code that clients decide by, and a message for people.

use crate::keys::Refusal;
use crate::problem::Problem;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jarvis_core::ErrorCode;
use jarvis_db::DbError;
use serde_json::json;

/// A refusal.
#[derive(Debug)]
pub(crate) struct GoTrueError {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
}

impl GoTrueError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn bad_json() -> Self {
        let message = "Could not parse request body as JSON: an object is expected";
        Self::new(StatusCode::BAD_REQUEST, "bad_json", message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "validation_failed", message)
    }

    pub(crate) fn not_signed_in() -> Self {
        let message = "This endpoint requires the access token of a person who signed in";
        Self::new(StatusCode::UNAUTHORIZED, "no_authorization", message)
    }

    pub(crate) fn session_not_found() -> Self {
        let message = "Session from session_id claim in JWT does not exist";
        Self::new(StatusCode::FORBIDDEN, "session_not_found", message)
    }

    pub(crate) fn user_not_found() -> Self {
        let message = "User from sub claim in JWT does not exist";
        Self::new(StatusCode::FORBIDDEN, "user_not_found", message)
    }
}

impl From<Refusal> for GoTrueError {
    fn from(refusal: Refusal) -> Self {
        let words = refusal.to_string();
        match refusal {
            Refusal::Missing => Self::new(
                StatusCode::UNAUTHORIZED,
                "no_authorization",
                format!("{words}: send one in the header `apikey`; `jarvis keys` prints them"),
            ),
            Refusal::UnknownKey => Self::new(StatusCode::UNAUTHORIZED, "no_authorization", words),
            Refusal::Invalid => Self::new(StatusCode::FORBIDDEN, "bad_jwt", "invalid JWT"),
            Refusal::Expired => Self::new(
                StatusCode::FORBIDDEN,
                "bad_jwt",
                "invalid JWT: token has invalid claims: token is expired",
            ),
            Refusal::Unavailable => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unexpected_failure", words),
        }
    }
}

impl From<Problem> for GoTrueError {
    fn from(problem: Problem) -> Self {
        let (status, code, message) = match problem.code() {
            ErrorCode::CredentialsInvalid => (
                StatusCode::BAD_REQUEST,
                "invalid_credentials",
                "Invalid login credentials",
            ),
            ErrorCode::SignsInElsewhere => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "email_provider_disabled",
                "This database brought its own `auth` schema: the GoTrue of its platform signs people in, not this \
                 server. Sign in there; docs/auth.md says more",
            ),
            ErrorCode::RateLimited => (
                StatusCode::TOO_MANY_REQUESTS,
                "over_request_rate_limit",
                "Request rate limit reached",
            ),
            ErrorCode::PayloadTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "validation_failed",
                "The body is too large",
            ),
            _ if problem.status().is_client_error() => (
                StatusCode::BAD_REQUEST,
                "bad_json",
                "Could not read the request body",
            ),
            _ => (
                problem.status(),
                "unexpected_failure",
                "The server could not answer",
            ),
        };
        if status.is_server_error() {
            tracing::warn!(
                code = problem.code().as_str(),
                cause = problem.cause(),
                "signing in failed"
            );
        }
        Self {
            retry_after: problem.seconds_to_wait(),
            ..Self::new(status, code, message)
        }
    }
}

impl From<DbError> for GoTrueError {
    fn from(error: DbError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for GoTrueError {
    fn into_response(self) -> Response {
        let body = json!({ "code": self.status.as_u16(), "error_code": self.code, "msg": self.message });
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
