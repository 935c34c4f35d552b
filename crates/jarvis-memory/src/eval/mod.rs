//! Measuring what memory understands, on labelled conversations. Pure: no database, no model, no clock.

pub mod extract;
pub mod set;
pub mod summary;
