//! Measuring what memory understands, on labelled conversations. Without a clock or a database, and
//! without a model unless one is given.

pub mod extract;
pub mod recall;
pub mod set;
pub mod summary;
pub mod utterances;
