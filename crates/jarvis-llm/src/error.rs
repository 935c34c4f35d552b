//! What can go wrong with a model. No error carries a word of a prompt, of an answer or of a key.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::schema::SchemaError;
use crate::seam::Usage;

/// A failed call to a model.
#[derive(Debug)]
pub struct LlmError {
    /// What went wrong.
    pub kind: LlmErrorKind,
    /// How long the provider asks to wait before the next try; only on a retryable error.
    pub retry_after: Option<Duration>,
    /// The provider's id of the failed request, to quote to its support.
    pub request_id: Option<String>,
    /// What the failed call cost all the same (a refusal is billed), where the provider said it.
    pub usage: Option<Box<Usage>>,
    /// Attempts made, the first included; 0 when nothing was sent.
    pub attempts: u32,
}

impl fmt::Display for LlmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match &self.request_id {
            Some(id) => write!(f, " (provider request {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LlmError {
    /// The kind is already in the text; its cause, such as the broken rule of a schema, is not.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

impl LlmError {
    pub(crate) fn new(kind: LlmErrorKind) -> Self {
        Self {
            kind,
            retry_after: None,
            request_id: None,
            usage: None,
            attempts: 0,
        }
    }

    /// The caller had no time left to wait for the provider.
    pub fn too_late() -> Self {
        Self::new(LlmErrorKind::Timeout)
    }

    /// The provider sent a vector that cannot be compared with others.
    pub fn unusable_vector() -> Self {
        Self::new(LlmErrorKind::BadReply("a vector has no direction"))
    }

    pub(crate) fn billed(mut self, usage: Option<Usage>) -> Self {
        self.usage = usage.map(Box::new);
        self
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

/// The reasons a call to a model fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LlmErrorKind {
    /// The request cannot be sent as it is; the text says why, without quoting it.
    #[error("the request to the model is not valid: {0}")]
    InvalidRequest(&'static str),
    /// The schema is outside the strict subset.
    #[error("the answer schema is not strict")]
    InvalidSchema(#[source] SchemaError),
    /// The registry has no model for this role and API.
    #[error("no model is registered for the role {role}")]
    NoModel {
        /// The role that was asked for.
        role: &'static str,
    },
    /// The provider could not be reached, or the connection broke.
    #[error("the model provider could not be reached")]
    Connection,
    /// No complete answer in time.
    #[error("the model provider did not answer in time")]
    Timeout,
    /// Too many requests, HTTP 429.
    #[error("the model provider limits the rate of requests")]
    RateLimited,
    /// The account has no money left; only a person can help.
    #[error("the account at the model provider has no quota left")]
    QuotaExhausted,
    /// The key is wrong, or may not use this model: HTTP 401 or 403.
    #[error("the model provider refuses the key (HTTP {status})")]
    Unauthorized {
        /// The HTTP status.
        status: u16,
    },
    /// HTTP 408, 409 or 5xx.
    #[error("the model provider failed (HTTP {status})")]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// Any other HTTP status that is not a success.
    #[error("the model provider rejects the request (HTTP {status}{})", .code.as_deref().map(|c| format!(", {c}")).unwrap_or_default())]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The provider's short code, such as `model_not_found`.
        code: Option<String>,
        /// The provider said `x-should-retry: true`.
        retryable: bool,
    },
    /// The model declined to answer.
    #[error("the model declined to answer")]
    Refused,
    /// The answer reached the limit of tokens before its end.
    #[error("the answer of the model was cut at its limit of tokens")]
    CutShort,
    /// The provider's content filter removed the answer.
    #[error("the content filter of the provider removed the answer")]
    Filtered,
    /// The answer is not JSON.
    #[error("the answer of the model is not JSON")]
    NotJson,
    /// The answer is JSON and breaks the schema.
    #[error("the answer of the model breaks its schema")]
    BreaksSchema(#[source] SchemaError),
    /// The provider's envelope is not what the protocol says.
    #[error("the reply of the provider breaks the protocol: {0}")]
    BadReply(&'static str),
    /// The provider did not say what the call cost; that is not the same as free.
    #[error("the reply of the provider does not say what it cost")]
    UsageMissing,
    /// The provider failed lately and is left alone for a while; nothing was sent.
    #[error("the model provider is left alone after failures ({cause})")]
    CircuitOpen {
        /// The stable code of the last failure.
        cause: &'static str,
    },
    /// A vector has another dimension than the registry says.
    #[error("the model returned a vector of {actual} numbers, {expected} were expected")]
    WrongDimension {
        /// The dimension in the registry, or of the first vector.
        expected: usize,
        /// The dimension received.
        actual: usize,
    },
}

impl LlmErrorKind {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connection
            | Self::Timeout
            | Self::RateLimited
            | Self::Unavailable { .. }
            | Self::CircuitOpen { .. }
            | Self::NotJson
            | Self::BreaksSchema(_)
            | Self::BadReply(_) => true,
            Self::Rejected { retryable, .. } => *retryable,
            Self::InvalidRequest(_)
            | Self::InvalidSchema(_)
            | Self::NoModel { .. }
            | Self::QuotaExhausted
            | Self::Unauthorized { .. }
            | Self::Refused
            | Self::CutShort
            | Self::Filtered
            | Self::UsageMissing
            | Self::WrongDimension { .. } => false,
        }
    }

    /// Whether the provider, or the agreement with it, is what fails, so that any other call would fail as well. It
    /// is not when this one request is at fault.
    pub fn is_of_the_provider(&self) -> bool {
        match self {
            Self::Connection
            | Self::Timeout
            | Self::RateLimited
            | Self::QuotaExhausted
            | Self::Unauthorized { .. }
            | Self::Unavailable { .. }
            | Self::CircuitOpen { .. }
            | Self::NotJson
            | Self::BadReply(_)
            | Self::UsageMissing
            | Self::WrongDimension { .. } => true,
            // No such address, or no such model.
            Self::Rejected {
                status, retryable, ..
            } => *retryable || *status == 404 || *status < 400,
            Self::InvalidRequest(_)
            | Self::InvalidSchema(_)
            | Self::NoModel { .. }
            | Self::Refused
            | Self::CutShort
            | Self::Filtered
            | Self::BreaksSchema(_) => false,
        }
    }

    /// Whether the provider says that the question is longer than the model's window.
    pub fn is_too_long(&self) -> bool {
        let Self::Rejected { code: Some(code), .. } = self else {
            return false;
        };
        matches!(
            code.as_str(),
            "context_length_exceeded" | "string_above_max_length"
        )
    }

    /// A stable name, for metrics and for the jobs table.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidSchema(_) => "invalid_schema",
            Self::NoModel { .. } => "no_model",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Unavailable { .. } => "unavailable",
            Self::Rejected { .. } => "rejected",
            Self::Refused => "refused",
            Self::CutShort => "cut_short",
            Self::Filtered => "filtered",
            Self::NotJson => "not_json",
            Self::BreaksSchema(_) => "breaks_schema",
            Self::BadReply(_) => "bad_reply",
            Self::UsageMissing => "usage_missing",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::WrongDimension { .. } => "wrong_dimension",
        }
    }
}
