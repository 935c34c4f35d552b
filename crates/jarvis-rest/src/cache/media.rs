//! Functions and aggregates of the database that make a media type of rows.

use super::Name;
use crate::request::media::MediaType;

/// A function that makes a media type.
#[derive(Debug, Clone)]
pub struct Handler {
    /// The function or the domain that is cast to.
    pub function: Name,
    /// Of which rows; of all when absent.
    pub of: Option<Name>,
    /// What is asked for.
    pub accepts: MediaType,
    /// What is answered.
    pub makes: MediaType,
}
