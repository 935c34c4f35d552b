//! What can go wrong, as the edge tells it.

use jarvis_core::{ErrorCode, Language};
use jarvis_db::DbError;
use std::time::Duration;

/// What is waited after a failure of a provider that names no time; its circuit breaker decides further.
const PROVIDER_PAUSE: Duration = Duration::from_secs(2);
/// Nothing is asked again sooner.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// A provider that asks for more is tried after an hour all the same.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Why a use-case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The request cannot be met; the caller can do something about it.
    #[error("{}{}", code.title(Language::En), because(detail.as_deref()))]
    Refused {
        /// The stable code.
        code: ErrorCode,
        /// What it is about, such as the field or the purpose; never what a member said.
        detail: Option<String>,
    },
    /// The database failed.
    #[error("the database failed")]
    Db(#[source] DbError),
    /// The embedding failed.
    #[error("the embedding failed")]
    Embedding(#[source] jarvis_llm::LlmError),
    /// Turns or consents changed meanwhile; the next try sees them.
    #[error("the session changed meanwhile")]
    Changed,
    /// A defect of ours.
    #[error("unexpected: {0}")]
    Bug(&'static str),
}

fn because(detail: Option<&str>) -> String {
    detail.map(|d| format!(" ({d})")).unwrap_or_default()
}

impl MemoryError {
    /// A refusal without a detail.
    pub fn refused(code: ErrorCode) -> Self {
        Self::Refused { code, detail: None }
    }

    /// A refusal that says what it is about.
    pub fn refused_because(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Refused {
            code,
            detail: Some(detail.into()),
        }
    }

    /// The public code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Db(DbError::StorageFull) => ErrorCode::StorageFull,
            Self::Db(error) if error.is_transient() => ErrorCode::DatabaseUnavailable,
            Self::Changed => ErrorCode::Overloaded,
            Self::Embedding(error) if error.kind.is_of_the_provider() => ErrorCode::ProviderUnavailable,
            Self::Db(_) | Self::Embedding(_) | Self::Bug(_) => ErrorCode::Internal,
        }
    }

    /// How long to wait when something outside is away, so that trying again at once would only fail again; `None`
    /// for any other error.
    pub fn outage(&self) -> Option<Duration> {
        match self {
            Self::Embedding(error) if error.kind.is_of_the_provider() => Some(
                error
                    .retry_after
                    .unwrap_or(PROVIDER_PAUSE)
                    .clamp(SHORTEST_WAIT, LONGEST_WAIT),
            ),
            _ => None,
        }
    }

    /// The error with its causes, for an operator. It names tables, constraints and codes, never what was said.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    }

    /// The chain behind its stable code, which the queue's log line repeats.
    pub fn coded_chain(&self) -> String {
        format!("{}: {}", self.code().as_str(), self.chain())
    }

    /// What it is about, for the caller.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Refused { detail, .. } => detail.as_deref(),
            _ => None,
        }
    }
}

impl From<DbError> for MemoryError {
    fn from(error: DbError) -> Self {
        let DbError::Refused { code, detail, .. } = &error else {
            return Self::Db(error);
        };
        let code = match code.as_str() {
            "JC001" => ErrorCode::ConsentRequired,
            "JS001" | "JS002" => ErrorCode::SessionNotFound,
            "JS003" => ErrorCode::SessionClosed,
            "JF001" => ErrorCode::FactValueInvalid,
            "JP001" => ErrorCode::DataMapIncomplete,
            _ => return Self::Db(error),
        };
        Self::Refused {
            code,
            detail: detail.clone(),
        }
    }
}
