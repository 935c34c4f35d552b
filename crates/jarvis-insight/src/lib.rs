#![doc = include_str!("../README.md")]

pub mod churn;
mod error;
pub mod random;
pub mod reports;
pub mod simulate;

pub use error::InsightError;
