//! What can go wrong with the database, sorted by what a caller can do about it.

use sqlx::postgres::PgDatabaseError;

/// An error of the database, sorted by what a caller can do about it.
///
/// No variant and no text ever holds data of a row: PostgreSQL's "detail" of a constraint violation quotes
/// the offending values, so it is dropped here, and so are the messages of conversion errors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// The database cannot be reached, is starting or stopping, or has no connection left.
    /// Trying again later may work.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What was observed.
        reason: String,
    },
    /// The disk of the database is full. What was acknowledged is kept; trying again works once there is space.
    #[error("the disk of the database is full")]
    StorageFull,
    /// A statement was cancelled because it took longer than the statement timeout.
    #[error("the database took too long to answer")]
    Timeout,
    /// Two transactions stood in each other's way (serialisation failure or deadlock). Trying again works.
    #[error("two changes to the same rows met; try again")]
    Contended,
    /// A unique or exclusion constraint was violated.
    #[error("a row that must be unique exists already (constraint {constraint})")]
    Conflict {
        /// The name of the constraint.
        constraint: String,
    },
    /// A foreign key was violated: the row that is referred to does not exist in this gym, or is still in use.
    #[error("a row refers to another one that does not exist here (constraint {constraint})")]
    Reference {
        /// The name of the constraint.
        constraint: String,
    },
    /// A value was refused by a check, a not-null or a type.
    #[error("a value is not acceptable ({rule})")]
    Invalid {
        /// The name of the constraint or column, or the SQLSTATE when PostgreSQL names neither.
        rule: String,
    },
    /// One of our own rules in the database refused the change (SQLSTATE `J…`, such as `JC001` consent required).
    #[error("{message} ({code})")]
    Refused {
        /// Our SQLSTATE.
        code: String,
        /// The stable message, such as `consent_required`.
        message: String,
        /// What it is about, such as the purpose; never data of a row.
        detail: Option<String>,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A row that had to be there is not there, or not visible to this scope.
    #[error("not found")]
    NotFound,
    /// The role of this scope lacks a privilege, or a policy refused the row.
    #[error("the database refused access ({reason})")]
    Denied {
        /// What was refused; names tables and roles, never rows.
        reason: String,
    },
    /// The database is there, but is not usable as it is. Found when connecting.
    #[error("{problem}")]
    Unfit {
        /// What is wrong.
        problem: String,
        /// The way out.
        hint: String,
    },
    /// A mistake of ours: wrong SQL, a type that does not fit. Trying again does not help.
    #[error("unexpected database error: {what}")]
    Bug {
        /// The SQLSTATE, when PostgreSQL gave one.
        code: Option<String>,
        /// What happened; names tables and columns, never values.
        what: String,
    },
}

impl DbError {
    /// Whether the same call may succeed later without a change.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::StorageFull | Self::Timeout | Self::Contended
        )
    }

    /// What a person can do about it, when there is something.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::Unfit { hint, .. } => Some(hint),
            Self::StorageFull => {
                Some("free some space where PostgreSQL keeps its data; nothing that was acknowledged is lost")
            }
            Self::Unavailable { .. } => {
                Some("see that PostgreSQL runs, and that DATABASE_URL names its host, port and password")
            }
            _ => None,
        }
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable {
            reason: reason.into(),
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(error) => match error.try_downcast::<PgDatabaseError>() {
                Ok(error) => classify(&error),
                Err(_) => bug(None, "not an error of PostgreSQL"),
            },
            E::RowNotFound => Self::NotFound,
            E::Io(error) => Self::unavailable(format!("connection lost ({})", error.kind())),
            E::Tls(error) => Self::unavailable(format!("TLS failed: {error}")),
            E::PoolTimedOut => Self::unavailable("no connection in time: it is down, or busy"),
            E::PoolClosed => Self::unavailable("shutting down"),
            E::WorkerCrashed | E::BeginFailed => Self::unavailable("connection lost"),
            E::Protocol(_) => Self::unavailable("the connection broke in the middle of an answer"),
            E::Configuration(error) => Self::Unfit {
                problem: format!("the database URL cannot be used: {error}"),
                hint: "write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE".into(),
            },
            E::ColumnDecode { index, .. } => {
                bug(None, format!("column {index} has an unexpected type or value"))
            }
            E::ColumnNotFound(name) => bug(None, format!("no column {name} in the answer")),
            E::TypeNotFound { type_name } => bug(None, format!("no type {type_name} in the database")),
            E::ColumnIndexOutOfBounds { index, len } => bug(None, format!("column {index} of only {len}")),
            E::Encode(_) | E::InvalidArgument(_) => Self::Invalid {
                rule: "a parameter cannot be sent".into(),
            },
            _ => bug(None, "the database driver failed"),
        }
    }
}

fn bug(code: Option<&str>, what: impl Into<String>) -> DbError {
    DbError::Bug {
        code: code.map(str::to_owned),
        what: what.into(),
    }
}

/// Sorts by SQLSTATE, see "PostgreSQL Error Codes", appendix A of its manual.
fn classify(error: &PgDatabaseError) -> DbError {
    let code = error.code();
    let constraint = || error.constraint().unwrap_or("unnamed").to_owned();
    match code {
        "23505" | "23P01" => DbError::Conflict {
            constraint: constraint(),
        },
        "23503" => DbError::Reference {
            constraint: constraint(),
        },
        "40001" | "40P01" | "55P03" => DbError::Contended,
        "57014" => DbError::Timeout,
        "53100" => DbError::StorageFull,
        "42501" => DbError::Denied {
            reason: error.message().to_owned(),
        },
        "P0002" => DbError::NotFound,
        "3D000" | "25006" | "25P03" | "57P01" | "57P02" | "57P03" | "57P05" => {
            DbError::unavailable(error.message())
        }
        _ => classify_class(error, code),
    }
}

fn classify_class(error: &PgDatabaseError, code: &str) -> DbError {
    match code.get(..2).unwrap_or_default() {
        class if class.starts_with('J') => DbError::Refused {
            code: code.to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
        },
        "22" | "23" | "44" => DbError::Invalid {
            rule: error.constraint().or(error.column()).unwrap_or(code).to_owned(),
        },
        "08" | "53" | "58" => DbError::unavailable(error.message()),
        "28" => DbError::Denied {
            reason: error.message().to_owned(),
        },
        // Messages of these classes name tables, columns and functions. All others may quote values.
        "42" | "0A" | "25" | "2B" | "54" | "55" => bug(Some(code), error.message()),
        _ => bug(Some(code), format!("SQLSTATE {code}")),
    }
}
