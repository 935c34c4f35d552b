//! What can go wrong.

use jarvis_db::DbError;

/// Why something was not computed.
#[derive(Debug, thiserror::Error)]
pub enum InsightError {
    /// There is no such gym in scope.
    #[error("there is no such gym")]
    NoGym,
    /// The gym's time zone is none that this program knows.
    #[error("the gym's time zone `{0}` is not known")]
    TimeZone(String),
    /// What is stored was written by a newer version, or by something else.
    #[error("the stored report cannot be read: {0}")]
    Unreadable(String),
    /// The database failed.
    #[error("the database failed")]
    Db(#[from] DbError),
}
