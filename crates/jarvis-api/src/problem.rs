//! Errors as clients see them: RFC 9457 problems with a stable code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jarvis_core::{ErrorCode, Language};
use jarvis_db::DbError;
use jarvis_memory::MemoryError;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The content type of problems.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// Why a request was not met. Travels as a response extension; the edge writes the body, because only there the
/// language and the request's id are known.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    code: ErrorCode,
    detail: Option<String>,
    retry_after: Option<u64>,
    members: Map<String, Value>,
    cause: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: ErrorCode) -> Self {
        Self {
            code,
            detail: None,
            retry_after: None,
            members: Map::new(),
            cause: None,
        }
    }

    /// A problem that says what it is about: a field and what it must be, never its value.
    pub(crate) fn because(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::new(code)
        }
    }

    /// The caller may try again after so many seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds a member to the body.
    pub(crate) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("members of a problem have text keys only");
        self.members.insert(name.to_owned(), value);
        self
    }

    /// The problem that a bare response with this status stands for: a rejection of the framework, an unknown
    /// path, a timeout.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        Self::new(match status {
            StatusCode::NOT_FOUND => ErrorCode::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
            StatusCode::UNAUTHORIZED => ErrorCode::Unauthenticated,
            StatusCode::FORBIDDEN => ErrorCode::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => ErrorCode::RateLimited,
            StatusCode::SERVICE_UNAVAILABLE => ErrorCode::Overloaded,
            other if other.is_client_error() => ErrorCode::InvalidRequest,
            _ => ErrorCode::Internal,
        })
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// The chain of errors behind it, for the log. Our errors never hold what was said.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    pub(crate) fn seconds_to_wait(&self) -> Option<u64> {
        self.retry_after
            .or_else(|| (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(2))
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn body(&self, language: Language, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: format!("/api/docs#{}", self.code.as_str()),
            title: self.code.title(language).to_owned(),
            status: self.code.status(),
            code: self.code.as_str().to_owned(),
            detail: self.detail.clone(),
            hint: self.code.hint(language).to_owned(),
            request_id: request_id.to_owned(),
            members: self.members.clone(),
        }
    }
}

/// The body of every error.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Where the code is explained.
    #[serde(rename = "type")]
    #[schema(example = "/api/docs#badge_unknown")]
    pub kind: String,
    /// What went wrong, in the language of `Accept-Language` (French or English).
    #[schema(example = "Badge non reconnu.")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// The stable code; decide by this, never by the title.
    #[schema(example = "badge_unknown")]
    pub code: String,
    /// What it is about: a field and what it must be, or the name of a consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: String,
    /// The id of the request, as in the header `x-request-id`.
    pub request_id: String,
    /// More about it, by code: `event_invalid` brings `rejected`.
    #[serde(flatten)]
    #[schema(additional_properties)]
    pub members: Map<String, Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.seconds_to_wait() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<MemoryError> for Problem {
    fn from(error: MemoryError) -> Self {
        let code = error.code();
        let cause = (code.status() >= 500).then(|| chain(&error));
        Self {
            detail: error.detail().map(str::to_owned),
            cause,
            ..Self::new(code)
        }
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        MemoryError::from(error).into()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_speaks_french_and_english_with_one_code() {
        let problem = Problem::because(ErrorCode::ConsentRequired, "voice");
        let fr = problem.body(Language::Fr, "r1");
        let en = problem.body(Language::En, "r1");
        assert_ne!(fr.title, en.title);
        assert_eq!(fr.code, en.code);
        assert_eq!(fr.kind, "/api/docs#consent_required");
        assert_eq!(fr.detail.as_deref(), Some("voice"));
    }

    #[test]
    fn a_database_that_is_away_is_503_and_its_cause_stays_inside() {
        let problem = Problem::from(DbError::Timeout);
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(problem.cause().unwrap().contains("too long"));
        let body = serde_json::to_string(&problem.body(Language::En, "r")).unwrap();
        assert!(!body.contains("too long"), "{body}");
        assert!(problem.seconds_to_wait().is_some());
    }
}
