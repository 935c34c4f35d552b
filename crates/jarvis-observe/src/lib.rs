#![doc = include_str!("../README.md")]

pub mod cost;
pub mod log;
pub mod machine;
pub mod metrics;
pub mod provider;
mod statements;

pub use metrics::METRICS;
pub use statements::{Statements, statements};
