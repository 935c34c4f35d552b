//! Application SQL, one module per table. Every function runs inside a [`crate::ScopedTx`], so that row
//! level security decides what it sees; every query of the server names its gym as well.

pub mod account;
pub mod alert;
pub mod api_key;
pub mod audit;
pub mod auth_session;
pub mod consent;
pub mod erasure;
pub mod event;
pub mod fact;
pub mod gym;
pub mod invariant;
pub mod kiosk;
pub mod member;
pub mod price;
pub mod privacy;
pub mod pulse;
pub mod reembed;
pub mod report;
pub mod retention;
pub mod session;
pub mod summary;
pub mod usage;
pub mod visit;
pub mod window;

use crate::DbError;

impl DbError {
    /// The database holds a word that this version does not know.
    pub(crate) fn unknown_word(column: &str) -> Self {
        Self::Bug {
            code: None,
            what: format!("an unknown word in column {column}; is the schema newer than this program?"),
        }
    }
}
