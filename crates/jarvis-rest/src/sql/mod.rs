//! From a plan to one statement. Nothing a caller sent stands in its text.

pub mod call;
pub mod change;
pub mod condition;
pub mod read;
pub mod statement;
mod text;

pub use text::{Param, Spelled, Sql, array_literal, quoted};

/// What a change or a function returned, within the statement.
pub const SOURCE: &str = "pgrst_source";
