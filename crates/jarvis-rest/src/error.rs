//! What went wrong, as the caller is told: status, code, message, details, hint.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error with PostgREST's shape. Codes: `PGRST…` as PostgREST documents them, else PostgreSQL's SQLSTATE.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {}", .0.code, .0.message)]
pub struct RestError(Box<Fault>);

/// What an error says.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code.
    pub code: String,
    /// What was wrong.
    pub message: String,
    /// More of it.
    pub details: Value,
    /// What to do.
    pub hint: Value,
    /// Further headers of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl std::ops::Deref for RestError {
    type Target = Fault;

    fn deref(&self) -> &Fault {
        &self.0
    }
}

impl std::ops::DerefMut for RestError {
    fn deref_mut(&mut self) -> &mut Fault {
        &mut self.0
    }
}

impl RestError {
    /// With a status, a code and a message.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Fault {
            status,
            code: code.to_owned(),
            message: message.into(),
            details: Value::Null,
            hint: Value::Null,
            headers: Vec::new(),
        }))
    }

    /// 400 with a code.
    pub fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Adds details.
    #[must_use]
    pub fn details(mut self, details: impl Into<Value>) -> Self {
        self.details = details.into();
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Value>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds a hint when there is one.
    #[must_use]
    pub fn perhaps(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// A query parameter that cannot be read.
    pub fn parse(message: String, details: String) -> Self {
        Self::bad("PGRST100", message).details(details)
    }

    /// A body that cannot be read.
    pub fn body(message: impl Into<String>) -> Self {
        Self::bad("PGRST102", message)
    }

    /// A range that has no rows.
    pub fn range(details: impl Into<String>) -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "PGRST103",
            "Requested range not satisfiable",
        )
        .details(details.into())
    }

    /// A path, order or filter on something that was not embedded.
    pub fn not_embedded(name: &str) -> Self {
        Self::bad(
            "PGRST108",
            format!("'{name}' is not an embedded resource in this request"),
        )
        .hint(format!(
            "Verify that '{name}' is included in the 'select' query parameter."
        ))
    }

    /// What this server does not do.
    pub fn not_implemented(what: &str) -> Self {
        Self::bad("PGRST127", "Feature not implemented").details(what)
    }

    /// A token that is refused.
    pub fn token(code: &str, message: &str) -> Self {
        let mut error = Self::new(StatusCode::UNAUTHORIZED, code, message);
        let challenge = if code == "PGRST302" {
            "Bearer".to_owned()
        } else {
            format!("Bearer error=\"invalid_token\", error_description={message:?}")
        };
        if let Ok(value) = HeaderValue::from_str(&challenge) {
            error.headers.push((header::WWW_AUTHENTICATE, value));
        }
        error
    }

    /// The body of the answer.
    pub fn body_json(&self) -> Value {
        json!({"code": self.code, "message": self.message, "details": self.details, "hint": self.hint})
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let body = self.body_json().to_string();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        if let Ok(value) = HeaderValue::from_str(&format!("PostgREST; error={}", self.code)) {
            headers.insert("proxy-status", value);
        }
        for (name, value) in self.0.headers {
            headers.append(name, value);
        }
        response
    }
}
